package lbtool

import (
	"errors"

	"iwx/lib/cli"
	"iwx/lib/lb"
)

type externalVerb struct {
	Switch string `arg:"" enum:"on,off" help:"on: an external balancer balances; off: iwx does."`
}

// Examples implements cli.Exampled.
func (*externalVerb) Examples() string {
	return `iwx-lb external on
iwx-lb export --endpoint --format haproxy >haproxy.cfg
iwx-lb external off`
}

// Run writes down who balances, and waits until the daemons have made it so. To ask for what is so
// is no error.
func (v *externalVerb) Run(c *cli.Context) error {
	m, err := open(c)
	if err != nil {
		return err
	}
	defer m.Close()
	on := v.Switch == "on"
	if m.External == on {
		c.Notef("external balancing is %s already; nothing changed", v.Switch)
		return nil
	}
	err = m.Change(c, func(setup *lb.Setup) error {
		setup.External = on
		return nil
	})
	if err != nil {
		return err
	}
	if on {
		m.tellExternal(c)
	} else {
		c.Notef("external balancing is off: iwx balances %s again, and the health endpoints are closed",
			cli.Count(len(m.Policies), "service", "services"))
	}
	if m.Balancer().WarnIdle(c, "the change takes effect once it does") {
		return m.Hold(c)
	}
	return errors.Join(m.Settle(c), m.Hold(c))
}

// tellExternal says what follows from external balancing.
func (m *manager) tellExternal(c *cli.Context) {
	port := m.Config.LB.EndpointPort
	c.Notef("external balancing is on: iwx programs nothing and holds no virtual IP; the manager and %s report their services at port %d",
		cli.Count(len(m.Servers)-1, "node", "nodes"), port)
	if len(m.Config.LB.Allowed()) == 0 {
		c.Notef("hint: only the manager may connect there: set [lb] endpoint_allow in %s, then systemctl reload iwx-queued", m.Paths.Config)
	}
	c.Notef("hint: its configuration: iwx-lb export --endpoint --format haproxy")
}

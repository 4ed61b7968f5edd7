package lbtool

import (
	"iwx/lib/cli"
	"iwx/lib/export"
	"iwx/lib/fault"
	"iwx/lib/lb"
	"iwx/lib/tool/lbdaemon"
)

type exportVerb struct {
	Format   string `enum:"haproxy,keepalived,nginx,json" default:"json" placeholder:"FORMAT" help:"For which program: haproxy, keepalived, nginx, or json for others."`
	Endpoint bool   `help:"Have it ask the health endpoints of the servers instead of their services."`
}

// Examples implements cli.Exampled.
func (*exportVerb) Examples() string {
	return `iwx-lb export --format haproxy --endpoint >haproxy.cfg
iwx-lb export --format keepalived >keepalived.conf`
}

// Run writes the configuration, and changes nothing.
func (v *exportVerb) Run(c *cli.Context) error {
	m, err := open(c)
	if err != nil {
		return err
	}
	defer m.Close()
	if len(m.Policies) == 0 {
		return fault.Hint(fault.New(fault.Failed, "there is nothing to export: no service is balanced"), "iwx-lb add web")
	}
	if v.Endpoint && !m.External {
		c.Notef("hint: the health endpoints do not answer yet: iwx-lb external on")
	}
	plan, err := m.plan(c)
	if err != nil {
		return err
	}
	if v.Endpoint {
		plan.Endpoint = uint16(m.Config.LB.EndpointPort)
	}
	data, err := v.write(plan)
	if err != nil {
		return err
	}
	return c.Printf("%s", data)
}

func (v *exportVerb) write(plan *export.Plan) ([]byte, error) {
	switch v.Format {
	case "haproxy":
		return plan.HAProxy(), nil
	case "keepalived":
		return plan.Keepalived(), nil
	case "nginx":
		return plan.Nginx(), nil
	}
	return plan.JSON()
}

// plan is all that there is to export, as of now.
func (m *manager) plan(c *cli.Context) (*export.Plan, error) {
	servers, err := lbdaemon.Look(c, m.Server, c.Now)
	if err != nil {
		return nil, err
	}
	view := lb.View{Setup: m.Setup, Servers: servers, Now: c.Now()}
	_, services := view.Desired()
	for i := range services {
		m.fillForwarding(&services[i].Policy)
	}
	return &export.Plan{Cluster: m.Identity.ClusterName, Services: services, Managers: servers[0].Addrs}, nil
}

// fillForwarding gives a policy that left its forwarding open the engine's own.
func (m *manager) fillForwarding(p *lb.Policy) {
	if ability, err := lb.AbilityOf(m.Engine); err == nil && p.Forwarding == "" {
		p.Forwarding = ability.Forwardings[0]
	}
}

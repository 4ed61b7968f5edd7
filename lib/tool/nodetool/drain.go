package nodetool

import (
	"time"

	"iwx/lib/cli"
	"iwx/lib/tool/balancing"
)

type drainVerb struct {
	Name    string        `arg:"" complete:"node" help:"Name of the node."`
	Wait    bool          `help:"Wait until no connection is left."`
	Timeout time.Duration `placeholder:"TIME" help:"Wait no longer than this; it stays drained. Implies --wait."`
}

// Examples implements cli.Exampled.
func (*drainVerb) Examples() string {
	return "iwx-node drain web2 --wait --timeout 10m"
}

// Run takes the whole node out of load balancing; iwx-lb can do so by service.
func (v *drainVerb) Run(c *cli.Context) error {
	m, err := balancing.Open(c)
	if err != nil {
		return err
	}
	defer m.Close()
	drain := balancing.Drain{Node: v.Name}
	if err := drain.Begin(c, m); err != nil {
		return err
	}
	if v.Wait || v.Timeout > 0 {
		return drain.Wait(c, m, v.Timeout)
	}
	if len(m.Policies) > 0 {
		m.Balancer().WarnIdle(c, "nothing changes until it does")
	}
	return nil
}

type undrainVerb struct {
	Name string `arg:"" complete:"node" help:"Name of the node."`
}

// Run puts the node back.
func (v *undrainVerb) Run(c *cli.Context) error {
	m, err := balancing.Open(c)
	if err != nil {
		return err
	}
	defer m.Close()
	return balancing.Drain{Node: v.Name}.End(c, m)
}

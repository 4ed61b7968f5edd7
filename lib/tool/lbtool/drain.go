package lbtool

import (
	"time"

	"iwx/lib/cli"
	"iwx/lib/tool/balancing"
)

type drainVerb struct {
	Node     string        `arg:"" complete:"node" help:"A server: a node, or the manager."`
	Services []string      `arg:"" name:"service" optional:"" complete:"policy" help:"Only these services, or groups: web or mail."`
	Wait     bool          `help:"Wait until no connection is left."`
	Timeout  time.Duration `placeholder:"TIME" help:"Wait no longer than this; it stays drained. Implies --wait."`
}

// Examples implements cli.Exampled.
func (*drainVerb) Examples() string {
	return `iwx-lb drain web2 --wait --timeout 10m
iwx-lb drain web2 imap imaps`
}

// Run drains a server; draining one that is drained is no error.
func (v *drainVerb) Run(c *cli.Context) error {
	m, err := open(c)
	if err != nil {
		return err
	}
	defer m.Close()
	drain, err := m.drain(v.Node, v.Services)
	if err != nil {
		return err
	}
	if err := drain.Begin(c, m.Manager); err != nil {
		return err
	}
	if v.Wait || v.Timeout > 0 {
		return drain.Wait(c, m.Manager, v.Timeout)
	}
	m.warnIdle(c)
	return nil
}

// drain returns what a server and the words for services mean. A service that
// is not balanced is an error: it would be a mistake.
func (m *manager) drain(node string, words []string) (balancing.Drain, error) {
	drain := balancing.Drain{Node: node}
	for _, word := range words {
		services, err := servicesOf([]string{word})
		if err != nil {
			return drain, err
		}
		names := m.balanced(services)
		if names == nil {
			return drain, noPolicy(word, "")
		}
		drain.Services = append(drain.Services, names...)
	}
	return drain, nil
}

type undrainVerb struct {
	Node     string   `arg:"" complete:"node" help:"A server: a node, or the manager."`
	Services []string `arg:"" name:"service" optional:"" complete:"policy" help:"Only these services, or groups: web or mail."`
}

// Run lets a server have new connections again; one that has them is no error.
func (v *undrainVerb) Run(c *cli.Context) error {
	m, err := open(c)
	if err != nil {
		return err
	}
	defer m.Close()
	drain, err := m.drain(v.Node, v.Services)
	if err != nil {
		return err
	}
	if err := drain.End(c, m.Manager); err != nil {
		return err
	}
	m.warnIdle(c)
	return nil
}

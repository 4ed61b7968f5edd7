package lbtool

import (
	"context"

	"iwx/lib/cli"
	"iwx/lib/fault"
	"iwx/lib/host"
	"iwx/lib/lb"
	"iwx/lib/systemd"
	"iwx/lib/tool/local"
)

type startVerb struct{}

// Run has the load balanced, now and after every boot.
func (*startVerb) Run(c *cli.Context) error {
	return begin(c, func(ctx context.Context, bus *systemd.Conn) error { return bus.EnableNow(ctx, local.BalanceUnit) })
}

type restartVerb struct{}

// Run starts the daemon anew; traffic does not notice.
func (*restartVerb) Run(c *cli.Context) error {
	return begin(c, func(ctx context.Context, bus *systemd.Conn) error {
		if err := bus.EnableNow(ctx, local.BalanceUnit); err != nil {
			return err
		}
		return bus.Restart(ctx, local.BalanceUnit)
	})
}

// begin takes a stop back, has systemd do its part, and waits until the engine
// has what it should.
func begin(c *cli.Context, start func(context.Context, *systemd.Conn) error) error {
	m, err := open(c)
	if err != nil {
		return err
	}
	defer m.Close()
	if _, err := lb.AbilityOf(m.Engine); err != nil {
		return err
	}
	if err := m.stopped(c, false); err != nil {
		return err
	}
	if err := m.onUnit(c, start); err != nil {
		return err
	}
	if !m.Balancer().Runs() {
		return fault.Hint(fault.New(fault.Failed, "iwx-lb daemon is not running here"), "%s", m.Balancer().Hint())
	}
	if err := m.Settle(c); err != nil {
		return err
	}
	c.Notef("started: %s over %s, by %s", cli.Count(len(m.Policies), "policy", "policies"), cli.Count(len(m.Servers), "server", "servers"), m.Engine)
	return nil
}

type stopVerb struct{}

// Run has the manager answer alone, until start: it waits until that is so, and
// then ends the daemon. Nothing is balanced without checks.
func (*stopVerb) Run(c *cli.Context) error {
	m, err := open(c)
	if err != nil {
		return err
	}
	defer m.Close()
	if err := m.stopped(c, true); err != nil {
		return err
	}
	if m.Balancer().Runs() {
		err = m.Settle(c)
	} else {
		_, err = m.converge(c, true)
	}
	if err != nil {
		return fault.New(0, "%w; the daemon was not stopped", err)
	}
	err = m.onUnit(c, func(ctx context.Context, bus *systemd.Conn) error { return bus.DisableNow(ctx, local.BalanceUnit) })
	if err == nil {
		c.Notef("stopped: the manager answers alone")
	}
	return err
}

// stopped writes down whether balancing is stopped.
func (m *manager) stopped(c *cli.Context, stopped bool) error {
	if m.Stopped == stopped {
		return nil
	}
	return m.Change(c, func(setup *lb.Setup) error {
		setup.Stopped = stopped
		return nil
	})
}

// onUnit has systemd do something with the daemon's unit. Below a root directory
// of its own there is none: who started the daemon ends it.
func (m *manager) onUnit(c *cli.Context, do func(context.Context, *systemd.Conn) error) error {
	if m.Own() {
		return nil
	}
	if !host.Booted() {
		return fault.Hint(fault.New(fault.Failed, "systemd is not running here"), "start and end the daemon by the means of this system: iwx-lb daemon")
	}
	bus, err := systemd.Connect(c)
	if err != nil {
		return err
	}
	defer bus.Close()
	return do(c, bus)
}

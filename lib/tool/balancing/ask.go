package balancing

import (
	"context"
	"errors"
	"time"

	"iwx/lib/cli"
	"iwx/lib/control"
	"iwx/lib/fault"
	"iwx/lib/lb"
	"iwx/lib/wait"
)

// Ask asks the daemon how balancing is doing. The error has exit code 4 if it
// does not run.
func (m *Manager) Ask(c *cli.Context) (lb.Report, error) {
	report, err := control.Status(c, m.Balance)
	if fault.CodeOf(err) == fault.Busy {
		err = fault.Hint(fault.New(fault.Busy, "iwx-lb daemon is not running here"), "%s", m.Balancer().Hint())
	}
	return report, err
}

// askEvery is how often the daemon is asked by those who wait.
const askEvery = 50 * time.Millisecond

// Await asks the daemon again and again until done is satisfied. After limit, if
// that is not 0, the error is context.DeadlineExceeded.
func (m *Manager) Await(c *cli.Context, limit time.Duration, done func(*lb.Report) bool) error {
	ctx, cancel := context.WithCancel(c.Context)
	if limit > 0 {
		ctx, cancel = context.WithTimeout(c.Context, limit)
	}
	defer cancel()
	return wait.Until(ctx, wait.Every(askEvery), func() (bool, error) {
		report, err := m.Ask(c)
		return err == nil && done(&report), err
	})
}

// Settled reports whether the engine has all that it should.
func Settled(r *lb.Report) bool { return r.Error == "" && len(r.Pending) == 0 }

// settleLimit is for an engine that is to have something: more than one pass.
const settleLimit = 20 * time.Second

// Settle waits until the engine has what was asked for; without a daemon there
// is nothing to wait for. The error tells what the engine does not have.
func (m *Manager) Settle(c *cli.Context) error {
	if !m.Balancer().Runs() {
		return nil
	}
	var last lb.Report
	err := m.Await(c, settleLimit, func(r *lb.Report) bool {
		last = *r
		return m.current(r) && Settled(r)
	})
	switch {
	case err == nil || c.Err() != nil:
		return err
	case !errors.Is(err, context.DeadlineExceeded):
		return fault.New(0, "the change is saved, but it is unknown whether it is in effect: %w", err)
	case last.At.IsZero():
		return fault.Hint(fault.New(fault.TimedOut, "iwx-lb daemon has not answered within %s; the change is saved, and the daemon goes on", cli.Duration(settleLimit)),
			"iwx-lb status\njournalctl -u iwx-lb")
	case last.Error != "":
		return fault.Hint(fault.New(fault.Failed, "%s does not match the configuration: %s", last.Engine, last.Error), "iwx-lb preflight\njournalctl -u iwx-lb")
	case len(last.Pending) > 0:
		return fault.Hint(fault.New(fault.TimedOut, "not done after %s: %s; the daemon goes on", cli.Duration(settleLimit), cli.Some(last.Pending, 3)), "iwx-lb status")
	}
	return fault.Hint(fault.New(fault.TimedOut, "iwx-lb daemon has not applied the change within %s; it goes on", cli.Duration(settleLimit)), "iwx-lb status\njournalctl -u iwx-lb")
}

// current reports whether the daemon has seen what was asked for last.
func (m *Manager) current(r *lb.Report) bool {
	return r.Engine == m.Engine && r.External == m.External && r.Stopped == m.Stopped && len(r.Services) == len(m.Policies)
}

package queuedtool

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"iwx/lib/backoff"
	"iwx/lib/cluster"
	"iwx/lib/host"
	"iwx/lib/profile"
	"iwx/lib/systemd"
	"iwx/lib/tool/local"
	"iwx/lib/tool/teardown"
	"iwx/lib/wait"
)

// Times of a node that leaves.
const (
	commandWait = 10 * time.Minute // for a running command
	commandLook = 100 * time.Millisecond
)

// leaveTries returns the failures of a step of leaving, of which there are none
// yet.
func leaveTries() backoff.Tries {
	return backoff.Tries{Waits: backoff.Waits{First: 5 * time.Second, Most: 30 * time.Second}}
}

// errLeft ends the daemon of a node that has left its cluster, so that its
// setup can be undone with nothing else at work.
var errLeft = errors.New("this node has left its cluster")

// departure is what a node does that the manager has told to leave. The order
// is in the state before it is heeded: a daemon that is killed on the way out
// goes on where the next one starts.
type departure struct {
	*node
	once    sync.Once
	ordered chan struct{} // closed by the order
	status  atomic.Pointer[cluster.Departure]
}

func newDeparture(n *node) *departure { return &departure{node: n, ordered: make(chan struct{})} }

// heed takes the order to leave.
func (d *departure) heed(orders cluster.Orders) {
	if orders.Leave() {
		d.once.Do(func() { close(d.ordered) })
	}
}

// isOrdered reports whether the node is to leave.
func (d *departure) isOrdered() bool {
	select {
	case <-d.ordered:
		return true
	default:
		return false
	}
}

// extend adds how far the node is on its way out.
func (d *departure) extend(s *cluster.Status) { s.Leaving = d.status.Load() }

// wait tells the manager what the departure waits for.
func (d *departure) wait(failed bool, format string, args ...any) {
	now := &cluster.Departure{Waits: fmt.Sprintf(format, args...), Failed: failed}
	if old := d.status.Swap(now); old == nil || *old != *now {
		d.log.Info("leaving the cluster", "waits", now.Waits)
		d.replayer.Touch()
	}
}

// run is the member that waits for the order and follows it. It returns errLeft
// when the manager knows that this node is gone.
func (d *departure) run(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-d.ordered:
	}
	if err := d.leave(ctx); err != nil {
		return nil // the daemon ends; the next one goes on
	}
	return errLeft
}

// leave follows the order, up to where the manager knows. Its only error is that
// ctx has ended.
func (d *departure) leave(ctx context.Context) error {
	for _, step := range []func(context.Context) error{d.endCommand, d.takeBack, d.sayFarewell} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// endCommand waits for the command that is under way: half of what it does may
// be worse than all of it. One that takes longer than commandWait goes on alone.
func (d *departure) endCommand(ctx context.Context) error {
	if err := d.replayer.Begun(ctx); err != nil { // it may have one to adopt
		return err
	}
	limited, cancel := context.WithTimeout(ctx, commandWait)
	defer cancel()
	var running uint64
	err := wait.Until(limited, wait.Every(commandLook), func() (bool, error) {
		if running = d.replayer.Status().Running; running != 0 {
			d.wait(false, "waits up to %[2]s for the command of entry %[1]d to end", running, commandWait)
		}
		return running == 0, nil
	})
	if err != nil && ctx.Err() == nil {
		d.log.Warn("a command keeps running without the daemon", "entry", running)
		return nil
	}
	return err
}

// takeBack converges to a profile with nothing in it. What cannot be taken back,
// a mount that is in use, say, is told and tried again.
func (d *departure) takeBack(ctx context.Context) error {
	none := profile.Document{}.Revision()
	tries := leaveTries()
	for {
		began := d.c.Now()
		d.keeper.Receive(&none)
		d.keeper.Once(ctx)
		status := d.keeper.Status()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if status.Desired == none.Version && status.Current() {
			return nil
		}
		d.wait(true, "%s", unmet(&status))
		if wait.Sleep(ctx, tries.Failed(d.c.Now().Sub(began))) != nil {
			return ctx.Err()
		}
	}
}

// unmet is why a profile is not reached.
func unmet(s *profile.Status) string {
	if item := s.Trouble(); item != nil {
		return fmt.Sprintf("%s cannot be taken back: %s", item, item.Error)
	}
	return cmp.Or(s.Error, "its profile is taken back")
}

// sayFarewell reports what is not reported yet, and that this node leaves.
func (d *departure) sayFarewell(ctx context.Context) error {
	tries := leaveTries()
	for {
		began := d.c.Now()
		err := d.reporter.Once(ctx)
		if err == nil {
			err = d.client.Leave(ctx)
		}
		var refusal *cluster.Refusal
		if err == nil || errors.As(err, &refusal) && refusal.Reason == cluster.RefusedDeleted {
			return nil // it knows
		}
		if ctx.Err() == nil {
			d.log.Warn("cannot notify the manager that this node leaves", "error", err)
		}
		if wait.Sleep(ctx, tries.Failed(d.c.Now().Sub(began))) != nil {
			return ctx.Err()
		}
	}
}

// dismantle makes this an independent server again. It is tried until it
// succeeds or the daemon is to end: nobody but the log would tell of a failure.
func (d *departure) dismantle() error {
	server := &teardown.Server{Paths: d.Paths, Store: d.Store, EndUnit: d.endUnit}
	tries := leaveTries()
	for {
		began := d.c.Now()
		kept, err := server.All(context.WithoutCancel(d.c))
		if err == nil {
			d.log.Info("this node has left its cluster, and its setup is undone", "cluster", d.Identity.ClusterName, "kept", kept)
			return nil
		}
		d.log.Error("cannot undo the setup of this server", "error", err)
		if wait.Sleep(d.c, tries.Failed(d.c.Now().Sub(began))) != nil {
			return err
		}
	}
}

// endUnit keeps a unit from being started again. This daemon's own is not
// stopped: it is about to end by itself.
func (d *departure) endUnit(ctx context.Context, name string) error {
	if d.Own() || !host.Booted() {
		return nil
	}
	bus, err := systemd.Connect(ctx)
	if err != nil {
		return err
	}
	defer bus.Close()
	if name == local.DaemonUnit {
		return bus.Disable(ctx, name)
	}
	return bus.DisableNow(ctx, name)
}

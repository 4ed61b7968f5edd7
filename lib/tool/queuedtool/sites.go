package queuedtool

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"iwx/lib/backoff"
	"iwx/lib/cluster"
	"iwx/lib/panics"
	"iwx/lib/site"
	"iwx/lib/tool/upkeep"
	"iwx/lib/wait"
)

// Times at which a node looks at what it has of the sites, unasked.
const (
	inspectEvery = time.Hour        // on the average
	inspectAgain = 10 * time.Second // after something was amiss, and the queue has gone on
	inspectRetry = time.Minute      // after it could not look
)

// inspection is a node looking at what it has of the sites: when its manager asks
// for that, and now and then.
type inspection struct {
	*node
	inspector *upkeep.Inspector
	wake      wait.Signal
	asked     atomic.Uint64 // the last request, cluster.Orders.Look
	report    atomic.Pointer[site.Report]
}

func newInspection(n *node) *inspection {
	i := &inspection{node: n, wake: wait.NewSignal()}
	i.inspector = &upkeep.Inspector{Server: n.Server, Now: n.c.Now, Done: func() uint64 { return n.replayer.Status().Done }}
	i.report.Store(&site.Report{})
	return i
}

// heed takes what the manager asks for. It does not wait for the look.
func (i *inspection) heed(orders cluster.Orders) {
	if i.asked.Swap(orders.Look) == orders.Look {
		return
	}
	i.wake.Set()
}

// extend implements replay.Reporter's Extend. Before the first look the report is
// empty: it says that this node can.
func (i *inspection) extend(s *cluster.Status) { s.Sites = i.report.Load() }

// run looks until ctx is done. A look that is cut short tells nothing.
func (i *inspection) run(ctx context.Context) error {
	if err := i.replayer.Begun(ctx); err != nil {
		return nil // the daemon ends
	}
	for {
		i.once(ctx)
		if !i.wait(ctx) {
			return nil
		}
	}
}

// once looks, and has the manager told.
func (i *inspection) once(ctx context.Context) {
	select {
	case <-i.wake: // this look is for what was asked until now
	default:
	}
	asked := i.asked.Load()
	var report *site.Report
	err := panics.Try(i.log, "look at the sites", func() error { report = i.inspector.Look(ctx); return nil })
	if err != nil {
		report = &site.Report{Error: err.Error()}
	}
	if ctx.Err() != nil {
		return
	}
	report.Seen = asked
	i.note(i.report.Swap(report), report)
	i.replayer.Touch()
}

// note logs what is new.
func (i *inspection) note(was, is *site.Report) {
	switch {
	case is.Error != "" && is.Error != was.Error:
		i.log.Error("cannot check the sites", "error", is.Error)
	case is.Amiss() > 0 && is.Amiss() != was.Amiss():
		i.log.Warn("sites are not as they were applied", "faults", is.Amiss(), "first", is.Faults[0].What)
	case is.Amiss() == 0 && was.Amiss() > 0:
		i.log.Info("the sites are as they were applied")
	}
}

// wait returns when it is time to look again; false when ctx is done.
func (i *inspection) wait(ctx context.Context) bool {
	looked := i.c.Now()
	due, again := time.NewTimer(backoff.Jitter(inspectEvery, rand.Float64())), time.NewTicker(inspectAgain)
	defer due.Stop()
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-i.wake:
			return true
		case <-due.C:
			return true
		case <-again.C:
			if lookAgain(i.report.Load(), i.replayer.Status().Done, i.c.Now().Sub(looked)) {
				return true
			}
		}
	}
}

// lookAgain reports whether what was found so long ago may be otherwise now, with the
// entries of the queue up to done settled.
func lookAgain(r *site.Report, done uint64, ago time.Duration) bool {
	return r.Amiss() > 0 && r.Done != done || r.Error != "" && ago >= inspectRetry
}

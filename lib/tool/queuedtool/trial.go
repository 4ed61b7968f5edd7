package queuedtool

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"iwx/lib/cluster"
	"iwx/lib/fault"
	"iwx/lib/host"
	"iwx/lib/panics"
	"iwx/lib/tool/crossing"
	"iwx/lib/wait"
)

// trialWait is for the manager's packets, which come again and again.
const trialWait = 3 * time.Second

// trials takes part in the trials that the manager asks for, one after the other.
type trials struct {
	*node
	order  atomic.Pointer[string] // the last one received
	wake   wait.Signal
	report atomic.Pointer[cluster.TrialReport]
}

func newTrials(n *node) *trials { return &trials{node: n, wake: wait.NewSignal()} }

// heed takes an order; it does not wait for what comes of it.
func (t *trials) heed(orders cluster.Orders) {
	t.order.Store(&orders.Trial)
	t.wake.Set()
}

// extend adds what came of the last trial.
func (t *trials) extend(s *cluster.Status) { s.Trial = t.report.Load() }

// run is the member that waits for trials.
func (t *trials) run(ctx context.Context) error {
	done := ""
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.wake:
		}
		text := *t.order.Load()
		if text == "" || text == done {
			continue
		}
		done = text
		report := &cluster.TrialReport{}
		err := panics.Try(t.log, "trial of the network", func() error { return t.take(ctx, text, report) })
		if err != nil {
			report.Error = fault.Plain(err)
			t.log.Warn("cannot take part in a trial of the network", "error", err)
		}
		t.report.Store(report)
		t.replayer.Touch()
	}
}

// take takes part in one trial, and fills in its report as far as it gets.
func (t *trials) take(ctx context.Context, text string, report *cluster.TrialReport) error {
	trial, err := cluster.ParseTrial(text)
	if err != nil {
		return err
	}
	report.Nonce = trial.Nonce
	if t.Own() {
		return fmt.Errorf("below a root directory of its own the network is left alone")
	}
	facts, err := host.Read(t.Root)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, trialWait)
	defer cancel()
	report.Came, err = crossing.Answer(ctx, facts.Addresses, trial)
	return err
}

package replay

import (
	"context"
	"reflect"
	"time"

	"iwx/lib/attempt"
	"iwx/lib/cluster"
	"iwx/lib/queue"
)

// apply feeds an event to the rules, writes what comes of it together with c,
// and then does it. When the journal refuses, nothing has happened.
func (r *Replayer) apply(ctx context.Context, ev Event, c Changes) error {
	for {
		next, actions := r.state.Step(ev, r.Now())
		begun, refill := r.plan(actions, &c)
		c.RetryAt, c.Reported = next.RetryAt, r.reported.Load()
		if !c.empty() {
			err := r.Journal.Commit(ctx, &c)
			r.note(ctx, err)
			if err != nil {
				return err
			}
		}
		r.state = next
		if n := len(c.Records); n > 0 {
			r.position = c.Records[n-1].Position()
		}
		if c.Ended != nil || c.NotBegun != nil {
			r.open, r.hung = nil, nil
		}
		if r.blocked != nil && r.blocked.Seq <= r.state.Done {
			r.blocked = nil
		}
		if begun != nil {
			r.open, r.command = begun, nil
		}
		changed := r.publish()
		switch {
		case begun != nil && c.Ended != nil:
			r.tell(reportTogether)
		case begun != nil:
			r.tell(slowCommand)
		case changed || c.Ended != nil:
			r.tell(0)
		}
		if begun != nil {
			r.start(ctx, begun)
		}
		if !refill {
			return nil
		}
		ahead, err := r.Journal.Ahead(ctx, window)
		r.note(ctx, err)
		if err != nil {
			return nil // the event itself is written; the next tick refills
		}
		ev, c = Filled{Head: r.state.Head, Ahead: ahead}, Changes{}
	}
}

// plan adds the actions to the changes that are to be written.
func (r *Replayer) plan(actions []Action, c *Changes) (begun *Open, refill bool) {
	for _, a := range actions {
		switch a := a.(type) {
		case Settle:
			c.Settled = a.Seq
		case Heed:
			c.Heeded = a.Retry
		case Refill:
			refill = true
		case Begin:
			begun = &Open{Boot: r.Boot, Attempt: cluster.Attempt{
				Epoch: a.Epoch, Seq: a.Seq, Attempt: a.Attempt, Started: r.Now().UnixMilli(),
			}}
			c.Begun = begun
		}
	}
	return begun, refill
}

// start runs the command of an attempt that is in the journal. What keeps it
// from being started is a failure like any other: it is shown and tried again.
func (r *Replayer) start(ctx context.Context, open *Open) {
	running, err := r.startCommand(ctx, open)
	if err == nil {
		r.wait(ctx, attemptID(&open.Attempt), running)
		return
	}
	if ctx.Err() != nil {
		return // the daemon ends; the next one finds that it was never started
	}
	r.results <- result{found: attempt.Finished, Result: attempt.Result{
		Outcome: attempt.NotStarted, Code: 126, Error: err.Error(), Ended: r.Now(),
	}}
}

func (r *Replayer) startCommand(ctx context.Context, open *Open) (attempt.Running, error) {
	c, err := r.text(ctx, open.Seq)
	if err != nil {
		return nil, err
	}
	r.command = c
	spec, err := r.Spec(queue.OpID{Epoch: open.Epoch, Seq: open.Seq}, open.Attempt.Attempt, c)
	if err != nil {
		return nil, err
	}
	return r.Runner.Start(ctx, attemptID(&open.Attempt), spec)
}

// publish makes the state known, without waking the reporter, and reports
// whether it is another than before.
func (r *Replayer) publish() (changed bool) {
	r.caught(r.state.Word())
	s := cluster.Status{
		Word:    r.state.Word(),
		Epoch:   r.position.Epoch,
		Done:    r.state.Done,
		Head:    r.state.Head,
		Paused:  r.state.Paused,
		Blocked: r.blocked,
		Version: r.Version,
		Mode:    r.Runner.Mode(),

		Held:      r.state.Held(),
		RetrySeen: r.state.RetrySeen,
		CaughtUp:  r.caughtUp,
	}
	if r.open != nil {
		s.Running, s.RunningSince = r.open.Seq, r.open.Started
	}
	if r.hung != nil && r.state.Blocked() == NoTrouble {
		s.Word, s.Blocked = WordHalted, Hang(r.blocked, &r.open.Attempt, r.hung)
	}
	if r.stuck != nil {
		s.Word = WordHalted
		s.Blocked = &cluster.Blocked{Seq: r.state.Done + 1, Error: r.stuck.Error(), FirstFailure: r.stuckAt.UnixMilli()}
	}
	return !reflect.DeepEqual(r.status.Swap(&s), &s)
}

// tell has the reporter woken after d, if it is not to be woken sooner.
func (r *Replayer) tell(d time.Duration) {
	now := r.Now()
	at := now.Add(d)
	if r.tellAt.After(now) && r.tellAt.Before(at) {
		return
	}
	r.tellAt = at
	if d == 0 {
		r.telling.Stop()
		r.signal()
		return
	}
	r.telling.Reset(d)
}

// signal wakes the reporter.
func (r *Replayer) signal() { r.changed.Set() }

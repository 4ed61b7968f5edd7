package pulse

import (
	"context"
	"log/slog"
	"time"

	"iwx/lib/backoff"
	"iwx/lib/health"
	"iwx/lib/panics"
	"iwx/lib/wait"
)

// Times that a watcher goes by.
const (
	lookEvery = 200 * time.Millisecond // a look is some microseconds, and no packet
	tellEvery = 5 * time.Second        // what has not changed, for a manager that has forgotten it
	askEvery  = time.Second            // what to look at
	tellLimit = 2 * time.Second
)

// tellWaits are the waits before a failed report to the manager is sent again.
func tellWaits() backoff.Waits { return backoff.Waits{First: time.Second, Most: 10 * time.Second} }

// Watcher looks at a server's own services for as long as its daemon runs, and
// tells what changes at once.
type Watcher struct {
	Watch func(ctx context.Context) (Watch, error)            // what to look at; asked once a second
	Tell  func(ctx context.Context, pulse health.Pulse) error // has a deadline; called by one goroutine
	Alive func()                                              // called at every look; may be nil
	Now   func() time.Time
	Log   *slog.Logger

	eye     Eye
	watch   Watch
	asked   time.Time
	last    *health.Pulse // told last; nil: none, or it failed
	took    time.Duration // duration of the last look
	told    time.Time     // when it was tried last
	tries   backoff.Tries // failures since then
	rest    time.Duration // after the last failure
	failing string        // as last logged
}

// Run looks until ctx is done.
func (w *Watcher) Run(ctx context.Context) error {
	defer w.eye.Close()
	w.tries.Waits = tellWaits()
	for pause := time.Duration(0); wait.Sleep(ctx, pause) == nil; pause = backoff.Pace(pause, w.took) {
		if w.Alive != nil {
			w.Alive()
		}
		err := panics.Try(w.Log, "look at the listening sockets", func() error { return w.once(ctx) })
		if ctx.Err() != nil {
			return nil
		}
		w.note(err)
		if w.Alive != nil {
			w.Alive()
		}
		pause = lookEvery
		if w.watch.Empty() { // nothing to look at: until it is asked again
			pause = askEvery
		}
	}
	return nil
}

// once looks, and tells what is new.
func (w *Watcher) once(ctx context.Context) error {
	if w.asked.IsZero() || w.Now().Sub(w.asked) >= askEvery {
		watch, err := w.Watch(ctx)
		if err != nil {
			return err
		}
		w.watch, w.asked = watch, w.Now()
	}
	if w.watch.Empty() {
		w.last = nil
		return nil
	}
	began := w.Now()
	is, err := w.eye.Look(w.watch)
	w.took = w.Now().Sub(began)
	if err != nil {
		return err
	}
	since := w.Now().Sub(w.told)
	switch {
	case w.last == nil && since < w.rest:
		return nil
	case w.last != nil && Equal(w.last, &is) && since < tellEvery:
		return nil
	}
	return w.tell(ctx, is)
}

func (w *Watcher) tell(ctx context.Context, is health.Pulse) error {
	ctx, cancel := context.WithTimeout(ctx, tellLimit)
	defer cancel()
	w.last = nil
	began := w.Now()
	err := w.Tell(ctx, is)
	w.told = w.Now()
	if err != nil {
		w.rest = w.tries.Failed(w.told.Sub(began))
		return err
	}
	w.tries.Reset()
	w.last, w.rest = &is, 0
	return nil
}

// note logs an error that is not the one before, and its end.
func (w *Watcher) note(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text == w.failing {
		return
	}
	w.failing = text
	if err != nil {
		w.Log.Warn("cannot report the listening sockets to the manager", "error", err)
	} else {
		w.Log.Info("the manager receives the listening sockets again")
	}
}

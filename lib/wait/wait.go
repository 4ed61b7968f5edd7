// Package wait holds the ways to wait: for a time, until something is done, for a signal
// from another goroutine. Tests wait with package testenv.
package wait

import (
	"context"
	"time"

	"iwx/lib/backoff"
)

// Sleep waits for d. If ctx ends first, it returns the error of ctx.
func Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// Until calls done, at once and then again after each pause, until it reports true or
// fails. It returns the error of done, or that of ctx if ctx ends during a pause. pause
// gets the duration of the call before it: see Every, and Failed of backoff.Tries.
func Until(ctx context.Context, pause func(took time.Duration) time.Duration, done func() (bool, error)) error {
	for {
		took := backoff.Clock()
		if is, err := done(); is || err != nil {
			return err
		}
		if err := Sleep(ctx, pause(took())); err != nil {
			return err
		}
	}
}

// Every is a pause of always d.
func Every(d time.Duration) func(time.Duration) time.Duration {
	return func(time.Duration) time.Duration { return d }
}

// Signal wakes a goroutine that receives from it. Make it with NewSignal.
type Signal chan struct{}

// NewSignal returns a signal that is not set.
func NewSignal() Signal { return make(Signal, 1) }

// Set wakes the receiver, now or when it next receives. It never blocks; several calls
// before the next receive are one.
func (s Signal) Set() {
	select {
	case s <- struct{}{}:
	default: // it is set
	}
}

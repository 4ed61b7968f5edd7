package state

import (
	"context"
	"errors"
	"os"
	"time"

	"iwx/lib/fault"
	"iwx/lib/flock"
)

// writeWait is how long a writer waits for its turn. A writer holds the turn
// for milliseconds, so a longer wait means that one of them hangs.
const writeWait = 10 * time.Second

// turnstile lets the writers of all processes in one at a time, in the order
// in which they came. SQLite's own busy handler polls, and one busy loop can
// starve the other processes to nothing; here a writer queues for next while
// the one before it is still writing.
type turnstile struct {
	next, write *os.File
}

// openTurnstile opens the two lock files beside the state file at path.
func openTurnstile(path string) (*turnstile, error) {
	next, err := flock.Open(path + ".next")
	if err != nil {
		return nil, err
	}
	write, err := flock.Open(path + ".write")
	if err != nil {
		next.Close()
		return nil, err
	}
	return &turnstile{next: next, write: write}, nil
}

func (t *turnstile) close() {
	t.next.Close()
	t.write.Close()
}

// enter returns when this process may write. The caller must leave.
func (t *turnstile) enter(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, writeWait)
	defer cancel()
	if err := lock(ctx, t.next); err != nil {
		return err
	}
	defer flock.Unlock(t.next)
	return lock(ctx, t.write)
}

func (t *turnstile) leave() { flock.Unlock(t.write) }

// lock takes the lock, waiting in the kernel's queue for it, which is first
// come, first served. A wait cannot be interrupted: when ctx ends first, the
// lock is given back as soon as it is got.
func lock(ctx context.Context, f *os.File) error {
	err := flock.TryLock(f)
	if !errors.Is(err, flock.ErrTaken) {
		return err
	}
	got := make(chan error, 1)
	go func() { got <- flock.Lock(f) }()
	select {
	case err := <-got:
		return err
	case <-ctx.Done():
		go func() {
			if <-got == nil {
				flock.Unlock(f)
			}
		}()
		return fault.Hint(
			fault.New(fault.Busy, "another process has been writing to the state for %s", writeWait),
			"see who holds %s: fuser -v %s", f.Name(), f.Name())
	}
}

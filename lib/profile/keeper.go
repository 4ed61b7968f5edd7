package profile

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"iwx/lib/backoff"
	"iwx/lib/panics"
	"iwx/lib/wait"
)

// Times that a keeper goes by.
const (
	lookEvery = 30 * time.Second // between full checks; failed items have their own waits
	lookLeast = 10 * time.Second // between two looks that nothing new has asked for
)

// Keeper keeps a server at what its profile says for as long as its daemon
// runs. Its methods may be called by many goroutines.
type Keeper struct {
	converger *Converger
	wake      wait.Signal // there is something to look at
	changed   wait.Signal

	mu       sync.Mutex
	received *Revision // not converged to yet
	version  string    // received last
	desired  []Item    // those of the document that was received last
	status   Status
	lookedAt time.Time          // the last check of all items, except those whose retry was not due
	asked    bool               // try all items, also those that have just failed
	failures backoff.Tries      // of checks, because of the journal or the lock
	cancel   context.CancelFunc // of the look under way
}

// NewKeeper returns a keeper that goes on with what the journal holds.
func NewKeeper(ctx context.Context, c *Converger) (*Keeper, error) {
	saved, err := c.Journal.Load(ctx)
	if err != nil {
		return nil, err
	}
	k := &Keeper{converger: c, wake: wait.NewSignal(), changed: wait.NewSignal(),
		status: saved.Standing(), version: saved.Desired.Version, desired: saved.Desired.Items}
	k.failures.Waits = retryWaits()
	if k.version == "" {
		k.version = None
	}
	return k, nil
}

// Version returns the version of the document that is desired, None if there
// is none.
func (k *Keeper) Version() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.version
}

// Desired returns the items of the document that was received last. The caller must
// not change them.
func (k *Keeper) Desired() []Item {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.desired
}

// Status returns how the server stands with its profile.
func (k *Keeper) Status() Status {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.status
}

// Changed receives when Status has changed.
func (k *Keeper) Changed() <-chan struct{} { return k.changed }

// Receive takes a document, to which Run then converges; it does not wait for
// that. A look at another document that is under way is cut short. nil stands for a word of the manager that brought none: what is there
// is looked at again.
func (k *Keeper) Receive(rev *Revision) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case rev != nil && rev.Version != k.version:
		k.received, k.version, k.desired, k.status.Desired = rev, rev.Version, rev.Items, rev.Version
		k.changed.Set()
		if k.cancel != nil {
			k.cancel()
		}
	case k.converger.Now().Sub(k.lookedAt) < lookLeast:
		return
	}
	k.wake.Set()
}

// Look starts a check at once, for example after a change by someone else. Items
// that have just failed keep their wait.
func (k *Keeper) Look() { k.wake.Set() }

// Retry tries all items at once, also those that have just failed: an
// administrator requests it.
func (k *Keeper) Retry() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asked = true
	k.wake.Set()
}

// Run converges at once, when a document is received, and now and then, until
// ctx is done. What fails is told in Status and tried again.
func (k *Keeper) Run(ctx context.Context) error {
	scope := allItems
	for {
		began := k.converger.Now()
		err := k.look(ctx, scope)
		now := k.converger.Now()
		full, next := k.next(err, now.Sub(began))
		timer := time.NewTimer(next.Sub(now))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-k.wake:
			scope = restedOnes
		case <-timer.C:
			if scope = restedOnes; k.converger.Now().Before(full) {
				scope = retries
			}
		}
		timer.Stop()
	}
}

// next returns when to check all items again, and when something is due before that.
// took is the duration of the last check.
func (k *Keeper) next(err error, took time.Duration) (full, next time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err != nil {
		full = k.converger.Now().Add(k.failures.Failed(took))
		return full, full
	}
	k.failures.Reset()
	full = k.lookedAt.Add(backoff.Jitter(lookEvery, rand.Float64()))
	if again := k.converger.again(); !again.IsZero() && again.Before(full) {
		return full, again
	}
	return full, full
}

// Once converges to what was received last, and returns how that stands.
func (k *Keeper) Once(ctx context.Context) Status {
	_ = k.look(ctx, allItems) // the status holds the error
	return k.Status()
}

// look is Once for some of the items. The status holds the error.
func (k *Keeper) look(ctx context.Context, scope scope) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	k.mu.Lock()
	rev := k.received
	k.cancel = cancel
	if k.asked {
		k.asked, scope = false, allItems
	}
	k.mu.Unlock()
	status, err := k.converge(ctx, rev, scope)
	if ctx.Err() != nil {
		return nil // the daemon ends, or there is a newer document
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if scope != retries {
		k.lookedAt = k.converger.Now()
	}
	if err != nil {
		k.failed(err)
	} else if k.received == rev {
		k.received = nil
	}
	k.set(status, err)
	return err
}

func (k *Keeper) converge(ctx context.Context, rev *Revision, scope scope) (s Status, err error) {
	err = panics.Try(k.converger.Log, "look at the profile", func() (err error) {
		if rev == nil {
			s, err = k.converger.locked(ctx, nil, scope)
		} else {
			s, err = k.converger.converge(ctx, *rev, scope)
		}
		return err
	})
	return s, err
}

// failed logs an error that is not the one before. k.mu is held.
func (k *Keeper) failed(err error) {
	if text := firstLine(err); text != k.status.Error {
		k.converger.Log.Error("cannot check the profile", "error", err)
	}
}

// set takes the outcome of a look. A document that came meanwhile is what is
// desired. k.mu is held.
func (k *Keeper) set(s Status, err error) {
	if err != nil {
		s = k.status
		s.Error = firstLine(err)
	}
	if s.Desired = k.version; s.Desired == None {
		s.Desired = ""
	}
	if !s.equal(&k.status) {
		k.status = s
		k.changed.Set()
	}
}

package replay_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"iwx/lib/attempt"
	"iwx/lib/cluster"
	"iwx/lib/profile"
	"iwx/lib/queue"
)

// kept is a node's profile, which is reached as soon as it is received.
type kept struct {
	mu      sync.Mutex
	status  profile.Status
	words   atomic.Int64 // of the manager
	changed chan struct{}
}

func (k *kept) Version() string {
	if s := k.Status(); s.Desired != "" {
		return s.Desired
	}
	return profile.None
}

func (k *kept) Receive(rev *profile.Revision) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.words.Add(1)
	if rev != nil {
		k.status = profile.Status{Desired: rev.Version, Reached: rev.Version}
		k.changed <- struct{}{}
	}
}

func (k *kept) Status() profile.Status {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.status
}

func (k *kept) Changed() <-chan struct{} { return k.changed }

// follow starts a node's fetcher and reporter with a profile.
func follow(t *testing.T, d *daemon, r *reach) *kept {
	k := &kept{changed: make(chan struct{}, 1)}
	f, p := parts(d.Replayer, r, &notes{})
	f.Profile, p.Profile = k, k
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = f.Run(ctx) }) // it returns nil when ctx is done
	wg.Go(func() { _ = p.Run(ctx) })
	stop := d.stop
	d.stop = func() {
		cancel()
		wg.Wait()
		stop()
	}
	return k
}

// TestProfilePassesThrough: what the manager sends is received, once, and what
// comes of it is reported at once, also while the queue is halted.
func TestProfilePassesThrough(t *testing.T) {
	onNode(t, func(t *testing.T, j *journal, m *machine) {
		m.command = func(attempt.ID, attempt.Spec) (attempt.Result, time.Duration) { return exit(1), 0 }
		manager := newManager(3)
		d := startDaemon(t, newReplayer(j, m, "boot", silent()))
		k := follow(t, d, &reach{manager: manager, node: "n1"})
		defer func() { d.stop() }()
		manager.change(func() { manager.log.add(queue.Command{}) })
		synctest.Wait()
		manager.look(func() { want(t, "state", manager.status["n1"].Word, "halted") })

		rev := profile.Document{}.Revision()
		manager.change(func() { manager.profile = &rev })
		synctest.Wait() // without time passing
		manager.look(func() {
			if got := manager.status["n1"]; got.Word != "halted" || got.Profile == nil || !got.Profile.Current() || got.Profile.Desired != rev.Version {
				t.Errorf("the manager knows %+v, %+v", got, got.Profile)
			}
		})
		before := k.words.Load()
		time.Sleep(10 * time.Minute)
		if k.words.Load() == before {
			t.Error("an answer that brought no profile was not told of")
		}
	})
}

// TestProfileOfAnOldManager: one that a restored manager has replaced is not
// obeyed in this either.
func TestProfileOfAnOldManager(t *testing.T) {
	onNode(t, func(t *testing.T, j *journal, m *machine) {
		manager := newManager(3)
		rev := profile.Document{}.Revision()
		manager.profile = &rev
		manager.log.add(queue.Command{})
		d := startDaemon(t, newReplayer(j, m, "boot", silent()))
		k := follow(t, d, &reach{manager: manager, node: "n1", tamper: func(a *cluster.PollAnswer) {
			if len(a.Page) == 0 {
				a.Epoch = 0
			} else {
				a.Profile = nil
			}
		}})
		defer func() { d.stop() }()
		time.Sleep(time.Minute)
		if k.Version() != profile.None {
			t.Error("it was received")
		}
	})
}

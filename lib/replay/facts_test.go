package replay_test

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"iwx/lib/host"
	"iwx/lib/queue"
)

// changing is what a server is.
type changing struct {
	latest  atomic.Pointer[host.Facts]
	changed chan struct{}
}

func (s *changing) Facts() *host.Facts       { return s.latest.Load() }
func (s *changing) Changed() <-chan struct{} { return s.changed }

func (s *changing) become(name string) {
	s.latest.Store(&host.Facts{Hostname: name})
	s.changed <- struct{}{}
}

// TestFacts: facts are reported at the start, when they change, and to a manager
// that was away, which may be a restored one; not with every report.
func TestFacts(t *testing.T) {
	onNode(t, func(t *testing.T, j *journal, m *machine) {
		var away atomic.Bool
		manager := newManager(3)
		d := startDaemon(t, newReplayer(j, m, "boot", silent()))
		defer d.stop()
		s := &changing{changed: make(chan struct{}, 1)}
		s.become("one")
		f, p := parts(d.Replayer, &reach{manager: manager, node: "n1", loses: away.Load}, &notes{})
		p.Facts = s
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _ = f.Run(ctx) })
		wg.Go(func() { _ = p.Run(ctx) })
		defer wg.Wait()
		defer cancel()

		var count int // reports with facts; one that crosses a silence is sent twice
		sent := func(what string, want ...string) {
			t.Helper()
			time.Sleep(2 * time.Minute) // of virtual time: every poll and retry has its turn
			synctest.Wait()
			manager.look(func() {
				if !slices.Equal(slices.Compact(slices.Clone(manager.facts)), want) {
					t.Errorf("%s: %q were sent, want %q", what, manager.facts, want)
				}
				count = len(manager.facts)
			})
		}
		sent("at the start", "one")
		manager.change(func() { manager.log.add(queue.Command{}) })
		sent("with another report", "one")
		if count != 1 {
			t.Errorf("sent %d times", count)
		}
		s.become("two")
		sent("changed", "one", "two")
		away.Store(true)
		s.become("three")
		sent("while the manager is away", "one", "two")
		away.Store(false)
		sent("when it is back", "one", "two", "three")
		away.Store(true)
		sent("away again", "one", "two", "three")
		before := count
		away.Store(false)
		sent("to one that was restored, maybe", "one", "two", "three")
		if count <= before {
			t.Error("a manager that was away was not sent them again")
		}
	})
}

// TestHeld: a node that waits for its turn reports the entry, until its turn
// comes.
func TestHeld(t *testing.T) {
	onNode(t, func(t *testing.T, j *journal, m *machine) {
		manager := newManager(3)
		c := connect(t, j, m, &reach{manager: manager, node: "n1"})
		defer c.stop()
		held := func(what string, hold, seq, done uint64) {
			t.Helper()
			manager.change(func() {
				o := manager.orders["n1"]
				o.Hold = hold
				manager.orders["n1"] = o
			})
			synctest.Wait()
			manager.look(func() {
				s := manager.status["n1"]
				if s.Held != seq || s.Done != done {
					t.Errorf("%s: held at %d, done with %d; want %d, %d", what, s.Held, s.Done, seq, done)
				}
			})
		}
		held("nothing is queued", 2, 0, 0)
		manager.change(func() { manager.log.add(queue.Command{}) })
		held("before its turn matters", 2, 0, 1)
		manager.change(func() { manager.log.add(queue.Command{}); manager.log.add(queue.Command{}) })
		held("its turn has not come", 2, 2, 1)
		held("it has", 0, 0, 3)
	})
}

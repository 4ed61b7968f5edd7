package replay_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"iwx/lib/attempt"
	"iwx/lib/cluster"
	"iwx/lib/queue"
	"iwx/lib/replay"
)

// connected is a daemon with all of its parts, and its manager.
type connected struct {
	*daemon
	reach *reach
	notes *notes
}

// connect starts a node's daemon. It ends with the test.
func connect(t *testing.T, j *journal, m *machine, r *reach) *connected {
	t.Helper()
	d := startDaemon(t, newReplayer(j, m, "boot", silent()))
	c := &connected{daemon: d, reach: r, notes: &notes{}}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	f, p := parts(d.Replayer, r, c.notes)
	wg.Go(func() { _ = f.Run(ctx) }) // it returns nil when ctx is done
	wg.Go(func() { _ = p.Run(ctx) })
	stop := d.stop
	d.stop = func() {
		cancel()
		wg.Wait()
		stop()
	}
	return c
}

// parts returns the fetcher and the reporter of a replayer.
func parts(r *replay.Replayer, m replay.Manager, n replay.Contacts) (*replay.Fetcher, *replay.Reporter) {
	return &replay.Fetcher{
			Manager: m, Replayer: r, Contacts: n, Verify: checkSign, Instance: "i",
			PollWait: func() time.Duration { return time.Minute }, Now: time.Now, Log: silent(),
		}, &replay.Reporter{
			Manager: m, Replayer: r, Instance: "i", Log: silent(),
		}
}

func TestFetchAndReport(t *testing.T) {
	onNode(t, func(t *testing.T, j *journal, m *machine) {
		manager := newManager(3)
		c := connect(t, j, m, &reach{manager: manager, node: "n1"})
		defer c.stop()
		synctest.Wait()
		manager.change(func() {
			for range 8 {
				manager.log.add(queue.Command{})
			}
		})
		synctest.Wait() // without time passing
		manager.look(func() {
			want(t, "status", manager.status["n1"].Done, 8)
			want(t, "reported attempts", len(manager.reports["n1"]), 8)
		})
	})
}

// TestCaughtUp: a node that was cut off for long tells what it has made up for,
// once, and one that was so for a moment does not.
func TestCaughtUp(t *testing.T) {
	for silence, told := range map[time.Duration]bool{26 * time.Hour: true, time.Minute: false} {
		t.Run(silence.String(), func(t *testing.T) {
			onNode(t, func(t *testing.T, j *journal, m *machine) {
				var away atomic.Bool
				manager := newManager(3)
				manager.log.add(queue.Command{})
				c := connect(t, j, m, &reach{manager: manager, node: "n1", loses: away.Load})
				defer c.stop()
				synctest.Wait()
				away.Store(true)
				manager.change(func() {
					for range 8 {
						manager.log.add(queue.Command{})
					}
				})
				time.Sleep(silence)
				away.Store(false)
				time.Sleep(time.Minute)
				synctest.Wait()
				up := c.Status().CaughtUp
				want(t, "done", c.Status().Done, 9)
				if (up != nil) != told {
					t.Fatalf("it tells %+v", up)
				}
				if told && (up.Entries != 8 || time.Duration(up.Silence)*time.Millisecond < silence) {
					t.Errorf("it tells %+v", up)
				}
			})
		})
	}
}

// TestRefusesWhatDoesNotVerify: of a page with a fault nothing is stored and
// nothing is run, the node says so, and goes on when the manager is itself
// again.
func TestRefusesWhatDoesNotVerify(t *testing.T) {
	faults := map[string]func(a *cluster.PollAnswer){
		"a body that was changed":    func(a *cluster.PollAnswer) { a.Page[1].Body = append([]byte(nil), a.Page[0].Body[1:]...) },
		"a hash that does not chain": func(a *cluster.PollAnswer) { a.Page[1].Hash = a.Page[0].Hash },
		"targets that were changed":  func(a *cluster.PollAnswer) { a.Page[1].Targets = queue.Nodes("n2").Encode() },
		"a record that is missing":   func(a *cluster.PollAnswer) { a.Page = a.Page[1:] },
		"a record that comes twice":  func(a *cluster.PollAnswer) { a.Page[1] = a.Page[0] },
		"a signature of another":     func(a *cluster.PollAnswer) { a.Sig = []byte("signed by somebody") },
		"no signature":               func(a *cluster.PollAnswer) { a.Sig = nil },
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			onNode(t, func(t *testing.T, j *journal, m *machine) {
				var bad atomic.Bool
				bad.Store(true)
				manager := newManager(10)
				manager.log.add(queue.Command{})
				manager.log.add(queue.Command{Argv: []string{"false"}})
				c := connect(t, j, m, &reach{manager: manager, node: "n1", tamper: func(a *cluster.PollAnswer) {
					if bad.Load() && len(a.Page) == 2 {
						fault(a)
					}
				}})
				defer c.stop()
				time.Sleep(time.Minute)
				synctest.Wait()
				want(t, "runs", m.ran(), "")
				saved, err := j.Load(t.Context())
				if err != nil || saved.Position.Seq != 0 {
					t.Errorf("stored up to %d, %v", saved.Position.Seq, err)
				}
				if len(c.notes.silent) != 1 || !strings.Contains(c.notes.silent[0], "does not verify, and nothing of it was run") {
					t.Errorf("the node notes %q", c.notes.silent)
				}
				bad.Store(false)
				time.Sleep(time.Minute)
				synctest.Wait()
				want(t, "runs", m.ran(), "1-1-1 1-2-1")
			})
		})
	}
}

// TestPollThatPanics: no answer of the manager ends the daemon. The node logs the
// panic, and goes on with the next answer.
func TestPollThatPanics(t *testing.T) {
	onNode(t, func(t *testing.T, j *journal, m *machine) {
		var bad atomic.Bool
		bad.Store(true)
		manager := newManager(10)
		manager.log.add(queue.Command{})
		c := connect(t, j, m, &reach{manager: manager, node: "n1", tamper: func(a *cluster.PollAnswer) {
			if bad.Load() {
				panic("no such answer")
			}
		}})
		defer c.stop()
		time.Sleep(time.Minute)
		synctest.Wait()
		want(t, "runs", m.ran(), "")
		if len(c.notes.silent) != 1 || !strings.Contains(c.notes.silent[0], "internal error: panic: no such answer") {
			t.Errorf("the node notes %q", c.notes.silent)
		}
		bad.Store(false)
		time.Sleep(time.Minute)
		synctest.Wait()
		want(t, "runs", m.ran(), "1-1-1")
	})
}

// TestOldManager: an answer from a lower epoch than the node has followed is
// refused.
func TestOldManager(t *testing.T) {
	onNode(t, func(t *testing.T, j *journal, m *machine) {
		manager := newManager(10)
		manager.log.add(queue.Command{})
		var old atomic.Bool
		c := connect(t, j, m, &reach{manager: manager, node: "n1", tamper: func(a *cluster.PollAnswer) {
			if old.Load() {
				a.Epoch = 0
			}
		}})
		defer c.stop()
		synctest.Wait()
		old.Store(true)
		manager.change(func() { manager.log.add(queue.Command{}) })
		time.Sleep(time.Minute)
		synctest.Wait()
		want(t, "runs", m.ran(), "1-1-1")
		if len(c.notes.silent) != 1 || !strings.Contains(c.notes.silent[0], "an old manager is back") {
			t.Errorf("the node notes %q", c.notes.silent)
		}
	})
}

// TestReportsAgain: what the manager did not get it is told later, in order,
// and a restart in between loses nothing.
func TestReportsAgain(t *testing.T) {
	onNode(t, func(t *testing.T, j *journal, m *machine) {
		var down atomic.Bool
		manager := newManager(10)
		for range 40 { // more than one report holds
			manager.log.add(queue.Command{})
		}
		r := &reach{manager: manager, node: "n1", loses: down.Load}
		m.command = func(attempt.ID, attempt.Spec) (attempt.Result, time.Duration) {
			down.Store(true) // once the log is here
			return exit(0), time.Second
		}
		r.limit = 100
		c := connect(t, j, m, r)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		want(t, "runs", len(strings.Fields(m.ran())), 40)
		manager.look(func() { want(t, "reported while cut off", len(manager.reports["n1"]), 0) })
		c.stop()
		m.command = func(attempt.ID, attempt.Spec) (attempt.Result, time.Duration) { return exit(0), 0 }
		down.Store(false)
		c = connect(t, j, m, r)
		defer c.stop()
		time.Sleep(time.Minute)
		synctest.Wait()
		manager.look(func() { want(t, "reported", len(manager.reports["n1"]), 40) })
	})
}

// TestReportedIsRemembered: after a restart the node does not tell everything
// anew, but what it told since its last commit.
func TestReportedIsRemembered(t *testing.T) {
	onNode(t, func(t *testing.T, j *journal, m *machine) {
		manager := newManager(100)
		r := &reach{manager: manager, node: "n1"}
		c := connect(t, j, m, r)
		for range 20 {
			manager.change(func() { manager.log.add(queue.Command{}) })
			time.Sleep(time.Second)
		}
		synctest.Wait()
		want(t, "told", manager.told, 20)
		c.stop()
		c = connect(t, j, m, r)
		defer c.stop()
		time.Sleep(time.Minute)
		synctest.Wait()
		manager.look(func() {
			if again := manager.told - 20; again > 1 {
				t.Errorf("%d attempts were told again after a restart", again)
			}
		})
	})
}

// TestFirstPollDoesNotWait: a node that starts with work to do and a manager
// that has no news begins at once.
func TestFirstPollDoesNotWait(t *testing.T) {
	onNode(t, func(t *testing.T, j *journal, m *machine) {
		begunBy(t, j, "boot", queue.Command{})
		manager := newManager(10)
		manager.log.add(queue.Command{})
		manager.log.add(queue.Command{})
		c := connect(t, j, m, &reach{manager: manager, node: "n1"})
		defer c.stop()
		synctest.Wait() // without time passing
		want(t, "runs", m.ran(), "1-1-1 1-2-1")
	})
}

func TestOnce(t *testing.T) {
	onNode(t, func(t *testing.T, j *journal, m *machine) {
		manager := newManager(2)
		for range 5 {
			manager.log.add(queue.Command{})
		}
		d := startDaemon(t, newReplayer(j, m, "boot", silent()))
		defer d.stop()
		f, p := parts(d.Replayer, &reach{manager: manager, node: "n1"}, &notes{})
		if err := f.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if err := p.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
		want(t, "reported", len(manager.reports["n1"]), 5)
	})
}

package cluster_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"iwx/lib/cluster"
	"iwx/lib/queue"
)

// TestPollAtOnce: what the node does not know is told without waiting.
func TestPollAtOnce(t *testing.T) {
	onManager(t, func(t *testing.T, l *lab) {
		s := l.joined("web1")
		l.add(queue.Members(), 10)
		l.refresh()
		begun := time.Now()
		a, err := l.pollAt(t.Context(), s, queue.Position{}, time.Minute)
		check(t, err)
		if l.verify(queue.Position{}, a) != l.head() || a.More || a.Head != 1 || a.Epoch != 1 || a.Time != begun.UnixMilli() {
			t.Errorf("answer: %+v", a)
		}
		if n := l.node(s); !n.LastSeen.Equal(begun) {
			t.Errorf("last seen at %s, want %s", n.LastSeen, begun)
		}
		if took := time.Since(begun); took != 0 {
			t.Errorf("answered after %s", took)
		}
	})
}

// TestPollNoWait answers at once, with nothing to tell.
func TestPollNoWait(t *testing.T) {
	onManager(t, func(t *testing.T, l *lab) {
		s := l.joined("web1")
		for _, wait := range []time.Duration{0, -time.Hour} {
			begun := time.Now()
			a, err := l.pollAt(t.Context(), s, queue.Position{}, wait)
			check(t, err)
			if len(a.Page) != 0 || a.Head != 0 || a.Again || time.Since(begun) != 0 {
				t.Errorf("after %s: %+v", time.Since(begun), a)
			}
		}
	})
}

// TestPollParked: an idle node hears of an entry as soon as the state is read.
func TestPollParked(t *testing.T) {
	onManager(t, func(t *testing.T, l *lab) {
		s := l.joined("web1")
		l.add(queue.Members(), 1)
		l.refresh()
		at := l.head()
		p := l.park(t.Context(), s, time.Minute)
		time.Sleep(30 * time.Second)
		l.refresh() // with nothing new
		synctest.Wait()
		if p.done.Load() {
			t.Fatalf("answered for nothing: %+v", p.answer)
		}
		l.add(queue.Members(), 1)
		l.add(queue.Members(), 1)
		synctest.Wait()
		if p.done.Load() {
			t.Fatal("answered before the state was read")
		}
		l.refresh()
		synctest.Wait()
		check(t, p.err)
		if p.after != 30*time.Second || l.verify(at, p.answer).Seq != 3 {
			t.Errorf("after %s: %+v", p.after, p.answer)
		}
	})
}

func TestPollWaitOver(t *testing.T) {
	for wait, want := range map[time.Duration]time.Duration{
		10 * time.Second: 10 * time.Second,
		time.Hour:        2 * time.Minute, // however long it asks for
	} {
		t.Run(wait.String(), func(t *testing.T) {
			onManager(t, func(t *testing.T, l *lab) {
				p := l.park(t.Context(), l.joined("web1"), wait)
				time.Sleep(want - time.Millisecond)
				synctest.Wait()
				if p.done.Load() {
					t.Fatalf("answered after %s", p.after)
				}
				time.Sleep(time.Millisecond)
				synctest.Wait()
				if !p.done.Load() || p.err != nil || len(p.answer.Page) > 0 || p.answer.Again || p.after != want {
					t.Errorf("after %s: %+v, %v", p.after, p.answer, p.err)
				}
			})
		})
	}
}

func TestPollCancelled(t *testing.T) {
	onManager(t, func(t *testing.T, l *lab) {
		s := l.joined("web1")
		ctx, cancel := context.WithCancel(t.Context())
		p := l.park(ctx, s, time.Minute)
		cancel()
		synctest.Wait()
		if !p.done.Load() || !errors.Is(p.err, context.Canceled) {
			t.Fatalf("%+v", p)
		}
		// The place is free: another run of the daemon has it at once.
		s.instance = "restarted"
		_, err := l.pollAt(t.Context(), s, queue.Position{}, 0)
		check(t, err)
	})
}

// TestPollOrders: a change of the standing orders is told at once, and only to
// the node that they are for.
func TestPollOrders(t *testing.T) {
	onManager(t, func(t *testing.T, l *lab) {
		s, other := l.joined("web1"), l.joined("web2")
		ask := func(orders cluster.Orders, wait time.Duration) *parked {
			p := &parked{}
			go func() {
				p.answer, p.err = l.Poll(t.Context(), s.id, s.remote, &cluster.PollRequest{Instance: s.instance, Orders: orders, Wait: wait.Milliseconds()})
				p.done.Store(true)
			}()
			synctest.Wait()
			return p
		}
		bystander := l.park(t.Context(), other, time.Minute)
		p := ask(cluster.Orders{}, time.Minute)
		check(t, l.store.Pause(t.Context(), []string{s.id}, true))
		l.refresh()
		synctest.Wait()
		paused := cluster.Orders{Paused: true}
		if !p.done.Load() || p.err != nil || p.answer.Orders != paused {
			t.Fatalf("paused: %+v", p)
		}
		if p = ask(paused, time.Minute); p.done.Load() {
			t.Fatalf("it was told already: %+v", p.answer)
		}
		check(t, l.store.Retry(t.Context(), map[string]uint64{s.id: 7}, time.UnixMilli(9)))
		l.refresh()
		synctest.Wait()
		if !p.done.Load() || !p.answer.Orders.Paused || p.answer.Orders.Retry == 0 || p.answer.Orders.RetrySeq != 7 {
			t.Fatalf("retry: %+v", p.answer)
		}
		if bystander.done.Load() {
			t.Errorf("the other node was answered: %+v", bystander.answer)
		}
		if p = ask(cluster.Orders{}, time.Minute); !p.done.Load() || p.answer.Orders.RetrySeq != 7 {
			t.Error("a node that has lost its orders is told at once")
		}
	})
}

// TestPollLook: a node is told to look at its sites, unless it is of a version
// that does not know what that is: it would not tell the order back, and be
// answered for ever.
func TestPollLook(t *testing.T) {
	onManager(t, func(t *testing.T, l *lab) {
		s := l.joined("web1")
		ask := func(knows bool, orders cluster.Orders) *cluster.PollAnswer {
			begun := time.Now()
			a, err := l.Poll(t.Context(), s.id, s.remote, &cluster.PollRequest{Instance: s.instance, Looks: knows, Orders: orders, Wait: 60000})
			check(t, err)
			if waited, told := time.Since(begun) == time.Minute, a.Orders != orders; waited == told {
				t.Errorf("a node that knows: %v, and of orders %+v, was answered after %s with %+v", knows, orders, time.Since(begun), a.Orders)
			}
			return a
		}
		number, err := l.store.AskLook(t.Context(), []string{s.id}, time.Now())
		check(t, err)
		l.refresh()
		if a := ask(true, cluster.Orders{}); a.Orders.Look != number {
			t.Errorf("orders %+v, want to look %d", a.Orders, number)
		}
		ask(true, cluster.Orders{Look: number})
		ask(false, cluster.Orders{})
	})
}

// TestPollTrial: a node is told of a trial while it goes on, unless it is of a
// version that does not know what that is.
func TestPollTrial(t *testing.T) {
	onManager(t, func(t *testing.T, l *lab) {
		s := l.joined("web1")
		ask := func(knows bool, orders cluster.Orders) string {
			a, err := l.Poll(t.Context(), s.id, s.remote, &cluster.PollRequest{Instance: s.instance, Trials: knows, Orders: orders, Wait: 1000})
			check(t, err)
			return a.Orders.Trial
		}
		trial := (&cluster.Trial{Until: time.Now().Add(time.Minute), Nonce: "abc"}).String()
		check(t, l.store.AskTrial(t.Context(), map[string]string{s.id: trial}))
		l.refresh()
		if got := ask(true, cluster.Orders{}); got != trial {
			t.Errorf("told of %q", got)
		}
		if got := ask(false, cluster.Orders{}); got != "" {
			t.Errorf("one that knows none is told of %q", got)
		}
		check(t, l.store.AskTrial(t.Context(), nil))
		l.refresh()
		if got := ask(true, cluster.Orders{Trial: trial}); got != "" {
			t.Errorf("told of %q when it is taken back", got)
		}
	})
}

// TestPages follows a long log with large and small entries from the start.
func TestPages(t *testing.T) {
	onManager(t, func(t *testing.T, l *lab) {
		s := l.server()
		l.mustJoin(s, l.invite("web1", func(k *cluster.Token) { k.From = cluster.FromBeginning }))
		l.addMany(3000, 1)
		for _, size := range []int{queue.MaxBody, 10, queue.MaxPage, 10, queue.MaxPage / 2, queue.MaxPage / 2, queue.MaxPage} {
			l.add(queue.Members(), size)
		}
		l.refresh()
		l.follow(s) // the large ones are the newest
		l.addMany(300, 1)
		l.refresh()
		l.follow(s)
	})
}

// follow polls from the start of the log to its end, and holds every answer
// against the bounds of a page.
func (l *lab) follow(s *server) {
	l.t.Helper()
	var at queue.Position
	pages := 0
	for more := true; more; pages++ {
		a, err := l.pollAt(l.t.Context(), s, at, 0)
		check(l.t, err)
		if len(a.Page) == 0 {
			l.t.Fatalf("after entry %d: %+v", at.Seq, a)
		}
		at = l.verify(at, a)
		size := 0
		for _, r := range a.Page {
			size += len(r.Body)
		}
		if size > queue.MaxPage && len(a.Page) > 1 || len(a.Page) > 2000 {
			l.t.Errorf("a page of %d records and %d bytes", len(a.Page), size)
		}
		more = a.More
		if more != (at != l.head()) {
			l.t.Errorf("at entry %d, more: %v", at.Seq, more)
		}
	}
	if at != l.head() || pages < 7 || pages > 10 {
		l.t.Errorf("%d pages lead to entry %d of %d", pages, at.Seq, l.head().Seq)
	}
}

// TestPagesWhileGrowing keeps the memory's part of the log in step with the
// state's: at every length a node anywhere behind gets what follows.
func TestPagesWhileGrowing(t *testing.T) {
	onManager(t, func(t *testing.T, l *lab) {
		s := l.server()
		l.mustJoin(s, l.invite("web1", func(k *cluster.Token) { k.From = cluster.FromBeginning }))
		var at []queue.Position // of every entry
		for _, more := range []int{1, 1, 100, 256, 1, 300, 7} {
			l.addMany(more, 2000)
			for range more {
				at = append(at, l.at(uint64(len(at))))
			}
			l.refresh()
			for i := range at {
				if i%37 != 0 && i < len(at)-2 {
					continue
				}
				a, err := l.pollAt(t.Context(), s, at[i], 0)
				check(t, err)
				if end := l.verify(at[i], a); end.Seq != uint64(len(at)) && !a.More {
					t.Errorf("from entry %d the page ends at %d of %d", i, end.Seq, len(at))
				}
			}
		}
	})
}

// TestWithheld: a node is sent the text of its own entries, and of no others.
func TestWithheld(t *testing.T) {
	onManager(t, func(t *testing.T, l *lab) {
		l.add(queue.Members(), 3) // before either joined
		l.add(queue.Targets{Scope: queue.ScopeBaseline}, 3)
		web1 := l.joined("web1")
		l.add(queue.Members(), 3)
		web2 := l.joined("web2")
		l.add(queue.Nodes(web2.id), 3)
		l.add(queue.Nodes(web1.id, web2.id), 3)
		l.add(queue.Members(), 3)
		_, err := l.store.RaiseEpoch(t.Context(), 0, "restored", 1)
		check(t, err)
		l.refresh()
		for s, want := range map[*server]string{web1: "-bb-bbb", web2: "-b-bbbb"} {
			a, err := l.pollAt(t.Context(), s, queue.Position{}, 0)
			check(t, err)
			l.verify(queue.Position{}, a)
			got := ""
			for _, r := range a.Page {
				if r.Body == nil {
					got += "-"
				} else {
					got += "b"
				}
			}
			if got != want {
				t.Errorf("%s got the text of %s, want %s", s.answer.Name, got, want)
			}
		}
	})
}

// TestErased: a sensitive text is gone for those who come after the last
// acknowledgement, and the chain still holds.
func TestErased(t *testing.T) {
	onManager(t, func(t *testing.T, l *lab) {
		s := l.joined("web1")
		c := &queue.Command{Argv: []string{"secret"}, Sensitive: true, QueuedAt: time.Now()}
		body, err := c.Encode()
		check(t, err)
		l.addSensitive(body)
		l.refresh()
		report := func(done uint64) {
			check(t, l.Report(t.Context(), s.id, s.remote, &cluster.Report{Instance: s.instance, Status: cluster.Status{Word: "current", Epoch: 1, Done: done}}))
			l.refresh()
		}
		report(0)
		if a, err := l.pollAt(t.Context(), s, queue.Position{}, 0); err != nil || string(a.Page[0].Body) != string(body) {
			t.Fatalf("before the acknowledgement: %+v, %v", a, err)
		}
		report(1)
		a, err := l.pollAt(t.Context(), s, queue.Position{}, 0)
		check(t, err)
		l.verify(queue.Position{}, a)
		if a.Page[0].Body != nil || !a.Page[0].Erased {
			t.Errorf("after the last acknowledgement: %+v", a.Page[0])
		}
	})
}

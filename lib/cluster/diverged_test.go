package cluster_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"iwx/lib/cluster"
	"iwx/lib/queue"
	"iwx/lib/state"
)

// lose adds n entries to the log, and returns them as a node has received them
// before the manager lost them: in pages of the given size.
func (l *lab) lose(n, page int) []*cluster.PollAnswer {
	l.t.Helper()
	was := l.head()
	pages := l.branch(was, n, page)
	l.refresh()
	return pages
}

// goOn makes the manager wait for no node.
func (l *lab) goOn() {
	l.t.Helper()
	nodes, err := l.store.Standings(l.t.Context())
	check(l.t, err)
	for _, n := range nodes {
		check(l.t, l.store.Accept(l.t.Context(), []string{n.ID}, 1, "root"))
	}
}

// branch makes records that follow the position, signed, which this manager's
// log does not have.
func (l *lab) branch(at queue.Position, n, size int) []*cluster.PollAnswer {
	l.t.Helper()
	var pages []*cluster.PollAnswer
	for left := n; left > 0; left -= size {
		var records []queue.Record
		for i := range min(size, left) {
			body, err := (&queue.Command{Argv: []string{"lost", fmt.Sprint(left - i)}}).Encode()
			check(l.t, err)
			r := queue.Next(at, max(at.Epoch, 1), queue.KindCommand, queue.Members(), body)
			records, at = append(records, r), r.Position()
		}
		sig, err := l.Signer.SignHead(at)
		check(l.t, err)
		pages = append(pages, &cluster.PollAnswer{Page: cluster.WirePage(records), Sig: sig})
	}
	return pages
}

func lastOf(pages []*cluster.PollAnswer) queue.Position {
	records := pages[len(pages)-1].QueuePage().Records
	return records[len(records)-1].Position()
}

// send sends the pages, and returns what the manager asks for next.
func (l *lab) send(s *server, pages ...*cluster.PollAnswer) (uint64, error) {
	next := uint64(0)
	for _, p := range pages {
		a, err := l.Tail(l.t.Context(), s.id, s.remote, &cluster.TailRequest{Instance: s.instance, Page: p.Page, Sig: p.Sig})
		if err != nil {
			return 0, err
		}
		next = a.Next
	}
	return next, nil
}

// orders returns what a node at the position is told.
func (l *lab) orders(s *server, at queue.Position) cluster.Orders {
	l.t.Helper()
	a, err := l.pollAt(l.t.Context(), s, at, 0)
	check(l.t, err)
	return a.Orders
}

// seqs are the numbers of the records that the manager has of a node's tail.
func (l *lab) seqs(s *server) string {
	l.t.Helper()
	records, err := l.store.Tail(l.t.Context(), s.id)
	check(l.t, err)
	var list []string
	for _, r := range records {
		list = append(list, fmt.Sprint(r.Seq))
	}
	return strings.Join(list, " ")
}

// TestTail: a node past the restored log is asked for what it has, once.
func TestTail(t *testing.T) {
	onManager(t, func(t *testing.T, l *lab) {
		s := l.joined("web1")
		l.addMany(3, 1)
		pages := l.lose(5, 2)
		l.restore()
		l.refresh()
		at := lastOf(pages)
		if o := l.orders(s, at); o.Trouble != "diverged" || o.Tail != 4 || o.Cut != 0 {
			t.Fatalf("asked for: %+v", o)
		}
		next, err := l.send(s, pages...)
		if err != nil || next != 9 || l.seqs(s) != "4 5 6 7 8" {
			t.Fatalf("next %d, %v; has %s", next, err, l.seqs(s))
		}
		if next, err = l.send(s, pages...); err != nil || l.seqs(s) != "4 5 6 7 8" {
			t.Errorf("sent again: next %d, %v; has %s", next, err, l.seqs(s))
		}
		if o := l.orders(s, at); o.Tail != 0 || o.Cut != 0 || o.Trouble != "diverged" {
			t.Errorf("asked again: %+v", o)
		}
		check(t, l.store.Accept(t.Context(), []string{s.id}, 1, "root"))
		l.refresh()
		if o := l.orders(s, at); o.Cut != 4 {
			t.Errorf("given up, and told %+v", o)
		}
		if l.seqs(s) != "" {
			t.Errorf("given up, and kept: %s", l.seqs(s))
		}
	})
}

// TestTailGoesBack: where it cannot be told how far the logs are the same, the
// node is asked further back until they are.
func TestTailGoesBack(t *testing.T) {
	onManager(t, func(t *testing.T, l *lab) {
		s := l.joined("web1")
		l.addMany(2, 1)
		fork := l.head()
		pages := l.branch(fork, 700, 50)
		l.addMany(600, 1)
		l.refresh()
		at := lastOf(pages)
		o := l.orders(s, at)
		if o.Trouble != "rewound" || o.Tail != 603 {
			t.Fatalf("asked for: %+v", o)
		}
		// The node sends its records from any number on, up to a signature.
		all := []queue.Record{}
		check(t, l.store.Entries(t.Context(), state.EntryFilter{Limit: 2}, func(r *queue.Record) error { all = append(all, *r); return nil }))
		for _, p := range pages {
			all = append(all, p.QueuePage().Records...)
		}
		asked := []uint64{}
		for next := o.Tail; next <= uint64(len(all)); {
			asked = append(asked, next)
			end := min((int(next)-3+50)/50*50+2, len(all))
			if next <= 2 {
				end = 52
			}
			sig, err := l.Signer.SignHead(all[end-1].Position())
			check(t, err)
			page := &cluster.PollAnswer{Page: cluster.WirePage(all[next-1 : end]), Sig: sig}
			if next, err = l.send(s, page); err != nil {
				t.Fatal(err)
			}
			if len(asked) > 40 {
				t.Fatalf("asked for %v", asked)
			}
		}
		if !slices.Contains(asked, 347) || !slices.Contains(asked, 91) || !slices.Contains(asked, 1) {
			t.Errorf("asked for %v", asked)
		}
		if got := strings.Fields(l.seqs(s)); len(got) != 700 || got[0] != "3" {
			t.Errorf("has %d records: %.60s", len(got), l.seqs(s))
		}
	})
}

// TestTailRefused: nothing is taken that the log key has not signed, that does
// not follow, or that is of another cluster.
func TestTailRefused(t *testing.T) {
	onManager(t, func(t *testing.T, l *lab) {
		s := l.joined("web1")
		l.addMany(3, 1)
		pages := l.lose(2, 2)
		l.restore()
		l.refresh()
		change := func(f func(a *cluster.PollAnswer)) *cluster.PollAnswer {
			a := *pages[0]
			a.Page = slices.Clone(a.Page)
			f(&a)
			return &a
		}
		foreign := l.branch(queue.Position{}, 2, 2)
		for what, page := range map[string]*cluster.PollAnswer{
			"unsigned":   change(func(a *cluster.PollAnswer) { a.Sig = nil }),
			"cut short":  change(func(a *cluster.PollAnswer) { a.Page = a.Page[:1] }),
			"no records": change(func(a *cluster.PollAnswer) { a.Page = nil }),
			"foreign": change(func(a *cluster.PollAnswer) {
				a.Page, a.Sig = foreign[0].Page, []byte("another cluster's")
			}),
		} {
			if _, err := l.send(s, page); err == nil || l.seqs(s) != "" {
				t.Errorf("%s: taken, %v: %s", what, err, l.seqs(s))
			}
		}
		forged := change(func(a *cluster.PollAnswer) { a.Page[0].Body = []byte("rm -rf /") })
		if next, err := l.send(s, forged); err != nil || next >= 4 || l.seqs(s) != "" {
			t.Errorf("another text: next %d, %v: %s", next, err, l.seqs(s))
		}
	})
}

// TestRecoverKeepsTheLog: after it, a node that had the lost entries and one that
// had not both go on, and one that had followed the restored log is told to
// drop its first record.
func TestRecoverKeepsTheLog(t *testing.T) {
	onManager(t, func(t *testing.T, l *lab) {
		ahead, behind := l.joined("web1"), l.joined("web2")
		l.addMany(3, 1)
		pages := l.lose(5, 2)
		parent := l.head()
		l.restore()
		l.refresh()
		withdrawn := l.head()
		if _, err := l.send(ahead, pages...); err != nil {
			t.Fatal(err)
		}
		rehearsed, err := l.store.Recover(t.Context(), 1, "root", true)
		check(t, err)
		if len(rehearsed.Records) != 5 || l.head() != withdrawn {
			t.Fatalf("rehearsed %+v, and the log ends at %+v", rehearsed, l.head())
		}
		done, err := l.store.Recover(t.Context(), 1, "root", false)
		check(t, err)
		l.refresh()
		if done.Epoch != 3 || len(done.Lost) > 0 || len(done.Others) > 0 || l.at(8) != lastOf(pages) {
			t.Errorf("recovered %+v; entry 8 is %+v", done, l.at(8))
		}
		if o := l.orders(ahead, lastOf(pages)); o.Trouble != "" {
			t.Errorf("the one that had them: %+v", o)
		}
		a, err := l.pollAt(t.Context(), behind, parent, 0)
		check(t, err)
		if got := l.verify(parent, a); got != l.head() || got.Epoch != 3 {
			t.Errorf("the one that had not: %+v", got)
		}
		if o := l.orders(behind, withdrawn); o.Cut != 4 {
			t.Errorf("the one that had followed the restored log: %+v", o)
		}
		if again, err := l.store.Recover(t.Context(), 1, "root", false); again != nil || err != nil {
			t.Errorf("again: %+v, %v", again, err)
		}
	})
}

// TestRecoverRefused: what was lost has its place before anything else.
func TestRecoverRefused(t *testing.T) {
	for what, first := range map[string]struct {
		do   func(l *lab)
		want string
	}{
		"queued since": {func(l *lab) { l.goOn(); l.add(queue.Members(), 1) }, "cannot recover: records added since the restore: 1"},
		"joined since": {func(l *lab) { l.joined("web9") }, "node web9 joined after the restore"},
	} {
		t.Run(what, func(t *testing.T) {
			onManager(t, func(t *testing.T, l *lab) {
				s := l.joined("web1")
				l.addMany(3, 1)
				pages := l.lose(5, 2)
				l.restore()
				l.refresh()
				first.do(l)
				l.refresh()
				if _, err := l.send(s, pages...); err != nil {
					t.Fatal(err)
				}
				before := l.head()
				plan, err := l.store.Recover(t.Context(), 1, "root", false)
				if err == nil || !strings.Contains(err.Error(), first.want) || plan == nil || len(plan.Records) != 5 || l.head() != before {
					t.Errorf("%v; %+v; the log ends at %+v", err, plan, l.head())
				}
			})
		})
	}
}

// TestBeyondIsNotDone: what a node did of a log that was lost does not count as
// having done what has its numbers now.
func TestBeyondIsNotDone(t *testing.T) {
	onManager(t, func(t *testing.T, l *lab) {
		s := l.joined("web1")
		l.addMany(3, 1)
		l.restore()
		l.goOn()
		l.addMany(10, 1)
		l.refresh()
		status := cluster.Status{Word: "current", Epoch: 1, Done: 9, Head: 9, Blocked: &cluster.Blocked{Seq: 9, Attempts: 1}}
		check(t, l.Report(t.Context(), s.id, s.remote, &cluster.Report{Instance: s.instance, Status: status}))
		if got := l.node(s).Status; got.Done != 3 || got.Beyond != 9 || got.Blocked != nil {
			t.Errorf("stored: %+v", got)
		}
	})
}

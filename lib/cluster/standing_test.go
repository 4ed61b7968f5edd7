package cluster_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"iwx/lib/cluster"
	"iwx/lib/queue"
	"iwx/lib/state"
)

// restore raises the epoch, as a restored manager does before anything else.
func (l *lab) restore() {
	l.t.Helper()
	_, err := l.store.RaiseEpoch(l.t.Context(), 0, "restored", 1)
	check(l.t, err)
}

// onAnother returns where a log goes that left the manager's at the position:
// what was queued after the backup that the manager was restored from.
func onAnother(from queue.Position, more int) queue.Position {
	for range more {
		r := queue.Next(from, max(from.Epoch, 1), queue.KindCommand, queue.Members(), []byte("lost"))
		from = r.Position()
	}
	return from
}

// TestStanding has every place that a node can be at.
func TestStanding(t *testing.T) {
	for _, tt := range []struct {
		name            string
		at              func(l *lab) queue.Position
		trouble, detail string
		pages           bool
	}{
		{"the start", func(*lab) queue.Position { return queue.Position{} }, "", "", true},
		{"an entry", func(l *lab) queue.Position { return l.at(2) }, "", "", true},
		{"the head", (*lab).head, "", "", false},
		{"past the head", func(l *lab) queue.Position { return onAnother(l.head(), 1) },
			"rewound", "this node has acknowledged entry 5, and the manager's log ends at 4", false},
		{"another entry", func(l *lab) queue.Position { return onAnother(l.at(1), 1) },
			"diverged", "entry 2 of this node (epoch 1, OTHER) is not the manager's (epoch 1, 2ND): the manager was restored from an older backup", false},
		{"another head", func(l *lab) queue.Position { return onAnother(l.at(1), 3) },
			"diverged", "entry 4 of this node (epoch 1, OTHER) is not the manager's (epoch 1, 4TH): the manager was restored from an older backup", false},
		{"the parent of the epoch", func(l *lab) queue.Position { p := l.head(); l.restore(); return p }, "", "", true},
		{"past the parent, at the epoch's record", func(l *lab) queue.Position { p := onAnother(l.head(), 1); l.restore(); return p },
			"diverged", "entry 5 of this node (epoch 1, OTHER) is not the manager's (epoch 2, 5TH): the manager was restored from an older backup", false},
		{"past the epoch's record", func(l *lab) queue.Position { p := onAnother(l.head(), 3); l.restore(); return p },
			"diverged", "this node has entries up to 7 of epoch 1; the manager was restored and begins epoch 2 at entry 5", false},
		{"a higher epoch", func(l *lab) queue.Position { p := l.head(); p.Epoch, p.Seq = 2, p.Seq+1; return p },
			"rewound", "this node has acknowledged entry 5, and the manager's log ends at 4", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			onManager(t, func(t *testing.T, l *lab) {
				s := l.joined("web1")
				for range 4 {
					l.add(queue.Members(), 1)
				}
				at := tt.at(l)
				l.refresh()
				want := strings.NewReplacer("OTHER", at.Hash.Short(), "2ND", l.at(2).Hash.Short(),
					"4TH", l.at(4).Hash.Short(), "5TH", l.at(5).Hash.Short()).Replace(tt.detail)
				a, err := l.pollAt(t.Context(), s, at, 0)
				check(t, err)
				if a.Orders.Trouble != tt.trouble || a.Orders.Detail != want {
					t.Errorf("%s: %s\nwant %s: %s", a.Orders.Trouble, a.Orders.Detail, tt.trouble, want)
				}
				if (len(a.Page) > 0) != tt.pages {
					t.Errorf("%d records in the page", len(a.Page))
				}
			})
		})
	}
}

// at returns the position of an entry.
func (l *lab) at(seq uint64) queue.Position {
	l.t.Helper()
	p, err := l.store.PositionAt(l.t.Context(), seq)
	check(l.t, err)
	return p
}

// horizon is a state whose log begins late: what is older was pruned.
type horizon struct {
	*state.Store
	first uint64
}

func (h horizon) Records(ctx context.Context, after uint64, limit, sizeBytes int) ([]queue.Record, error) {
	return h.Store.Records(ctx, max(after, h.first-1), limit, sizeBytes)
}

func (h horizon) PositionAt(ctx context.Context, seq uint64) (queue.Position, error) {
	if seq < h.first {
		return queue.Position{}, nil
	}
	return h.Store.PositionAt(ctx, seq)
}

// TestNeedsResync has nodes on both sides of the log's horizon.
func TestNeedsResync(t *testing.T) {
	onManager(t, func(t *testing.T, l *lab) {
		s := l.server()
		l.mustJoin(s, l.invite("web1", func(k *cluster.Token) { k.From = cluster.FromBeginning }))
		l.addMany(600, 1)
		l.Store = horizon{l.store, 300}
		l.refresh()
		for seq, want := range map[uint64]cluster.Orders{
			0:   {Trouble: "needs resync", Detail: "the manager's log no longer has the entries after 0"},
			298: {Trouble: "needs resync", Detail: "entry 298, which this node received last, is no longer in the manager's log"},
			300: {},
			599: {},
		} {
			a, err := l.pollAt(t.Context(), s, l.at(seq), 0)
			check(t, err)
			if a.Orders != want || (len(a.Page) > 0) != (want.Trouble == "") {
				t.Errorf("from %d: %+v, %d records", seq, a.Orders, len(a.Page))
			}
		}
	})
}

// TestTroubleParks: a node in trouble is told once, and again when it changes.
func TestTroubleParks(t *testing.T) {
	onManager(t, func(t *testing.T, l *lab) {
		s := l.joined("web1")
		l.add(queue.Members(), 1)
		l.refresh()
		at := cluster.WirePosition(onAnother(l.head(), 4))
		a, err := l.Poll(t.Context(), s.id, s.remote, &cluster.PollRequest{Instance: s.instance, Position: at, Wait: 60000})
		check(t, err)
		told := &parked{}
		go func() {
			told.answer, told.err = l.Poll(t.Context(), s.id, s.remote, &cluster.PollRequest{Instance: s.instance, Position: at, Wait: 60000, Orders: a.Orders})
			told.done.Store(true)
		}()
		synctest.Wait()
		if told.done.Load() {
			t.Fatalf("it was told already: %+v", told.answer)
		}
		time.Sleep(time.Second)
		l.restore()
		l.refresh()
		synctest.Wait()
		if !told.done.Load() || told.err != nil || told.answer.Orders.Trouble != "diverged" {
			t.Fatalf("%+v, %v", told.answer, told.err)
		}
	})
}

// TestLogWentBack: a log that is shorter than what was served is not served,
// unless recover has begun an epoch.
func TestLogWentBack(t *testing.T) {
	onManager(t, func(t *testing.T, l *lab) {
		l.addMany(3, 1)
		l.refresh()
		served := l.Head()
		older, err := state.Create(t.Context(), filepath.Join(t.TempDir(), "state.db"))
		check(t, err)
		defer older.Close()
		check(t, older.SetIdentity(t.Context(), l.Identity))
		_, err = older.Append(t.Context(), state.Draft{Kind: queue.KindCommand, Targets: queue.Members(), Body: []byte("1")})
		check(t, err)
		l.Manager.Store = older
		if err := l.Refresh(t.Context()); !errors.Is(err, cluster.ErrWentBack) || l.Head() != served {
			t.Errorf("put back to an older state: %v, served up to %d", err, l.Head().Seq)
		}
		_, err = older.RaiseEpoch(t.Context(), 1, "recovered", 1)
		check(t, err)
		check(t, l.Refresh(t.Context()))
	})
}

// meanwhile is a state in which something is done once, right after a read of the
// manager's.
type meanwhile struct {
	*state.Store
	after string // the method
	do    func()
}

func (m *meanwhile) done(method string) {
	if do := m.do; do != nil && m.after == method {
		m.do = nil
		do()
	}
}

func (m *meanwhile) Epochs(ctx context.Context) ([]cluster.Epoch, error) {
	defer m.done("Epochs")
	return m.Store.Epochs(ctx)
}

func (m *meanwhile) Rosters(ctx context.Context) ([]cluster.Roster, error) {
	defer m.done("Rosters")
	return m.Store.Rosters(ctx)
}

func (m *meanwhile) Head(ctx context.Context) (queue.Position, error) {
	defer m.done("Head")
	return m.Store.Head(ctx)
}

func (m *meanwhile) Records(ctx context.Context, after uint64, limit, sizeBytes int) ([]queue.Record, error) {
	defer m.done("Records")
	return m.Store.Records(ctx, after, limit, sizeBytes)
}

// TestRecoverMeanwhile: whenever recover replaces records and shortens the log while
// the manager reads, what is served is the log after it, or the one before.
func TestRecoverMeanwhile(t *testing.T) {
	for _, method := range []string{"Epochs", "Rosters", "Head", "Records"} {
		t.Run(method, func(t *testing.T) {
			onManager(t, func(t *testing.T, l *lab) {
				s := l.joined("web1")
				l.addMany(2, 1)
				parent := l.head()
				for range 3 {
					l.restore()
				}
				l.refresh() // 5 records
				lost := queue.Next(parent, 1, queue.KindCommand, queue.Members(), []byte("lost"))
				at := cluster.WirePosition(lost.Position())
				_, err := l.store.SaveStanding(t.Context(), s.id, cluster.Standing{Seen: time.Now(), Received: 3, Trouble: cluster.TroubleDiverged, Awaited: 3})
				check(t, err)
				check(t, l.store.SaveTail(t.Context(), s.id, cluster.Tail{First: 3, Last: at}, []queue.Record{lost}))
				if method == "Records" {
					l.restore() // so that there is something to read
					check(t, l.store.SaveTail(t.Context(), s.id, cluster.Tail{First: 3, Last: at}, []queue.Record{lost}))
				}
				l.Manager.Store = &meanwhile{l.store, method, func() {
					_, err := l.store.Recover(t.Context(), 1, "root", false)
					check(t, err)
				}}
				check(t, l.Refresh(t.Context()))
				if l.Head() != l.head() || l.head().Seq != 4 || l.at(3) != lost.Position() {
					t.Errorf("served up to %v, the log ends at %v", l.Head(), l.head())
				}
				a, err := l.pollAt(t.Context(), s, parent, 0)
				check(t, err)
				if a.Orders.Trouble != "" || len(a.Page) != 2 {
					t.Fatalf("%+v, %d records", a.Orders, len(a.Page))
				}
				l.verify(parent, a)
				if roster := l.Members()[0]; roster.Awaited != 0 || roster.Tail.First != 0 {
					t.Errorf("the node is as before: %+v", roster)
				}
			})
		})
	}
}

package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"iwx/lib/attempt"
	"iwx/lib/cluster"
	"iwx/lib/fault"
	"iwx/lib/pki"
	"iwx/lib/queue"
	"iwx/lib/replay"
	"iwx/lib/state"
)

// TestHistories restores managers to older states, in clusters with random
// histories: entries that both have, lost entries of which each node has some, and
// new ones in their place; pages of one record and of many; nodes that connect before or
// after new entries; restored with a new epoch, or reset like a snapshot of a
// machine, more than once. In every case recover or accept must lead out: every
// node has the manager's log, has run nothing twice, and the queue goes on.
// IWX_SIM_SEED=N repeats one.
func TestHistories(t *testing.T) {
	t.Parallel()
	seeds := uint64(40)
	if testing.Short() {
		seeds = 10
	}
	only, err := strconv.ParseUint(os.Getenv("IWX_SIM_SEED"), 10, 64)
	met := map[string]int{}
	for seed := range seeds {
		if err == nil {
			seed = only
		}
		w := &world{T: t, seed: seed, dice: rand.New(rand.NewPCG(seed, 14)), met: met}
		w.live()
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	t.Log(met)
	for _, what := range []string{"recovered", "recover refused", "accepted", "held back", "diverged", "rewound"} {
		if met[what] == 0 && err != nil && !testing.Short() {
			t.Errorf("no history met: %s", what)
		}
	}
}

// TestPutBack runs the histories that first failed: a manager without an epoch of
// its own, and pages that begin with what both have.
func TestPutBack(t *testing.T) {
	t.Parallel()
	for _, h := range []struct{ common, lost, added int }{{1, 2, 1}, {1, 2, 2}, {3, 2, 2}, {0, 2, 1}, {2, 5, 5}, {4, 1, 9}} {
		for _, connected := range []bool{false, true} {
			for _, way := range []string{"recover", "accept"} {
				t.Run(fmt.Sprint(h, connected, way), func(t *testing.T) {
					w := &world{T: t, dice: rand.New(rand.NewPCG(1, 1)), met: map[string]int{}, way: way}
					w.begin(2)
					defer w.end()
					each := func(n int) {
						for range n {
							w.add()
							w.syncAll()
						}
					}
					each(h.common)
					back := w.snapshot()
					each(h.lost)
					w.putBack(back, false)
					if connected {
						w.syncAll()
					}
					for range h.added {
						w.addAnyhow()
					}
					w.resolve()
				})
			}
		}
	}
}

// world is a cluster whose manager is restored to older states.
type world struct {
	*testing.T
	seed  uint64
	dice  *rand.Rand
	l     *lab
	nodes []*member
	dir   string
	files int
	met   map[string]int
	added int
	way   string // "recover" or "accept"; "": either
}

// member is a node, with its state and all commands it has run.
type member struct {
	*server
	w        *world
	store    *state.Store
	identity *cluster.Identity
	ran      []string
}

// Hung implements attempt.Runner: a command of a member ends at once.
func (m *member) Hung(attempt.ID) (*attempt.Hung, error) { return nil, nil }

func (w *world) oneIn(n int) bool { return w.dice.IntN(n) == 0 }

func (w *world) ok(err error) {
	w.Helper()
	if err != nil {
		w.Fatalf("seed %d: %v; hint: %s", w.seed, err, fault.HintOf(err))
	}
}

func (w *world) path() string {
	w.files++
	return filepath.Join(w.dir, fmt.Sprint(w.files, ".db"))
}

// begin makes the manager and its nodes.
func (w *world) begin(nodes int) {
	w.dir = w.TempDir()
	w.l = newLab(w.T, w.path())
	for i := range nodes {
		m := &member{w: w, server: w.l.joined(fmt.Sprint("web", i+1))}
		m.identity = &cluster.Identity{Role: cluster.RoleNode, NodeID: m.id, Start: m.answer.Start}
		var err error
		m.store, err = state.Create(w.Context(), w.path())
		w.ok(err)
		w.ok(m.store.SetIdentity(w.Context(), m.identity))
		w.nodes = append(w.nodes, m)
	}
	w.l.refresh()
}

func (w *world) end() {
	w.l.store.Close()
	for _, m := range w.nodes {
		m.store.Close()
	}
}

// live runs a cluster's whole history.
func (w *world) live() {
	w.begin(1 + w.dice.IntN(3))
	defer w.end()
	w.entries(w.dice.IntN(5))
	for range 1 + w.dice.IntN(2) {
		back := w.snapshot()
		w.entries(w.dice.IntN(6))
		w.putBack(back, w.oneIn(2))
		for _, m := range w.nodes {
			if w.oneIn(2) {
				m.sync()
			}
		}
		for range w.dice.IntN(4) {
			if w.oneIn(2) {
				w.addAnyhow()
			} else {
				w.add()
			}
			w.syncSome()
		}
	}
	w.resolve()
}

// entries queues n entries. Each node receives them one by one, many at once, or
// not at all.
func (w *world) entries(n int) {
	for range n {
		w.add()
		w.syncSome()
	}
}

func (w *world) syncSome() {
	for _, m := range w.nodes {
		if !w.oneIn(3) {
			m.sync()
		}
	}
}

func (w *world) syncAll() {
	for _, m := range w.nodes {
		m.sync()
	}
}

// add queues an entry, unless the manager must wait.
func (w *world) add() bool {
	w.added++
	text := fmt.Sprint("entry ", w.added)
	targets := queue.Members()
	if w.oneIn(3) {
		targets = queue.Nodes(w.nodes[w.dice.IntN(len(w.nodes))].id)
	}
	body, err := (&queue.Command{Argv: []string{text}}).Encode()
	w.ok(err)
	_, err = w.l.store.Append(w.Context(), state.Draft{Kind: queue.KindCommand, Targets: targets, Body: body})
	if fault.CodeOf(err) == fault.Busy {
		w.met["held back"]++
		if fault.HintOf(err) == "" {
			w.Errorf("no way on: %v", err)
		}
		return false
	}
	w.ok(err)
	w.l.refresh()
	return true
}

// addAnyhow queues an entry, and first gives up what nodes may have.
func (w *world) addAnyhow() {
	for range 3 {
		if w.add() {
			return
		}
		w.accept()
	}
	nodes, _ := w.l.store.Standings(w.Context())
	for i := range nodes {
		n := &nodes[i]
		w.Logf("%s: %s, awaited %d, tail %d-%d accepted %v, silent %v, head %d; manager at %d", n.Name, n.Status.Word, n.Awaited, n.Tail.First, n.Tail.Last.Seq, n.Tail.Accepted, n.SilentSince, n.Status.Head, w.l.head().Seq)
	}
	w.Errorf("seed %d: nothing can be queued: %v", w.seed, w.l.store.MayAppend(w.Context()))
}

func (w *world) snapshot() string {
	path := w.path()
	w.ok(w.l.store.Snapshot(w.Context(), path))
	return path
}

// putBack restores the manager to an older state, as a known restore or
// silently.
func (w *world) putBack(path string, restored bool) {
	epoch, err := w.l.store.Epoch(w.Context())
	w.ok(err)
	w.ok(w.l.store.Close())
	w.l.store, err = state.Open(w.Context(), path)
	w.ok(err)
	was := w.l.Manager
	w.l.Manager = &cluster.Manager{
		Store: w.l.store, Signer: was.Signer, Identity: was.Identity, Facts: was.Facts, Version: was.Version, Now: was.Now, Log: was.Log,
	}
	if restored {
		_, err := w.l.store.RaiseEpoch(w.Context(), epoch, "restored", 1)
		w.ok(err)
	}
	w.l.refresh()
}

// resolve follows the man pages until every node follows the log and the queue
// goes on.
func (w *world) resolve() {
	w.Helper()
	for range 8 {
		w.syncAll()
		if !w.waiting() {
			break
		}
		if w.way == "accept" || w.way == "" && w.oneIn(2) || !w.recover() {
			w.accept()
		}
	}
	for range 3 {
		w.syncAll()
	}
	if !w.add() {
		w.Errorf("seed %d: nothing can be queued: %v", w.seed, w.l.store.MayAppend(w.Context()))
	}
	for range 3 {
		w.syncAll()
	}
	w.judge()
}

// waiting reports whether a node needs a decision.
func (w *world) waiting() bool {
	nodes, err := w.l.store.Standings(w.Context())
	w.ok(err)
	for i := range nodes {
		if n := &nodes[i]; n.Diverged() {
			w.met[n.Status.Word]++
		}
	}
	return slices.ContainsFunc(nodes, func(n cluster.Node) bool { return n.Diverged() || n.Awaited > 0 })
}

// recover runs iwx-queue recover. It reports whether it recovered anything.
func (w *world) recover() bool {
	head := w.l.head()
	plan, err := w.l.store.Recover(w.Context(), 1, "root", w.oneIn(4))
	if err != nil {
		w.met["recover refused"]++
		if fault.HintOf(err) == "" || w.l.head() != head {
			w.Errorf("seed %d: recover refused without a way on, or half done: %v", w.seed, err)
		}
		return false
	}
	w.l.refresh()
	if plan != nil {
		w.met["recovered"]++
	}
	return plan != nil
}

// accept runs iwx-queue accept, for all nodes.
func (w *world) accept() {
	nodes, err := w.l.store.Standings(w.Context())
	w.ok(err)
	var ids []string
	for i := range nodes {
		if n := &nodes[i]; n.MayGiveUp() {
			ids = append(ids, n.ID)
		}
	}
	w.met["accepted"] += len(ids)
	w.ok(w.l.store.Accept(w.Context(), ids, 1, "root"))
	w.l.refresh()
}

// judge checks the invariants at the end.
func (w *world) judge() {
	head := w.l.head()
	nodes, err := w.l.store.Standings(w.Context())
	w.ok(err)
	for i, m := range w.nodes {
		is := nodes[i]
		saved, err := m.store.Journal(m.identity).Load(w.Context())
		w.ok(err)
		if saved.Position != head || saved.State.Done != head.Seq || saved.State.Word() != replay.WordCurrent {
			w.Errorf("seed %d: %s is %s at %d of %d (epoch %d, the manager's %d)", w.seed, is.Name, saved.State.Word(), saved.State.Done, head.Seq, saved.Position.Epoch, head.Epoch)
			w.Logf("blocked: %+v; the manager's log: %s", saved.Blocked, w.logText(w.l.store))
			w.Logf("the node's log: %s", w.logText(m.store))
		}
		if is.Status.Word != replay.WordCurrent || is.Status.Done != head.Seq || is.Awaited != 0 || is.Tail.First != 0 || is.WentBack != nil {
			w.Errorf("seed %d: of %s the manager has %+v, awaits %d, tail %+v, back %+v", w.seed, is.Name, is.Status, is.Awaited, is.Tail, is.WentBack)
		}
		sorted := slices.Sorted(slices.Values(m.ran))
		if len(slices.Compact(sorted)) != len(m.ran) {
			w.Errorf("seed %d: %s ran something twice: %q", w.seed, is.Name, m.ran)
		}
		w.judgeRuns(m, head.Seq)
	}
}

// logText returns a log as text.
func (w *world) logText(s *state.Store) string {
	records, err := s.Records(w.Context(), 0, 1000, queue.MaxPage)
	w.ok(err)
	text := ""
	for _, r := range records {
		what := "no text"
		if c, err := queue.DecodeCommand(r.Body); err == nil {
			what = c.Argv[0]
		}
		if r.Erased {
			what += ", erased"
		}
		text += fmt.Sprintf("\n%v %s %s: %s", r.OpID, r.Kind, r.Hash.Short(), what)
	}
	return text
}

// judgeRuns checks that the node has run every entry of the manager's log that
// is for it and was not cancelled.
func (w *world) judgeRuns(m *member, head uint64) {
	voids, err := w.l.store.Voids(w.Context(), 1, head)
	w.ok(err)
	records, err := w.l.store.Records(w.Context(), 0, 1000, queue.MaxPage)
	w.ok(err)
	for _, r := range records {
		targets, err := queue.DecodeTargets(r.Targets)
		w.ok(err)
		if r.Kind != queue.KindCommand || r.Body == nil || !targets.Include(m.id, m.identity.Start, r.Seq) ||
			slices.ContainsFunc(voids, func(v state.Void) bool { return v.Seq == r.Seq }) {
			continue
		}
		c, err := queue.DecodeCommand(r.Body)
		w.ok(err)
		if !slices.Contains(m.ran, c.Argv[0]) {
			w.Errorf("seed %d: %s has not run %d, %s: %q", w.seed, m.identity.NodeID, r.Seq, c.Argv[0], m.ran)
		}
	}
}

// sync runs iwx-queued --once on the node.
func (m *member) sync() {
	w := m.w
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), 30*time.Second)
	defer cancel()
	m.instance = pki.NewID()
	quiet := slog.New(slog.DiscardHandler)
	r := (&replay.Replayer{
		Journal: m.store.Journal(m.identity), Runner: m, Node: m.id, Start: m.identity.Start, Boot: "boot", Version: "1.0",
		Spec: func(_ queue.OpID, _ int, c *queue.Command) (attempt.Spec, error) {
			return attempt.Spec{Argv: c.Argv}, nil
		},
		Interval: func() time.Duration { return time.Minute }, Now: time.Now, Alive: func() {}, Log: quiet,
	}).New()
	f := &replay.Fetcher{
		Manager: m, Replayer: r, Contacts: m.store, Instance: m.instance, PollWait: func() time.Duration { return 0 }, Now: time.Now, Log: quiet,
		Verify: func(p queue.Position, sig []byte) error {
			return pki.VerifyHead(w.l.Identity.LogKey, cluster.Head(w.l.Identity.ClusterID, p), sig)
		},
	}
	replayed := make(chan error, 1)
	go func() { replayed <- r.RunDue(ctx) }()
	w.ok(f.Once(ctx))
	w.ok(<-replayed)
	w.ok((&replay.Reporter{Manager: m, Replayer: r, Instance: m.instance, Log: quiet}).Once(ctx))
}

// The manager's methods for the node, for package replay.

func (m *member) Poll(ctx context.Context, req *cluster.PollRequest) (*cluster.PollAnswer, error) {
	return m.w.l.Poll(ctx, m.id, m.remote, req)
}

func (m *member) Report(ctx context.Context, r *cluster.Report) error {
	return m.w.l.Report(ctx, m.id, m.remote, r)
}

func (m *member) Tail(ctx context.Context, req *cluster.TailRequest) (*cluster.TailAnswer, error) {
	a, err := m.w.l.Tail(ctx, m.id, m.remote, req)
	if err == nil && m.w.l.at(req.Page[len(req.Page)-1].Seq) == lastOf([]*cluster.PollAnswer{{Page: req.Page}}) {
		m.w.met["in common alone"]++
	}
	return a, err
}

func (m *member) Fence(context.Context, *cluster.TailRequest) error {
	return errors.New("no manager here was replaced")
}

// The runner of the node: each command succeeds at once.

func (m *member) Start(_ context.Context, _ attempt.ID, spec attempt.Spec) (attempt.Running, error) {
	m.ran = append(m.ran, spec.Argv[0])
	return m, nil
}

func (m *member) Wait(context.Context) (attempt.Result, error) {
	return attempt.Result{Outcome: attempt.Exited, Ended: time.Now()}, nil
}

func (m *member) Find(context.Context, attempt.ID) (attempt.Found, error) {
	return attempt.Found{State: attempt.NeverStarted}, nil
}

func (m *member) List() ([]attempt.ID, error) { return nil, nil }
func (m *member) Remove(attempt.ID) error     { return nil }
func (m *member) Mode() string                { return "none" }

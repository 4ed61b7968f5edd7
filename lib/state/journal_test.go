package state_test

import (
	"path/filepath"
	"testing"
	"time"

	"iwx/lib/cluster"
	"iwx/lib/queue"
	"iwx/lib/replay"
	"iwx/lib/state"
)

// newNode makes the state of node n1, whose first own entry is 1.
func newNode(t testing.TB) (*state.Store, *state.Journal) {
	t.Helper()
	s, err := state.Create(t.Context(), filepath.Join(t.TempDir(), "state.db"))
	must(t, err)
	t.Cleanup(func() { s.Close() })
	id := &cluster.Identity{Role: cluster.RoleNode, NodeID: "n1", Start: 1}
	must(t, s.SetIdentity(t.Context(), id))
	return s, s.Journal(id)
}

// received returns records that follow one another.
func received(bodies ...queue.Command) []queue.Record {
	var list []queue.Record
	var head queue.Position
	for i := range bodies {
		body, err := bodies[i].Encode()
		if err != nil {
			panic(err) // the commands of these tests are small
		}
		r := queue.Next(head, 1, queue.KindCommand, queue.Members(), body)
		list, head = append(list, r), r.Position()
	}
	return list
}

func begun(seq uint64, n int) *replay.Open {
	return &replay.Open{Boot: "boot", Attempt: cluster.Attempt{Epoch: 1, Seq: seq, Attempt: n, Started: 5}}
}

func load(t *testing.T, j *state.Journal) *replay.Saved {
	t.Helper()
	saved, err := j.Load(t.Context())
	must(t, err)
	return saved
}

// TestJournal takes a node through a failure and a retry, and reads back after
// every commit what a daemon that starts then goes on from.
func TestJournal(t *testing.T) {
	t.Parallel()
	_, j := newNode(t)
	equal(t, "a new journal", load(t, j), &replay.Saved{})

	records := received(queue.Command{Argv: []string{"a"}}, queue.Command{Argv: []string{"b"}, Rerun: true})
	must(t, j.Commit(t.Context(), &replay.Changes{Records: records, Sig: []byte("sig"), Begun: begun(1, 1)}))
	head := records[1].Position()
	equal(t, "under way", load(t, j), &replay.Saved{
		State: replay.State{Head: 2, Phase: replay.Running, Attempt: 1}, Position: head, Open: begun(1, 1),
	})

	failed := try(1, 1, cluster.OutcomeFailed, 40)
	failed.Started = 5
	must(t, j.Commit(t.Context(), &replay.Changes{Ended: &failed, RetryAt: at(90)}))
	want := &replay.Saved{
		State: replay.State{Head: 2, Phase: replay.Waiting, Attempt: 1, RetryAt: at(90)}, Position: head,
		Blocked: replay.Block(nil, &failed, at(90)),
	}
	equal(t, "halted", load(t, j), want)

	must(t, j.Commit(t.Context(), &replay.Changes{Begun: begun(1, 2), Heeded: 3}))
	must(t, j.Commit(t.Context(), &replay.Changes{NotBegun: &begun(1, 2).Attempt, RetryAt: at(90)}))
	want.State.RetrySeen = 3
	want.State.RetryAt = time.Time{} // as the commits above had it
	want.Blocked.RetryAt = 0
	equal(t, "an attempt that never began", load(t, j), want)

	must(t, j.Commit(t.Context(), &replay.Changes{Begun: begun(1, 2)}))
	unknown := try(1, 2, cluster.OutcomeUnknown, 60)
	must(t, j.Commit(t.Context(), &replay.Changes{Ended: &unknown}))
	got := load(t, j)
	equal(t, "phase", got.State.Phase, replay.Cut)
	equal(t, "first failure", got.Blocked.FirstFailure, int64(40))

	must(t, j.Commit(t.Context(), &replay.Changes{Settled: 1, Reported: 2, Begun: begun(2, 1)}))
	equal(t, "the next entry", load(t, j), &replay.Saved{
		State: replay.State{Done: 1, Head: 2, Phase: replay.Running, Attempt: 1, RetrySeen: 3}, Position: head, Open: begun(2, 1), Reported: 2,
	})
}

func TestJournalAhead(t *testing.T) {
	t.Parallel()
	s, j := newNode(t)
	records := received(queue.Command{Argv: []string{"a"}}, queue.Command{Argv: []string{"b"}, Rerun: true}, queue.Command{Argv: []string{"c"}})
	v := queue.Void{Seq: 1, Disposition: queue.Skipped}
	others := queue.Void{Seq: 2, Disposition: queue.Skipped}
	head := records[2].Position()
	for _, d := range []struct {
		targets queue.Targets
		body    []byte
	}{{queue.Nodes("n1"), v.Encode()}, {queue.Nodes("n7"), others.Encode()}} {
		r := queue.Next(head, 1, queue.KindVoid, d.targets, d.body)
		records, head = append(records, r), r.Position()
	}
	must(t, j.Commit(t.Context(), &replay.Changes{Records: records, Sig: []byte("sig")}))
	all := []replay.Pending{
		{OpID: queue.OpID{Epoch: 1, Seq: 1}, Addressed: true, Void: queue.Skipped},
		{OpID: queue.OpID{Epoch: 1, Seq: 2}, Addressed: true, Rerun: true},
		{OpID: queue.OpID{Epoch: 1, Seq: 3}, Addressed: true},
		{OpID: queue.OpID{Epoch: 1, Seq: 4}},
		{OpID: queue.OpID{Epoch: 1, Seq: 5}},
	}
	ahead, err := j.Ahead(t.Context(), 10)
	must(t, err)
	equal(t, "ahead", ahead, all)
	must(t, j.Commit(t.Context(), &replay.Changes{Settled: 2}))
	ahead, err = j.Ahead(t.Context(), 2)
	must(t, err)
	equal(t, "ahead, after two", ahead, all[2:4])
	c, err := j.Command(t.Context(), 2)
	must(t, err)
	equal(t, "command", c.Argv, []string{"b"})
	equal(t, "the log", len(verify(t, s)), 5)
}

// TestJournalRefusesTwice: what was received cannot be received again.
func TestJournalRefusesTwice(t *testing.T) {
	t.Parallel()
	_, j := newNode(t)
	records := received(queue.Command{Argv: []string{"a"}})
	must(t, j.Commit(t.Context(), &replay.Changes{Records: records}))
	if err := j.Commit(t.Context(), &replay.Changes{Records: records, Begun: begun(1, 1)}); err == nil {
		t.Error("the same record was stored twice")
	}
	if saved := load(t, j); saved.Open != nil {
		t.Error("a part of a commit that failed is there")
	}
}

func TestUnreported(t *testing.T) {
	t.Parallel()
	s, j := newNode(t)
	must(t, j.Commit(t.Context(), &replay.Changes{Records: received(queue.Command{Argv: []string{"a"}}, queue.Command{Argv: []string{"b"}})}))
	for seq := range uint64(2) {
		must(t, j.Commit(t.Context(), &replay.Changes{Begun: begun(seq+1, 1)}))
		ended := try(seq+1, 1, cluster.OutcomeDone, 9)
		must(t, j.Commit(t.Context(), &replay.Changes{Ended: &ended, Settled: seq + 1}))
	}
	must(t, j.Commit(t.Context(), &replay.Changes{Begun: begun(3, 1)}))
	list, last, err := j.Unreported(t.Context(), 0, 1)
	must(t, err)
	equal(t, "first", []any{len(list), list[0].Seq, last}, []any{1, uint64(1), int64(1)})
	list, last, err = j.Unreported(t.Context(), last, 10)
	must(t, err)
	equal(t, "second; the one under way has not ended", []any{len(list), list[0].Seq, last}, []any{1, uint64(2), int64(2)})
	list, last, err = j.Unreported(t.Context(), last, 10)
	must(t, err)
	equal(t, "none", []any{len(list), last}, []any{0, int64(2)})

	// Much output is reported in several pieces.
	for seq := range uint64(3) {
		must(t, j.Commit(t.Context(), &replay.Changes{Begun: begun(seq+3, 2)}))
		ended := try(seq+3, 2, cluster.OutcomeDone, 9)
		ended.Stderr.Tail = make([]byte, 127<<10+int(seq/2)<<20)
		must(t, j.Commit(t.Context(), &replay.Changes{Ended: &ended}))
	}
	more := last
	for _, want := range []int{2, 1, 0} {
		list, more, err = j.Unreported(t.Context(), more, 10)
		must(t, err)
		equal(t, "of a report", len(list), want)
	}

	// What has not been reported is not pruned, however old.
	n, err := s.Prune(t.Context(), at(1000), 0)
	must(t, err)
	equal(t, "pruned", n, int64(0))
	must(t, j.Commit(t.Context(), &replay.Changes{Heeded: 1, Reported: 2}))
	n, err = s.Prune(t.Context(), at(1000), 0)
	must(t, err)
	equal(t, "pruned once reported", n, int64(2))
}

package state_test

import (
	"fmt"
	"testing"
	"time"

	"iwx/lib/cluster"
	"iwx/lib/queue"
	"iwx/lib/state"
)

// TestForget: the texts of what is old and done by all are erased, and nothing
// else; the chain holds.
func TestForget(t *testing.T) {
	t.Parallel()
	s := newManager(t)
	admit(t, s, member("web1", "web1"), member("web2", "web2"))
	now := time.Unix(1_700_000_000, 0)
	draft := func(targets queue.Targets, age time.Duration) state.Draft {
		body, err := (&queue.Command{Argv: []string{"true"}, QueuedAt: now.Add(-age)}).Encode()
		must(t, err)
		return state.Draft{Kind: queue.KindCommand, Targets: targets, Body: body}
	}
	const day = 24 * time.Hour
	baseline := queue.Targets{Scope: queue.ScopeBaseline}
	_, err := s.Append(t.Context(), draft(queue.Members(), 40*day), draft(baseline, 40*day), draft(queue.Members(), 35*day),
		draft(queue.Members(), 31*day), draft(queue.Members(), 2*day))
	must(t, err)
	for node, done := range map[string]uint64{"web1": 5, "web2": 3} {
		must(t, s.SaveReport(t.Context(), node, now, cluster.Status{Word: "current", Done: done}, nil))
	}
	for _, want := range []int64{2, 0} {
		if n, err := s.Forget(t.Context(), now.Add(-30*day)); err != nil || n != want {
			t.Errorf("%d erased, %v; want %d", n, err, want)
		}
	}
	records, err := s.Records(t.Context(), 0, 100, queue.MaxPage)
	must(t, err)
	var kept []uint64
	for _, r := range records {
		if r.Body != nil {
			kept = append(kept, r.Seq)
		}
	}
	if got := fmt.Sprint(kept); got != "[2 4 5]" {
		t.Errorf("kept are %s", got)
	}
	page := queue.Page{Records: records}
	must(t, page.Verify(queue.Position{}))

	// web2 has done the others too: what is not old enough stays.
	must(t, s.SaveReport(t.Context(), "web2", now, cluster.Status{Word: "current", Done: 5}, nil))
	if n, err := s.Forget(t.Context(), now.Add(-30*day)); err != nil || n != 1 {
		t.Errorf("%d erased, %v", n, err)
	}
}

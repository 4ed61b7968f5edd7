package state_test

import (
	"errors"
	"net/netip"
	"slices"
	"testing"

	"iwx/lib/cluster"
	"iwx/lib/state"
)

// TestEachAttempt: attempts come in one order whatever the number of pages, and others
// may write meanwhile.
func TestEachAttempt(t *testing.T) {
	t.Parallel()
	s := newManager(t)
	admit(t, s, member("n1", "web1"))
	const many = 150
	var all []cluster.Attempt
	for i := range uint64(many) {
		outcome := cluster.OutcomeDone
		if i%3 == 0 {
			outcome = cluster.OutcomeFailed
		}
		all = append(all, try(i+1, 1, outcome, 9))
	}
	must(t, s.SaveReport(t.Context(), "n1", at(10), cluster.Status{}, all))
	for _, tt := range []struct {
		name   string
		filter state.AttemptFilter
		first  uint64
		number int
	}{
		{"all", state.AttemptFilter{}, many, many},
		{"brief", state.AttemptFilter{Brief: true}, many, many},
		{"one", state.AttemptFilter{Limit: 1}, many, 1},
		{"a page", state.AttemptFilter{Limit: 64}, many, 64},
		{"a page and one", state.AttemptFilter{Limit: 65}, many, 65},
		{"two pages", state.AttemptFilter{Limit: 128}, many, 128},
		{"more than there are", state.AttemptFilter{Limit: 1000}, many, many},
		{"failed", state.AttemptFilter{Failed: true}, 148, 50},
		{"failed, some", state.AttemptFilter{Failed: true, Limit: 40, Brief: true}, 148, 40},
		{"of an entry", state.AttemptFilter{Seq: 77, Node: "n1", Epoch: 1}, 77, 1},
		{"none", state.AttemptFilter{Since: at(1000)}, 0, 0},
	} {
		var seqs []uint64
		must(t, s.EachAttempt(t.Context(), tt.filter, func(a state.Attempt) error {
			seqs = append(seqs, a.Seq)
			if has, want := len(a.Stdout.Head) > 0, !tt.filter.Brief || a.Outcome == cluster.OutcomeFailed; has != want || a.Stdout.Size != 3 {
				t.Errorf("%s: attempt at %d, %s, has its output: %v", tt.name, a.Seq, a.Outcome, has)
			}
			return s.SaveContact(t.Context(), "n1", at(11), netip.Addr{})
		}))
		if len(seqs) != tt.number || tt.number > 0 && seqs[0] != tt.first || !slices.IsSortedFunc(seqs, func(a, b uint64) int { return int(b) - int(a) }) {
			t.Errorf("%s: %d attempts: %v", tt.name, len(seqs), seqs)
		}
		if tt.filter.Limit == 0 {
			n, err := s.CountAttempts(t.Context(), tt.filter)
			must(t, err)
			equal(t, tt.name+", counted", n, tt.number)
		}
	}
	stop, n := errors.New("stop"), 0
	err := s.EachAttempt(t.Context(), state.AttemptFilter{}, func(state.Attempt) error { n++; return stop })
	if !errors.Is(err, stop) || n != 1 {
		t.Errorf("stopped with %v after %d", err, n)
	}
}

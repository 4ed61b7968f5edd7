package state_test

import (
	"net/netip"
	"testing"

	"iwx/lib/cluster"
	"iwx/lib/state"
)

// TestFetchedStays: what a node has received is lowered where it is found to have
// received less, and nowhere else.
func TestFetchedStays(t *testing.T) {
	report := func(s *state.Store, head uint64) error {
		return s.SaveReport(t.Context(), "a", at(20), cluster.Status{Word: "current", Epoch: 1, Done: 1, Head: head}, nil)
	}
	stands := func(s *state.Store, is cluster.Standing) error {
		is.Seen = at(21)
		_, err := s.SaveStanding(t.Context(), "a", is)
		return err
	}
	for what, c := range map[string]struct {
		do            func(s *state.Store) error
		head, fetched uint64
	}{
		"an older report":  {func(s *state.Store) error { return report(s, 1) }, 1, 3},
		"a newer report":   {func(s *state.Store) error { return report(s, 4) }, 4, 3},
		"an older poll":    {func(s *state.Store) error { return s.SaveFetched(t.Context(), map[string]uint64{"a": 2}) }, 2, 3},
		"a newer poll":     {func(s *state.Store) error { return s.SaveFetched(t.Context(), map[string]uint64{"a": 5}) }, 2, 5},
		"a restart":        {func(s *state.Store) error { return stands(s, cluster.Standing{Received: 3}) }, 2, 3},
		"it went back":     {func(s *state.Store) error { return stands(s, cluster.Standing{Received: 1}) }, 1, 1},
		"it went on, back": {func(s *state.Store) error { return stands(s, cluster.Standing{Received: 2}) }, 2, 2},
		"it diverged": {func(s *state.Store) error {
			return stands(s, cluster.Standing{Received: 9, Trouble: cluster.TroubleDiverged, Awaited: 4})
		}, 2, 3},
		"it dropped what was given up": {func(s *state.Store) error {
			must(t, stands(s, cluster.Standing{Received: 9, Trouble: cluster.TroubleDiverged, Awaited: 2}))
			must(t, report(s, 9))
			return stands(s, cluster.Standing{Received: 1})
		}, 1, 1},
		"it was seen": {func(s *state.Store) error { return s.SaveContact(t.Context(), "a", at(30), netip.Addr{}) }, 2, 3},
	} {
		t.Run(what, func(t *testing.T) {
			s := withNodes(t, "a")
			must(t, report(s, 2))
			must(t, s.SaveFetched(t.Context(), map[string]uint64{"a": 3}))
			must(t, c.do(s))
			n := nodeOf(t, s, "a")
			equal(t, "received, by its status and by its polls", []uint64{n.Status.Head, n.Fetched}, []uint64{c.head, c.fetched})
		})
	}
}

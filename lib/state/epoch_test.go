package state_test

import (
	"testing"
	"time"

	"iwx/lib/state"
)

// TestEpochBegan: restore, recover and accept begin an epoch, at their time.
func TestEpochBegan(t *testing.T) {
	began := func(s *state.Store, want time.Time) {
		t.Helper()
		is, err := s.EpochBegan(t.Context())
		must(t, err)
		equal(t, "began", is, want)
	}
	s := withNodes(t, "a")
	began(s, time.Time{})
	_, err := s.RaiseEpoch(t.Context(), 0, "restored", 15)
	must(t, err)
	began(s, at(15))
	must(t, s.Accept(t.Context(), []string{"a"}, 20, "root"))
	began(s, at(15)) // no node had a higher one
	_, err = s.Append(t.Context(), draft("and on"))
	must(t, err)
	began(s, at(15))
	s = withTail(t)
	_, err = s.Recover(t.Context(), 40, "root", false)
	must(t, err)
	began(s, at(40))
}

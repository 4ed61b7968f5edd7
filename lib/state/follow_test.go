package state

import (
	"context"
	"errors"
	"testing"
	"time"

	"iwx/lib/health"
	"iwx/lib/testenv"
)

// TestFollow: a look at once, one after each commit of any process, and none without.
func TestFollow(t *testing.T) {
	s := newManager(t)
	ctx, cancel := context.WithTimeout(t.Context(), testenv.Wait())
	defer cancel()
	looks := 0
	err := s.Follow(ctx, func() (bool, error) {
		looks++
		if looks == 3 {
			return true, nil
		}
		return false, s.SaveVerdicts(ctx, map[string]health.Verdict{"t": {Since: time.Unix(int64(looks), 0)}})
	})
	if err != nil || looks != 3 {
		t.Errorf("%d looks, %v", looks, err)
	}
	failed := errors.New("it failed")
	if err := s.Follow(ctx, func() (bool, error) { return false, failed }); err != failed {
		t.Errorf("got %v", err)
	}
	// Nothing is committed: one look, also where the time is over before it.
	for _, limit := range []time.Duration{0, 50 * time.Millisecond} {
		short, cancel := context.WithTimeout(t.Context(), limit)
		looks = 0
		err := s.Follow(short, func() (bool, error) { looks++; return false, nil })
		if !errors.Is(err, context.DeadlineExceeded) || looks != 1 {
			t.Errorf("within %v: %d looks, %v", limit, looks, err)
		}
		cancel()
	}
}

package state_test

import (
	"maps"
	"testing"
	"time"

	"iwx/lib/health"
)

func TestVerdicts(t *testing.T) {
	s := newManager(t)
	if none, err := s.Verdicts(t.Context()); err != nil || len(none) != 0 {
		t.Errorf("%v %v", none, err)
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	down := health.Verdict{State: health.Down, Since: at, Hard: true, Last: health.Result{Word: health.Refused, Reason: "refused", At: at}, Fails: 2, Wait: 5 * time.Second, Until: at.Add(time.Minute)}
	for _, all := range []map[string]health.Verdict{
		{"a": {State: health.Up, Since: at}, "b": down},
		{"b": down},
		{},
	} {
		if err := s.SaveVerdicts(t.Context(), all); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Verdicts(t.Context()); err != nil || !maps.Equal(got, all) {
			t.Errorf("got %+v, %v", got, err)
		}
	}
}

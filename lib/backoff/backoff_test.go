package backoff

import (
	"math"
	"testing"
	"time"
)

const (
	ms = time.Millisecond
	s  = time.Second
)

func TestAfter(t *testing.T) {
	for _, tt := range []struct {
		name     string
		waits    Waits
		failures int
		took     time.Duration
		want     time.Duration // in the middle of the spread
	}{
		{"the first", Waits{200 * ms, 5 * s}, 1, 0, 200 * ms},
		{"none, which is as the first", Waits{200 * ms, 5 * s}, 0, 0, 200 * ms},
		{"the second", Waits{200 * ms, 5 * s}, 2, 0, 400 * ms},
		{"the fifth", Waits{200 * ms, 5 * s}, 5, 0, 3200 * ms},
		{"the longest", Waits{200 * ms, 5 * s}, 6, 0, 5 * s},
		{"for days", Waits{200 * ms, 5 * s}, math.MaxInt, 0, 5 * s},
		{"a longest of centuries", Waits{s, math.MaxInt64 / 4}, math.MaxInt, 0, math.MaxInt64 / 4},
		{"always the same", Waits{30 * s, 30 * s}, 9, 0, 30 * s},
		{"no bounds", Waits{}, math.MaxInt, s, 2 * s},
		{"a quick try changes nothing", Waits{s, 10 * s}, 1, 499 * ms, s},
		{"a slow one does", Waits{s, 10 * s}, 1, 2 * s, 4 * s},
		{"beyond the longest too", Waits{s, 5 * s}, 9, 8 * s, 16 * s},
		{"but not for ever", Waits{s, 5 * s}, 9, time.Hour, 20 * s},
		{"a clock that was set back", Waits{s, 5 * s}, 1, -time.Hour, s},
	} {
		if got := tt.waits.After(tt.failures, tt.took, 0.5); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestJitter(t *testing.T) {
	for spread, want := range map[float64]time.Duration{0: 270 * s, 0.25: 285 * s, 0.5: 300 * s, 1: 330 * s} {
		if got := Jitter(300*s, spread); got != want {
			t.Errorf("Jitter(300s, %g) = %v, want %v", spread, got, want)
		}
	}
}

func TestPace(t *testing.T) {
	for _, tt := range []struct{ every, took, want time.Duration }{
		{2 * s, 0, 2 * s},
		{2 * s, s, 2 * s},
		{2 * s, 1100 * ms, 2200 * ms},
		{200 * ms, 3 * s, 6 * s},
		{200 * ms, math.MaxInt64, 20 * s},
		{time.Minute, 50 * s, time.Minute},
	} {
		if got := Pace(tt.every, tt.took); got != tt.want {
			t.Errorf("Pace(%v, %v) = %v, want %v", tt.every, tt.took, got, tt.want)
		}
	}
}

func TestTries(t *testing.T) {
	tries := Tries{Waits: Waits{First: s, Most: 4 * s}}
	within := func(what string, got, middle time.Duration) {
		t.Helper()
		if got < middle*4/5 || got > middle*6/5 {
			t.Errorf("%s: %v, want %v ± 20 %%", what, got, middle)
		}
	}
	for round, what := range []string{"at first", "after a success"} {
		if tries.Failing() {
			t.Errorf("%s: it fails before it was tried", what)
		}
		for _, want := range []time.Duration{s, 2 * s, 4 * s, 4 * s} {
			within(what, tries.Failed(0), want)
		}
		if !tries.Failing() {
			t.Errorf("round %d: it does not fail", round)
		}
		tries.Reset()
	}
	seen := map[time.Duration]bool{}
	for range 100 {
		tries.Reset()
		seen[tries.Failed(0)] = true
	}
	if len(seen) < 50 {
		t.Errorf("100 servers that failed together come back at %d moments", len(seen))
	}
}

package state_test

import (
	"testing"
	"time"

	"iwx/lib/state"
)

// TestReload: requests are numbered for each program, a try covers those before it, and
// one that failed leaves its requests pending.
func TestReload(t *testing.T) {
	t.Parallel()
	s := newManager(t)
	ctx := t.Context()
	at := func(seconds int64) time.Time { return time.Unix(seconds, 0).UTC() }
	request := func(name string, urgent bool, want uint64) {
		t.Helper()
		if got, err := s.RequestReload(ctx, "web", name, urgent); err != nil || got != want {
			t.Fatalf("request %d, %v; want %d", got, err, want)
		}
	}
	is := func(want ...state.Reload) {
		t.Helper()
		got, err := s.Reloads(ctx)
		if err != nil || len(got) != len(want) {
			t.Fatalf("%+v, %v; want %+v", got, err, want)
		}
		for i := range want {
			want[i].Kind = "web"
			if got[i].Last = got[i].Last.UTC(); got[i] != want[i] {
				t.Errorf("%+v; want %+v", got[i], want[i])
			}
		}
	}
	is()
	request("apache2", false, 1)
	request("apache2", true, 2)
	request("nginx", false, 1)
	request("apache2", false, 3)
	is(state.Reload{Name: "apache2", Requested: 3, Urgent: true}, state.Reload{Name: "nginx", Requested: 1})
	for range 2 {
		if err := s.SaveReload(ctx, &state.Reload{Kind: "web", Name: "apache2", Tried: 2, Loaded: 2, Last: at(7)}); err != nil {
			t.Fatal(err)
		}
		is(state.Reload{Name: "apache2", Requested: 3, Urgent: true, Tried: 2, Loaded: 2, Last: at(7)}, state.Reload{Name: "nginx", Requested: 1})
	}
	failed := state.Reload{Kind: "web", Name: "apache2", Requested: 3, Tried: 3, Loaded: 2, Last: at(9), Error: "it fails"}
	if err := s.SaveReload(ctx, &failed); err != nil {
		t.Fatal(err)
	}
	is(failed, state.Reload{Name: "nginx", Requested: 1})
	if !failed.Pending() {
		t.Error("a reload that failed is not pending")
	}
}

func TestReloadLeft(t *testing.T) {
	now := time.UnixMilli(100000)
	for name, tt := range map[string]struct {
		is       state.Reload
		interval time.Duration
		want     time.Duration
	}{
		"never reloaded":                {state.Reload{Requested: 1}, 5 * time.Second, 0},
		"after a quiet time":            {state.Reload{Requested: 2, Tried: 1, Last: now.Add(-time.Minute)}, 5 * time.Second, 0},
		"just over":                     {state.Reload{Requested: 2, Tried: 1, Last: now.Add(-5 * time.Second)}, 5 * time.Second, 0},
		"within the interval":           {state.Reload{Requested: 2, Tried: 1, Last: now.Add(-2 * time.Second)}, 5 * time.Second, 3 * time.Second},
		"in this very moment":           {state.Reload{Requested: 2, Tried: 1, Last: now}, 5 * time.Second, 5 * time.Second},
		"without an interval":           {state.Reload{Requested: 2, Tried: 1, Last: now}, 0, 0},
		"urgent":                        {state.Reload{Requested: 2, Tried: 1, Last: now, Urgent: true}, 5 * time.Second, 0},
		"the clock was set back":        {state.Reload{Requested: 2, Tried: 1, Last: now.Add(time.Hour)}, 5 * time.Second, 0},
		"it failed":                     {state.Reload{Requested: 2, Tried: 2, Last: now.Add(-6 * time.Second)}, 5 * time.Second, 24 * time.Second},
		"it failed, at a long interval": {state.Reload{Requested: 2, Tried: 2, Last: now}, time.Minute, time.Minute},
	} {
		if got := tt.is.Left(tt.interval, now); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

package preflight

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"iwx/lib/fault"
)

func TestRunKeepsOrderAndGoesOnAfterFailure(t *testing.T) {
	probes := []Probe{
		{"a", func(context.Context) Result { return fail("fix a", "a is broken") }},
		{"b", func(context.Context) Result { return ok("b is fine") }},
		{"c", func(context.Context) Result { return warn("look at c", "c is odd") }},
	}
	got := Run(t.Context(), probes, time.Minute)
	want := []Check{
		{"a", Fail, "a is broken", "fix a"}, {"b", OK, "b is fine", ""}, {"c", Warn, "c is odd", "look at c"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("checks %v, want %v", got, want)
	}
}

func TestHungProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		release := make(chan struct{})
		probes := []Probe{
			{"hung", func(context.Context) Result { <-release; return ok("") }},
			{"quick", func(context.Context) Result { return ok("") }},
			{"patient", func(ctx context.Context) Result { <-ctx.Done(); return fail("", "cut off") }},
		}
		got := Run(t.Context(), probes, 3*time.Second)
		if waited := time.Since(began); waited != 3*time.Second {
			t.Errorf("waited %s, want the limit of 3s", waited)
		}
		if got[0].Status != Warn || got[0].Detail != "no answer in time" || got[1].Status != OK {
			t.Errorf("checks %v", got)
		}
		close(release)
	})
}

func TestVerdict(t *testing.T) {
	tests := []struct {
		statuses []Status
		want     Status
	}{
		{nil, Skip},
		{[]Status{Skip, OK}, OK},
		{[]Status{Warn, OK, Skip}, Warn},
		{[]Status{OK, Fail, Warn}, Fail},
	}
	for _, tt := range tests {
		var checks []Check
		for _, s := range tt.statuses {
			checks = append(checks, Check{Status: s})
		}
		if got := Verdict(checks); got != tt.want {
			t.Errorf("%v: verdict %s, want %s", tt.statuses, got, tt.want)
		}
	}
}

func TestIgnore(t *testing.T) {
	checks := []Check{{"disk", Fail, "full", "df"}, {"os", OK, "debian", ""}, {"clock", Fail, "off", "set it"}}
	got := Ignore(checks, []string{"disk", "os"})
	if got[0].Status != Warn || got[0].Detail != "full (ignored)" || got[1] != checks[1] || got[2] != checks[2] {
		t.Errorf("ignored: %v", got)
	}
	if checks[0].Status != Fail {
		t.Error("the checks given were changed")
	}
	err := Err(got)
	if err == nil || err.Error() != "clock: off; set it" || fault.CodeOf(err) != fault.Failed {
		t.Errorf("Err = %v", err)
	}
	if hint := fault.HintOf(err); !strings.Contains(hint, "--ignore clock") || strings.Contains(hint, "disk") {
		t.Errorf("hint %q", hint)
	}
	if err := Err(Ignore(checks, []string{"disk", "clock"})); err != nil {
		t.Errorf("with all failures ignored: %v", err)
	}
}

func TestCheckNames(t *testing.T) {
	if err := CheckNames(Names()); err != nil {
		t.Error(err)
	}
	err := CheckNames([]string{"disk", "dsik"})
	if fault.CodeOf(err) != fault.Usage || !strings.Contains(err.Error(), `"dsik"`) {
		t.Errorf("%v", err)
	}
	if hint := fault.HintOf(err); !strings.Contains(hint, "disk, ") || !strings.Contains(hint, "uids") {
		t.Errorf("hint %q", hint)
	}
	sorted := slices.Sorted(slices.Values(Names()))
	if len(slices.Compact(sorted)) != len(Names()) {
		t.Error("a name is there twice")
	}
}

func TestCheckJSON(t *testing.T) {
	data, err := json.Marshal([]Check{{"disk", Fail, "full", "df"}, {"os", OK, "debian", ""}})
	if err != nil {
		t.Fatal(err)
	}
	want := `[{"name":"disk","status":"fail","detail":"full","remedy":"df"},{"name":"os","status":"ok","detail":"debian"}]`
	if string(data) != want {
		t.Errorf("%s, want %s", data, want)
	}
}

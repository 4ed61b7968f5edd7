package state_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"iwx/lib/profile"
)

func TestProfileJournal(t *testing.T) {
	s := newManager(t)
	j := s.Profile()
	load := func() *profile.Saved {
		t.Helper()
		saved, err := j.Load(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return saved
	}
	if got := load(); !reflect.DeepEqual(got, &profile.Saved{}) {
		t.Errorf("an empty journal holds %+v", got)
	}
	a := profile.Item{Kind: "mount", Name: "/a", Spec: json.RawMessage(`{"source":"x"}`)}
	b := profile.Item{Kind: "export", Name: "/a"}
	status := profile.Status{Desired: "v", Items: []profile.Result{{Kind: "mount", Name: "/a", Word: profile.WordFailed, Error: "no", Since: 5}}}
	rev := profile.Document{Items: []profile.Item{a, b}}.Revision()
	changed := a
	changed.Spec = json.RawMessage(`{"source":"y"}`)
	for _, write := range []func() error{
		func() error { return j.Receive(t.Context(), profile.Document{}.Revision()) },
		func() error { return j.Begin(t.Context(), a) },
		func() error { return j.Begin(t.Context(), b) },
		func() error { return j.Begin(t.Context(), changed) },
		func() error { return j.Report(t.Context(), status) },
		func() error { return j.Receive(t.Context(), rev) },
	} {
		if err := write(); err != nil {
			t.Fatal(err)
		}
	}
	want := &profile.Saved{Desired: rev, Begun: []profile.Item{changed, b}, Status: status}
	if got := load(); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	for range 2 { // the second time is nothing
		if err := j.End(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	if got := load().Begun; !reflect.DeepEqual(got, []profile.Item{b}) {
		t.Errorf("after the end of one: %+v", got)
	}
}

package nfs

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"iwx/lib/profile"
)

func TestWatcher(t *testing.T) {
	mounted := true
	doc := profile.Document{Items: []profile.Item{
		item(t, "192.0.2.10", "/srv/iwx"), {Kind: KindMount, Name: "/bad", Spec: []byte(`{"new":1}`)}, {Kind: "other", Name: "/x"},
	}}
	p := &Prober{Mountinfo: write(t, "mountinfo", oneMount), Now: func() time.Time { return time.UnixMilli(5) },
		Probe: func(context.Context, string) error {
			if !mounted {
				return errors.New("Stale file handle")
			}
			return nil
		}}
	w := NewWatcher(p, func(context.Context) ([]Mount, error) { return MountsOf(doc), nil }, slog.New(slog.DiscardHandler))
	look := func(every time.Duration, word string, changed bool) {
		t.Helper()
		if got := w.Once(t.Context()); got < every*4/5 || got > every*6/5 || every == lookEvery && word == Healthy && got != every {
			t.Errorf("again after %s", got)
		}
		if got := w.Health(); len(got) != 1 || got[0].Word != word {
			t.Errorf("got %v", got)
		}
		if got := len(w.Changed()) == 1; got != changed {
			t.Errorf("changed: %v", got)
		} else if got {
			<-w.Changed()
		}
	}
	look(lookEvery, Healthy, true)
	look(lookEvery, Healthy, false)
	mounted = false
	look(2*time.Second, Missing, true)
	look(4*time.Second, Missing, false)
	look(8*time.Second, Missing, false)
	look(lookEvery, Missing, false)
	look(lookEvery, Missing, false)
	mounted = true
	look(lookEvery, Healthy, true)
	mounted = false
	look(2*time.Second, Missing, true)
}

func TestWorst(t *testing.T) {
	h := func(words ...string) (list []Health) {
		for _, word := range words {
			list = append(list, Health{Word: word})
		}
		return list
	}
	tests := []struct {
		list []Health
		want string
	}{{nil, ""}, {h(Healthy), ""}, {h(Healthy, Missing, Hung), Hung}, {h(Missing, Healthy), Missing}}
	for _, tt := range tests {
		got := ""
		if worst := Worst(tt.list); worst != nil {
			got = worst.Word
		}
		if got != tt.want {
			t.Errorf("%v: %q", tt.list, got)
		}
	}
}

package cluster

import (
	"net/netip"
	"reflect"
	"testing"
	"time"
)

func TestTrialAsText(t *testing.T) {
	one := &Trial{Until: time.UnixMilli(1764343000123), Nonce: "abc", Paths: []TrialPath{
		{netip.MustParseAddr("192.0.2.80"), netip.MustParseAddr("192.0.2.1")},
		{netip.MustParseAddr("2001:db8::80"), netip.MustParseAddr("2001:db8::1")},
	}}
	const text = "1764343000123 abc 192.0.2.80=192.0.2.1 2001:db8::80=2001:db8::1"
	if one.String() != text {
		t.Error(one.String())
	}
	if again, err := ParseTrial(text); err != nil || !reflect.DeepEqual(again, one) {
		t.Errorf("%+v, %v", again, err)
	}
	for _, bad := range []string{"", "1", "soon abc", "1 abc 192.0.2.80", "1 abc 192.0.2.80=", "1 abc =192.0.2.1"} {
		if got, err := ParseTrial(bad); err == nil {
			t.Errorf("%q: %+v", bad, got)
		}
	}
}

// TestTrialIsTold to a node that knows it, while it goes on.
func TestTrialIsTold(t *testing.T) {
	now := time.UnixMilli(1764343000000)
	trial := (&Trial{Until: now.Add(time.Second), Nonce: "abc"}).String()
	for _, tt := range []struct {
		order string
		knows bool
		at    time.Time
		want  string
	}{
		{trial, true, now, trial},
		{trial, false, now, ""},
		{trial, true, now.Add(time.Second), ""},
		{"from a later version", true, now, ""},
		{"", true, now, ""},
	} {
		o := Orders{Trial: tt.order}
		if got := o.trial(&PollRequest{Trials: tt.knows}, tt.at); got != tt.want {
			t.Errorf("%q at %v: %q, want %q", tt.order, tt.at, got, tt.want)
		}
	}
}

func FuzzParseTrial(f *testing.F) {
	f.Add("1764343000123 abc 192.0.2.80=192.0.2.1 2001:db8::80=2001:db8::1")
	f.Fuzz(func(t *testing.T, text string) {
		one, err := ParseTrial(text)
		if err != nil {
			return
		}
		again, err := ParseTrial(one.String())
		if err != nil || !reflect.DeepEqual(again, one) {
			t.Errorf("%q: %+v, then %+v, %v", text, one, again, err)
		}
	})
}

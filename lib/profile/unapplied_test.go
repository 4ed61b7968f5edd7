package profile_test

import (
	"slices"
	"strings"
	"testing"

	"iwx/lib/profile"
)

// unapplied is Unapplied as text, of the kinds other than copy.
func unapplied(s profile.Status, doc profile.Document) string {
	return page(profile.Status{Items: s.Unapplied(doc.Items, func(kind string) bool { return kind != "copy" })})
}

func TestUnapplied(t *testing.T) {
	// result is what a server reports of an item: "mount /a=1: failed: busy". A "-"
	// before it is a removal, and a "?" says that an older iwx reports it.
	result := func(text string) (r profile.Result) {
		text, r.Removal = strings.CutPrefix(text, "-")
		text, old := strings.CutPrefix(text, "?")
		parts := strings.SplitN(text, ": ", 3)
		item := document(parts[0]).Items[0]
		r.Kind, r.Name, r.Word, r.Since = item.Kind, item.Name, parts[1], 7
		if !r.Removal && !old {
			r.Digest = item.Digest()
		}
		if len(parts) > 2 {
			r.Error = parts[2]
		}
		return r
	}
	for _, tt := range []struct {
		name     string
		desired  string // items with a comma between
		reported string // results with a comma between
		want     string // lines with a comma between
	}{
		{"all of it", "mount /a=1,export /b=1", "mount /a=1: applied,export /b=1: applied", ""},
		{"nothing is reported", "mount /a=1,export /b=1", "", "mount /a: pending,export /b: pending"},
		{"nothing is desired", "", "", ""},
		{"one fails", "mount /a=1,mount /b=1", "mount /a=1: failed: busy,mount /b=1: applied", "mount /a: failed: busy"},
		{"one waits", "mount /a=1", "mount /a=1: pending: waits for mount /", "mount /a: pending: waits for mount /"},
		{"one has changed", "mount /a=2,mount /b=1", "mount /a=1: applied,mount /b=1: applied", "mount /a: pending"},
		{"one that failed has changed", "mount /a=2", "mount /a=1: failed: busy", "mount /a: pending"},
		{"one is new", "mount /a=1,mount /b=1", "mount /a=1: applied", "mount /b: pending"},
		{"the order has changed", "mount /b=1,mount /a=1", "mount /a=1: applied,mount /b=1: applied", ""},
		{"another kind has the name", "mount /a=1", "export /a=1: applied", "mount /a: pending,take back export /a: pending"},
		{"one that is not desired any more is still there", "mount /a=1", "mount /a=1: applied,mount /b=1: applied", "take back mount /b: pending"},
		{"it cannot be taken back", "", "-mount /b=: failed: busy", "take back mount /b: failed: busy"},
		{"it is desired again", "mount /b=1", "-mount /b=: failed: busy", "mount /b: pending"},
		{"a kind that does not count", "copy /a=2,mount /a=1", "copy /a=1: failed: full,mount /a=1: applied,-copy /b=: failed: full,copy /c=1: applied", ""},
		{"an older iwx, applied", "mount /a=2", "?mount /a=1: applied", ""},
		{"an older iwx, failed", "mount /a=2", "?mount /a=1: failed: busy", "mount /a: failed: busy"},
		{"an older iwx, nothing of it", "mount /a=2", "?export /a=1: applied", "mount /a: pending,take back export /a: pending"},
	} {
		var s profile.Status
		for text := range strings.SplitSeq(tt.reported, ",") {
			if text != "" {
				s.Items = append(s.Items, result(text))
			}
		}
		doc := profile.Document{}
		if tt.desired != "" {
			doc = document(strings.Split(tt.desired, ",")...)
		}
		if got := strings.ReplaceAll(unapplied(s, doc), "\n", ","); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestReportedByItem holds that a server reports of each item which spec of it was
// tried, so that a document which changes elsewhere changes nothing for it.
func TestReportedByItem(t *testing.T) {
	w := newWorld()
	first, other := document("mount /a=1", "mount /b=1"), document("mount /a=1", "mount /b=2", "copy /a=1")
	s := converge(t, w, first)
	if got := unapplied(s, first); got != "" {
		t.Errorf("it was applied: %s", got)
	}
	if got := unapplied(s, other); got != "mount /b: pending" {
		t.Errorf("one item has changed: %s", got)
	}
	w.broken["mount /b"] = true
	s = converge(t, w, other)
	if got := unapplied(s, other); got != "mount /b: failed: mount /b is broken" {
		t.Errorf("it fails now: %s", got)
	}
	if got := unapplied(s, first); got != "mount /b: pending" { // it has value 1 no longer
		t.Errorf("as it was before: %s", got)
	}
	s = converge(t, w, document("mount /a=1"))
	if got := unapplied(s, document("mount /a=1")); got != "take back mount /b: failed: mount /b is busy" {
		t.Errorf("it is in the way: %s", got)
	}
}

// TestKeeperDesires: what a keeper has received is desired from then on, by the next
// daemon too, and the results are still those of the document before.
func TestKeeperDesires(t *testing.T) {
	w := newWorld()
	k := keep(t, w)
	if k.Desired() != nil {
		t.Errorf("before there is anything: %v", k.Desired())
	}
	first, second := document("mount /a=1").Revision(), document("mount /a=2").Revision()
	k.Receive(&first)
	k.Once(t.Context())
	k.Receive(&second)
	if got := unapplied(k.Status(), profile.Document{Items: k.Desired()}); got != "mount /a: pending" {
		t.Errorf("received, and not looked at yet: %q", got)
	}
	k.Once(t.Context())
	for _, k := range []*profile.Keeper{k, keep(t, w)} {
		same := slices.EqualFunc(k.Desired(), second.Items, func(a, b profile.Item) bool { return a.Digest() == b.Digest() })
		if got := unapplied(k.Status(), profile.Document{Items: k.Desired()}); got != "" || !same {
			t.Errorf("%q, %v", got, k.Desired())
		}
	}
}

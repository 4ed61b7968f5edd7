package profile_test

import (
	"encoding/json"
	"strings"
	"testing"

	"iwx/lib/profile"
)

func TestVersion(t *testing.T) {
	a := document("mount /srv/iwx=1")
	spaced := profile.Document{Items: []profile.Item{{Kind: "mount", Name: "/srv/iwx", Spec: json.RawMessage(" \"1\"\n")}}}
	if v := a.Version(); len(v) != 12 || v != spaced.Version() {
		t.Errorf("versions %q and %q", v, spaced.Version())
	}
	for _, other := range []profile.Document{{}, document("mount /srv/iwx=2"), document("mount /srv=1"), document("export /srv/iwx=1"), document("mount /a=1", "mount /srv/iwx=1")} {
		if other.Version() == a.Version() {
			t.Errorf("%v has the version of %v", other, a)
		}
	}
	if none, empty := (profile.Document{}).Version(), (profile.Document{Items: []profile.Item{}}).Version(); none != empty {
		t.Errorf("no items are version %s, none at all %s", empty, none)
	}
}

// TestVersionTravels holds that a document has its version on the other side
// too, whatever characters it has.
func TestVersionTravels(t *testing.T) {
	doc := document("mount /srv/<&>\u2028é=<&>\u2028é")
	data, err := json.Marshal(doc.Revision())
	if err != nil {
		t.Fatal(err)
	}
	var got profile.Revision
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if got.Version != doc.Version() || got.Document.Version() != doc.Version() {
		t.Errorf("sent %s, received %s of %s", doc.Version(), got.Version, got.Document.Version())
	}
}

func TestCheck(t *testing.T) {
	many := profile.Document{Items: make([]profile.Item, profile.MaxItems+1)}
	for i := range many.Items {
		many.Items[i] = profile.Item{Kind: "mount", Name: strings.Repeat("x", i+1)}
	}
	tests := []struct {
		doc  profile.Document
		want string
	}{
		{profile.Document{}, ""},
		{document("mount /a=1", "export /a=1"), ""},
		{document("mount /a=1", "mount /a=2"), "profile: mount /a is in it twice"},
		{document("mount =1"), `profile: item "mount " has no kind or no name`},
		{profile.Document{Items: []profile.Item{{Kind: "mount", Name: "/a", Spec: json.RawMessage("{")}}}, "profile: the description of mount /a is not JSON"},
		{document("mount /a=" + strings.Repeat("x", profile.MaxSize)), "profile: it has 262194 bytes, and 262144 are the most"},
		{many, "profile: it has 257 items, and 256 are the most"},
		{document("mount /" + strings.Repeat("x", 5000)), "profile: the name of mount /" + strings.Repeat("x", 33) + "… is longer than 4096 bytes"},
	}
	for _, tt := range tests {
		got := ""
		if err := tt.doc.Check(); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}

func TestDecode(t *testing.T) {
	var spec struct{ Source string }
	item, err := profile.Make("mount", "/a", map[string]string{"source": "b"})
	if err == nil {
		err = item.Decode(&spec)
	}
	if err != nil || spec.Source != "b" {
		t.Errorf("%v, %v", spec, err)
	}
	item.Spec = json.RawMessage(`{"source": "b", "mode": 1}`)
	if err := item.Decode(&spec); err == nil || !strings.Contains(err.Error(), `mount /a: its description cannot be read`) {
		t.Error(err)
	}
	if _, err := profile.Make("mount", "/a", func() {}); err == nil {
		t.Error("a function was taken for a spec")
	}
}

// TestDigest holds that an item has its digest on the other side too, whatever
// characters it has, and that whatever changes of it changes the digest.
func TestDigest(t *testing.T) {
	item := document("mount /srv/<&>\u2028é=<&>\u2028é").Items[0]
	data, err := json.Marshal(item)
	if err != nil {
		t.Fatal(err)
	}
	var got profile.Item
	// A newer author may have fields that are not known here.
	data = append(data[:len(data)-1], `,"order":3}`...)
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	spaced := got
	spaced.Spec = append(json.RawMessage(" \n"), got.Spec...)
	if d := item.Digest(); len(d) != 12 || got.Digest() != d || spaced.Digest() != d {
		t.Errorf("sent %s, received %s, with a space %s", item.Digest(), got.Digest(), spaced.Digest())
	}
	seen := map[string]string{}
	for _, text := range []string{"mount /a=1", "mount /a=2", "mount /b=1", "export /a=1", "mount /a/=1", "mounta /=1"} {
		digest := document(text).Items[0].Digest()
		if other, is := seen[digest]; is {
			t.Errorf("%s has the digest of %s", text, other)
		}
		seen[digest] = text
	}
	bare := profile.Item{Kind: "mount", Name: "/a"}
	if bare.Digest() == "" || bare.Digest() == document("mount /a=").Items[0].Digest() {
		t.Errorf("no spec: %q", bare.Digest())
	}
}

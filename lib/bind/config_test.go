package bind

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"
)

func says(out string, err error) func(context.Context, string, ...string) ([]byte, error) {
	return func(context.Context, string, ...string) ([]byte, error) { return []byte(out), err }
}

// TestParse: comments, strings and braces are read as named does.
func TestParse(t *testing.T) {
	text := "// options { a; };\n/* options {\n} */ # options {\ninclude \"/etc/x{;}.conf\";\noptions\n{ port 5353; listen-on port 53 { any; }; x { } y { z; }; };\nzone \"a.example\" IN { type primary; };\n"
	list := parse(text)
	var words []string
	for _, st := range list {
		words = append(words, strings.Join(st.words, " "))
	}
	if want := []string{"include /etc/x{;}.conf", "options", "zone a.example IN"}; !slices.Equal(words, want) {
		t.Fatalf("got %q, want %q", words, want)
	}
	if at := list[1].inside; text[at-1] != '{' || !strings.HasPrefix(text[at:], " port") {
		t.Errorf("the options begin at %q", text[at:])
	}
	if names := list[1].block; len(names) != 3 || !names[2].is("x") || len(names[2].block) != 1 {
		t.Errorf("in the options: %+v", names)
	}
}

// FuzzParse: nothing makes it fail or go on for ever, and a line goes in and out.
func FuzzParse(f *testing.F) {
	f.Add("options { a; };", 9)
	f.Add("\"", 0)
	f.Add("/*", 1)
	f.Fuzz(func(t *testing.T, text string, at int) {
		for _, st := range parse(text) {
			if st.inside < 0 || st.inside > len(text) {
				t.Errorf("%d is not in %q", st.inside, text)
			}
		}
		line := includeLine("/etc/bind/iwx.conf")
		if at < 0 || at > len(text) {
			return
		}
		with := withLine(text, line, at)
		if !strings.Contains(with, line) || withLine(with, line, at) != with || strings.Contains(withoutLine(with, line), line) && !strings.Contains(text, line) {
			t.Errorf("%q with the line at %d: %q", text, at, with)
		}
	})
}

// TestCatalog: the serial moves with the members alone, and always on.
func TestCatalog(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	one := (&Primary{Others: []string{"a.example"}}).catalog()
	first := one.next("", now)
	if got := serialOf(Catalog, first); got != 1_800_000_000 {
		t.Errorf("the first serial is %d", got)
	}
	if again := one.next(first, now.Add(time.Hour)); again != first {
		t.Errorf("the same members: %s", again)
	}
	second := (&Primary{Others: []string{"a.example", "b.example"}}).catalog().next(first, now.Add(-time.Hour))
	if got := serialOf(Catalog, second); got != 1_800_000_001 {
		t.Errorf("with a clock that was set back the serial is %d", got)
	}
	p := Primary{Zones: []Zone{{Name: "b.example"}, {Name: "a.example"}}, Others: []string{"c.example", "a.example"}}
	if got := p.members(); !slices.Equal(got, []string{"a.example", "b.example", "c.example"}) {
		t.Errorf("members %q", got)
	}
}

// TestOlder is RFC 1982 §3.2.
func TestOlder(t *testing.T) {
	for _, tt := range []struct {
		a, b uint32
		want bool
	}{{1, 2, true}, {2, 1, false}, {1, 1, false}, {0xffffffff, 0, true}, {0, 0xffffffff, false}} {
		if got := older(tt.a, tt.b); got != tt.want {
			t.Errorf("%d is older than %d: %v", tt.a, tt.b, got)
		}
	}
}

// TestNames: no name can say more to BIND than a name.
func TestNames(t *testing.T) {
	for _, name := range []string{"", "a.example.", "a\"; }; options { x", "a b", "a\n", Catalog, `a\.example`} {
		if validName(name) == nil {
			t.Errorf("%q is a name", name)
		}
	}
	for _, name := range []string{"example.org", "xn--bcher-kva.example", "0/25.2.0.192.in-addr.arpa", "_dmarc.example"} {
		if err := validName(name); err != nil {
			t.Error(err)
		}
	}
}

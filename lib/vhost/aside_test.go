package vhost

import (
	"os"
	"path/filepath"
	"testing"
)

// TestPutInstead holds that files are set aside with the test, and are back after
// one that fails, after a kill, and when the site is taken away again.
func TestPutInstead(t *testing.T) {
	s := installed(t)["apache2"]
	file, link := filepath.Join(s.at(s.sites), "old.conf"), filepath.Join(s.at(s.sites), "link.conf")
	write(t, file, "# old\n")
	write(t, s.at("/etc/apache2/sites-available/link.conf"), "# linked\n")
	if err := os.Symlink("../sites-available/link.conf", link); err != nil {
		t.Fatal(err)
	}
	e, err := s.Existing()
	if err != nil {
		t.Fatal(err)
	}
	change := Change{Domain: "example.org", Text: "# new\n"}
	for _, name := range []string{file, link} {
		a, err := e.Aside(name)
		if err != nil {
			t.Fatal(err)
		}
		change.Instead = append(change.Instead, a)
	}
	aside := func(want bool) {
		t.Helper()
		for _, a := range change.Instead {
			if isAside(a) != want {
				t.Errorf("%s: aside is %v", a.From, !want)
			}
		}
		if to, err := os.Readlink(link); !want && to != "../sites-available/link.conf" {
			t.Errorf("%q, %v", to, err)
		}
	}
	bad := change
	bad.Text = "NoSuchDirective on\n"
	if err := s.Put(t.Context(), []Change{bad}); err == nil {
		t.Fatal("a bad text was taken")
	}
	aside(false)
	if err := s.save([]Change{change}); err != nil {
		t.Fatal(err)
	}
	if err := s.write([]Change{change}); err != nil { // and here it was killed
		t.Fatal(err)
	}
	aside(true)
	if err := s.Put(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	aside(false)
	for range 2 {
		if err := s.Put(t.Context(), []Change{change}); err != nil {
			t.Fatal(err)
		}
		aside(true)
	}
	change.Text = ""
	for range 2 {
		if err := s.Put(t.Context(), []Change{change}); err != nil {
			t.Fatal(err)
		}
		aside(false)
	}
}

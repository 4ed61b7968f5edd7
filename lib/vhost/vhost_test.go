package vhost

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"iwx/lib/site"
	"iwx/lib/testenv"
)

// installed returns real web servers whose files are below a directory.
func installed(t *testing.T) map[string]*Server {
	t.Helper()
	testenv.NeedRoot(t)
	testenv.Need(t, "apache2", "nginx")
	list := map[string]*Server{}
	for name, files := range map[string]map[string]string{
		"apache2": {"etc/apache2/apache2.conf": `ServerRoot ROOT/etc/apache2
ServerName localhost
PidFile ROOT/run/pid
ErrorLog ROOT/error.log
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule alias_module /usr/lib/apache2/modules/mod_alias.so
LoadModule ssl_module /usr/lib/apache2/modules/mod_ssl.so
Listen 127.0.0.1:8
IncludeOptional sites-enabled/*.conf
`, "etc/apache2/sites-enabled/by-hand.conf": ""},
		"nginx": {"etc/nginx/nginx.conf": `pid ROOT/run/pid;
error_log ROOT/error.log;
events {}
http { access_log off; include ROOT/etc/nginx/conf.d/*.conf; }
`, "etc/nginx/conf.d/by-hand.conf": ""},
	} {
		root := t.TempDir()
		for path, text := range files {
			write(t, filepath.Join(root, path), strings.ReplaceAll(text, "ROOT", root))
		}
		s, err := Named(root, name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(root, "run"), 0o755); err != nil {
			t.Fatal(err)
		}
		list[name] = s
	}
	return list
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func example() *site.Site {
	home := "/srv/iwx/home/example"
	return &site.Site{Domain: "example.org", Aliases: []string{"www.example.org"}, User: "example", UID: 20000, Home: home, Root: home + "/public_html", Template: "default"}
}

func render(t *testing.T, s *Server, one *site.Site) string {
	t.Helper()
	text, err := s.Render(one.Template, FieldsOf(s.Root, one))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestPut(t *testing.T) {
	for name, s := range installed(t) {
		t.Run(name, func(t *testing.T) {
			one := example()
			plain := render(t, s, one)
			one.Suspended = true
			suspended := render(t, s, one)
			for _, text := range []string{plain, plain, suspended, ""} {
				if err := s.Put(t.Context(), []Change{{Domain: "example.org", Text: text}}); err != nil {
					t.Fatal(err)
				}
				if what := s.Differs("example.org", text); what != "" {
					t.Fatal(what)
				}
			}
			if what := s.Differs("example.org", plain); !strings.Contains(what, "is missing") {
				t.Error(what)
			}
		})
	}
}

// TestPutOfWhatIsRefused holds that all old files are back, with the server's own
// words in the error.
func TestPutOfWhatIsRefused(t *testing.T) {
	for name, s := range installed(t) {
		t.Run(name, func(t *testing.T) {
			old := render(t, s, example())
			if err := s.Put(t.Context(), []Change{{Domain: "example.org", Text: old}}); err != nil {
				t.Fatal(err)
			}
			err := s.Put(t.Context(), []Change{{Domain: "example.org"}, {Domain: "new.example", Text: "# fine\n"}, {Domain: "bad.example", Text: "NoSuchDirective on;\n"}})
			if err == nil || !strings.Contains(err.Error(), "NoSuchDirective") {
				t.Fatalf("%v", err)
			}
			for domain, text := range map[string]string{"example.org": old, "new.example": "", "bad.example": ""} {
				if what := s.Differs(domain, text); what != "" {
					t.Error(what)
				}
			}
			if _, err := os.Stat(s.undo); !os.IsNotExist(err) {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestPutAfterAKill holds that files whose test nobody has seen pass are undone.
func TestPutAfterAKill(t *testing.T) {
	s := installed(t)["apache2"]
	old := render(t, s, example())
	if err := s.Put(t.Context(), []Change{{Domain: "example.org", Text: old}}); err != nil {
		t.Fatal(err)
	}
	bad := []Change{{Domain: "example.org", Text: "NoSuchDirective on\n"}, {Domain: "new.example", Text: "# new\n"}}
	if err := s.save(bad); err != nil {
		t.Fatal(err)
	}
	if err := s.write(bad); err != nil { // and here it was killed
		t.Fatal(err)
	}
	if err := s.Put(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	for domain, text := range map[string]string{"example.org": old, "new.example": ""} {
		if what := s.Differs(domain, text); what != "" {
			t.Error(what)
		}
	}
}

func TestStrays(t *testing.T) {
	for name, s := range installed(t) {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Dir(s.File("x"))
			for _, file := range []string{"iwx-a.example.conf", "iwx-b.example.conf", filepath.Base(s.File(forwarded)), filepath.Base(s.File(proxied)), "iwx-c.example.conf.bak", ".iwx-d.conf.tmp", "e.conf"} {
				write(t, filepath.Join(dir, file), "# by hand\n")
			}
			write(t, filepath.Join(dir, "iwx-f.conf/g.conf"), "")
			known := func(domain string) bool { return domain == "a.example" }
			if got, err := s.Strays(known); !slices.Equal(got, []string{"b.example"}) || err != nil {
				t.Errorf("%q, %v", got, err)
			}
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
			if got, err := s.Strays(known); got != nil || err != nil {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

func TestNamed(t *testing.T) {
	if _, err := Named(t.TempDir(), "nginx"); err == nil || !strings.Contains(err.Error(), "web server nginx is not installed here") {
		t.Error(err)
	}
	s := installed(t)["nginx"]
	if found := Find(s.Root); len(found) != 1 || found[0].Name != "nginx" {
		t.Errorf("%+v", found)
	}
	if err := s.Reload(context.Background()); err != nil {
		t.Errorf("one that does not run: %v", err)
	}
}

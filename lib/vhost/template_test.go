package vhost

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestTemplates(t *testing.T) {
	s := installed(t)["nginx"]
	own := filepath.Join(s.Root, "etc/iwx/templates/own.nginx")
	write(t, own, "server_name {{.Domain}};")
	if text, err := s.Render("own", Fields{Domain: "a.example"}); err != nil || text != "server_name a.example;" {
		t.Errorf("%q, %v", text, err)
	}
	for text, want := range map[string]string{"{{.Domain": "own.nginx:1: unclosed action", "\n{{.Nothing}}": "own.nginx:2:2", "{{if .Suspended}}x{{end}}\n": "it makes nothing of"} {
		write(t, own, text)
		if _, err := s.Render("own", Fields{}); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), own) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if _, err := s.Render("none", Fields{}); err == nil || !strings.Contains(err.Error(), `no template "none" for nginx`) {
		t.Error(err)
	}
}

// TestTemplatesHide holds which templates there are: an administrator's hides one
// of iwx, and files that are none are passed over.
func TestTemplatesHide(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"shop.apache", "default.nginx", "default.zone", "shop.apache~", ".shop.nginx.swp", "Shop.nginx"} {
		write(t, filepath.Join(root, "etc/iwx/templates", name), "text of "+name)
	}
	write(t, filepath.Join(root, "etc/iwx/templates/default.apache"), "") // as a shell makes it
	list, err := Templates(root)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i := range list {
		one := list[i].Name + "." + list[i].Syntax
		if list[i].File != "" {
			one += " own"
		}
		if list[i].Hides {
			one += " hides"
		}
		got = append(got, one)
	}
	if text, want := strings.Join(got, ", "), "default.apache, default.nginx own hides, shop.apache own"; text != want {
		t.Errorf("%s\nwant %s", text, want)
	}
}

// TestTry holds that the server judges what a change would come to, in place of
// what there is, and that nothing that it reads is touched.
func TestTry(t *testing.T) {
	for name, s := range installed(t) {
		t.Run(name, func(t *testing.T) {
			old := render(t, s, example())
			if err := s.Put(t.Context(), []Change{{Domain: "example.org", Text: old}}); err != nil {
				t.Fatal(err)
			}
			before := tree(t, filepath.Dir(s.at(s.config)))
			try := func(text string) error {
				return s.Try(t.Context(), t.TempDir(), []Change{{Domain: "example.org", Text: text}})
			}
			for _, text := range []string{old, ""} {
				if err := try(text); err != nil {
					t.Error(err)
				}
			}
			err := try("NoSuchDirective on;\n")
			if err == nil || !strings.Contains(err.Error(), "NoSuchDirective") || !strings.Contains(err.Error(), "iwx-example.org.conf:1") && !strings.Contains(err.Error(), "line 1 of iwx-example.org.conf") {
				t.Errorf("%v", err)
			}
			// What another site has is part of it.
			write(t, s.File("other.example"), "OtherDirective on;\n")
			if err := try(old); err == nil || !strings.Contains(err.Error(), "OtherDirective") {
				t.Errorf("%v", err)
			}
			if err := os.Remove(s.File("other.example")); err != nil {
				t.Fatal(err)
			}
			if after := tree(t, filepath.Dir(s.at(s.config))); after != before {
				t.Errorf("it was\n%s\nand is\n%s", before, after)
			}
			write(t, s.at(s.config), "# includes nothing\n")
			if err := try(old); err == nil || !strings.Contains(err.Error(), "does not include") {
				t.Errorf("%v", err)
			}
		})
	}
}

// tree is what is in a directory, with when each file was written.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			b.WriteString(path + " " + info.ModTime().String() + "\n")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestSamples holds that what iwx brings passes with every kind of site.
func TestSamples(t *testing.T) {
	for name, s := range installed(t) {
		scratch := t.TempDir()
		samples, err := Samples(scratch, "nobody", time.Now())
		if err != nil || len(samples) != 4 {
			t.Fatalf("%v, %v", samples, err)
		}
		for _, sample := range samples {
			text, err := s.Render("default", sample.Fields)
			if err == nil {
				err = s.Try(t.Context(), t.TempDir(), []Change{{Domain: sample.Domain, Text: text}})
			}
			if err != nil {
				t.Errorf("%s, %s: %v", name, sample.Name, err)
			}
		}
	}
}

package account

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"iwx/lib/site"
)

func spec(user string, uid uint32) site.Spec {
	home := "/srv/iwx/home/" + user
	return site.Spec{Site: site.Site{Domain: user + ".example", User: user, UID: uid, Home: home, Root: home + "/public_html", Shell: "/usr/sbin/nologin"}}
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("the shadow tools need root")
	}
}

func ensure(t *testing.T, a Accounts, s site.Spec) {
	t.Helper()
	for range 2 { // the second time is nothing
		if err := a.Ensure(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		if change, err := a.Check(t.Context(), s); change != "" || err != nil {
			t.Fatalf("left to do: %q, %v", change, err)
		}
	}
}

func line(t *testing.T, a Accounts, file, name string) string {
	t.Helper()
	return strings.Join(field(a.file(file), name), ":")
}

func TestUserComesAndGoes(t *testing.T) {
	needRoot(t)
	a, s := Accounts{Root: t.TempDir()}, spec("ann", 20000)
	if change, err := a.Check(t.Context(), s); change != "make user ann (20000)" || err != nil {
		t.Errorf("%q, %v", change, err)
	}
	ensure(t, a, s)
	if got := line(t, a, "passwd", "ann"); got != "ann:x:20000:20000:ann.example:/srv/iwx/home/ann:/usr/sbin/nologin" {
		t.Error(got)
	}
	if got := line(t, a, "group", "ann"); got != "ann:x:20000:" {
		t.Error(got)
	}
	s.Shell, s.Suspended = "/bin/bash", true
	if change, _ := a.Check(t.Context(), s); change != "change user ann" {
		t.Error(change)
	}
	ensure(t, a, s)
	if got := line(t, a, "shadow", "ann"); !strings.HasPrefix(got, "ann:!:") || !strings.HasSuffix(got, ":1:") {
		t.Error(got)
	}
	s.Suspended = false
	ensure(t, a, s)
	if got := line(t, a, "passwd", "ann") + line(t, a, "shadow", "ann"); !strings.Contains(got, "/bin/bash") || strings.HasSuffix(got, ":1:") {
		t.Error(got)
	}
	s.Gone = true
	for range 2 {
		if err := a.Remove(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	if left := line(t, a, "passwd", "ann") + line(t, a, "group", "ann"); left != "" {
		t.Errorf("left: %s", left)
	}
}

func TestForeignAccountStays(t *testing.T) {
	needRoot(t)
	a := Accounts{Root: t.TempDir()}
	ensure(t, a, spec("ann", 1001))
	for _, tt := range []struct {
		spec site.Spec
		want string
	}{
		{spec("ann", 20000), "user ann exists already, with id 1001:1001 instead of 20000"},
		{spec("bob", 1001), "id 1001 of user bob belongs to user ann already"},
	} {
		if err := a.Ensure(t.Context(), tt.spec); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v, want %q", err, tt.want)
		}
		if err := a.Remove(t.Context(), tt.spec); err != nil {
			t.Error(err)
		}
	}
	if got := line(t, a, "passwd", "ann"); !strings.HasPrefix(got, "ann:x:1001:") {
		t.Errorf("the account was touched: %q", got)
	}
}

func TestToolThatFails(t *testing.T) {
	needRoot(t)
	a := Accounts{Root: t.TempDir()}
	if err := a.makeFiles(); err != nil {
		t.Fatal(err)
	}
	if err := a.run(t.Context(), "userdel", "nobodyhere"); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("%v does not say what userdel said", err)
	}
}

func TestHome(t *testing.T) {
	needRoot(t)
	h, s := Homes{Root: t.TempDir(), GID: 33}, spec("ann", 20000).Site
	for range 2 {
		if err := h.Make(t.Context(), &s); err != nil {
			t.Fatal(err)
		}
	}
	for name, mode := range map[string]os.FileMode{s.Home: os.ModeDir | homeMode, s.Root: os.ModeDir | rootMode} {
		info, err := os.Lstat(filepath.Join(h.Root, name))
		if err != nil {
			t.Fatal(err)
		}
		if st := info.Sys().(*syscall.Stat_t); info.Mode() != mode || st.Uid != 20000 || st.Gid != 33 {
			t.Errorf("%s: %v %d:%d", name, info.Mode(), st.Uid, st.Gid)
		}
	}
	outside := filepath.Join(h.Root, "outside")
	if err := os.WriteFile(outside, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(h.Root, filepath.Join(h.Root, s.Home, "link")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := h.Remove(t.Context(), &s); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(outside); err != nil {
		t.Error("a link was followed")
	}
	if _, err := os.Lstat(filepath.Join(h.Root, s.Home)); !os.IsNotExist(err) {
		t.Error("the home is left")
	}
}

// TestHomeThatIsALink holds that a user who has replaced the document root by a
// link gets nothing outside made or given to him.
func TestHomeThatIsALink(t *testing.T) {
	needRoot(t)
	h, s := Homes{Root: t.TempDir(), GID: 33}, spec("ann", 20000).Site
	outside := t.TempDir()
	if err := os.MkdirAll(filepath.Join(h.Root, s.Home), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(h.Root, s.Root)); err != nil {
		t.Fatal(err)
	}
	if err := h.Make(t.Context(), &s); err == nil || !strings.Contains(err.Error(), "no directory") {
		t.Error(err)
	}
	info, err := os.Stat(outside)
	if err != nil || info.Sys().(*syscall.Stat_t).Uid != 0 {
		t.Errorf("%v, %v", info, err)
	}
}

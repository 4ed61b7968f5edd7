package account

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"iwx/lib/site"
	"iwx/lib/testenv"
)

func spec(user string, uid uint32) site.Spec {
	home := "/srv/iwx/home/" + user
	return site.Spec{Site: site.Site{Domain: user + ".example", User: user, UID: uid, Home: home, Root: home + "/public_html", Shell: "/usr/sbin/nologin"}}
}

func ensure(t *testing.T, a Accounts, s site.Spec) {
	t.Helper()
	for range 2 { // the second time is nothing
		if err := a.Ensure(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		if what, err := a.Book().Differs(&s); what != nil || err != nil {
			t.Fatalf("left to do: %q, %v", what, err)
		}
	}
}

func differs(t *testing.T, a Accounts, s site.Spec, want ...string) {
	t.Helper()
	if what, err := a.Book().Differs(&s); !slices.Equal(what, want) || err != nil {
		t.Errorf("%q, %v, want %q", what, err, want)
	}
}

func line(t *testing.T, a Accounts, file, name string) string {
	t.Helper()
	b := a.Book()
	return strings.Join(map[string]map[string][]string{"passwd": b.users, "group": b.groups, "shadow": b.shadows}[file][name], ":")
}

func TestUserComesAndGoes(t *testing.T) {
	testenv.NeedRoot(t)
	a, s := Accounts{Root: t.TempDir()}, spec("ann", 20000)
	differs(t, a, s, "user ann is missing")
	ensure(t, a, s)
	if got := line(t, a, "passwd", "ann"); got != "ann:x:20000:20000:ann.example:/srv/iwx/home/ann:/usr/sbin/nologin" {
		t.Error(got)
	}
	if got := line(t, a, "group", "ann"); got != "ann:x:20000:" {
		t.Error(got)
	}
	s.Shell, s.Suspended = "/bin/bash", true
	differs(t, a, s, "user ann has shell /usr/sbin/nologin instead of /bin/bash", "user ann is not locked out, and its site is suspended")
	ensure(t, a, s)
	if got := line(t, a, "shadow", "ann"); !strings.HasPrefix(got, "ann:!:") || !strings.HasSuffix(got, ":1:") {
		t.Error(got)
	}
	s.Suspended = false
	differs(t, a, s, "user ann expires on day 1 of shadow(5), and its site is not suspended")
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

// TestNoSubordinateIDs holds that sites do not use up the ranges of subuid(5), and
// that a group that is there already, of an earlier run that was cut short, is the
// user's.
func TestNoSubordinateIDs(t *testing.T) {
	testenv.NeedRoot(t)
	a, s := Accounts{Root: t.TempDir()}, spec("ann", 70000) // above GID_MAX of login.defs(5)
	if err := os.Mkdir(filepath.Join(a.Root, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"subuid": "", "subgid": "", "group": "bob:x:20001:\n"} {
		if err := os.WriteFile(filepath.Join(a.Root, "etc", name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	ensure(t, a, s)
	ensure(t, a, spec("bob", 20001))
	for _, name := range []string{"subuid", "subgid"} {
		if text, err := os.ReadFile(filepath.Join(a.Root, "etc", name)); len(text) > 0 || err != nil {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
}

// TestGroupAlone holds that a group that was removed by hand is told of, and made
// again.
func TestGroupAlone(t *testing.T) {
	testenv.NeedRoot(t)
	a, s := Accounts{Root: t.TempDir()}, spec("ann", 20000)
	ensure(t, a, s)
	if err := os.WriteFile(filepath.Join(a.Root, "etc/group"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	differs(t, a, s, "group ann is missing")
	ensure(t, a, s)
}

func TestForeignAccountStays(t *testing.T) {
	testenv.NeedRoot(t)
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
		if what, err := a.Book().Differs(&tt.spec); what != nil || err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q, %v, want %q", what, err, tt.want)
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
	testenv.NeedRoot(t)
	a := Accounts{Root: t.TempDir()}
	if err := a.makeFiles(); err != nil {
		t.Fatal(err)
	}
	if err := a.run(t.Context(), "userdel", "nobodyhere"); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("%v does not say what userdel said", err)
	}
}

func TestHome(t *testing.T) {
	testenv.NeedRoot(t)
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

func TestHomesDiffer(t *testing.T) {
	testenv.NeedRoot(t)
	h := Homes{Root: t.TempDir()}
	var sites []*site.Site
	for i, user := range []string{"ann", "bob", "cat", "dan"} {
		s := spec(user, uint32(20000+i)).Site
		if err := h.Make(t.Context(), &s); err != nil {
			t.Fatal(err)
		}
		sites = append(sites, &s)
	}
	if what, err := h.Differ(t.Context(), sites); len(what) != 0 || err != nil {
		t.Errorf("%v, %v", what, err)
	}
	at := func(i int) string { return filepath.Join(h.Root, sites[i].Home) }
	for _, err := range []error{os.RemoveAll(at(1)), os.RemoveAll(at(2)), os.Symlink(at(0), at(2)), os.Chown(at(3), 7, 7)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	what, err := h.Differ(t.Context(), sites)
	want := map[string]HomeFault{
		"bob.example": {"its home is missing: /srv/iwx/home/bob", false},
		"cat.example": {"its home is no directory: /srv/iwx/home/cat", true},
		"dan.example": {"its home belongs to id 7 instead of 20003: /srv/iwx/home/dan", true},
	}
	if !maps.Equal(what, want) || err != nil {
		t.Errorf("%v, %v", what, err)
	}
}

// TestHomeThatIsALink holds that a user who has replaced the document root by a
// link gets nothing outside made or given to him.
func TestHomeThatIsALink(t *testing.T) {
	testenv.NeedRoot(t)
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

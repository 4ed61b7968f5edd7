package account

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"iwx/lib/site"
	"iwx/lib/testenv"
)

// homeFor makes the home of a site below a root directory of its own.
func homeFor(t *testing.T) (Homes, *site.Site) {
	t.Helper()
	h, s := Homes{Root: t.TempDir(), GID: 33}, spec("ann", 20000)
	if err := h.Make(t.Context(), &s.Site); err != nil {
		t.Fatal(err)
	}
	return h, &s.Site
}

func put(t *testing.T, path, text string, mode os.FileMode, uid, gid int) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(path, uid, gid); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// TestFill holds what a copy is: the user's, for the web server what it was, with
// its links as they were and without what is no file.
func TestFill(t *testing.T) {
	testenv.NeedRoot(t)
	h, s := homeFor(t)
	from := filepath.Join(t.TempDir(), "www")
	put(t, filepath.Join(from, "index.html"), "hello", 0o644, 1001, 1001)
	put(t, filepath.Join(from, "by-group"), "", 0o640, 1001, 33)
	put(t, filepath.Join(from, "uploads/photo"), "x", 0o600, 33, 33)
	put(t, filepath.Join(from, "secret"), "", 0o4600, 1001, 1001)
	if err := os.Link(filepath.Join(from, "index.html"), filepath.Join(from, "same.html")); err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]string{"passwd": "/etc/passwd", "uploads/up": "../index.html", "out": "../../x"} {
		if err := os.Symlink(to, filepath.Join(from, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mkfifo(filepath.Join(from, "pipe"), 0o644); err != nil {
		t.Fatal(err)
	}
	socket, err := net.Listen("unix", filepath.Join(from, "socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	old := time.Date(2020, 2, 3, 4, 5, 6, 789, time.UTC)
	if err := os.Chtimes(filepath.Join(from, "index.html"), old, old); err != nil {
		t.Fatal(err)
	}
	checkSurvey(t, from)
	if err := h.Fill(t.Context(), from, Reader{33, 33}, s); err != nil {
		t.Fatal(err)
	}
	target := filepath.Join(h.Root, s.Root)
	want := strings.Fields("by-group:640 index.html:644 out:777 passwd:777 same.html:644 secret:600 uploads:2755 uploads/photo:660 uploads/up:777")
	if got := modes(t, target); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if info, err := os.Stat(filepath.Join(target, "index.html")); err != nil || !info.ModTime().Equal(old) {
		t.Errorf("%v, %v", info.ModTime(), err)
	}
	if to, err := os.Readlink(filepath.Join(target, "passwd")); to != "/etc/passwd" {
		t.Errorf("%q, %v", to, err)
	}
	if err := h.Fill(t.Context(), from, Reader{33, 33}, s); err == nil || !strings.Contains(err.Error(), "file exists") {
		t.Errorf("a second copy over the first: %v", err)
	}
}

func checkSurvey(t *testing.T, from string) {
	t.Helper()
	dir, err := OpenContent(from)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	c, err := Survey(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(c.LeftOut)
	slices.Sort(c.Outside)
	if got := fmt.Sprint(c.Bytes, c.Files, c.LeftOut, c.Outside); got != "11 9 [pipe socket] [out passwd]" {
		t.Error(got)
	}
}

// modes are the names below a directory with their modes, all the user's.
func modes(t *testing.T, dir string) (list []string) {
	t.Helper()
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		var st unix.Stat_t
		if err == nil {
			err = unix.Lstat(path, &st)
		}
		if st.Uid != 20000 || st.Gid != 33 {
			t.Errorf("%s is %d:%d's", path, st.Uid, st.Gid)
		}
		if path != dir {
			name, _ := filepath.Rel(dir, path)
			list = append(list, fmt.Sprintf("%s:%o", name, st.Mode&0o7777))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestOpenContentFollowsNoLink holds that no link of a user's leads root astray,
// wherever on the way it is.
func TestOpenContentFollowsNoLink(t *testing.T) {
	testenv.NeedRoot(t)
	dir := t.TempDir()
	put(t, filepath.Join(dir, "real/www/index.html"), "", 0o644, 0, 0)
	if err := os.Symlink("real", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"link/www": "has a link on its way", "link": "has a link on its way", "none": "is not there", "real/www": ""} {
		f, err := OpenContent(filepath.Join(dir, path))
		if err == nil {
			f.Close()
		}
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
}

package atomicfile

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
)

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

func TestWriteReplacesContentAndMode(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "key")
	if err := os.WriteFile(path, []byte("old and longer"), 0o644); err != nil {
		t.Fatal(err)
	}
	old := syscall.Umask(0o077)
	err := Write(path, []byte("new"), 0o640)
	syscall.Umask(old)
	if err != nil {
		t.Fatal(err)
	}
	data, _ := os.ReadFile(path)
	info, _ := os.Stat(path)
	if string(data) != "new" || info.Mode().Perm() != 0o640 {
		t.Errorf("got %q with mode %o", data, info.Mode().Perm())
	}
	if list := names(t, dir); len(list) != 1 {
		t.Errorf("left behind: %v", list)
	}
}

func TestModeIsSetBeforeContent(t *testing.T) {
	f, err := Create(filepath.Join(t.TempDir(), "secret"), 0o400)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Mode().Perm() != 0o400 || info.Size() != 0 {
		t.Errorf("temporary file: %v, %v", info, err)
	}
}

func TestSetuidSurvivesChown(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tool")
	f, err := Create(path, 0o755|fs.ModeSetuid)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Chown(os.Getuid(), os.Getgid()); err != nil {
		t.Fatal(err)
	}
	if err := f.Commit(); err != nil {
		t.Fatal(err)
	}
	if info, _ := os.Stat(path); info.Mode()&fs.ModeSetuid == 0 {
		t.Errorf("mode is %v", info.Mode())
	}
}

func TestFailedWriteLeavesTheOldFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "conf")
	if err := Write(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("line went dead")
	r := io.MultiReader(strings.NewReader("half"), iotest.ErrReader(broken))
	if err := WriteReader(path, r, 0o600); !errors.Is(err, broken) {
		t.Errorf("error is %v", err)
	}
	if data, _ := os.ReadFile(path); string(data) != "old" {
		t.Errorf("content is %q", data)
	}
	if list := names(t, dir); len(list) != 1 {
		t.Errorf("left behind: %v", list)
	}
}

func TestRenameOntoDirectoryCleansUp(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "taken")
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	err := Write(path, []byte("x"), 0o600)
	if err == nil || !strings.HasPrefix(err.Error(), "write "+path+": ") || strings.Contains(err.Error(), ".tmp") {
		t.Errorf("error is %v", err)
	}
	if list := names(t, dir); len(list) != 1 {
		t.Errorf("left behind: %v", list)
	}
}

func TestCommitTwiceAndCloseAfterCommit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "once")
	f, err := Create(path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := f.Commit(); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("second commit: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Errorf("close after commit: %v", err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}

func TestCreateNeedsDirectoryAndName(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{filepath.Join(dir, "none", "f"), dir + "/", ""} {
		if f, err := Create(path, 0o600); err == nil {
			f.Close()
			t.Errorf("%q was accepted", path)
		}
	}
}

func TestMkdirAllSetsTheExactMode(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "var", "lib", "iwx")
	for _, mode := range []fs.FileMode{0o700, 0o700, 0o750} {
		if err := MkdirAll(dir, mode); err != nil {
			t.Fatal(err)
		}
		if info, _ := os.Stat(dir); info.Mode().Perm() != mode {
			t.Errorf("mode is %o, want %o", info.Mode().Perm(), mode)
		}
	}
	file := filepath.Join(dir, "file")
	if err := Write(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := MkdirAll(file, 0o700); err == nil {
		t.Error("a file passed for a directory")
	}
}

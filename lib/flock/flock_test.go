package flock

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"iwx/lib/testenv"
)

// open opens a file anew: locks belong to open files, so that one process can have
// several that are in each other's way.
func open(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestLocks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	if held, err := Held(path); held || err != nil {
		t.Errorf("a missing file: %t, %v", held, err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	none := func(*os.File) error { return nil }
	for name, path := range map[string]string{"file": path, "directory": filepath.Dir(path)} {
		tests := []struct {
			name        string
			one         func(*os.File) error
			lock, share bool // whether another gets the lock then
			held        bool
		}{
			{"nothing", none, true, true, false},
			{"Lock", Lock, false, false, true},
			{"TryLock", TryLock, false, false, true},
			{"TryShare", TryShare, false, true, false},
			{"Unlock", Unlock, true, true, false},
			{"Lock, then TryShare", func(f *os.File) error { return errors.Join(Lock(f), TryShare(f)) }, false, true, false},
			{"TryShare, then TryLock", func(f *os.File) error { return errors.Join(TryShare(f), TryLock(f)) }, false, false, true},
			{"Lock, then Unlock", func(f *os.File) error { return errors.Join(Lock(f), Unlock(f), Unlock(f)) }, true, true, false},
			{"Lock, then Close", func(f *os.File) error { return errors.Join(Lock(f), f.Close()) }, true, true, false},
		}
		for _, tt := range tests {
			one, other := open(t, path), open(t, path)
			if err := tt.one(one); err != nil {
				t.Fatalf("%s: %s: %v", name, tt.name, err)
			}
			if held, err := Held(path); held != tt.held || err != nil {
				t.Errorf("%s: %s: held %t, %v", name, tt.name, held, err)
			}
			for _, try := range []struct {
				take func(*os.File) error
				gets bool
			}{{TryLock, tt.lock}, {TryShare, tt.share}} {
				err := try.take(other)
				if try.gets != (err == nil) || !try.gets && !errors.Is(err, ErrTaken) {
					t.Errorf("%s: %s: another gets %v", name, tt.name, err)
				}
				if err := Unlock(other); err != nil {
					t.Error(err)
				}
			}
			one.Close()
		}
	}
}

// TestLockWaits: a lock is got once the other has given it back.
func TestLockWaits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	first, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if err := Lock(first); err != nil {
		t.Fatal(err)
	}
	second, got := open(t, path), make(chan error, 1)
	go func() { got <- Lock(second) }()
	info, err := second.Stat()
	if err != nil {
		t.Fatal(err)
	}
	inode := fmt.Sprintf(":%d ", info.Sys().(*syscall.Stat_t).Ino)
	testenv.Until(t, "somebody waits for the lock", func() bool {
		text, err := os.ReadFile("/proc/locks")
		for line := range strings.Lines(string(text)) {
			if strings.Contains(line, " -> FLOCK ") && strings.Contains(line, inode) {
				return true
			}
		}
		return err != nil
	})
	if err := Unlock(first); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-got:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(testenv.Wait()):
		t.Fatal("the lock was not got")
	}
}

// TestErrors: an error names the file.
func TestErrors(t *testing.T) {
	f := open(t, t.TempDir())
	f.Close()
	var named *fs.PathError
	if err := TryLock(f); !errors.As(err, &named) || named.Path != f.Name() || !errors.Is(err, unix.EBADF) {
		t.Errorf("a closed file: %v", err)
	}
	if _, err := Open(filepath.Join(f.Name(), "none", "lock")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a lock in no directory: %v", err)
	}
	if held, err := Held(filepath.Join("/dev/null", "lock")); held || err == nil {
		t.Errorf("a path below a file: %t, %v", held, err)
	}
}

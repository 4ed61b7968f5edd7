package daemon

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"iwx/lib/fault"
	"iwx/lib/testenv"
)

func itoa(n int) string { return strconv.Itoa(n) }

func awaitWake(t *testing.T, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(testenv.Wait()):
		t.Fatal("not woken")
	}
}

func TestPokeWakes(t *testing.T) {
	long := filepath.Join(t.TempDir(), strings.Repeat("d", 100), strings.Repeat("e", 100))
	for _, dir := range []string{t.TempDir(), long} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		w, err := Listen(dir)
		if err != nil {
			t.Fatal(err)
		}
		if info, err := os.Lstat(filepath.Join(dir, "wake")); err != nil || info.Mode() != os.ModeSocket|0o600 {
			t.Errorf("socket: %v, %v", info, err)
		}
		if !Alive(dir) {
			t.Error("not alive while it listens")
		}
		Poke(dir)
		awaitWake(t, w.C)
		for range 5000 { // more than the socket holds: none of them blocks
			Poke(dir)
		}
		awaitWake(t, w.C)
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Lstat(filepath.Join(dir, "wake")); !os.IsNotExist(err) {
			t.Errorf("socket after close: %v", err)
		}
		if Alive(dir) {
			t.Error("alive after close")
		}
		Poke(dir)
	}
	Poke(filepath.Join(long, "none"))
	if Alive(filepath.Join(long, "none")) {
		t.Error("alive in a directory that is not there")
	}
}

func TestListenReplacesOnlyADeadSocket(t *testing.T) {
	dir := t.TempDir()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: filepath.Join(dir, "wake")}); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(dir); fault.CodeOf(err) != fault.Busy {
		t.Errorf("alive: %v", err)
	}
	unix.Close(fd) // the file stays, as after kill -9
	w, err := Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	Poke(dir)
	awaitWake(t, w.C)
}

func TestListenNeedsItsDirectory(t *testing.T) {
	for _, dir := range []string{filepath.Join(t.TempDir(), "none"), filepath.Join(t.TempDir(), strings.Repeat("n", 200))} {
		if _, err := Listen(dir); err == nil {
			t.Errorf("%s: listening in no directory", dir)
		}
	}
	if _, err := Lock(filepath.Join(t.TempDir(), "none", "lock"), "sample"); err == nil {
		t.Error("a lock in no directory")
	}
}

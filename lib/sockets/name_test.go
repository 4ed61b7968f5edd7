package sockets

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestName: a socket can be bound and connected to by its name, however long the path.
func TestName(t *testing.T) {
	for _, length := range []int{60, 106, 107, 108, 109, 255, 1000} {
		path := t.TempDir()
		for len(path) < length-len("/sock")-1 {
			path = filepath.Join(path, strings.Repeat("d", min(200, length-len("/sock")-1-len(path))))
		}
		if err := os.MkdirAll(path, 0o700); err != nil {
			t.Fatal(err)
		}
		base := strings.Repeat("s", max(1, length-len(path)-1))
		name, release, err := Name(path, base)
		if err != nil {
			t.Fatal(err)
		}
		full := filepath.Join(path, base)
		if short := len(full) <= 107; short != (name == full) {
			t.Errorf("a path of %d bytes has the name %s", len(full), name)
		}
		l, err := net.Listen("unix", name)
		if err != nil {
			t.Fatalf("a path of %d bytes: %v", len(full), err)
		}
		if info, err := os.Lstat(full); err != nil || info.Mode().Type() != os.ModeSocket {
			t.Errorf("a path of %d bytes: %v, %v", len(full), info, err)
		}
		conn, err := net.Dial("unix", name)
		if err != nil {
			t.Fatalf("a path of %d bytes: %v", len(full), err)
		}
		conn.Close()
		l.Close()
		release()
		if name != full {
			if _, err := os.Lstat(filepath.Dir(name) + "/."); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s is valid after its release: %v", name, err)
			}
		}
	}
	for _, dir := range []string{filepath.Join(t.TempDir(), strings.Repeat("n", 200)), "/dev/null/" + strings.Repeat("n", 200)} {
		if name, release, err := Name(dir, "s"); err == nil {
			release()
			t.Errorf("%s: %s", dir, name)
		}
	}
}

package state_test

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"iwx/lib/fault"
	"iwx/lib/state"
)

// closedManager makes a manager's state with some entries and closes it.
func closedManager(t *testing.T) (path string) {
	t.Helper()
	s := newManager(t)
	for range 200 {
		if _, err := s.Append(t.Context(), draft(strings.Repeat("x", 1000))); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return s.Path()
}

// overwrite writes garbage over a part of the file, in 4096-byte pages.
func overwrite(t *testing.T, path string, page, pages int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	garbage := strings.Repeat("garbage!", int(pages)*4096/8)
	if _, err := f.WriteAt([]byte(garbage), page*4096); err != nil {
		t.Fatal(err)
	}
}

// wantFault checks an error's text, code and hint.
func wantFault(t *testing.T, err error, code fault.Code, text, hint string) {
	t.Helper()
	if err == nil || fault.CodeOf(err) != code || !strings.Contains(err.Error(), text) || !strings.Contains(fault.HintOf(err), hint) {
		t.Errorf("got %v (code %d, hint %q), want %q (code %d, hint %q)", err, fault.CodeOf(err), fault.HintOf(err), text, code, hint)
	}
}

func TestOpenWithoutState(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	_, err := state.Open(t.Context(), path)
	wantFault(t, err, fault.Failed, "not part of a cluster: there is no "+path, "iwx-cluster-setup manager")
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 0 {
		t.Errorf("it left %v", left)
	}
}

func TestOpenWithoutPermission(t *testing.T) {
	t.Parallel()
	path := closedManager(t)
	mode := os.FileMode(0o600)
	if os.Getuid() == 0 {
		// The child becomes nobody, which can reach the file but not read it.
		for _, dir := range []string{filepath.Dir(path), filepath.Dir(filepath.Dir(path))} {
			if err := os.Chmod(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
	} else {
		mode = 0
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	out, err := again(t, "open", path).Output()
	if err == nil || !strings.Contains(string(out), "no permission to open "+path) {
		t.Errorf("%v, %q", err, out)
	}
}

func TestOpenDamaged(t *testing.T) {
	t.Parallel()
	t.Run("header", func(t *testing.T) {
		t.Parallel()
		path := closedManager(t)
		overwrite(t, path, 0, 1)
		_, err := state.Open(t.Context(), path)
		wantFault(t, err, fault.Failed, path+" is damaged", "iwx-cluster-setup restore")
	})
	t.Run("not a database", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "state.db")
		if err := os.WriteFile(path, []byte(strings.Repeat("this is a letter to my aunt\n", 100)), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := state.Open(t.Context(), path)
		wantFault(t, err, fault.Failed, path+" is damaged", "iwx-cluster-setup restore")
	})
	t.Run("pages in the middle", func(t *testing.T) {
		t.Parallel()
		path := closedManager(t)
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		overwrite(t, path, info.Size()/4096/4, info.Size()/4096/2)
		s, err := state.Open(t.Context(), path)
		if err == nil {
			defer s.Close()
			_, err = s.Records(t.Context(), 0, 1000, 1<<30)
		}
		wantFault(t, err, fault.Failed, path+" is damaged", "iwx-cluster-setup restore")
	})
	t.Run("cut off", func(t *testing.T) {
		t.Parallel()
		path := closedManager(t)
		if err := os.Truncate(path, 5*4096); err != nil {
			t.Fatal(err)
		}
		s, err := state.Open(t.Context(), path)
		if err == nil {
			defer s.Close()
			_, err = s.Records(t.Context(), 0, 1000, 1<<30)
		}
		wantFault(t, err, fault.Failed, path+" is damaged", "iwx-cluster-setup restore")
	})
}

func TestOpenNewer(t *testing.T) {
	t.Parallel()
	path := closedManager(t)
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("PRAGMA user_version = 99"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = state.Open(t.Context(), path)
	wantFault(t, err, fault.Failed, "written by a newer iwx (schema 99", "upgrade iwx")
}

// TestOpenEmpty: setup was killed just after it made the file.
func TestOpenEmpty(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, path)
	_, err := s.Identity(t.Context())
	wantFault(t, err, fault.Failed, "not part of a cluster yet", "run the iwx-cluster-setup command again")
	if !errors.Is(err, state.ErrNotSetUp) {
		t.Errorf("%v is not ErrNotSetUp", err)
	}
}

// TestCreateTwice: what is there is kept, and read by the owner alone.
func TestCreateTwice(t *testing.T) {
	t.Parallel()
	path := closedManager(t)
	s, err := state.Create(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Append(t.Context(), draft("one more")); err != nil {
		t.Fatal(err)
	}
	if n := len(verify(t, s)); n != 201 {
		t.Errorf("%d entries, want 201", n)
	}
	err = filepath.WalkDir(filepath.Dir(path), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm() != 0o600 {
			t.Errorf("%s is %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestCancelledViews: a caller that gives up in the middle of a read leaves a
// connection that works.
func TestCancelledViews(t *testing.T) {
	t.Parallel()
	s := open(t, closedManager(t))
	for i := range 300 {
		ctx, cancel := context.WithCancel(t.Context())
		go cancel()
		if i%3 == 0 {
			cancel()
		}
		_, _ = s.Records(ctx, 0, 1000, 1<<20) // the error is the caller's
		cancel()
	}
	for range 20 {
		if list, err := s.Records(t.Context(), 0, 1000, 1<<30); err != nil || len(list) != 200 {
			t.Fatalf("%d records, %v", len(list), err)
		}
	}
	if _, err := s.Append(t.Context(), draft("x")); err != nil {
		t.Fatal(err)
	}
}

// The packages' scripts read the schema from the file's header (at 60,
// sqlite.org/fileformat.html), also while a daemon has the file open.
func TestHeaderTellsTheSchema(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	s, err := state.Create(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	migrations, err := filepath.Glob("migration/*.sql")
	if err != nil || len(migrations) == 0 {
		t.Fatalf("%v, %v", migrations, err)
	}
	data, err := os.ReadFile(path)
	if err != nil || len(data) < 100 {
		t.Fatalf("%d bytes, %v", len(data), err)
	}
	if got := binary.BigEndian.Uint32(data[60:]); got != uint32(len(migrations)) {
		t.Errorf("schema %d, want %d", got, len(migrations))
	}
}

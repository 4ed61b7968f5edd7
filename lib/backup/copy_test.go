package backup_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"iwx/lib/backup"
	"iwx/lib/profile"
)

// source is a manager that has one backup.
type source struct {
	text  string
	err   error
	asked []string
}

func (m *source) fetch(_ context.Context, name string, w io.Writer) error {
	m.asked = append(m.asked, name)
	for chunk := range slices.Chunk([]byte(m.text), 7) {
		if _, err := w.Write(chunk); err != nil {
			return err
		}
	}
	return m.err
}

func copier(s backup.Shelf, m *source) backup.Copier {
	return backup.Copier{Shelf: s, Fetch: m.fetch, Now: func() time.Time { return noon }}
}

// want is the item for a backup with that text, made at noon.
func want(t *testing.T, s backup.Shelf, text string, keep int) profile.Item {
	t.Helper()
	sum := sha256.Sum256([]byte(text))
	item, err := backup.Copy{File: s.Name(noon), Size: int64(len(text)), SHA256: hex.EncodeToString(sum[:]), Keep: keep}.Item()
	if err != nil {
		t.Fatal(err)
	}
	return item
}

func TestCopy(t *testing.T) {
	s, m := shelf(t, 1, 2, 3), &source{text: "what is sealed"}
	item := want(t, s, m.text, 3)
	c := copier(s, m)
	if change, err := c.Check(t.Context(), item); err != nil || !strings.Contains(change, "copy "+s.Name(noon)+" from the manager (14 bytes)") {
		t.Errorf("%q, %v", change, err)
	}
	for range 2 {
		if err := c.Apply(t.Context(), item); err != nil {
			t.Fatal(err)
		}
	}
	if change, err := c.Check(t.Context(), item); err != nil || change != "" || len(m.asked) != 1 {
		t.Errorf("%q, %v, asked for %v", change, err, m.asked)
	}
	data, err := os.ReadFile(s.Path(s.Name(noon)))
	info, err2 := os.Stat(s.Path(s.Name(noon)))
	if err != nil || err2 != nil || string(data) != m.text || info.Mode().Perm() != 0o600 {
		t.Errorf("%q, %v, %v, %v", data, info.Mode(), err, err2)
	}
	if list, err := s.List(noon); err != nil || len(list) != 3 || list[2].Name != s.Name(noon.AddDate(0, 0, -2)) {
		t.Errorf("%v, %v", list, err)
	}
	if err := c.Remove(t.Context(), item); err != nil {
		t.Fatal(err)
	}
	if list, err := s.List(noon); err != nil || len(list) != 0 {
		t.Errorf("%v, %v", list, err)
	}
}

// A manager that was restored has no backup yet: the copies stay.
func TestCopyOfNone(t *testing.T) {
	s, m := shelf(t, 0, 1), &source{}
	item, err := backup.Copy{Keep: 7}.Item()
	if err != nil {
		t.Fatal(err)
	}
	if change, err := copier(s, m).Check(t.Context(), item); change != "" || err != nil {
		t.Errorf("%q, %v", change, err)
	}
	item, err = backup.Copy{Keep: 1}.Item()
	if err != nil {
		t.Fatal(err)
	}
	change, err := copier(s, m).Check(t.Context(), item)
	if err != nil || !strings.HasPrefix(change, "remove all but 1 of the 2 copies") {
		t.Errorf("%q, %v", change, err)
	}
	if err := copier(s, m).Apply(t.Context(), item); err != nil {
		t.Fatal(err)
	}
	if list, err := s.List(noon); err != nil || len(list) != 1 || list[0].Name != s.Name(noon) || m.asked != nil {
		t.Errorf("%v, %v", list, err)
	}
}

// What does not arrive as it was promised is not kept, and takes nothing away.
func TestCopyFails(t *testing.T) {
	tests := []struct {
		name, text string
		err        error
		want       string
	}{
		{"cut off", "what is", nil, "the manager sent 7 bytes of 14"},
		{"the network", "what", errors.New("the manager cannot be reached"), "cannot be reached"},
		{"changed", "what is SEALED", nil, "as in its profile"},
		{"too long", "what is sealed, and more", nil, "sends more than"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, m := shelf(t, 1, 2), &source{text: tt.text, err: tt.err}
			before := names(t, s.Dir)
			if err := copier(s, m).Apply(t.Context(), want(t, s, "what is sealed", 1)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v", err)
			}
			if after := names(t, s.Dir); !slices.Equal(before, after) {
				t.Errorf("left %v, was %v", after, before)
			}
		})
	}
}

func TestCopyItems(t *testing.T) {
	s := shelf(t, 0)
	sum := strings.Repeat("0", 64)
	tests := []struct {
		copy backup.Copy
		want string
	}{
		{backup.Copy{Keep: 0}, "the number of copies, 0, is out of range 1..365"},
		{backup.Copy{Keep: 366}, "the number of copies, 366, is out of range"},
		{backup.Copy{File: "../../etc/passwd", Size: 1, SHA256: sum, Keep: 1}, "is not the name of a backup of cluster demo"},
		{backup.Copy{File: "iwx-other-20261123T120000Z.backup", Size: 1, SHA256: sum, Keep: 1}, "is not the name of a backup of cluster demo"},
		{backup.Copy{File: s.Name(noon), Size: 0, SHA256: sum, Keep: 1}, "size 0"},
		{backup.Copy{File: s.Name(noon), Size: 1 << 50, SHA256: sum, Keep: 1}, "size 1125899906842624"},
		{backup.Copy{File: s.Name(noon), Size: 1, SHA256: "00", Keep: 1}, `SHA-256 "00"`},
	}
	for _, tt := range tests {
		item, err := tt.copy.Item()
		if err != nil {
			t.Fatal(err)
		}
		m := &source{}
		_, checked := copier(s, m).Check(t.Context(), item)
		applied := copier(s, m).Apply(t.Context(), item)
		for _, err := range []error{checked, applied} {
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%+v: %v, want %q", tt.copy, err, tt.want)
			}
		}
		if m.asked != nil {
			t.Errorf("%+v: it asked for %v", tt.copy, m.asked)
		}
	}
}

// Nodes send names; only backups of the cluster are opened by them.
func TestOpenByName(t *testing.T) {
	s := shelf(t, 0, 1)
	f, size, err := s.Open(s.Name(noon))
	if err != nil || size != int64(len(s.Name(noon))) {
		t.Fatalf("%d, %v", size, err)
	}
	f.Close()
	if err := os.Symlink("/etc/passwd", s.Path(s.Name(noon.AddDate(0, 0, -5)))); err != nil {
		t.Fatal(err)
	}
	for _, name := range append(others(), "", "..", "../"+filepath.Base(s.Dir), s.Name(noon.AddDate(0, 0, -5)), s.Name(noon.AddDate(0, 0, -9))) {
		if f, _, err := s.Open(name); err == nil {
			f.Close()
			t.Errorf("%q is opened", name)
		}
	}
	if _, _, err := (backup.Shelf{Dir: "/missing", Cluster: "demo"}).Open(s.Name(noon)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

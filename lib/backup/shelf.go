package backup

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Shelf is the directory where a server keeps the daily backups of a cluster: on
// the manager those it made, on a node its copies. What else lies there is never
// touched, the backups of other clusters included.
type Shelf struct {
	Dir     string
	Cluster string // its name
}

// Kept is a backup on a shelf.
type Kept struct {
	Name string
	At   time.Time // when it was made, as its name says
	Size int64     // bytes
}

const (
	stampForm = "20060102T150405Z" // sorts as the time does
	suffix    = ".backup"
	maxPart   = 64 // bytes of the cluster's name: a file's may have 255
)

func (s Shelf) prefix() string { return "iwx-" + s.Cluster[:min(len(s.Cluster), maxPart)] + "-" }

// Name returns the name of a backup that is made at a time.
func (s Shelf) Name(at time.Time) string {
	return s.prefix() + at.UTC().Format(stampForm) + suffix
}

// Path returns where the backup of that name lies.
func (s Shelf) Path(name string) string { return filepath.Join(s.Dir, name) }

// Time returns when the backup of that name was made, and whether it is the
// name of one of this cluster. Such a name has no slash in it.
func (s Shelf) Time(name string) (at time.Time, ok bool) {
	stamp, begins := strings.CutPrefix(name, s.prefix())
	stamp, ends := strings.CutSuffix(stamp, suffix)
	at, err := time.Parse(stampForm, stamp)
	return at, begins && ends && err == nil
}

// List returns the backups on the shelf, the newest first. One that is of after
// now was made when the clock was wrong, and counts as the oldest, or it would
// hide the good ones for as long. A shelf that is not there is empty.
func (s Shelf) List(now time.Time) ([]Kept, error) {
	entries, err := os.ReadDir(s.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var list []Kept
	for _, e := range entries {
		at, ok := s.Time(e.Name())
		if !ok || !e.Type().IsRegular() {
			continue
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed meanwhile
		}
		if err != nil {
			return nil, err
		}
		list = append(list, Kept{Name: e.Name(), At: at, Size: info.Size()})
	}
	slices.SortStableFunc(list, func(a, b Kept) int {
		if wrong := a.At.After(now); wrong != b.At.After(now) {
			if wrong {
				return 1
			}
			return -1
		}
		return b.At.Compare(a.At)
	})
	return list, nil
}

// Rotate removes all but the keep newest backups, of which latest is one
// whatever its name says. It is for when latest is whole and on the disk; then
// there is always a good one. It also removes what writers that were killed
// have left, so nobody else may be writing to the shelf.
func (s Shelf) Rotate(keep int, latest string, now time.Time) (removed []string, err error) {
	list, err := s.List(now)
	if err != nil {
		return nil, err
	}
	list = slices.DeleteFunc(list, func(k Kept) bool { return k.Name == latest })
	var failed []error
	for _, k := range list[min(len(list), max(keep-1, 0)):] {
		if err := os.Remove(s.Path(k.Name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			failed = append(failed, err)
			continue
		}
		removed = append(removed, k.Name)
	}
	return removed, errors.Join(append(failed, s.sweep())...)
}

// sweep removes the temporary files of atomicfile that were to be backups.
func (s Shelf) sweep() error {
	return s.removeAll(func(name string) bool {
		whole, _, found := strings.Cut(strings.TrimPrefix(name, "."), suffix+".")
		_, ours := s.Time(whole + suffix)
		return found && ours && strings.HasPrefix(name, ".") && strings.HasSuffix(name, ".tmp")
	})
}

// Clear removes every backup of the cluster from the shelf, and the directory
// if it is empty then. Doing it twice is nothing.
func (s Shelf) Clear() error {
	err := s.removeAll(func(name string) bool { _, ours := s.Time(name); return ours })
	if err = errors.Join(err, s.sweep()); err != nil {
		return err
	}
	_ = os.Remove(s.Dir) // fails when there is anything in it, as it should
	return nil
}

func (s Shelf) removeAll(ours func(name string) bool) error {
	entries, err := os.ReadDir(s.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var failed []error
	for _, e := range entries {
		if !ours(e.Name()) {
			continue
		}
		if err := os.Remove(s.Path(e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

// Sum returns the size and the SHA-256 of the file at path, in hexadecimal.
func Sum(path string) (size int64, sum string, err error) {
	f, err := FileAt(filepath.Base(path), path)
	if err != nil {
		return 0, "", err
	}
	return digest(f)
}

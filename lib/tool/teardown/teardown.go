// Package teardown takes back what setup made of a server, by the notes that
// were made before each thing was made. It is what `iwx-cluster-setup reset`
// does, and the daemon of a node that the manager has deleted.
//
// It does not tell the manager, and it does not take back the node profile:
// both come before it, while there are still keys and a state.
package teardown

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"iwx/lib/conf"
	"iwx/lib/host"
	"iwx/lib/state"
)

// The kinds of things that setup notes.
const (
	File      = "file"      // removed, unless somebody has edited it
	Directory = "directory" // removed with what is in it if that is ours alone, else when it is empty
	Unit      = "unit"      // no longer started at boot, and stopped where that is not this process
)

// Server is what is taken down.
type Server struct {
	host.Paths
	Store *state.Store // open; nil after All has succeeded

	// EndUnit keeps a unit from being started at boot. Stopping it is its
	// affair: a daemon that takes down its own server must not.
	EndUnit func(ctx context.Context, name string) error
}

// Note writes down what is about to be made. Paths are noted as they are below
// the root: a copy of a root is not to take down the original. Noting a thing
// twice is nothing.
func Note(ctx context.Context, store *state.Store, paths host.Paths, kind, target string, now time.Time) error {
	return store.RecordUndo(ctx, kind, strings.TrimPrefix(target, paths.Root), now)
}

// Target is what was noted, as it is called here: a path below the root, or the
// name of a unit.
func (s *Server) Target(u state.Undo) string {
	if u.Kind == Unit {
		return u.Target
	}
	return filepath.Join(s.Root, u.Target)
}

// All takes back what was noted, the last first, and then removes the state
// itself. It goes on after a failure but then keeps the state, so that it can be
// repeated. It returns what was left as it is, and why.
func (s *Server) All(ctx context.Context) (kept []string, err error) {
	list, err := s.Store.Undos(ctx)
	if err != nil {
		return nil, err
	}
	var failed []error
	for _, u := range list {
		left, err := s.undo(ctx, u)
		if err != nil {
			failed = append(failed, err)
		} else if left != "" {
			kept = append(kept, left)
		}
	}
	if failed != nil {
		return kept, errors.Join(failed...)
	}
	if err := s.Store.Close(); err != nil {
		return kept, err
	}
	s.Store = nil
	left, err := Sweep(s.Paths)
	if left != "" {
		kept = append(kept, left)
	}
	return kept, err
}

// undo takes back one thing. Doing it twice is safe. kept is not "" when it was
// left as it is, and says why.
func (s *Server) undo(ctx context.Context, u state.Undo) (kept string, err error) {
	switch u.Kind {
	case File:
		return s.undoFile(s.Target(u))
	case Directory:
		return "", s.undoDirectory(s.Target(u))
	case Unit:
		return "", s.EndUnit(ctx, u.Target)
	}
	return u.Kind + " " + u.Target + ", which a newer iwx made", nil
}

func (s *Server) undoFile(path string) (kept string, err error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	if path == s.Config && !bytes.Equal(data, conf.DefaultFile()) {
		return path + ", which was edited", nil
	}
	return "", os.Remove(path)
}

// undoDirectory leaves a directory with files of somebody else's.
func (s *Server) undoDirectory(path string) error {
	if path == s.PKI || path == s.Attempts || path == s.Run {
		return os.RemoveAll(path) // all of it is setup's and the daemon's
	}
	err := os.Remove(path)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ENOTEMPTY) {
		err = nil
	}
	return err
}

// Sweep removes the state file, and what belongs to it or is left of an earlier
// run that was killed in here. Without the state file this server is not set up,
// so that one goes first. A directory that the package installed stays, and so
// does one with anything else in it, which is returned.
func Sweep(paths host.Paths) (kept string, err error) {
	for _, suffix := range []string{"", "-wal", "-shm", ".next", ".write"} {
		if err := os.Remove(paths.State + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", err
		}
	}
	for _, dir := range []string{paths.Work, paths.Panics} {
		if err := os.RemoveAll(dir); err != nil {
			return "", err
		}
	}
	err = os.Remove(paths.Lib)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "", nil
	case errors.Is(err, syscall.ENOTEMPTY):
		return paths.Lib + ", which holds more than iwx put there", nil
	}
	return "", err
}

package setuptool

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"

	"iwx/lib/conf"
	"iwx/lib/state"
	"iwx/lib/systemd"
)

// The kinds of things that setup notes for reset.
const (
	undoFile      = "file"      // removed, unless somebody has edited it
	undoDirectory = "directory" // removed with what is in it if that is ours alone, else when it is empty
	undoUnit      = "unit"      // stopped, and no longer started at boot
)

// undo takes back one thing. Doing it twice is safe. kept is not "" when it was
// left as it is, and says why.
func (h *here) undo(u state.Undo) (kept string, err error) {
	switch u.Kind {
	case undoFile:
		return h.undoFile(h.target(u))
	case undoDirectory:
		return "", h.undoDirectory(h.target(u))
	case undoUnit:
		return "", h.stopUnit()
	}
	return u.Kind + " " + u.Target + ", which a newer iwx made", nil
}

// target is what was noted, as it is called here: a path below the root.
func (h *here) target(u state.Undo) string {
	if u.Kind == undoUnit {
		return u.Target
	}
	return filepath.Join(h.Root, u.Target)
}

func (h *here) undoFile(path string) (kept string, err error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	if path == h.Paths.Config && !bytes.Equal(data, conf.DefaultFile()) {
		return path + ", which was edited", nil
	}
	return "", os.Remove(path)
}

// undoDirectory leaves a directory with files of somebody else's.
func (h *here) undoDirectory(path string) error {
	if path == h.PKI || path == h.Attempts || path == h.Run {
		return os.RemoveAll(path) // all of it is setup's and the daemon's
	}
	err := os.Remove(path)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ENOTEMPTY) {
		err = nil
	}
	return err
}

func (h *here) stopUnit() error {
	if !h.systemd() {
		return nil
	}
	return h.withSystemd(func(ctx context.Context, bus *systemd.Conn) error { return bus.DisableNow(ctx, unit) })
}

// undoAll takes back what was noted, the last first, and then the state itself.
// It goes on after a failure but then keeps the state, so that it can be
// repeated. It returns what was left as it is.
func (h *here) undoAll() (kept []string, err error) {
	list, err := h.store.Undos(h.c)
	if err != nil {
		return nil, err
	}
	var failed []error
	for _, u := range list {
		left, err := h.undo(u)
		if err != nil {
			failed = append(failed, err)
		} else if left != "" {
			kept = append(kept, left)
		}
	}
	if failed != nil {
		return kept, errors.Join(failed...)
	}
	if err := h.store.Close(); err != nil {
		return kept, err
	}
	h.store = nil
	left, err := h.sweep()
	if left != "" {
		kept = append(kept, left)
	}
	return kept, err
}

// sweep removes the state file, and what belongs to it or is left of an
// earlier run that was killed in here. Without the state file this server is
// not set up, so that one goes first. A directory that the package installed
// stays, and so does one with anything else in it.
func (h *here) sweep() (kept string, err error) {
	for _, suffix := range []string{"", "-wal", "-shm", ".next", ".write"} {
		if err := os.Remove(h.State + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", err
		}
	}
	if err := os.RemoveAll(h.workDir()); err != nil {
		return "", err
	}
	err = os.Remove(h.Lib)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "", nil
	case errors.Is(err, syscall.ENOTEMPTY):
		return h.Lib + ", which holds more than iwx put there", nil
	}
	return "", err
}

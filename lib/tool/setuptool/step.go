package setuptool

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"iwx/lib/atomicfile"
	"iwx/lib/conf"
	"iwx/lib/fault"
	"iwx/lib/state"
	"iwx/lib/systemd"
	"iwx/lib/tool/teardown"
)

// step is one thing that setup does. Steps are done in order, and each only if
// it is not done yet.
type step struct {
	what string // in the imperative, for the plan: "write /etc/iwx/iwx.toml"
	done func() (bool, error)
	do   func() error
}

// plan prints what is still to be done.
func (h *here) plan(steps []step) error {
	for _, s := range steps {
		done, err := s.done()
		if err != nil {
			return err
		}
		if !done {
			if err := h.c.Printf("would %s\n", s.what); err != nil {
				return err
			}
		}
	}
	return nil
}

// take does the steps that are not done, and reports whether there were any.
func (h *here) take(steps []step) (any bool, err error) {
	for _, s := range steps {
		if err := h.c.Err(); err != nil {
			return any, err
		}
		done, err := s.done()
		if err == nil && !done {
			any = true
			ended := h.c.Slow(s.what)
			err = s.do()
			ended()
		}
		if err != nil {
			return any, err
		}
	}
	return any, nil
}

// stateStep makes the state file, in which all that follows is noted.
func (h *here) stateStep() step {
	return step{
		what: "make the state file " + h.State,
		done: func() (bool, error) { return h.Store != nil, nil },
		do: func() (err error) {
			h.Store, err = state.CreateAt(h.c, h.Paths)
			return err
		},
	}
}

// directories makes those that the daemon works in.
func (h *here) directories() step {
	dirs := []string{h.PKI, h.Attempts, h.Run}
	return step{
		what: "make the directories below " + h.Lib + " and " + h.Run,
		done: func() (bool, error) {
			for _, dir := range dirs {
				if isMissing(dir) {
					return false, nil
				}
			}
			return true, nil
		},
		do: func() error {
			for _, dir := range dirs {
				if err := h.makeDir(dir, 0o700); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// makeDir makes a directory, and notes it for reset if it was not there.
func (h *here) makeDir(dir string, mode os.FileMode) error {
	if isMissing(dir) {
		if err := h.note(teardown.Directory, dir); err != nil {
			return err
		}
	}
	return atomicfile.MkdirAll(dir, mode)
}

// note writes down what is about to be made. Paths are noted as they are below
// the root: a copy of a root is not to undo the original.
func (h *here) note(kind, target string) error {
	return teardown.Note(h.c, h.Store, h.Paths, kind, target, h.c.Now())
}

// configStep writes the settings file with every key commented out, unless
// there is one.
func (h *here) configStep() step {
	path := h.Paths.Config
	return step{
		what: "write " + path + " with every key at its default",
		done: func() (bool, error) { return !isMissing(path), nil },
		do: func() error {
			if err := h.makeDir(filepath.Dir(path), 0o755); err != nil {
				return err
			}
			if err := h.note(teardown.File, path); err != nil {
				return err
			}
			return atomicfile.Write(path, conf.DefaultFile(), 0o644)
		},
	}
}

// unitStep lets a unit start now and at every boot. Without systemd, and below a
// root directory, that is the operator's to do.
func (h *here) unitStep(unit string) step {
	return step{
		what: "enable and start " + unit,
		done: func() (bool, error) {
			if !h.systemd() {
				return true, nil
			}
			active := false
			err := h.withSystemd(func(ctx context.Context, bus *systemd.Conn) error {
				word, err := bus.ActiveState(ctx, unit)
				active = word == "active"
				return err
			})
			return active, err
		},
		do: func() error {
			if err := h.note(teardown.Unit, unit); err != nil {
				return err
			}
			err := h.withSystemd(func(ctx context.Context, bus *systemd.Conn) error { return bus.EnableNow(ctx, unit) })
			if err != nil && fault.HintOf(err) == "" {
				err = fault.Hint(err, "everything else is done; fix the cause and run this again")
			}
			return err
		},
	}
}

func (h *here) withSystemd(use func(context.Context, *systemd.Conn) error) error {
	bus, err := systemd.Connect(h.c)
	if err != nil {
		return err
	}
	defer bus.Close()
	return use(h.c, bus)
}

// keysStep makes the cluster's CA, the manager's own certificate and the key
// that signs the log. What a run before this one has stored is kept.
func (h *here) keysStep() step {
	return step{
		what: "make the cluster's CA, the manager's certificate and the log key in " + h.PKI,
		done: h.hasKeys,
		do: func() error {
			ca, err := h.ensureCA()
			if err != nil {
				return err
			}
			if _, err := h.Keys.EnsureLogKey(); err != nil {
				return err
			}
			key, err := h.Keys.EnsureKey()
			if err != nil {
				return err
			}
			cert, err := ca.SignManager(key.Public(), h.c.Now())
			if err != nil {
				return err
			}
			return h.Keys.SaveCertificate(cert)
		},
	}
}

// hasKeys reports whether a manager's keys are all there. One that is there
// but unusable is an error: it is not for setup to replace it.
func (h *here) hasKeys() (bool, error) {
	for _, load := range []func() error{
		func() error { _, err := h.Keys.CA(); return err },
		func() error { _, err := h.Keys.LogKey(); return err },
		func() error { _, err := h.Keys.LogPublic(); return err },
		func() error { _, err := h.Keys.Certificate(); return err },
	} {
		if err := load(); errors.Is(err, os.ErrNotExist) {
			return false, nil
		} else if err != nil {
			return false, err
		}
	}
	return true, nil
}

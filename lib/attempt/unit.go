package attempt

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"iwx/lib/backoff"
	"iwx/lib/fault"
	"iwx/lib/panics"
	"iwx/lib/wait"
)

// Units is what a runner needs of the service manager, PID 1.
type Units interface {
	// Start starts a transient service that runs argv once. It returns when the
	// start has been taken on, before the program runs. started is false, and
	// nothing was done, if there is a service of that name. After an error of
	// code fault.Busy the service may have been started or not.
	Start(ctx context.Context, name, description string, argv []string) (started bool, err error)

	// Ended reports whether there is no service of that name, or none any more,
	// nor one about to be started.
	Ended(ctx context.Context, name string) (bool, error)

	// Kill ends a service and all its processes at once, and waits until they
	// are gone. One that is not there is success.
	Kill(ctx context.Context, name string) error

	// Close releases the connection.
	Close() error
}

// startLimit is how long a start is tried: systemd starts itself again within
// seconds when it is upgraded, and a service of an earlier attempt is gone in
// the time it has for ending.
const startLimit = 30 * time.Second

// startWaits are the waits between attempts to start the unit.
func startWaits() backoff.Waits { return backoff.Waits{First: 5 * time.Millisecond, Most: time.Second} }

// unitCheck is how often the service manager is asked after a service whose
// shim has not taken hold of the attempt's file, usually because it could not be
// executed.
const unitCheck = 50 * time.Millisecond

// Unit is the runner whose shims are transient services, named
// iwx-replay-<epoch>-<seq>.service: the service manager keeps together and ends
// what belongs to a command, and nothing of it depends on the daemon.
//
// The name leaves out the number of the attempt, so that two attempts of one
// entry cannot run at a time. That no attempt runs twice does not rest on it:
// the shim runs nothing without the lock of a file that has no mark yet, and an
// attempt that is given up, whatever was asked of the service manager, is
// withdrawn under the same lock.
type Unit struct {
	files
	shim  string
	units Units
}

var _ Runner = (*Unit)(nil)

// NewUnit returns a runner that keeps its attempts under dir, which is made if
// it is missing, and has units run the program shim, iwx-attempt.
func NewUnit(dir, shim string, units Units) (*Unit, error) {
	f, err := openFiles(dir)
	if err != nil {
		return nil, err
	}
	if err := checkShim(shim); err != nil {
		return nil, err
	}
	return &Unit{files: f, shim: shim, units: units}, nil
}

// Close releases what the runner holds. Commands that it started go on.
func (u *Unit) Close() error { return u.units.Close() }

// UnitName returns the name of the service in which an entry is replayed.
func UnitName(epoch, seq uint64) string {
	return fmt.Sprintf("iwx-replay-%d-%d.service", epoch, seq)
}

func (id ID) unit() string { return UnitName(id.Epoch, id.Seq) }

// Mode implements Runner.
func (u *Unit) Mode() string { return "unit" }

// Start implements Runner. The command is followed until ctx ends; it goes on
// after that, and Find finds it. What keeps the service manager from starting
// it is told by the result.
func (u *Unit) Start(ctx context.Context, id ID, spec Spec) (Running, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := check(&spec); err != nil {
		return nil, fmt.Errorf("attempt %s: %w", id, err)
	}
	file, err := u.create(id, "", &spec)
	if err != nil {
		return nil, err
	}
	file.Close() // and unlocked: it is for the shim to lock
	s := &started{ended: make(chan struct{})}
	go func() {
		defer close(s.ended)
		s.err = panics.Catch(func() (err error) { s.result, err = u.follow(ctx, id); return err })
	}()
	return s, nil
}

// Find implements Runner.
func (u *Unit) Find(ctx context.Context, id ID) (Found, error) {
	if err := ctx.Err(); err != nil {
		return Found{}, err
	}
	state, result, err := u.conclude(ctx, id)
	if err == nil && state == Alive {
		return Found{State: Alive, Running: &adoptedUnit{u, id}}, nil
	}
	return Found{State: state, Result: result}, err
}

// List implements Runner.
func (u *Unit) List() ([]ID, error) { return u.list() }

// Remove implements Runner.
func (u *Unit) Remove(id ID) error { return u.remove(id) }

// follow has the attempt started and waits for its end.
func (u *Unit) follow(ctx context.Context, id ID) (Result, error) {
	refused := u.begin(ctx, id)
	if ctx.Err() != nil {
		return Result{}, ctx.Err()
	}
	if refused == nil {
		return u.end(ctx, id)
	}
	// It may have been started all the same: a request that nobody answered
	// may still be carried out. After this look it is not.
	state, result, err := u.conclude(ctx, id)
	switch {
	case err == nil && state == Alive:
		return u.end(ctx, id)
	case err == nil && state == NeverStarted:
		result = notStarted(refused.Error())
	}
	return result, err
}

// begin asks the service manager to start the shim until it has, or refuses.
func (u *Unit) begin(ctx context.Context, id ID) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	description := fmt.Sprintf("iwx replay of entry %d, attempt %d", id.Seq, id.Attempt)
	tries := backoff.Tries{Waits: startWaits()}
	var last error
	_ = wait.Until(ctx, tries.Failed, func() (bool, error) {
		started, err := u.units.Start(ctx, id.unit(), description, []string{u.shim, u.dir(id)})
		if err == nil && !started {
			err = fault.New(fault.Busy, "there is a unit %[1]s already, see systemctl status %[1]s", id.unit())
		}
		last = err
		return err == nil || fault.CodeOf(err) != fault.Busy || u.begun(id), nil
	})
	return last
}

// begun reports whether a shim has taken hold of the attempt.
func (u *Unit) begun(id ID) bool {
	held, err := u.locked(id)
	if err != nil || held {
		return held
	}
	page, err := u.page(id)
	return err == nil && (page.Mark != nil || page.Result != nil)
}

// end waits for the end of an attempt that was started.
func (u *Unit) end(ctx context.Context, id ID) (Result, error) {
	for {
		if err := u.awaitUnit(ctx, id); err != nil {
			return Result{}, fmt.Errorf("attempt %s: %w", id, err)
		}
		state, result, err := u.conclude(ctx, id)
		if err == nil && state == Alive {
			continue // it began at the last moment
		}
		if err == nil && state == NeverStarted {
			result = u.notBegun(id, "the unit "+id.unit()+" ended before it started the command")
		}
		return result, err
	}
}

// awaitUnit blocks until the shim has ended, or the service has without it.
func (u *Unit) awaitUnit(ctx context.Context, id ID) error {
	begun := false
	check := time.NewTimer(unitCheck)
	defer check.Stop()
	return u.await(ctx, id, func() (bool, error) {
		held, err := u.locked(id)
		if held || err != nil {
			begun = begun || held
			return false, err
		}
		if begun = begun || u.begun(id); begun {
			return true, nil
		}
		select {
		case <-check.C:
		default:
			return false, nil
		}
		check.Reset(unitCheck)
		ended, err := u.units.Ended(ctx, id.unit())
		return ended && err == nil, nil // asked again if it could not be asked
	})
}

// conclude tells how an attempt stands. One that was not begun is withdrawn;
// what a shim that was killed left running is ended.
func (u *Unit) conclude(ctx context.Context, id ID) (State, Result, error) {
	state, page, result, err := u.settled(id)
	if err == nil && state == CutShort {
		// The service manager ends what is left of a service whose main process
		// has died, in its own time. This is quicker, and waits for it; where it
		// cannot be reached the outcome stands.
		_ = u.units.Kill(ctx, id.unit())
		endSession(page)
	}
	return state, result, err
}

// adoptedUnit is an attempt that another process began.
type adoptedUnit struct {
	unit *Unit
	id   ID
}

// Wait implements Running.
func (a *adoptedUnit) Wait(ctx context.Context) (Result, error) { return a.unit.end(ctx, a.id) }

// checkShim reports whether the program can be run.
func checkShim(shim string) error {
	if err := unix.Access(shim, unix.X_OK); err != nil {
		return fault.Hint(fault.New(fault.Usage, "shim %s: %w", shim, err),
			"iwx-attempt is part of iwx and belongs into libexec: install iwx again")
	}
	return nil
}

// notStarted is the result of a command that iwx itself could not start.
func notStarted(why string) Result {
	return Result{Outcome: NotStarted, Code: int(fault.Internal), Error: why}
}

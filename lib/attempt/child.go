package attempt

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"syscall"

	"iwx/lib/fault"
	"iwx/lib/panics"
)

// shimLock is the number of the locked descriptor in the shim: the first after
// the standard three.
const shimLock = "3"

// Child is the runner whose shims are children of this process. They outlive
// it: the next one finds them.
type Child struct {
	files
	shim   string
	null   *os.File
	groups atomic.Pointer[Groups] // nil: none, or given up
}

var _ Runner = (*Child)(nil)

// NewChild returns a runner that keeps its attempts under dir, which is made if
// it is missing, and runs the program shim, iwx-attempt. Each attempt gets a
// control group from groups; nil is none.
func NewChild(dir, shim string, groups *Groups) (*Child, error) {
	if err := checkShim(shim); err != nil {
		return nil, err
	}
	f, err := openFiles(dir)
	if err != nil {
		return nil, err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	c := &Child{files: f, shim: shim, null: null}
	c.groups.Store(groups)
	return c, nil
}

// Close releases what the runner holds. Commands that it started go on.
func (c *Child) Close() error { return c.null.Close() }

// Mode implements Runner.
func (c *Child) Mode() string {
	if c.groups.Load() != nil {
		return "cgroup"
	}
	return "process group"
}

// Start implements Runner.
func (c *Child) Start(ctx context.Context, id ID, spec Spec) (Running, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := check(&spec); err != nil {
		return nil, fmt.Errorf("attempt %s: %w", id, err)
	}
	groups := c.groups.Load()
	file, err := c.create(id, groups.path(id), &spec)
	if err != nil {
		return nil, err
	}
	// Ours must go, or the lock would outlast the shim.
	defer file.Close()
	proc, err := c.fork(id, groups, file)
	if err != nil {
		c.remove(id)
		return nil, fmt.Errorf("attempt %s: %w", id, err)
	}
	s := &started{ended: make(chan struct{})}
	go s.follow(c, id, proc)
	return s, nil
}

// fork starts the shim in a control group of its own, or without one where that
// proves impossible: clone3(2) is missing before Linux 5.7 and in some
// containers. Nothing was started when it fails, so trying again is safe.
func (c *Child) fork(id ID, groups *Groups, file *os.File) (*os.Process, error) {
	group, err := groups.create(id)
	if err != nil || group == nil {
		return c.exec(id, file, nil)
	}
	defer group.Close()
	proc, err := c.exec(id, file, &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(group.Fd())})
	if err == nil {
		return proc, nil
	}
	endGroup(groups.path(id))
	proc, err = c.exec(id, file, nil)
	if err == nil {
		c.groups.CompareAndSwap(groups, nil) // it was the group
	}
	return proc, err
}

func (c *Child) exec(id ID, file *os.File, sys *syscall.SysProcAttr) (*os.Process, error) {
	return os.StartProcess(c.shim, []string{c.shim, c.dir(id), shimLock}, &os.ProcAttr{
		Dir:   "/",
		Env:   []string{"GOGC=off", "GOMEMLIMIT=64MiB", "GOMAXPROCS=1"}, // it needs hardly any CPU
		Files: []*os.File{c.null, c.null, c.null, file},
		Sys:   sys,
	})
}

// Find implements Runner.
func (c *Child) Find(ctx context.Context, id ID) (Found, error) {
	if err := ctx.Err(); err != nil {
		return Found{}, err
	}
	state, result, err := c.conclude(id)
	if err == nil && state == Alive {
		return Found{State: Alive, Running: &adopted{c, id}}, nil
	}
	return Found{State: state, Result: result}, err
}

// List implements Runner.
func (c *Child) List() ([]ID, error) { return c.list() }

// Remove implements Runner.
func (c *Child) Remove(id ID) error { return c.remove(id) }

// conclude tells how an attempt stands, and ends what a shim that is gone may
// have left running.
func (c *Child) conclude(id ID) (State, Result, error) {
	state, page, result, err := c.settled(id)
	if err != nil || state == Alive {
		return state, result, err
	}
	if page.Group != "" {
		// What cannot be ended hangs in the kernel. It keeps the group, which
		// says so to whoever looks; the outcome stands.
		endGroup(page.Group)
	}
	if state == CutShort {
		endSession(page)
	}
	return state, result, nil
}

// outcome waits for the end of an attempt whose shim was seen to run. A shim that
// ended before the command did anything is a failure like that of a command that
// is not there.
func (c *Child) outcome(ctx context.Context, id ID) (Result, error) {
	for {
		state, result, err := c.conclude(id)
		if err == nil && state == Alive {
			if err = c.awaitLock(ctx, id); err == nil {
				continue
			}
		}
		if err == nil && state == NeverStarted {
			result = c.notBegun(id, "the shim "+c.shim+" ended before it started the command")
		}
		return result, err
	}
}

// hasNUL reports whether s would be cut short by a C string.
func hasNUL(s string) bool { return strings.IndexByte(s, 0) >= 0 }

// check refuses what no process can be given, and fills in the default.
func check(spec *Spec) error {
	if len(spec.Argv) == 0 || spec.Argv[0] == "" {
		return fault.New(fault.Usage, "the command is empty")
	}
	for i, arg := range spec.Argv {
		if hasNUL(arg) {
			return fault.New(fault.Usage, "argument %d contains a NUL byte", i)
		}
	}
	for _, v := range spec.Env {
		if hasNUL(v) {
			return fault.New(fault.Usage, "environment %q contains a NUL byte", v)
		}
	}
	if hasNUL(spec.Dir) {
		return fault.New(fault.Usage, "working directory %q contains a NUL byte", spec.Dir)
	}
	if spec.Timeout < 0 {
		return fault.New(fault.Usage, "timeout %s is negative", spec.Timeout)
	}
	if spec.KillAfter <= 0 {
		spec.KillAfter = KillAfter
	}
	return nil
}

// started is an attempt that this process began.
type started struct {
	ended  chan struct{} // closed when result and err are set
	result Result
	err    error
}

// follow reaps the shim, whose exit code says nothing that its file does not.
func (s *started) follow(c *Child, id ID, proc *os.Process) {
	defer close(s.ended)
	s.err = panics.Catch(func() (err error) {
		if _, err = proc.Wait(); err != nil {
			return fmt.Errorf("attempt %s: %w", id, err)
		}
		s.result, err = c.outcome(context.Background(), id)
		return err
	})
}

// Wait implements Running.
func (s *started) Wait(ctx context.Context) (Result, error) {
	select {
	case <-s.ended:
		return s.result, s.err
	case <-ctx.Done():
		return Result{}, ctx.Err()
	}
}

// adopted is an attempt that another process began.
type adopted struct {
	child *Child
	id    ID
}

// Wait implements Running.
func (a *adopted) Wait(ctx context.Context) (Result, error) { return a.child.outcome(ctx, a.id) }

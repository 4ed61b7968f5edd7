package attempt

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"iwx/lib/fault"
	"iwx/lib/testenv"
)

// The unit runner over a service manager of real processes, which can lose
// requests and answers as a bus does. What systemd itself does with a unit is
// seen in the lab.

// supervisor starts at most one process of a name.
type supervisor struct {
	mu     sync.Mutex
	procs  map[string]*exec.Cmd
	starts int
	kills  int

	unanswered int      // so many starts are carried out, and the answer is lost
	held       []func() // starts that arrive later, their answer lost
	hold       bool
	refuse     error
}

func newSupervisor() *supervisor { return &supervisor{procs: map[string]*exec.Cmd{}} }

var errNoAnswer = fault.New(fault.Busy, "no answer")

func (s *supervisor) Start(_ context.Context, name, _ string, argv []string) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.refuse != nil:
		return false, s.refuse
	case s.hold:
		s.held = append(s.held, func() { s.start(name, argv) })
		return false, errNoAnswer
	}
	started := s.start(name, argv)
	if s.unanswered > 0 {
		s.unanswered--
		return false, errNoAnswer
	}
	return started, nil
}

func (s *supervisor) start(name string, argv []string) bool {
	if s.procs[name] != nil {
		return false
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	if cmd.Start() != nil {
		return true // as with a service whose program cannot be executed
	}
	s.starts++
	s.procs[name] = cmd
	go func() {
		cmd.Wait()
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.procs, name)
	}()
	return true
}

// arrive carries out what was held.
func (s *supervisor) arrive() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hold = false
	for _, start := range s.held {
		start()
	}
}

func (s *supervisor) Ended(_ context.Context, name string) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.procs[name] == nil, nil
}

func (s *supervisor) Kill(_ context.Context, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kills++
	return nil
}

func (s *supervisor) Close() error { return nil }

// settle waits until no process is left.
func (s *supervisor) settle(t *testing.T) {
	t.Helper()
	testenv.Until(t, "all services have ended", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.procs) == 0
	})
}

func newUnit(t *testing.T, dir string, s *supervisor) *Unit {
	t.Helper()
	u, err := NewUnit(dir, shimPath, s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.settle(t) })
	return u
}

func start(t *testing.T, r Runner, spec Spec) Running {
	t.Helper()
	running, err := r.Start(t.Context(), testID, spec)
	if err != nil {
		t.Fatal(err)
	}
	return running
}

func TestUnitRuns(t *testing.T) {
	u := newUnit(t, t.TempDir(), newSupervisor())
	spec := sh(`printf '%s|' "$@"; cat; exit 4`)
	spec.Argv = append(spec.Argv, "sh", "$HOME", "a$$b", "%n", "\xff\xfe", "")
	spec.Stdin = []byte("input")
	r := await(t, start(t, u, spec))
	if want := "$HOME|a$$b|%n|\xff\xfe||input"; r.Outcome != Exited || r.Code != 4 || string(r.Stdout.Head) != want {
		t.Errorf("%v, code %d, output %q, want %q", r.Outcome, r.Code, r.Stdout.Head, want)
	}
	if u.Mode() != "unit" || UnitName(1, 42) != "iwx-replay-1-42.service" {
		t.Errorf("mode %q, name %q", u.Mode(), UnitName(1, 42))
	}
	if _, err := u.Start(t.Context(), testID, sh("true")); !errors.Is(err, os.ErrExist) {
		t.Errorf("second start of the same attempt: %v", err)
	}
	if err := u.Remove(testID); err != nil {
		t.Error(err)
	}
}

// TestUnitIsAdopted: the daemon ends in mid-command, and the next one takes the
// result.
func TestUnitIsAdopted(t *testing.T) {
	dir, scratch := t.TempDir(), t.TempDir()
	gate, count := filepath.Join(scratch, "gate"), filepath.Join(scratch, "count")
	s := newSupervisor()
	ctx, end := context.WithCancel(t.Context())
	running, err := newUnit(t, dir, s).Start(ctx, testID, sh(fmt.Sprintf(
		"echo ran >>%s; until [ -e %s ]; do sleep 0.01; done; exit 4", count, gate)))
	if err != nil {
		t.Fatal(err)
	}
	testenv.Until(t, "the command runs", func() bool { _, err := os.Stat(count); return err == nil })
	end()
	if _, err := running.Wait(t.Context()); !errors.Is(err, context.Canceled) {
		t.Errorf("the first daemon's wait: %v", err)
	}
	next := newUnit(t, dir, s)
	found, err := next.Find(t.Context(), testID)
	if err != nil || found.State != Alive {
		t.Fatalf("found %v, %v", found.State, err)
	}
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if r := await(t, found.Running); r.Outcome != Exited || r.Code != 4 {
		t.Errorf("adopted: %v, code %d", r.Outcome, r.Code)
	}
	if b, _ := os.ReadFile(count); string(b) != "ran\n" || s.starts != 1 {
		t.Errorf("ran %d times, %d starts", strings.Count(string(b), "ran"), s.starts)
	}
}

// TestLostAnswer: a start was carried out, and nobody said so.
func TestLostAnswer(t *testing.T) {
	for _, script := range []string{"echo ran >>%s", "echo ran >>%s; sleep 0.1"} {
		count := filepath.Join(t.TempDir(), "count")
		s := newSupervisor()
		s.unanswered = 2
		u := newUnit(t, t.TempDir(), s)
		if r := await(t, start(t, u, sh(fmt.Sprintf(script, count)))); r.Outcome != Exited || r.Code != 0 {
			t.Errorf("%v, code %d, %s", r.Outcome, r.Code, r.Error)
		}
		s.settle(t)
		if b, _ := os.ReadFile(count); string(b) != "ran\n" {
			t.Errorf("ran %d times", strings.Count(string(b), "ran"))
		}
	}
}

// TestLateStart: the daemon is killed after it asked for a start, and the start
// is carried out after the next daemon has looked. Whatever the order, the
// command runs once.
func TestLateStart(t *testing.T) {
	for _, arrives := range []string{"before the files are removed", "after", "after the second start"} {
		t.Run(arrives, func(t *testing.T) {
			dir, count := t.TempDir(), filepath.Join(t.TempDir(), "count")
			s := newSupervisor()
			s.hold = true
			ctx, end := context.WithCancel(t.Context())
			u := newUnit(t, dir, s)
			spec := sh("echo ran >>" + count)
			running, err := u.Start(ctx, testID, spec)
			if err != nil {
				t.Fatal(err)
			}
			testenv.Until(t, "the start is asked for", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return len(s.held) > 0 })
			end()
			running.Wait(t.Context())
			if found, err := u.Find(t.Context(), testID); err != nil || found.State != NeverStarted {
				t.Fatalf("found %v, %v", found.State, err)
			}
			at := func(when string) {
				if when == arrives {
					s.arrive()
				}
			}
			at("before the files are removed")
			if err := u.Remove(testID); err != nil {
				t.Fatal(err)
			}
			at("after")
			s.mu.Lock()
			s.hold = false
			s.mu.Unlock()
			again := start(t, u, spec)
			at("after the second start")
			if r := await(t, again); r.Outcome != Exited || r.Code != 0 {
				t.Errorf("%v, code %d, %s", r.Outcome, r.Code, r.Error)
			}
			s.settle(t)
			if b, _ := os.ReadFile(count); string(b) != "ran\n" {
				t.Errorf("ran %d times", strings.Count(string(b), "ran"))
			}
		})
	}
}

// TestUnitInTheWay: the service of an earlier attempt is still ending.
func TestUnitInTheWay(t *testing.T) {
	s := newSupervisor()
	u := newUnit(t, t.TempDir(), s)
	old := exec.Command("cat")
	in, err := old.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := old.Start(); err != nil {
		t.Fatal(err)
	}
	s.procs[testID.unit()] = old
	running := start(t, u, sh("echo ran"))
	if ended, _ := s.Ended(t.Context(), testID.unit()); ended {
		t.Error("the service in the way has ended")
	}
	in.Close()
	old.Wait()
	s.mu.Lock()
	delete(s.procs, testID.unit())
	s.mu.Unlock()
	if r := await(t, running); r.Outcome != Exited || string(r.Stdout.Head) != "ran\n" {
		t.Errorf("%v, output %q, %s", r.Outcome, r.Stdout.Head, r.Error)
	}
}

// TestUnitNotStarted: what cannot be started is a failure of iwx itself.
func TestUnitNotStarted(t *testing.T) {
	refused := newSupervisor()
	refused.refuse = errors.New("start iwx-replay-1-42.service: access denied")
	gone := filepath.Join(t.TempDir(), "shim")
	if err := os.Symlink(shimPath, gone); err != nil {
		t.Fatal(err)
	}
	vanished, err := NewUnit(t.TempDir(), gone, newSupervisor())
	if err != nil {
		t.Fatal(err)
	}
	os.Remove(gone)
	for want, u := range map[string]*Unit{
		"start iwx-replay-1-42.service: access denied":                         newUnit(t, t.TempDir(), refused),
		"the unit iwx-replay-1-42.service ended before it started the command": vanished,
	} {
		r := await(t, start(t, u, sh("true")))
		if r.Outcome != NotStarted || r.Code != 125 || r.Error != want {
			t.Errorf("%v, code %d, %q; want %q", r.Outcome, r.Code, r.Error, want)
		}
		if found, err := u.Find(t.Context(), testID); err != nil || found.State != NeverStarted {
			t.Errorf("found %v, %v", found.State, err)
		}
	}
	if _, err := NewUnit(t.TempDir(), "/no/such/shim", newSupervisor()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("NewUnit: %v", err)
	}
}

// TestUnitShimKilled: the outcome is unknown, and the rest of the unit is killed.
func TestUnitShimKilled(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	s := newSupervisor()
	u := newUnit(t, t.TempDir(), s)
	running := start(t, u, sh("echo up >"+fifo+"; sleep 1000"))
	up, err := os.Open(fifo)
	if err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(up).ReadString('\n'); line != "up\n" {
		t.Fatalf("%q, %v", line, err)
	}
	s.mu.Lock()
	s.procs[testID.unit()].Process.Kill()
	s.mu.Unlock()
	if r := await(t, running); r.Outcome != Unknown || r.Code != -1 || s.kills != 1 {
		t.Errorf("%v, code %d, %d kills", r.Outcome, r.Code, s.kills)
	}
	if found, err := u.Find(t.Context(), testID); err != nil || found.State != CutShort {
		t.Errorf("found %v, %v", found.State, err)
	}
}

// Package attempt runs one command of the queue, once, in such a way that a
// daemon which is killed, restarted or upgraded in mid-command still learns the
// result.
//
// The command is not a child of the daemon but of a small program, the shim (see
// lib/attempt/shim). Daemon and shim share a directory per attempt:
//
//	<dir>/<epoch>-<seq>-<attempt>/spec    what to run, then the mark, then the result
//	<dir>/<epoch>-<seq>-<attempt>/stdout
//	<dir>/<epoch>-<seq>-<attempt>/stderr
//
// The daemon locks the spec file (flock(2)) before it forks and hands the
// descriptor over, so that the file is locked exactly as long as the shim lives.
// What the command writes goes through pipes of the shim's to the two files, which
// hold its beginning and its end.
// Lock, mark and result together tell what became of an attempt: see State.
//
// The package does not decide whether a command may run again, and keeps no
// journal. Nothing is synced to disk: whoever keeps the journal compares boot
// ids, and takes nothing from an attempt of an earlier boot.
package attempt

import (
	"context"
	"fmt"
	"time"

	"iwx/lib/attempt/record"
)

// KillAfter is the time between SIGTERM and SIGKILL of a command whose time is
// up, unless its Spec says otherwise.
const KillAfter = 10 * time.Second

// Spec is a command and everything that it is given; nothing is inherited.
type Spec = record.Spec

// Outcome is how a command ended.
type Outcome = record.Outcome

// The outcomes. Unknown is what a result is that was never written.
const (
	Unknown    = record.Unknown
	Exited     = record.Exited
	Signalled  = record.Signalled
	TimedOut   = record.TimedOut
	NotStarted = record.NotStarted
)

// ID names an attempt: the entry's epoch and sequence number, and which attempt
// at it this is, from 1.
type ID struct {
	Epoch   uint64
	Seq     uint64
	Attempt int
}

// String returns the id as in "1-42-3", which is also the directory's name.
func (id ID) String() string { return fmt.Sprintf("%d-%d-%d", id.Epoch, id.Seq, id.Attempt) }

// ParseID reads what ID.String wrote, and nothing else.
func ParseID(s string) (ID, error) {
	var id ID
	_, err := fmt.Sscanf(s, "%d-%d-%d", &id.Epoch, &id.Seq, &id.Attempt)
	if err != nil || id.String() != s {
		return ID{}, fmt.Errorf("attempt %q is not <epoch>-<seq>-<attempt>", s)
	}
	return id, nil
}

// Result is what came of a command.
type Result struct {
	Outcome  Outcome
	Code     int           // exit code; 126 and 127 as in sh(1) if not started; -1 if there is none
	Signal   int           // number of the signal that ended the command, or 0
	Error    string        // why it was not started, not ended, or is unknown; or ""
	Started  time.Time     // zero if not started
	Ended    time.Time     // zero if unknown
	Duration time.Duration // from the monotonic clock
	CPU      time.Duration // user and system time
	MaxRSS   int64         // bytes, of the largest process
	Note     string        // added to the result: "ended 1 process that was left: pid 7 sleep"
	Stdout   Output
	Stderr   Output
}

// Runner runs commands. Its methods may be called from several goroutines, for
// different attempts.
type Runner interface {
	// Start runs the command; it returns when the shim has been started,
	// without waiting for the command. An id that has files is refused: Start
	// never runs anything twice. After an error nothing runs and no files are
	// left.
	Start(ctx context.Context, id ID, spec Spec) (Running, error)

	// Find tells what became of an attempt that this process or an earlier one
	// began. What a shim that was killed left running is ended. Find changes
	// nothing else and may be repeated.
	Find(ctx context.Context, id ID) (Found, error)

	// Hung returns the processes of a running attempt that should have ended
	// and cannot be killed, or nil if there are none or nothing runs. It
	// changes nothing.
	Hung(id ID) (*Hung, error)

	// List returns the attempts that have files, in no order.
	List() ([]ID, error)

	// Remove deletes the files of an attempt that is not running. Removing what
	// is not there is success.
	Remove(id ID) error

	// Mode says what keeps the processes of a command together: "cgroup",
	// "process group" or "unit".
	Mode() string
}

// Hung describes the remains of a command that should have ended: processes
// that hang in the kernel, usually in a file system that does not answer.
type Hung struct {
	Since     time.Time // when it timed out, or when it ended
	TimedOut  bool      // it timed out; else it ended and left the processes
	Processes string    // "pid 7 touch cannot be killed, state D"
}

// Look returns the hung processes of an attempt whose runner is another process
// and has its files under dir, see Runner.Hung.
func Look(dir string, id ID) (*Hung, error) { return files(dir).Hung(id) }

// Running is a command that was started.
type Running interface {
	// Wait blocks until the shim has ended, which is when the command and all
	// it left running have, and returns the result. When ctx is done Wait
	// returns its error, the command goes on, and Wait can be called again.
	Wait(ctx context.Context) (Result, error)
}

// State is what became of an attempt.
type State int

// The states, told by the lock, the mark and the result.
const (
	// NeverStarted: no files, or not locked and not marked. The command had no
	// effect. A journal that knows the attempt, in the same boot, can run it.
	NeverStarted State = iota
	// Alive: locked; the shim runs. Found.Running adopts it.
	Alive
	// Finished: not locked, and there is a whole result.
	Finished
	// CutShort: not locked, marked, no result. The command may have had any
	// effect or none; the outcome is Unknown.
	CutShort
)

var stateNames = [...]string{"never started", "running", "finished", "cut short"}

// String returns the state in lower case words.
func (s State) String() string { return stateNames[s] }

// Found is the answer of Find.
type Found struct {
	State   State
	Running Running // set if Alive
	Result  Result  // set if Finished or CutShort
}

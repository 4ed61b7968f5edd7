package shim

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"iwx/lib/attempt/process"
	"iwx/lib/attempt/record"
)

const (
	outputInterval = 50 * time.Millisecond // between looks at the size of the outputs
	settleTime     = 5 * time.Millisecond  // for a pipeline's tail to end by itself
	leftoverGrace  = 2 * time.Second       // for leftovers between SIGTERM and SIGKILL
	killInterval   = 10 * time.Millisecond // between rounds of SIGKILL, growing
	killIntervalUp = time.Second           // to this
	lookInterval   = time.Millisecond      // between looks at leftovers, growing
	lookIntervalUp = 20 * time.Millisecond // to this
	vainRounds     = 5                     // of SIGKILL that reach nobody before giving up
)

// stage is how far the command is from its end.
type stage int

const (
	running  stage = iota // the command runs
	settling              // the command has ended by itself, others may be left
	ending                // everything has been sent SIGTERM
	killing               // everything is being sent SIGKILL
)

// watch follows the command and all its descendants to their end. It needs one
// thread: the descriptor of the command tells at once when that ends, which is
// what nearly always comes first, and the rest is looked for now and then.
type watch struct {
	*attempt
	child
	started time.Time
	alarm   time.Time // when to take the next step; zero is never
	stage   stage
	ended   bool // the command; its descendants may not have
	look    time.Duration
	round   time.Duration
	vain    int // rounds of SIGKILL that reached nobody
	result  record.Result
}

func newWatch(a *attempt, c child, started time.Time) *watch {
	w := &watch{attempt: a, child: c, started: started, look: lookInterval, round: killInterval,
		result: record.Result{Started: started.UnixMilli()}}
	if a.spec.Timeout > 0 {
		w.alarm = started.Add(a.spec.Timeout)
	}
	return w
}

// run blocks until no child is left, or until those left proved to be beyond
// the reach of signals. The result is then complete.
func (w *watch) run() {
	for w.reap() {
		if !w.alarm.IsZero() && !w.now().Before(w.alarm) {
			w.alarm = w.now().Add(w.advance())
		}
		if w.vain >= vainRounds {
			w.giveUp()
			break
		}
		w.free(holeStep)
		w.sleep()
	}
	w.free(1)
}

// reap takes the children that have ended, adopted ones included, and reports
// whether any is left.
func (w *watch) reap() bool {
	for {
		var status syscall.WaitStatus
		var usage syscall.Rusage
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, &usage)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return false
		case pid == 0:
			return true
		case pid == w.pid:
			w.note(status, usage)
		}
	}
}

// sleep waits until the command ends or it is time to look again.
func (w *watch) sleep() {
	var fds []unix.PollFd
	pause := outputInterval
	if w.ended || w.pidfd < 0 {
		pause = w.look
		w.look = min(2*w.look, lookIntervalUp)
	} else {
		fds = []unix.PollFd{{Fd: int32(w.pidfd), Events: unix.POLLIN}}
	}
	if !w.alarm.IsZero() {
		pause = max(0, min(pause, w.alarm.Sub(w.now())))
	}
	ts := unix.NsecToTimespec(int64(pause))
	unix.Ppoll(fds, &ts, nil) // EINTR is as good as a timeout
}

// advance takes the next step towards the end, and returns the time to the one
// after.
func (w *watch) advance() time.Duration {
	switch w.stage {
	case running, settling:
		grace := w.spec.KillAfter
		if w.stage == running {
			w.result.Outcome = record.TimedOut
		} else {
			grace = min(grace, leftoverGrace)
		}
		w.stage = ending
		signalAll(unix.SIGTERM)
		signalAll(unix.SIGCONT) // a stopped process would not notice
		return grace
	default:
		w.stage = killing
		w.vain++
		if signalAll(unix.SIGKILL) {
			w.vain = 0
		}
		w.round = min(2*w.round, killIntervalUp)
		return w.round
	}
}

// signalAll sends sig to every descendant and reports whether any was reached,
// or might have been: a process that forks while the table is read is met in the
// next round.
func signalAll(sig syscall.Signal) bool {
	table, err := process.List()
	if err != nil {
		return false
	}
	descendants := process.Descendants(table, unix.Getpid())
	reached := len(descendants) == 0
	for _, p := range descendants {
		if err := unix.Kill(p.PID, sig); err != unix.EPERM {
			reached = true
		}
	}
	return reached
}

// note takes down how the command ended, and sees to what it left.
func (w *watch) note(status syscall.WaitStatus, usage syscall.Rusage) {
	r := &w.result
	r.CPU = time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	r.MaxRSS = int64(usage.Maxrss) << 10
	r.Code = status.ExitStatus()
	if status.Signaled() {
		r.Signal = int(status.Signal())
	}
	switch {
	case r.Outcome == record.TimedOut:
	case r.Signal != 0:
		r.Outcome = record.Signalled
	default:
		r.Outcome = record.Exited
	}
	w.end()
	if w.stage == running {
		w.stage = settling
		w.alarm = w.now().Add(settleTime)
	}
}

// end takes down when the command ended.
func (w *watch) end() {
	now := w.now()
	w.ended = true
	w.result.Ended, w.result.Duration = now.UnixMilli(), now.Sub(w.started)
}

// giveUp writes down that something is left which this user may not end: a
// set-user-id program, started by a daemon that is not root.
func (w *watch) giveUp() {
	w.result.Error = "some processes of the command could not be ended: operation not permitted"
	if !w.ended {
		w.result.Code = -1
		w.end()
	}
}

func (w *watch) free(step int64) {
	for _, o := range w.outputs {
		o.free(step)
	}
}

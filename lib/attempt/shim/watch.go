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
	vainRounds     = 10                    // of SIGKILL that reach nobody before giving up
)

// stage is how far the command is from its end.
type stage int

const (
	running  stage = iota // the command runs
	settling              // the command has ended by itself, others may be left
	ending                // everything has been sent SIGTERM
	killing               // everything is being sent SIGKILL
)

// exit is a child that ended.
type exit struct {
	pid    int
	status syscall.WaitStatus
	usage  syscall.Rusage
}

// watch follows the command and all its descendants to their end.
type watch struct {
	*attempt
	pid     int // of the command
	started time.Time
	stage   stage
	ended   bool // the command; its descendants may not have
	vain    int
	pause   time.Duration // until the next round of SIGKILL
	result  record.Result
}

func newWatch(a *attempt, pid int, started time.Time) *watch {
	return &watch{attempt: a, pid: pid, started: started, pause: killInterval,
		result: record.Result{Started: started.UnixMilli()}}
}

// run blocks until no child is left, or until those left proved to be beyond
// the reach of signals. The result is then complete.
func (w *watch) run() {
	exits := make(chan exit)
	go reap(exits)
	sizes := time.NewTicker(outputInterval)
	alarm := time.NewTimer(w.spec.Timeout)
	if w.spec.Timeout == 0 {
		alarm.Stop()
	}
	for {
		select {
		case e, more := <-exits:
			if !more {
				w.finish()
				return
			}
			if e.pid == w.pid {
				w.note(e)
				if w.stage == running {
					w.stage = settling
					alarm.Reset(settleTime)
				}
			}
		case <-alarm.C:
			alarm.Reset(w.advance())
			if w.vain >= vainRounds {
				w.giveUp()
				return
			}
		case <-sizes.C:
			w.free(holeStep)
		}
	}
}

// reap waits for children, adopted ones included, until there is none.
func reap(exits chan<- exit) {
	defer close(exits)
	for {
		var e exit
		var err error
		e.pid, err = syscall.Wait4(-1, &e.status, 0, &e.usage)
		switch err {
		case nil:
			exits <- e
		case unix.EINTR:
		default:
			return
		}
	}
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
		w.pause = min(w.pause*2, killIntervalUp)
		return w.pause
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

// note takes down how the command ended.
func (w *watch) note(e exit) {
	end := w.now()
	w.ended = true
	r := &w.result
	r.Ended, r.Duration = end.UnixMilli(), end.Sub(w.started)
	r.CPU = time.Duration(e.usage.Utime.Nano() + e.usage.Stime.Nano())
	r.MaxRSS = int64(e.usage.Maxrss) << 10
	r.Code = e.status.ExitStatus()
	if e.status.Signaled() {
		r.Signal = int(e.status.Signal())
	}
	switch {
	case r.Outcome == record.TimedOut:
	case r.Signal != 0:
		r.Outcome = record.Signalled
	default:
		r.Outcome = record.Exited
	}
}

// finish gives back the last of the disk.
func (w *watch) finish() { w.free(1) }

// giveUp writes down that something is left which this user may not end: a
// set-user-id program, started by a daemon that is not root.
func (w *watch) giveUp() {
	w.result.Error = "some processes of the command could not be ended: operation not permitted"
	if !w.ended {
		end := w.now()
		w.result.Code = -1
		w.result.Ended, w.result.Duration = end.UnixMilli(), end.Sub(w.started)
	}
	w.finish()
}

func (w *watch) free(step int64) {
	for _, o := range w.outputs {
		o.free(step)
	}
}

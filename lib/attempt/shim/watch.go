package shim

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"iwx/lib/attempt/process"
	"iwx/lib/attempt/record"
)

const (
	reapInterval   = 50 * time.Millisecond // between checks for orphans that have ended
	outputGrace    = time.Second           // for a process that was given an output and is not a descendant
	hungAfter      = 2 * time.Second       // after SIGKILL, before the remaining processes are reported
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

// watch follows the command and all its descendants to their end, and keeps their
// output. It needs one thread: the pidfd of the command becomes readable when the
// command ends, usually the first event; everything else is polled.
type watch struct {
	*attempt
	child
	started time.Time
	alarm   time.Time // when to take the next step; zero is never
	stage   stage
	ended   bool // the command; its descendants may not have
	look    time.Duration
	round   time.Duration
	vain    int       // rounds of SIGKILL that reached no process
	killed  time.Time // when the first SIGKILL was sent
	hung    string    // the last report of hung processes
	left    string    // the processes that the command left running, as text
	buf     []byte
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
		w.sleep()
	}
	w.drain()
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

// sleep waits until the command ends, the next check is due, or there is output,
// which it reads.
func (w *watch) sleep() {
	end := w.pidfd
	pause := reapInterval
	if w.ended || w.pidfd < 0 {
		end = -1
		pause = w.look
		w.look = min(2*w.look, lookIntervalUp)
	}
	if !w.alarm.IsZero() {
		pause = max(0, min(pause, w.alarm.Sub(w.now())))
	}
	w.pull(end, pause)
}

// pull waits for the descriptor end, unless it is -1, or for output, which it then
// reads.
func (w *watch) pull(end int, pause time.Duration) {
	// poll(2) ignores a negative descriptor.
	fds := [...]unix.PollFd{
		{Fd: int32(w.outputs[0].read), Events: unix.POLLIN},
		{Fd: int32(w.outputs[1].read), Events: unix.POLLIN},
		{Fd: int32(end), Events: unix.POLLIN},
	}
	ts := unix.NsecToTimespec(int64(pause))
	if n, err := unix.Ppoll(fds[:], &ts, nil); n <= 0 || err != nil {
		return // EINTR counts as a timeout
	}
	for i, o := range w.outputs {
		switch {
		case fds[i].Revents&unix.POLLIN != 0:
			if w.buf == nil {
				w.buf = make([]byte, chunk)
			}
			o.pull(w.buf)
		case fds[i].Revents != 0: // the pipe is empty, and no process has it open
			o.close()
		}
	}
}

// drain reads the outputs to their end. A process that is not a descendant may
// have one open, such as a service that was passed the descriptor. drain waits
// only briefly for that.
func (w *watch) drain() {
	until := w.now().Add(outputGrace)
	for w.outputs[0].read >= 0 || w.outputs[1].read >= 0 {
		left := until.Sub(w.now())
		w.pull(-1, max(0, left))
		if left <= 0 {
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
		found, _ := w.signalAll(unix.SIGTERM)
		if w.stage == settling {
			w.left = leftText(found)
		}
		w.stage = ending
		w.signalAll(unix.SIGCONT) // a stopped process would not notice
		return grace
	default:
		if w.stage != killing {
			w.stage, w.killed = killing, w.now()
		}
		w.vain++
		found, reached := w.signalAll(unix.SIGKILL)
		if reached {
			w.vain = 0
		}
		if w.now().Sub(w.killed) >= hungAfter {
			w.report(found)
		}
		w.round = min(2*w.round, killIntervalUp)
		return w.round
	}
}

// report records the processes that survive SIGKILL, if there are any and they are
// others than before. The file is open and long enough; if writing fails, the next
// round tries again.
func (w *watch) report(found []process.Process) {
	h := record.Hung{TimedOut: w.result.Outcome == record.TimedOut, Text: hungText(found)}
	if h.Text == w.hung || h.Text == "" {
		return
	}
	if h.Since = w.result.Ended; h.TimedOut {
		h.Since = w.started.Add(w.spec.Timeout).UnixMilli()
	}
	if w.write(record.HungOffset, h.Encode()) == nil {
		w.hung = h.Text
	}
}

// signalAll sends sig to every descendant. It returns them, and reports whether
// it reached any, or may have: a process that forks while the table is read is
// found in the next round, and so are all if it cannot be read now. Until then the
// command's process group has to do: its number is the command's as long as that has
// not been reaped.
func (w *watch) signalAll(sig syscall.Signal) (found []process.Process, reached bool) {
	table, err := process.List()
	if err != nil {
		if !w.ended {
			_ = unix.Kill(-w.pid, sig) // the next round tries again
		}
		return nil, true
	}
	found = process.Descendants(table, unix.Getpid())
	reached = len(found) == 0
	for _, p := range found {
		if err := unix.Kill(p.PID, sig); err != unix.EPERM {
			reached = true
		}
	}
	return found, reached
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
	w.result.Error = "cannot end some processes of the command: operation not permitted"
	w.left = ""
	if !w.ended {
		w.result.Code = -1
		w.end()
	}
}

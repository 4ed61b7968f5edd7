package haproxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"iwx/lib/attempt/process"
	"iwx/lib/host"
)

// Times of a Watch.
const (
	hungAfter = 30 * time.Second // without one answer and without one step
	hungGap   = 25 * time.Second // more between two checks, and this server was itself paused
	restFirst = time.Minute      // after a kill, before the next one
	restLast  = time.Hour
	calmAfter = 10 * time.Minute // of answers, after which the rest is short again
)

// Watch kills an instance that hangs, so that systemd starts it again: HAProxy does
// not support systemd's watchdog, and its own detects only a thread that spins. It
// checks both processes: the worker, which serves the clients, and the master,
// which reloads.
//
// It kills only a process that certainly hangs. A missing answer alone may be an
// overload, and a kill would make that worse. A process hangs if it has not
// answered any of the checks of half a minute, and has not run in that time
// although only sleep, or a stop (signal(7)), keeps it from running: it does not
// wait for the processor or a disk, and no debugger holds it.
type Watch struct {
	worker, master asked
	runner         runner
	now            func() time.Time
	log            *slog.Logger

	rest    time.Duration // the last rest
	until   time.Time     // no kill before this
	answers time.Time     // since when all processes have answered; zero: one does not
}

// asked is one of the two processes.
type asked struct {
	name string
	ask  func(ctx context.Context) error                     // nil: it answers
	pid  func(ctx context.Context) (int, error)              // its process ID
	seen func(pid int) (runs uint64, asleep bool, err error) // its activity, see activity

	silent silence
}

// silence begins when a process last answered or ran.
type silence struct {
	pid        int
	runs       uint64
	since, now time.Time
}

// NewWatch returns a watch over the instance whose files are at paths.
func NewWatch(paths host.Paths, now func() time.Time, log *slog.Logger) *Watch {
	e := New(paths)
	question := func(s socket) func(context.Context) error {
		return func(ctx context.Context) error { _, err := s.ask(ctx, "show version"); return err }
	}
	worker := func(ctx context.Context) (int, error) {
		pid, err := e.runner.pid(ctx)
		if err != nil {
			return 0, err
		}
		list, err := process.Children(pid) // the first serves; those from before a reload follow
		if err == nil && len(list) == 0 {
			err = fmt.Errorf("process %d has no worker", pid)
		}
		if err != nil {
			return 0, err
		}
		return list[0].PID, nil
	}
	return &Watch{
		worker: asked{name: "worker", ask: question(e.stats), pid: worker, seen: activity},
		master: asked{name: "master", ask: question(e.master.socket), pid: e.runner.pid, seen: activity},
		runner: e.runner, now: now, log: log,
	}
}

// Look checks once, and kills what hangs. Call it every few seconds; it takes up
// to 10 s if nothing answers. It returns an error if it could not check or kill.
// An HAProxy that does not run does not hang.
func (w *Watch) Look(ctx context.Context) error {
	calm := true
	for _, a := range []*asked{&w.worker, &w.master} {
		hangs, err := a.hangs(ctx, w.now)
		if err != nil {
			return fmt.Errorf("haproxy's %s does not answer: %w", a.name, err)
		}
		calm = calm && a.silent == silence{}
		if !hangs || w.now().Before(w.until) {
			continue
		}
		w.log.Error("haproxy hangs, and is started again", "process", a.name, "pid", a.silent.pid, "silent_since", a.silent.since)
		w.rest = min(max(restFirst, 2*w.rest), restLast)
		w.until = w.now().Add(w.rest)
		a.silent = silence{}
		return w.runner.kill(ctx)
	}
	switch {
	case !calm:
		w.answers = time.Time{}
	case w.answers.IsZero():
		w.answers = w.now()
	case w.now().Sub(w.answers) >= calmAfter:
		w.rest = 0
	}
	return nil
}

// hangs checks a process, and reports whether it hangs.
func (a *asked) hangs(ctx context.Context, now func() time.Time) (bool, error) {
	err := a.ask(ctx)
	if ctx.Err() != nil || !isSilence(err) {
		a.silent = silence{} // it answers, or does not run, or the check was cut short
		return false, nil
	}
	was := a.silent
	a.silent = silence{}
	pid, err := a.pid(ctx)
	if err != nil {
		return false, err
	}
	runs, asleep, err := a.seen(pid)
	if err != nil || !asleep {
		return false, err
	}
	is := silence{pid: pid, runs: runs, since: was.since, now: now()}
	if was.pid != pid || was.runs != runs || is.now.Sub(was.now) >= hungGap {
		is.since = is.now
	}
	a.silent = is
	return is.now.Sub(is.since) >= hungAfter, nil
}

// isSilence reports whether an error means that a process listens and does not
// answer: it timed out, or the backlog is full of earlier connections (EAGAIN,
// unix(7)).
func isSilence(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, syscall.EAGAIN)
}

// activity returns the number of context switches of a process's threads, and
// whether each of them sleeps or is stopped: proc_pid_status(5).
func activity(pid int) (runs uint64, asleep bool, err error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("process %d is gone", pid)
	}
	asleep = true
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return 0, false, err
		}
		for line := range strings.Lines(string(text)) {
			name, value, _ := strings.Cut(line, ":")
			value = strings.TrimSpace(value)
			switch name {
			case "State":
				asleep = asleep && (strings.HasPrefix(value, "S") || strings.HasPrefix(value, "T"))
			case "voluntary_ctxt_switches", "nonvoluntary_ctxt_switches":
				n, err := strconv.ParseUint(value, 10, 64)
				if err != nil {
					return 0, false, fmt.Errorf("%s: %s %q", file, name, value)
				}
				runs += n
			}
		}
	}
	return runs, asleep, err
}

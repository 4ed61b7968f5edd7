package haproxy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"iwx/lib/host"
)

// Times that a Watch goes by.
const (
	hungAfter = 30 * time.Second // of not one answer, and not one step
	hungGap   = 25 * time.Second // between two looks, or this server was paused itself
	restFirst = time.Minute      // after it was ended, until it may be again
	restLast  = time.Hour
	calmAfter = 10 * time.Minute // of answers, and the first rest is short again
)

// Watch ends an instance that hangs, so that systemd starts it again: HAProxy has
// no watchdog of systemd, and its own is for a thread that spins. Both processes
// are asked: the worker, which has the clients, and the master, which reloads.
//
// It acts on no doubt. No answer alone may be an overload, which ending it would
// make worse. A process hangs when it was asked again and again for half a minute,
// answered nothing, and has not run once in all that time though nothing but sleep,
// or a stop (signal(7)), keeps it from that: it does not wait for the processor or
// a disk, and no debugger holds it.
type Watch struct {
	worker, master asked
	runner         runner
	now            func() time.Time
	log            *slog.Logger

	rest    time.Duration // how long the last rest was
	until   time.Time     // not to be ended before this
	answers time.Time     // since when all have been answered; zero: not now
}

// asked is one of the processes.
type asked struct {
	name string
	ask  func(ctx context.Context) error                     // nil: it answers
	pid  func(ctx context.Context) (int, error)              // which process that is
	seen func(pid int) (runs uint64, asleep bool, err error) // what it does

	silent silence
}

// silence is since when a process has neither answered nor run.
type silence struct {
	pid        int
	runs       uint64
	since, now time.Time
}

// NewWatch returns the watch over the instance that has its files at paths.
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
		list, err := children(pid)
		if err == nil && len(list) == 0 {
			err = fmt.Errorf("process %d has no worker", pid)
		}
		if err != nil {
			return 0, err
		}
		return list[0], nil
	}
	return &Watch{
		worker: asked{name: "worker", ask: question(e.stats), pid: worker, seen: activity},
		master: asked{name: "master", ask: question(e.master.socket), pid: e.runner.pid, seen: activity},
		runner: e.runner, now: now, log: log,
	}
}

// Look asks once, and ends what hangs. It is to be called every few seconds; it
// takes 10 s when nobody answers. The error is why it could not be found out, or
// ended. HAProxy that does not run does not hang.
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

// hangs asks a process, and reports whether it hangs.
func (a *asked) hangs(ctx context.Context, now func() time.Time) (bool, error) {
	err := a.ask(ctx)
	if ctx.Err() != nil || !isSilence(err) {
		a.silent = silence{} // it answers, or is not there, or this look was cut short
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

// isSilence reports whether an error of a question is that nobody answers where
// somebody listens: not within the time, or since the questions from before still
// wait to be accepted, and there is no room for another (EAGAIN, unix(7)).
func isSilence(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, syscall.EAGAIN)
}

// activity returns how often the threads of a process have left the processor, and
// whether each of them sleeps, or is stopped: proc_pid_status(5).
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

// children returns the processes that a process has started and not outlived, the
// last one first: of HAProxy's master that is the worker which serves, and those of
// before a reload follow.
func children(parent int) ([]int, error) {
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	started := map[int]uint64{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		// "PID (NAME) STATE PPID …", where the name may hold anything; the 22nd is
		// when it was started: proc_pid_stat(5).
		field := strings.Fields(string(text[max(0, strings.LastIndexByte(string(text), ')')):]))
		if len(field) < 21 || field[1] == "Z" || field[2] != strconv.Itoa(parent) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err == nil {
			started[pid], _ = strconv.ParseUint(field[20], 10, 64)
		}
	}
	return slices.SortedFunc(maps.Keys(started), func(a, b int) int {
		return cmp.Or(cmp.Compare(started[b], started[a]), cmp.Compare(b, a))
	}), nil
}

package haproxy

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"iwx/lib/attempt/process"
	"iwx/lib/lb"
	"iwx/lib/testenv"
)

// played is a simulated instance.
type played struct {
	runner
	now    time.Time
	answer error // of the worker
	id     int
	runs   uint64
	awake  bool
	kills  []time.Time
	log    bytes.Buffer
}

func (p *played) kill(context.Context) error {
	p.kills = append(p.kills, p.now)
	return nil
}

func (p *played) watch() *Watch {
	return &Watch{
		worker: asked{
			name: "worker", ask: func(context.Context) error { return p.answer },
			pid:  func(context.Context) (int, error) { return p.id, nil },
			seen: func(int) (uint64, bool, error) { return p.runs, !p.awake, nil },
		},
		master: asked{name: "master", ask: func(context.Context) error { return nil }},
		runner: p, now: func() time.Time { return p.now }, log: slog.New(slog.NewTextHandler(&p.log, nil)),
	}
}

// TestWatchActsOnNoDoubt: of all reasons for a missing answer, only a hang gets
// HAProxy killed.
func TestWatchActsOnNoDoubt(t *testing.T) {
	silent := trouble("show version", os.ErrDeadlineExceeded)
	for _, tt := range []struct {
		name string
		step func(p *played, n int) // before each look
		ends bool
	}{
		{"hangs", func(*played, int) {}, true},
		{"hangs, and has no room for another question", func(p *played, n int) {
			if n > 0 {
				p.answer = trouble("show version", syscall.EAGAIN)
			}
		}, true},
		{"answers now and then", func(p *played, n int) {
			if p.answer = silent; n%3 == 2 {
				p.answer = nil
			}
		}, false},
		{"is started again meanwhile", func(p *played, n int) {
			if p.answer = silent; n%3 == 2 {
				p.answer = errNobody
			}
		}, false},
		{"runs, and does not come to it", func(p *played, n int) { p.runs++ }, false},
		{"waits for the processor, a disk or a debugger", func(p *played, n int) { p.awake = true }, false},
		{"another process each time", func(p *played, n int) { p.id++ }, false},
		{"this server is paused itself", func(p *played, n int) { p.now = p.now.Add(time.Minute) }, false},
		{"an error that is no silence", func(p *played, n int) { p.answer = trouble("show version", syscall.EMFILE) }, false},
	} {
		p := &played{now: time.Unix(1000, 0), answer: silent, id: 7}
		w := p.watch()
		for n := range 12 {
			tt.step(p, n)
			if err := w.Look(t.Context()); err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
			if ended := len(p.kills) > 0; ended && p.now.Sub(time.Unix(1000, 0)) < hungAfter {
				t.Errorf("%s: ended at once", tt.name)
			}
			p.now = p.now.Add(10 * time.Second)
		}
		if ended := len(p.kills) > 0; ended != tt.ends || strings.Contains(p.log.String(), "haproxy hangs") != tt.ends {
			t.Errorf("%s: ended %d times; log %s", tt.name, len(p.kills), p.log.String())
		}
	}
}

// TestWatchRests: an instance that hangs repeatedly is killed less and less often,
// and after a time of answers as soon as at first.
func TestWatchRests(t *testing.T) {
	silent := trouble("show version", context.DeadlineExceeded)
	p := &played{now: time.Unix(1000, 0), answer: silent, id: 7}
	w := p.watch()
	pass := func(d time.Duration) {
		for end := p.now.Add(d); p.now.Before(end); p.now = p.now.Add(10 * time.Second) {
			if err := w.Look(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	pass(24 * time.Hour)
	last := time.Duration(0)
	for i, at := range p.kills[1:] {
		between := at.Sub(p.kills[i])
		if between < last || between > restLast+hungAfter+10*time.Second {
			t.Errorf("ended %s after the last time, and before that %s", between, last)
		}
		last = between
	}
	if last < restLast || len(p.kills) < 20 {
		t.Errorf("ended %d times, at last every %s", len(p.kills), last)
	}
	p.answer = nil
	pass(2 * calmAfter)
	p.answer, p.kills = silent, nil
	pass(5 * time.Minute)
	if len(p.kills) < 2 {
		t.Errorf("ended %d times in 5 minutes after a calm", len(p.kills))
	}
}

// TestStoppedProcessIsStartedAgain: a real HAProxy whose worker or master is
// stopped is killed, and the next pass of the engine starts it again.
func TestStoppedProcessIsStartedAgain(t *testing.T) {
	for _, name := range []string{"worker", "master"} {
		t.Run(name, func(t *testing.T) {
			e := newEngine(t)
			key, echo := freePort(t, "127.0.0.1"), newEcho(t, "web1", "127.0.0.1")
			want := table1(key, lb.Virtual{}, reals{echo.addr: echo.real(100)})
			apply(t, e, want)
			is := masterStatus(t, e)
			pid := is.pid
			if name == "worker" {
				pid = is.workers[0]
			}
			now := time.Unix(1000, 0)
			w := &Watch{runner: e.runner, now: func() time.Time { return now }, log: slog.New(slog.DiscardHandler)}
			patient := func(s socket) func(context.Context) error {
				return func(ctx context.Context) error {
					ctx, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
					defer cancel()
					_, err := s.ask(ctx, "show version")
					return err
				}
			}
			known := func(pid int) func(context.Context) (int, error) {
				return func(context.Context) (int, error) { return pid, nil }
			}
			list, err := process.Children(is.pid)
			if err != nil || len(list) == 0 || list[0].PID != is.workers[0] {
				t.Fatalf("the worker is %v, and found are %v, %v", is.workers, list, err)
			}
			w.worker = asked{name: "worker", ask: patient(e.stats), pid: known(list[0].PID), seen: activity}
			w.master = asked{name: "master", ask: patient(e.master.socket), pid: e.runner.pid, seen: activity}
			testenv.Until(t, "both answer", func() bool {
				err := w.Look(t.Context())
				return err == nil && w.worker.silent == silence{} && w.master.silent == silence{}
			})
			if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			if name == "worker" {
				fill(t, string(e.stats)) // as unanswered connections do in time
			}
			testenv.Until(t, "it is ended", func() bool {
				if err := w.Look(t.Context()); err != nil {
					t.Fatal(err)
				}
				now = now.Add(10 * time.Second)
				return errors.Is(patient(e.master.socket)(t.Context()), errNobody) && errors.Is(patient(e.stats)(t.Context()), errNobody)
			})
			apply(t, e, want)
			testenv.Until(t, "it balances again", func() bool {
				c, err := dial(key)
				return err == nil && c.Close() == nil
			})
		})
	}
}

// fill connects to a socket without accept, until its backlog is full.
func fill(t *testing.T, path string) {
	t.Helper()
	for range 10000 {
		conn, err := net.Dial("unix", path)
		if errors.Is(err, syscall.EAGAIN) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
	}
	t.Error("there is room for 10000")
}

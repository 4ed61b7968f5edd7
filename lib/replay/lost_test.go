package replay_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"iwx/lib/attempt"
	"iwx/lib/cluster"
	"iwx/lib/queue"
	"iwx/lib/replay"
)

// troubled is a machine on which waiting for a command fails.
type troubled struct {
	*machine
	wait  func() error // of a command that this daemon started; it may panic
	find  int          // how often looking an attempt up fails
	panic bool         // by a panic
	gone  bool         // the files of every attempt were removed
}

func (m *troubled) Start(ctx context.Context, id attempt.ID, spec attempt.Spec) (attempt.Running, error) {
	_, err := m.machine.Start(ctx, id, spec)
	if m.gone {
		_ = m.Remove(id)
	}
	return waiting(m.wait), err
}

func (m *troubled) Find(ctx context.Context, id attempt.ID) (attempt.Found, error) {
	if m.find--; m.find >= 0 {
		if m.panic {
			panic("no luck")
		}
		return attempt.Found{}, errors.New("too many open files")
	}
	return m.machine.Find(ctx, id)
}

type waiting func() error

func (w waiting) Wait(context.Context) (attempt.Result, error) { return attempt.Result{}, w() }

// TestWaitFails: where waiting for a command fails, the command is still running, with
// its files. It is not run a second time beside that, and its result is taken.
func TestWaitFails(t *testing.T) {
	fails := func() error { return errors.New("no locks available") }
	for what, c := range map[string]struct {
		wait  func() error
		find  int
		panic bool
	}{
		"an error":                    {fails, 0, false},
		"a panic":                     {func() error { panic("no luck") }, 0, false},
		"an error, and more errors":   {fails, 5, false},
		"an error, and then panics":   {fails, 3, true},
		"an error for half a minute":  {func() error { time.Sleep(30 * time.Second); return errors.New("input/output error") }, 0, false},
		"an error after its very end": {func() error { time.Sleep(2 * time.Minute); return errors.New("input/output error") }, 1, false},
	} {
		t.Run(what, func(t *testing.T) {
			onNode(t, func(t *testing.T, j *journal, m *machine) {
				m.command = func(attempt.ID, attempt.Spec) (attempt.Result, time.Duration) { return exit(0), time.Minute }
				log := &chain{}
				log.add(queue.Command{})
				d := startDaemon(t, newReplayer(j, &troubled{machine: m, wait: c.wait, find: c.find, panic: c.panic}, "boot", silent()))
				defer d.stop()
				d.deliver(cluster.Orders{}, log.records...)
				time.Sleep(50 * time.Second)
				synctest.Wait()
				want(t, "word while it runs", d.Status().Word, replay.WordReplaying)
				if ids, err := m.List(); err != nil || len(ids) != 1 {
					t.Errorf("while it runs it has the files %v, %v", ids, err)
				}
				time.Sleep(5 * time.Minute)
				synctest.Wait()
				want(t, "runs", m.ran(), "1-1-1")
				want(t, "attempts", j.attempts(t), "1.1 done\n")
				if ids, err := m.List(); err != nil || len(ids) != 0 {
					t.Errorf("files are left: %v, %v", ids, err)
				}
			})
		})
	}
}

// TestFilesAreGone: of a command that was started and has no files any more, nobody
// knows what came of it.
func TestFilesAreGone(t *testing.T) {
	onNode(t, func(t *testing.T, j *journal, m *machine) {
		log := &chain{}
		log.add(queue.Command{})
		d := startDaemon(t, newReplayer(j, &troubled{machine: m, wait: func() error { return errors.New("no such file or directory") }, gone: true}, "boot", silent()))
		defer d.stop()
		d.deliver(cluster.Orders{}, log.records...)
		time.Sleep(time.Hour)
		synctest.Wait()
		want(t, "runs", m.ran(), "1-1-1")
		want(t, "attempts", j.attempts(t), "1.1 unknown\n")
		want(t, "word", d.Status().Word, replay.WordUnknown)
	})
}

// TestEndsWhileLookedUp: a daemon that cannot find out what became of a command ends
// when it is to, and the next one takes the result.
func TestEndsWhileLookedUp(t *testing.T) {
	onNode(t, func(t *testing.T, j *journal, m *machine) {
		m.command = func(attempt.ID, attempt.Spec) (attempt.Result, time.Duration) { return exit(0), time.Minute }
		log := &chain{}
		log.add(queue.Command{})
		d := startDaemon(t, newReplayer(j, &troubled{machine: m, wait: func() error { return errors.New("no locks available") }, find: 1 << 30}, "boot", silent()))
		d.deliver(cluster.Orders{}, log.records...)
		time.Sleep(10 * time.Second)
		d.stop()
		time.Sleep(time.Minute)
		next := startDaemon(t, newReplayer(j, m, "boot", silent()))
		defer next.stop()
		synctest.Wait()
		want(t, "runs", m.ran(), "1-1-1")
		want(t, "attempts", j.attempts(t), "1.1 done\n")
	})
}

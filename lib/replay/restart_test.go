package replay_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"iwx/lib/attempt"
	"iwx/lib/cluster"
	"iwx/lib/queue"
	"iwx/lib/replay"
)

func TestAdoptsWhatRuns(t *testing.T) {
	onNode(t, func(t *testing.T, j *journal, m *machine) {
		m.command = func(attempt.ID, attempt.Spec) (attempt.Result, time.Duration) { return exit(0), time.Minute }
		log := &chain{}
		log.add(queue.Command{})
		first := startDaemon(t, newReplayer(j, m, "boot", silent()))
		first.deliver(cluster.Orders{}, log.records...)
		synctest.Wait()
		first.stop()

		second := startDaemon(t, newReplayer(j, m, "boot", silent()))
		defer second.stop()
		synctest.Wait()
		want(t, "running", second.Status().Running, 1)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		want(t, "runs", m.ran(), "1-1-1")
		want(t, "attempts", j.attempts(t), "1.1 done\n")
	})
}

// TestTakesResultAfterRestart: the command ended while no daemon was there.
func TestTakesResultAfterRestart(t *testing.T) {
	onNode(t, func(t *testing.T, j *journal, m *machine) {
		m.command = func(attempt.ID, attempt.Spec) (attempt.Result, time.Duration) { return exit(0), time.Minute }
		log := &chain{}
		log.add(queue.Command{})
		first := startDaemon(t, newReplayer(j, m, "boot", silent()))
		first.deliver(cluster.Orders{}, log.records...)
		synctest.Wait()
		first.stop()
		time.Sleep(2 * time.Minute)

		second := startDaemon(t, newReplayer(j, m, "other boot", silent()))
		defer second.stop()
		synctest.Wait()
		want(t, "done", second.Status().Done, 1)
		want(t, "runs", m.ran(), "1-1-1")
	})
}

// TestCutShortByShutdown: a command that failed while its server went down is
// not tried again by itself, and what it wrote is kept.
func TestCutShortByShutdown(t *testing.T) {
	for _, boot := range []string{"boot", "other boot"} {
		t.Run(boot, func(t *testing.T) {
			onNode(t, func(t *testing.T, j *journal, m *machine) {
				begunBy(t, j, "boot", queue.Command{})
				ended := attempt.Result{Outcome: attempt.Signalled, Signal: 15, Code: -1, Stderr: attempt.Output{Head: []byte("going down\n"), Size: 11}}
				m.leaveFiles(attempt.ID{Epoch: 1, Seq: 1, Attempt: 1}, attempt.Finished, ended)
				d := startDaemon(t, newReplayer(j, m, boot, silent()))
				defer d.stop()
				d.deliver(cluster.Orders{})
				time.Sleep(time.Hour)
				synctest.Wait()
				if boot == "boot" {
					want(t, "attempts", j.attempts(t), "1.1 failed\n1.2 done\n2.1 done\n")
					return
				}
				want(t, "attempts", j.attempts(t), "1.1 unknown\n")
				want(t, "word", d.Status().Word, replay.WordUnknown)
				want(t, "runs", m.ran(), "")
			})
		})
	}
}

// begunBy leaves a journal in which attempt 1 of entry 1 was begun under the
// boot id, by a daemon that was killed before it started the command.
func begunBy(t *testing.T, j *journal, boot string, cmd queue.Command) {
	t.Helper()
	log := &chain{}
	log.add(cmd)
	log.add(queue.Command{})
	err := j.Commit(t.Context(), &replay.Changes{
		Records: log.records,
		Begun:   &replay.Open{Boot: boot, Attempt: cluster.Attempt{Epoch: 1, Seq: 1, Attempt: 1, Started: time.Now().UnixMilli()}},
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestKilledBeforeStart(t *testing.T) {
	for _, files := range []string{"no files", "files without a mark"} {
		t.Run(files, func(t *testing.T) {
			onNode(t, func(t *testing.T, j *journal, m *machine) {
				begunBy(t, j, "boot", queue.Command{})
				if files != "no files" {
					m.leaveFiles(attempt.ID{Epoch: 1, Seq: 1, Attempt: 1}, attempt.NeverStarted, attempt.Result{})
				}
				d := startDaemon(t, newReplayer(j, m, "boot", silent()))
				defer d.stop()
				d.deliver(cluster.Orders{})
				synctest.Wait()
				want(t, "runs", m.ran(), "1-1-1 1-2-1")
				want(t, "attempts", j.attempts(t), "1.1 done\n2.1 done\n")
			})
		})
	}
}

// TestPowerCut: after a power cut, that there is no trace of a start proves
// nothing.
func TestPowerCut(t *testing.T) {
	onNode(t, func(t *testing.T, j *journal, m *machine) {
		begunBy(t, j, "boot", queue.Command{})
		d := startDaemon(t, newReplayer(j, m, "other boot", silent()))
		d.deliver(cluster.Orders{})
		time.Sleep(time.Hour)
		synctest.Wait()
		want(t, "runs", m.ran(), "")
		want(t, "word", d.Status().Word, replay.WordUnknown)
		want(t, "error", d.Status().Blocked.Error, "cut short, outcome unknown")
		d.stop()

		again := startDaemon(t, newReplayer(j, m, "other boot", silent()))
		defer again.stop()
		again.deliver(cluster.Orders{})
		synctest.Wait()
		want(t, "word after a restart", again.Status().Word, replay.WordUnknown)
		again.deliver(cluster.Orders{Retry: 1, RetrySeq: 1})
		synctest.Wait()
		want(t, "runs after retry", m.ran(), "1-1-2 1-2-1")
	})
}

// TestPowerCutRerun: what may run again does, even when the daemon was ended
// once more before it heard the manager.
func TestPowerCutRerun(t *testing.T) {
	onNode(t, func(t *testing.T, j *journal, m *machine) {
		begunBy(t, j, "boot", queue.Command{Rerun: true})
		d := startDaemon(t, newReplayer(j, m, "other boot", silent()))
		synctest.Wait()
		want(t, "attempts", j.attempts(t), "1.1 unknown\n")
		d.stop()
		d = startDaemon(t, newReplayer(j, m, "other boot", silent()))
		defer d.stop()
		d.deliver(cluster.Orders{})
		synctest.Wait()
		want(t, "runs", m.ran(), "1-1-2 1-2-1")
	})
}

// TestRestartAnywhere ends the daemon after every commit of a short history in
// turn, at each once before and once after the commit took effect.
func TestRestartAnywhere(t *testing.T) {
	for point := range 12 {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("commit %d, after %t", point, after), func(t *testing.T) {
				onNode(t, func(t *testing.T, j *journal, m *machine) { restartAt(t, j, m, point, after) })
			})
		}
	}
}

func restartAt(t *testing.T, j *journal, m *machine, point int, after bool) {
	failed := false
	m.command = func(id attempt.ID, _ attempt.Spec) (attempt.Result, time.Duration) {
		if id.Seq == 2 && !failed {
			failed = true
			return exit(1), time.Second
		}
		return exit(0), time.Second
	}
	log := &chain{}
	for range 3 {
		log.add(queue.Command{})
	}
	log.void(3, queue.Members())
	log.add(queue.Command{})

	killer := &dying{journal: j, left: point, after: after}
	ctx, cancel := context.WithCancel(t.Context())
	killer.die = cancel
	r := newReplayer(killer, m, "boot", silent())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	go func() { _, _ = r.Deliver(ctx, &queue.Page{Records: log.page(0, 3)}, cluster.Orders{}, 0) }()
	time.Sleep(500 * time.Millisecond)
	go func() { _, _ = r.Deliver(ctx, &queue.Page{Records: log.page(3, 2)}, cluster.Orders{}, 0) }()
	time.Sleep(20 * time.Minute)
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}

	d := startDaemon(t, newReplayer(j, m, "boot", silent()))
	defer d.stop()
	saved, err := j.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	d.deliver(cluster.Orders{}, log.page(saved.Position.Seq, 5)...)
	time.Sleep(20 * time.Minute)
	synctest.Wait()
	want(t, "runs", m.ran(), "1-1-1 1-2-1 1-2-2 1-5-1")
	want(t, "attempts", j.attempts(t), "1.1 done\n2.1 failed\n2.2 done\n5.1 done\n")
	want(t, "done", d.Status().Done, 5)
}

// dying is a journal whose process is killed at a commit: before it, or after
// it and before anything came of it.
type dying struct {
	*journal
	left  int
	after bool
	die   func()
}

func (j *dying) Commit(ctx context.Context, c *replay.Changes) error {
	if j.left--; j.left >= 0 {
		return j.journal.Commit(ctx, c)
	}
	if j.after && j.left == -1 {
		if err := j.journal.Commit(ctx, c); err != nil {
			return err
		}
	}
	j.die()
	return errors.New("killed")
}

// TestClockSetBack: if the clock was set back and a retry lies far in the
// future, it is moved near, and the status shows the new time.
func TestClockSetBack(t *testing.T) {
	for name, ahead := range map[string]time.Duration{"ahead": 24 * time.Hour, "near": 3 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			onNode(t, func(t *testing.T, j *journal, m *machine) {
				m.command = func(attempt.ID, attempt.Spec) (attempt.Result, time.Duration) { return exit(3), 0 }
				log := &chain{}
				log.add(queue.Command{})
				r := newReplayer(j, m, "boot", silent())
				r.Now = func() time.Time { return time.Now().Add(ahead) }
				d := startDaemon(t, r)
				d.deliver(cluster.Orders{}, log.records...)
				time.Sleep(time.Second)
				synctest.Wait()
				d.stop()

				d = startDaemon(t, newReplayer(j, m, "boot", silent()))
				defer d.stop()
				s := d.Status()
				limit := time.Now().Add(10 * time.Minute).UnixMilli()
				want(t, "within two intervals", s.Blocked.RetryAt <= limit, true)
				d.deliver(cluster.Orders{})
				time.Sleep(time.UnixMilli(s.Blocked.RetryAt).Sub(time.Now()) - time.Second)
				synctest.Wait()
				want(t, "attempts before the time that is told", d.Status().Blocked.Attempts, 1)
				time.Sleep(2 * time.Second)
				synctest.Wait()
				want(t, "attempts after it", d.Status().Blocked.Attempts, 2)
			})
		})
	}
}

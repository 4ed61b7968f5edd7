package replay_test

import (
	"testing"
	"testing/synctest"
	"time"

	"iwx/lib/attempt"
	"iwx/lib/cluster"
	"iwx/lib/queue"
	"iwx/lib/replay"
)

// TestHungCommand: a command that cannot be ended halts the node while it exists,
// also for a daemon that starts later. Afterwards it has failed like any other.
func TestHungCommand(t *testing.T) {
	onNode(t, func(t *testing.T, j *journal, m *machine) {
		m.command = func(id attempt.ID, _ attempt.Spec) (attempt.Result, time.Duration) {
			return attempt.Result{Outcome: attempt.TimedOut, Code: -1, Signal: 9}, time.Hour
		}
		log := &chain{}
		log.add(queue.Command{Timeout: 2 * time.Second})
		d := startDaemon(t, newReplayer(j, m, "boot", silent()))
		began := time.Now()
		d.deliver(cluster.Orders{}, log.records...)
		time.Sleep(time.Minute)
		synctest.Wait()
		s := d.Status()
		want(t, "while it runs", []any{s.Word, s.Running, s.RunningSince, s.Blocked == nil}, []any{replay.WordReplaying, 1, began.UnixMilli(), true})

		m.hang(&attempt.Hung{Since: began.Add(2 * time.Second), TimedOut: true, Processes: "pid 7 touch cannot be killed, state D"})
		hung := func(d *daemon) {
			t.Helper()
			time.Sleep(10 * time.Second)
			synctest.Wait()
			s := d.Status()
			if s.Blocked == nil {
				t.Fatalf("%s, and nothing is told of what hangs", s.Word)
			}
			want(t, "word", []any{s.Word, s.Running}, []any{replay.WordHalted, 1})
			want(t, "blocked", []any{s.Blocked.Seq, s.Blocked.Attempts, s.Blocked.RetryAt}, []any{1, 1, 0})
			want(t, "reason", s.Blocked.Reason(began.Add(25*time.Second)), "over its time for 23s; pid 7 touch cannot be killed, state D")
		}
		hung(d)
		d.deliver(cluster.Orders{Retry: 1, RetrySeq: 1})
		hung(d)
		d.stop()
		d = startDaemon(t, newReplayer(j, m, "boot", silent()))
		defer d.stop()
		hung(d)

		time.Sleep(time.Hour - time.Since(began) + time.Second)
		synctest.Wait()
		s = d.Status()
		want(t, "word", []any{s.Word, s.Running, s.Blocked.Hung == nil}, []any{replay.WordHalted, 0, true})
		want(t, "error", s.Blocked.Error, "timed out after 2s")
	})
}

func TestReason(t *testing.T) {
	now := time.Now()
	hung := func(timedOut bool, since time.Duration) *cluster.Hung {
		return &cluster.Hung{Since: now.Add(-since).UnixMilli(), TimedOut: timedOut}
	}
	for want, b := range map[string]cluster.Blocked{
		"E: no":                               {Error: "E: no"},
		"over its time for 1h0m5s; pid 7 cat": {Error: "pid 7 cat", Hung: hung(true, time.Hour+5*time.Second)},
		"ended 23s ago; pid 7 cat":            {Error: "pid 7 cat", Hung: hung(false, 23*time.Second)},
		"over its time for 0s; pid 7 cat":     {Error: "pid 7 cat", Hung: hung(true, -time.Minute)}, // another clock
	} {
		if got := b.Reason(now); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

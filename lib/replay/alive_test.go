package replay_test

import (
	"testing"
	"testing/synctest"
	"time"

	"iwx/lib/attempt"
	"iwx/lib/cluster"
	"iwx/lib/queue"
)

// TestShowsThatItIsAlive: a watchdog ends a daemon whose loop does not go round.
// A node that has nothing to do, or waits for its next retry, is no such one,
// also while its manager is away.
func TestShowsThatItIsAlive(t *testing.T) {
	for _, name := range []string{"idle", "halted"} {
		t.Run(name, func(t *testing.T) {
			onNode(t, func(t *testing.T, j *journal, m *machine) {
				m.command = func(attempt.ID, attempt.Spec) (attempt.Result, time.Duration) { return exit(3), 0 }
				r := newReplayer(j, m, "boot", silent())
				last, longest, turns := time.Now(), time.Duration(0), 0
				r.Alive = func() {
					turns++
					longest = max(longest, time.Since(last))
					last = time.Now()
				}
				d := startDaemon(t, r)
				log := &chain{}
				if name == "halted" {
					log.add(queue.Command{})
				}
				d.deliver(cluster.Orders{}, log.records...)
				time.Sleep(time.Hour)
				synctest.Wait()
				d.stop()
				if silence := max(longest, time.Since(last)); silence > 10*time.Second {
					t.Errorf("nothing was heard of the loop for %s", silence)
				}
				if turns > 1000 {
					t.Errorf("the loop went round %d times in an hour", turns)
				}
			})
		})
	}
}

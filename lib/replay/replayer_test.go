package replay_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"iwx/lib/attempt"
	"iwx/lib/cluster"
	"iwx/lib/queue"
	"iwx/lib/replay"
	"iwx/lib/state"
)

// errFull is what a journal on a full disk says.
var errFull = errors.New("the disk that holds state.db is full; nothing was written")

// journal is a real journal whose disk can be full, or die.
type journal struct {
	*state.Journal
	store      *state.Store
	full       atomic.Bool
	unreadable atomic.Bool
	commits    atomic.Int64
}

func (j *journal) Commit(ctx context.Context, c *replay.Changes) error {
	if j.full.Load() {
		return errFull
	}
	j.commits.Add(1)
	return j.Journal.Commit(ctx, c)
}

func (j *journal) Ahead(ctx context.Context, limit int) ([]replay.Pending, error) {
	if j.unreadable.Load() {
		return nil, errors.New("input/output error")
	}
	return j.Journal.Ahead(ctx, limit)
}

// attempts returns what the journal holds, as "SEQ.ATTEMPT outcome" lines, the
// oldest first.
func (j *journal) attempts(t *testing.T) string {
	t.Helper()
	list, _, err := j.Unreported(t.Context(), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, a := range list {
		fmt.Fprintf(&b, "%d.%d %s\n", a.Seq, a.Attempt, a.Outcome)
	}
	return b.String()
}

// onNode runs a test in virtual time with the journal of a fresh node on a real
// state file.
func onNode(t *testing.T, test func(t *testing.T, j *journal, m *machine)) {
	t.Helper()
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	synctest.Test(t, func(t *testing.T) {
		store, err := state.Create(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		id := &cluster.Identity{Role: cluster.RoleNode, NodeID: "n1", Name: "web1", Start: 1}
		if err := store.SetIdentity(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		test(t, &journal{Journal: store.Journal(id), store: store}, newMachine())
	})
}

func want(t *testing.T, what string, got, want any) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func TestReplaysInOrder(t *testing.T) {
	onNode(t, func(t *testing.T, j *journal, m *machine) {
		d := startDaemon(t, newReplayer(j, m, "boot", silent()))
		defer d.stop()
		log := &chain{}
		for range 600 { // more than the window holds
			log.add(queue.Command{})
		}
		d.deliver(cluster.Orders{}, log.page(0, 600)...)
		time.Sleep(time.Minute) // virtual
		synctest.Wait()
		s := d.Status()
		want(t, "status", []any{s.Word, s.Epoch, s.Done, s.Head}, []any{replay.WordCurrent, 1, 600, 600})
		var expected []string
		for seq := range 600 {
			expected = append(expected, fmt.Sprintf("1-%d-1", seq+1))
		}
		want(t, "runs", m.ran(), strings.Join(expected, " "))
		if ids, _ := m.List(); len(ids) != 0 {
			t.Errorf("files of %d attempts are left", len(ids))
		}
	})
}

func TestHaltsAndTriesAgain(t *testing.T) {
	onNode(t, func(t *testing.T, j *journal, m *machine) {
		var broken atomic.Bool
		broken.Store(true)
		m.command = func(id attempt.ID, _ attempt.Spec) (attempt.Result, time.Duration) {
			if id.Seq == 1 && broken.Load() {
				r := exit(3)
				r.Stderr = attempt.Output{Head: []byte("no such vhost\n"), Size: 14}
				return r, time.Second
			}
			return exit(0), time.Second
		}
		d := startDaemon(t, newReplayer(j, m, "boot", silent()))
		defer d.stop()
		log := &chain{}
		log.add(queue.Command{})
		log.add(queue.Command{})
		d.deliver(cluster.Orders{}, log.records...)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		s := d.Status()
		want(t, "word", s.Word, replay.WordHalted)
		want(t, "blocked", []any{s.Blocked.Seq, s.Blocked.Attempts, s.Blocked.Code, s.Blocked.Error}, []any{1, 1, 3, "no such vhost"})
		want(t, "next retry", time.UnixMilli(s.Blocked.RetryAt).Sub(time.Now()).Round(time.Second), 5*time.Minute-time.Second)

		time.Sleep(5*time.Minute + time.Second)
		broken.Store(false)
		time.Sleep(5*time.Minute + 2*time.Second)
		synctest.Wait()
		want(t, "runs", m.ran(), "1-1-1 1-1-2 1-1-3 1-2-1")
		want(t, "word", d.Status().Word, replay.WordCurrent)
		want(t, "blocked", d.Status().Blocked, (*cluster.Blocked)(nil))
	})
}

// TestHeldBackRetryRests: a retry that is due while the node is held still must
// not keep the processor busy, nor wake the reporter.
func TestHeldBackRetryRests(t *testing.T) {
	onNode(t, func(t *testing.T, j *journal, m *machine) {
		m.command = func(attempt.ID, attempt.Spec) (attempt.Result, time.Duration) { return exit(1), 0 }
		d := startDaemon(t, newReplayer(j, m, "boot", silent()))
		defer d.stop()
		log := &chain{}
		log.add(queue.Command{})
		d.deliver(cluster.Orders{}, log.records...)
		synctest.Wait()
		d.deliver(cluster.Orders{Paused: true})
		synctest.Wait()
		drain(d.Changed())
		time.Sleep(time.Hour - time.Minute)
		synctest.Wait() // in a spin, the bubble is never at rest
		if drain(d.Changed()) {
			t.Error("the reporter was woken although nothing happened")
		}
		want(t, "runs while paused", m.ran(), "1-1-1")
		d.deliver(cluster.Orders{})
		synctest.Wait()
		want(t, "runs after resume", m.ran(), "1-1-1 1-1-2")
	})
}

// drain empties a channel and reports whether there was something in it.
func drain(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestDiskFullRunsNothing(t *testing.T) {
	onNode(t, func(t *testing.T, j *journal, m *machine) {
		var logged bytes.Buffer
		d := startDaemon(t, newReplayer(j, m, "boot", slog.New(slog.NewTextHandler(&logged, nil))))
		defer d.stop()
		log := &chain{}
		log.add(queue.Command{})
		j.full.Store(true)
		if _, err := d.Deliver(t.Context(), &queue.Page{Records: log.records}, cluster.Orders{}, 0); !errors.Is(err, errFull) {
			t.Errorf("deliver on a full disk: %v", err)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		want(t, "runs on a full disk", m.ran(), "")
		s := d.Status()
		want(t, "word", s.Word, replay.WordHalted)
		if s.Blocked == nil || s.Blocked.Error != errFull.Error() {
			t.Errorf("the status does not say that the disk is full: %+v", s.Blocked)
		}
		j.full.Store(false)
		d.deliver(cluster.Orders{}, log.records...)
		synctest.Wait()
		want(t, "runs when there is room again", m.ran(), "1-1-1")
		want(t, "word", d.Status().Word, replay.WordCurrent)
		d.stop()
		for _, line := range []string{"cannot use the journal", "the journal works again"} {
			if strings.Count(logged.String(), line) != 1 {
				t.Errorf("the log says %q %d times:\n%s", line, strings.Count(logged.String(), line), logged.String())
			}
		}
	})
}

// TestResultOnFullDisk: the disk fills up while a command runs. Its result is
// taken once there is room, it is not run again, and nothing is run meanwhile.
func TestResultOnFullDisk(t *testing.T) {
	onNode(t, func(t *testing.T, j *journal, m *machine) {
		m.command = func(attempt.ID, attempt.Spec) (attempt.Result, time.Duration) { return exit(0), 10 * time.Second }
		d := startDaemon(t, newReplayer(j, m, "boot", silent()))
		defer d.stop()
		log := &chain{}
		log.add(queue.Command{})
		log.add(queue.Command{})
		d.deliver(cluster.Orders{}, log.records...)
		synctest.Wait()
		j.full.Store(true)
		time.Sleep(time.Minute)
		synctest.Wait()
		want(t, "runs on a full disk", m.ran(), "1-1-1")
		want(t, "word", d.Status().Word, replay.WordHalted)
		j.full.Store(false)
		time.Sleep(time.Minute)
		synctest.Wait()
		want(t, "runs", m.ran(), "1-1-1 1-2-1")
		want(t, "attempts", j.attempts(t), "1.1 done\n2.1 done\n")
		want(t, "word", d.Status().Word, replay.WordCurrent)
	})
}

// TestReadingAheadFails: the disk fails while the next part of the log is read,
// just after the last result was written.
func TestReadingAheadFails(t *testing.T) {
	onNode(t, func(t *testing.T, j *journal, m *machine) {
		d := startDaemon(t, newReplayer(j, m, "boot", silent()))
		defer d.stop()
		log := &chain{}
		for range 300 {
			log.add(queue.Command{})
		}
		j.unreadable.Store(true)
		d.deliver(cluster.Orders{}, log.records...)
		time.Sleep(time.Minute)
		synctest.Wait()
		want(t, "done", d.Status().Done, 256)
		want(t, "word", d.Status().Word, replay.WordHalted)
		j.unreadable.Store(false)
		time.Sleep(time.Minute)
		synctest.Wait()
		want(t, "done", d.Status().Done, 300)
		want(t, "word", d.Status().Word, replay.WordCurrent)
		want(t, "runs", len(strings.Fields(m.ran())), 300)
	})
}

// TestSensitiveOutput: what a sensitive command writes is in no journal and no
// status, and its text is erased when it is done.
func TestSensitiveOutput(t *testing.T) {
	onNode(t, func(t *testing.T, j *journal, m *machine) {
		var heals atomic.Bool
		m.command = func(id attempt.ID, _ attempt.Spec) (attempt.Result, time.Duration) {
			r := exit(1)
			if heals.Load() || id.Seq == 1 {
				r = exit(0)
			}
			r.Stdout = attempt.Output{Head: []byte("hunter2"), Tail: []byte("hunter2"), Size: 14}
			r.Stderr = attempt.Output{Head: []byte("hunter2"), Size: 7}
			return r, 0
		}
		d := startDaemon(t, newReplayer(j, m, "boot", silent()))
		defer d.stop()
		log := &chain{}
		log.add(queue.Command{Argv: []string{"plain"}}) // runs just before, in the same page
		log.add(queue.Command{Argv: []string{"chpasswd"}, Stdin: []byte("bob:hunter2"), Sensitive: true})
		d.deliver(cluster.Orders{}, log.records...)
		synctest.Wait()
		want(t, "error", d.Status().Blocked.Error, "exit 1")
		heals.Store(true)
		time.Sleep(6 * time.Minute)
		synctest.Wait()
		list, _, err := j.Unreported(t.Context(), 0, 10)
		if err != nil || len(list) != 3 {
			t.Fatalf("%d attempts, %v", len(list), err)
		}
		want(t, "output of what is not sensitive", string(list[0].Stdout.Head), "hunter2")
		for _, a := range list[1:] {
			if kept := len(a.Stdout.Head) + len(a.Stdout.Tail) + len(a.Stderr.Head); kept > 0 {
				t.Errorf("attempt %d: %d bytes of output are in the journal", a.Attempt, kept)
			}
		}
		want(t, "size", list[1].Stdout.Size, 14)
		r, err := j.store.Record(t.Context(), 2)
		if err != nil || r.Body != nil || !r.Erased {
			t.Errorf("the text is still there when it is done: %v, %v", r, err)
		}
	})
}

// TestCannotStart: what keeps a command from being started is a failure that is
// shown and tried again.
func TestCannotStart(t *testing.T) {
	onNode(t, func(t *testing.T, j *journal, m *machine) {
		d := startDaemon(t, newReplayer(j, m, "boot", silent()))
		defer d.stop()
		log := &chain{}
		log.add(queue.Command{User: "nobody-here"})
		d.deliver(cluster.Orders{}, log.records...)
		synctest.Wait()
		b := d.Status().Blocked
		want(t, "blocked", []any{b.Code, b.Error, b.WillNotHeal}, []any{126, "no user nobody-here", false})
		d.deliver(cluster.Orders{Retry: 1, RetrySeq: 1})
		synctest.Wait()
		want(t, "attempts", j.attempts(t), "1.1 failed\n1.2 failed\n")
	})
}

// TestVoidReachesLateNode: a cancel for every node holds for a node that joined
// after it, whether the entry is in memory or not.
func TestVoidReachesLateNode(t *testing.T) {
	onNode(t, func(t *testing.T, j *journal, m *machine) {
		log := &chain{}
		baseline := queue.Targets{Scope: queue.ScopeBaseline}
		log.append(queue.KindCommand, baseline, encoded(&queue.Command{Argv: []string{"rm"}}))
		log.append(queue.KindCommand, baseline, encoded(&queue.Command{Argv: []string{"true"}}))
		log.void(1, queue.Members())
		r := newReplayer(j, m, "boot", silent())
		r.Start = 4
		d := startDaemon(t, r)
		defer d.stop()
		d.deliver(cluster.Orders{}, log.records...)
		synctest.Wait()
		want(t, "runs", m.ran(), "1-2-1")
	})
}

// TestNewerVoidHalts: a void record that this version cannot read is waited at.
func TestNewerVoidHalts(t *testing.T) {
	onNode(t, func(t *testing.T, j *journal, m *machine) {
		log := &chain{}
		log.add(queue.Command{})
		v := queue.Void{Seq: 1, Disposition: queue.Skipped}
		log.append(queue.KindVoid, queue.Members(), append(v.Encode(), 99, 1, 0))
		log.add(queue.Command{})
		d := startDaemon(t, newReplayer(j, m, "boot", silent()))
		defer d.stop()
		d.deliver(cluster.Orders{}, log.records...)
		synctest.Wait()
		want(t, "word", d.Status().Word, string(replay.NeedsUpgrade))
		want(t, "runs", m.ran(), "1-1-1")
	})
}

func TestRunDue(t *testing.T) {
	onNode(t, func(t *testing.T, j *journal, m *machine) {
		m.command = func(id attempt.ID, _ attempt.Spec) (attempt.Result, time.Duration) {
			return exit(int(id.Seq) / 3), time.Second
		}
		r := newReplayer(j, m, "boot", silent())
		ended := make(chan error, 1)
		go func() { ended <- r.RunDue(t.Context()) }()
		log := &chain{}
		for range 4 {
			log.add(queue.Command{})
		}
		if _, err := r.Deliver(t.Context(), &queue.Page{Records: log.page(0, 1), More: true}, cluster.Orders{}, 0); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		want(t, "runs before all is received", m.ran(), "")
		if _, err := r.Deliver(t.Context(), &queue.Page{Records: log.page(1, 3)}, cluster.Orders{}, 0); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
		want(t, "word", r.Status().Word, replay.WordHalted)
		want(t, "runs", m.ran(), "1-1-1 1-2-1 1-3-1")
	})
}

func TestRunDueOnFullDisk(t *testing.T) {
	onNode(t, func(t *testing.T, j *journal, m *machine) {
		r := newReplayer(j, m, "boot", silent())
		ended := make(chan error, 1)
		go func() { ended <- r.RunDue(t.Context()) }()
		j.full.Store(true)
		log := &chain{}
		log.add(queue.Command{})
		_, _ = r.Deliver(t.Context(), &queue.Page{Records: log.records}, cluster.Orders{}, 0)
		if err := <-ended; !errors.Is(err, errFull) {
			t.Errorf("RunDue says %v", err)
		}
	})
}

package state_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"iwx/lib/cluster"
	"iwx/lib/host"
	"iwx/lib/queue"
	"iwx/lib/state"
)

// Some tests need other processes that use the same file: the test binary runs
// itself again, with a job in its environment.
const (
	jobKey  = "IWX_STATE_JOB"  // what to do
	pathKey = "IWX_STATE_PATH" // to which file
	tagKey  = "IWX_STATE_TAG"  // a word that the writer's entries bear
	manyKey = "IWX_STATE_MANY" // how many of them

	claimKey = "IWX_STATE_CLAIM" // the claim, where the state is a server's
)

func TestMain(m *testing.M) {
	jobs := map[string]func(path string) error{"append": jobAppend, "create": jobCreate, "open": jobOpen}
	job, found := jobs[os.Getenv(jobKey)]
	if !found {
		os.Exit(m.Run())
	}
	if err := job(os.Getenv(pathKey)); err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
}

// jobAppend appends entries one at a time and prints a line, "SEQ BODY WAIT",
// for each that was acknowledged.
func jobAppend(path string) error {
	s, err := state.OpenAt(context.Background(), host.Paths{State: path, StateClaim: os.Getenv(claimKey)})
	if err != nil {
		return err
	}
	defer s.Close()
	many, err := strconv.Atoi(os.Getenv(manyKey))
	if err != nil {
		return err
	}
	for i := range many {
		body := fmt.Sprintf("%s-%d", os.Getenv(tagKey), i)
		begun := time.Now()
		op, err := s.Append(context.Background(), draft(body))
		if err != nil {
			return err
		}
		// One write: a line is whole or not there when the process is killed.
		fmt.Fprintf(os.Stdout, "%d %s %d\n", op.Seq, body, time.Since(begun).Microseconds())
	}
	return nil
}

func jobCreate(path string) error {
	s, err := state.Create(context.Background(), path)
	if err != nil {
		return err
	}
	return s.Close()
}

// jobOpen opens the file as nobody.
func jobOpen(path string) error {
	if os.Getuid() == 0 {
		const nobody = 65534
		if err := syscall.Setuid(nobody); err != nil {
			return err
		}
	}
	s, err := state.Open(context.Background(), path)
	if err != nil {
		return err
	}
	return s.Close()
}

// again returns the command that runs the test binary as a job.
func again(t *testing.T, job, path string, env ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^$")
	cmd.Env = append(os.Environ(), append(env, jobKey+"="+job, pathKey+"="+path)...)
	cmd.Stderr = os.Stderr
	return cmd
}

// ack is an entry that a writing process was told is on the disk.
type ack struct {
	seq  uint64
	body string
	wait time.Duration
}

// writer is a process that appends.
type writer struct {
	t    *testing.T
	cmd  *exec.Cmd
	out  *bufio.Scanner
	acks []ack

	failure string // what it said instead of an acknowledgement
}

func startWriter(t *testing.T, path, tag string, many int) *writer {
	t.Helper()
	w := &writer{t: t, cmd: again(t, "append", path, tagKey+"="+tag, manyKey+"="+strconv.Itoa(many))}
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	w.out = bufio.NewScanner(out)
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return w
}

// read reads up to n acknowledgements, or all there are until the process ends.
func (w *writer) read(n int) {
	for ; n > 0 && w.out.Scan(); n-- {
		var a ack
		var wait int64
		if _, err := fmt.Sscanf(w.out.Text(), "%d %s %d", &a.seq, &a.body, &wait); err != nil {
			w.failure = w.out.Text()
			return
		}
		a.wait = time.Duration(wait) * time.Microsecond
		w.acks = append(w.acks, a)
	}
}

// all is a count of acknowledgements that is never reached.
const all = 1 << 30

// kill ends the process as kill -9 does, and reads what it said until then.
func (w *writer) kill() {
	_ = w.cmd.Process.Kill() // it may have ended
	w.read(all)
	_ = w.cmd.Wait() // killed
}

// finish waits until the process has done all of its work.
func (w *writer) finish() {
	w.t.Helper()
	w.read(all)
	if err := w.cmd.Wait(); err != nil || w.failure != "" {
		w.t.Errorf("a writer failed: %v %s", err, w.failure)
	}
}

// draft is an entry for every node. The log does not look into its body.
func draft(body string) state.Draft {
	return state.Draft{Kind: queue.KindCommand, Targets: queue.Members(), Body: []byte(body)}
}

// manager is the identity of the state files of these tests.
func manager() *cluster.Identity {
	return &cluster.Identity{Role: cluster.RoleManager, ClusterID: "c1", ClusterName: "lab", Name: "m1", SetupAt: time.UnixMilli(1000)}
}

// newManager makes the state of a manager and returns it, open.
func newManager(t testing.TB) *state.Store {
	t.Helper()
	return managerAt(t, filepath.Join(t.TempDir(), "state.db"))
}

func managerAt(t testing.TB, path string) *state.Store {
	t.Helper()
	s, err := state.Create(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if err := s.SetIdentity(t.Context(), manager()); err != nil {
		t.Fatal(err)
	}
	return s
}

func open(t testing.TB, path string) *state.Store {
	t.Helper()
	s, err := state.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// verify checks that the log's numbers have no gap and that its chain holds,
// and returns its records.
func verify(t testing.TB, s *state.Store) []queue.Record {
	t.Helper()
	var list []queue.Record
	for {
		part, err := s.Records(context.Background(), uint64(len(list)), 4096, 64<<20)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, part...)
		if len(part) == 0 {
			break
		}
	}
	page := queue.Page{Records: list}
	if err := page.Verify(queue.Position{}); err != nil {
		t.Fatalf("the chain does not hold: %v", err)
	}
	return list
}

// holds checks that every entry that was acknowledged is in the log.
func holds(t testing.TB, records []queue.Record, acks []ack) {
	t.Helper()
	for _, a := range acks {
		if a.seq > uint64(len(records)) {
			t.Fatalf("entry %d (%s) was acknowledged and is lost: the log ends at %d", a.seq, a.body, len(records))
		}
		if got := string(records[a.seq-1].Body); got != a.body {
			t.Fatalf("entry %d was acknowledged as %q and is %q", a.seq, a.body, got)
		}
	}
}

// TestWritersTakeTurns: processes that write as fast as they can leave no gap,
// and none of them is kept waiting.
func TestWritersTakeTurns(t *testing.T) {
	t.Parallel()
	const writers, each = 4, 150
	s := newManager(t)
	var ws []*writer
	for i := range writers {
		ws = append(ws, startWriter(t, s.Path(), fmt.Sprintf("w%d", i), each))
	}
	for _, w := range ws {
		w.finish()
	}
	records := verify(t, s)
	if len(records) != writers*each {
		t.Errorf("%d entries, want %d", len(records), writers*each)
	}
	for i, w := range ws {
		holds(t, records, w.acks)
		var worst time.Duration
		for j, a := range w.acks {
			worst = max(worst, a.wait)
			if j > 0 && a.seq <= w.acks[j-1].seq {
				t.Errorf("writer %d was given %d after %d", i, a.seq, w.acks[j-1].seq)
			}
		}
		// Milliseconds on a quiet machine; this one may be busy.
		if worst > 3*time.Second {
			t.Errorf("writer %d waited %s for its turn", i, worst)
		}
	}
	if longest := longestRun(records); longest > writers*each/3 {
		t.Errorf("one writer had %d turns in a row", longest)
	}
}

// longestRun returns how many entries in a row have the same writer, while
// there were others: the last writer to end is alone at the end.
func longestRun(records []queue.Record) int {
	longest, run, before := 0, 0, ""
	for i := range records[:len(records)/2] {
		tag, _, _ := strings.Cut(string(records[i].Body), "-")
		if tag != before {
			run, before = 0, tag
		}
		run++
		longest = max(longest, run)
	}
	return longest
}

// TestKilledWriters kills writers in the middle of their work while another one
// goes on.
func TestKilledWriters(t *testing.T) {
	t.Parallel()
	s := newManager(t)
	steady := startWriter(t, s.Path(), "steady", 200)
	var acks []ack
	for round := range 8 {
		w := startWriter(t, s.Path(), fmt.Sprintf("killed%d", round), all)
		w.read(1 + round*3)
		w.kill()
		acks = append(acks, w.acks...)
	}
	steady.finish()
	records := verify(t, s)
	holds(t, records, acks)
	holds(t, records, steady.acks)
	if len(acks) < 8 {
		t.Errorf("only %d entries were acknowledged before the kills", len(acks))
	}
}

// TestMigrateAtOnce: processes that find the same empty place all get a state
// that works.
func TestMigrateAtOnce(t *testing.T) {
	t.Parallel()
	for range 3 {
		path := filepath.Join(t.TempDir(), "state.db")
		var cmds []*exec.Cmd
		for range 4 {
			cmd := again(t, "create", path)
			cmd.Stdout = os.Stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			cmds = append(cmds, cmd)
		}
		for _, cmd := range cmds {
			if err := cmd.Wait(); err != nil {
				t.Errorf("a process that migrates: %v", err)
			}
		}
		s := managerAt(t, path)
		if _, err := s.Append(t.Context(), draft("x")); err != nil {
			t.Error(err)
		}
	}
}

package queuedtool

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"iwx/lib/attempt"
	"iwx/lib/cli"
	"iwx/lib/cluster"
	"iwx/lib/daemon"
	"iwx/lib/host"
	"iwx/lib/queue"
	"iwx/lib/replay"
	"iwx/lib/state"
	"iwx/lib/testenv"
	"iwx/lib/tool/local"
)

// The tests below run the daemon as a process of its own that kills itself with
// SIGKILL at one chosen edge: just before, or just after, something that is
// written, started, sent or removed. They do so for every edge there is, start
// it again, and count how often each command was run.

// killAt names the edge at which the process dies; unset or 0 is never.
const killAt = "IWX_TEST_KILL_AT"

// edges counts the edges of this process.
type edges struct {
	at   int64
	seen atomic.Int64
}

func newEdges() *edges {
	at, _ := strconv.ParseInt(os.Getenv(killAt), 10, 64)
	return &edges{at: at}
}

func (e *edges) edge() {
	if e.seen.Add(1) == e.at {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // the signal is on its way
	}
}

// around runs do between two edges.
func around[T any](e *edges, do func() (T, error)) (T, error) {
	e.edge()
	v, err := do()
	e.edge()
	return v, err
}

func aroundErr(e *edges, do func() error) error {
	_, err := around(e, func() (struct{}, error) { return struct{}{}, do() })
	return err
}

type deadlyJournal struct {
	replay.Journal
	*edges
}

func (j deadlyJournal) Commit(ctx context.Context, c *replay.Changes) error {
	return aroundErr(j.edges, func() error { return j.Journal.Commit(ctx, c) })
}

type deadlyRunner struct {
	attempt.Runner
	*edges
}

func (r deadlyRunner) Start(ctx context.Context, id attempt.ID, spec attempt.Spec) (attempt.Running, error) {
	return around(r.edges, func() (attempt.Running, error) { return r.Runner.Start(ctx, id, spec) })
}

func (r deadlyRunner) Remove(id attempt.ID) error {
	return aroundErr(r.edges, func() error { return r.Runner.Remove(id) })
}

type deadlyManager struct {
	replay.Manager
	*edges
}

func (m deadlyManager) Poll(ctx context.Context, req *cluster.PollRequest) (*cluster.PollAnswer, error) {
	return around(m.edges, func() (*cluster.PollAnswer, error) { return m.Manager.Poll(ctx, req) })
}

func (m deadlyManager) Report(ctx context.Context, r *cluster.Report) error {
	return aroundErr(m.edges, func() error { return m.Manager.Report(ctx, r) })
}

type deadlyStore struct {
	cluster.Store
	*edges
}

func (s deadlyStore) SaveReport(ctx context.Context, id string, seen time.Time, st cluster.Status, as []cluster.Attempt) error {
	return aroundErr(s.edges, func() error { return s.Store.SaveReport(ctx, id, seen, st, as) })
}

func (s deadlyStore) SaveContact(ctx context.Context, id string, seen time.Time, from netip.Addr) error {
	return aroundErr(s.edges, func() error { return s.Store.SaveContact(ctx, id, seen, from) })
}

func (s deadlyStore) Records(ctx context.Context, after uint64, limit, size int) ([]queue.Record, error) {
	return around(s.edges, func() ([]queue.Record, error) { return s.Store.Records(ctx, after, limit, size) })
}

func (s deadlyStore) Rosters(ctx context.Context) ([]cluster.Roster, error) {
	return around(s.edges, func() ([]cluster.Roster, error) { return s.Store.Rosters(ctx) })
}

// deadly is the grammar of the daemon with edges.
type deadly struct{ Once bool }

func (g *deadly) Run(c *cli.Context) error {
	s, err := local.Open(c)
	if err != nil {
		return err
	}
	defer s.Close()
	d, err := begin(c, s)
	if err != nil {
		return err
	}
	defer d.end()
	e := newEdges()
	if s.IsManager() {
		m, err := d.manager(c)
		if err != nil {
			return err
		}
		m.rules.Store = deadlyStore{d.Store, e}
		return m.serve(c)
	}
	n, err := d.node(c)
	if err != nil {
		return err
	}
	n.replayer.Journal = deadlyJournal{n.replayer.Journal, e}
	n.replayer.Runner = deadlyRunner{n.replayer.Runner, e}
	n.fetcher.Manager = deadlyManager{n.client, e}
	n.reporter.Manager = deadlyManager{n.client, e}
	if g.Once {
		return n.once(c)
	}
	return n.serve()
}

func TestMain(m *testing.M) {
	if os.Getenv("IWX_TEST_DAEMON") != "" {
		tool := cli.Tool{Name: "iwx-queued", Grammar: func() any { return &deadly{} }}
		os.Exit(cli.Main(tool, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	if err := buildShim(); err != nil {
		fmt.Fprintln(os.Stderr, "the shim could not be built:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// process starts the daemon of a root, to die at the given edge.
func process(t *testing.T, root string, edge int, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), "IWX_TEST_DAEMON=1", "IWX_ROOT="+root, "GORACE=atexit_sleep_ms=10", killAt+"="+strconv.Itoa(edge))
	cmd.Stderr = &bytes.Buffer{}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// wasKilled reports whether the process died by SIGKILL.
func wasKilled(err error) bool {
	exit, ok := err.(*exec.ExitError)
	return ok && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL
}

// threeEntries queues commands that say when they begin and end, and returns
// what the file must hold when each has run once, in order.
func (c *testCluster) threeEntries(t *testing.T, file string, round int) string {
	t.Helper()
	var drafts []state.Draft
	var want strings.Builder
	for i := range 3 {
		mark := fmt.Sprintf("%d.%d", round, i)
		script := fmt.Sprintf("echo begin %[1]s >> %[2]s; sleep 0.02; echo end %[1]s >> %[2]s", mark, file)
		body, err := (&queue.Command{Argv: []string{"sh", "-c", script}, QueuedAt: time.Now()}).Encode()
		if err != nil {
			t.Fatal(err)
		}
		drafts = append(drafts, state.Draft{Kind: queue.KindCommand, Targets: queue.Members(), Body: body})
		fmt.Fprintf(&want, "begin %[1]s\nend %[1]s\n", mark)
	}
	if _, err := c.store.Append(t.Context(), drafts...); err != nil {
		t.Fatal(err)
	}
	daemon.Poke(host.At(c.root).Run)
	return want.String()
}

// TestNodeKilledAtEveryEdge kills the node's daemon at every edge of replaying
// three commands.
func TestNodeKilledAtEveryEdge(t *testing.T) {
	c := newTestCluster(t, 1)
	manager := process(t, c.root, 0)
	defer end(manager)
	c.awaitAPI(t)
	file := filepath.Join(t.TempDir(), "ran")
	want := ""
	for edge := 1; ; edge++ {
		want += c.threeEntries(t, file, edge)
		first := process(t, c.nodes[0], edge, "--once")
		err := first.Wait()
		if err != nil && !wasKilled(err) {
			t.Fatalf("edge %d: %v\n%s", edge, err, first.Stderr)
		}
		if again := process(t, c.nodes[0], 0, "--once"); err != nil {
			if err := again.Wait(); err != nil {
				t.Fatalf("edge %d, started again: %v\n%s", edge, err, again.Stderr)
			}
		} else if err := again.Wait(); err != nil {
			t.Fatalf("a second run: %v\n%s", err, again.Stderr)
		}
		got, readErr := os.ReadFile(file)
		if readErr != nil || string(got) != want {
			t.Fatalf("edge %d: ran\n%s\nwant\n%s (%v)", edge, got, want, readErr)
		}
		c.checkReports(t, edge*3)
		if err == nil {
			if edge < 20 {
				t.Fatalf("only %d edges: the test does not reach what it is for", edge)
			}
			t.Logf("%d edges", edge-1)
			return
		}
	}
}

// TestManagerKilledAtEveryEdge kills the manager's daemon at every edge of
// serving them, while the node goes on.
func TestManagerKilledAtEveryEdge(t *testing.T) {
	c := newTestCluster(t, 1)
	node := process(t, c.nodes[0], 0)
	defer end(node)
	file := filepath.Join(t.TempDir(), "ran")
	want := ""
	for edge := 1; ; edge++ {
		want += c.threeEntries(t, file, edge)
		first := process(t, c.root, edge)
		died := make(chan error, 1)
		go func() { died <- first.Wait() }()
		survived := false
		deadline := time.After(testenv.Wait())
	serving:
		for {
			select {
			case err := <-died:
				if !wasKilled(err) {
					t.Fatalf("edge %d: %v\n%s", edge, err, first.Stderr)
				}
				break serving
			case <-time.After(20 * time.Millisecond):
				if c.done(t) == uint64(edge*3) {
					survived = true
					break serving
				}
			case <-deadline:
				t.Fatalf("edge %d: neither done nor killed\n%s", edge, first.Stderr)
			}
		}
		if survived {
			_ = first.Process.Signal(syscall.SIGTERM)
			<-died
		} else {
			second := process(t, c.root, 0)
			c.awaitDone(t, uint64(edge*3))
			end(second)
		}
		got, err := os.ReadFile(file)
		if err != nil || string(got) != want {
			t.Fatalf("edge %d: ran\n%s\nwant\n%s (%v)", edge, got, want, err)
		}
		c.checkReports(t, edge*3)
		if survived {
			if edge < 8 {
				t.Fatalf("only %d edges: the test does not reach what it is for", edge)
			}
			t.Logf("%d edges", edge-1)
			return
		}
	}
}

func end(cmd *exec.Cmd) {
	_ = cmd.Process.Signal(syscall.SIGTERM)
	_ = cmd.Wait()
}

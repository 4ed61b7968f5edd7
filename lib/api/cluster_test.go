package api_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"iwx/lib/api"
	"iwx/lib/attempt"
	"iwx/lib/cluster"
	"iwx/lib/pki"
	"iwx/lib/queue"
	"iwx/lib/replay"
	"iwx/lib/state"
	"iwx/lib/testenv"
)

// link is the network between one node and the manager. It can be cut.
type link struct {
	listener net.Listener
	to       string
	mu       sync.Mutex
	cut      bool
	conns    []net.Conn
	copying  sync.WaitGroup
}

func newLink(t *testing.T, to netip.AddrPort) *link {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	k := &link{listener: l, to: to.String()}
	k.copying.Go(k.accept)
	t.Cleanup(func() {
		l.Close()
		k.set(true)
		k.copying.Wait()
	})
	return k
}

func (k *link) accept() {
	for {
		here, err := k.listener.Accept()
		if err != nil {
			return
		}
		there, err := net.Dial("tcp", k.to)
		if err != nil {
			here.Close()
			continue
		}
		k.mu.Lock()
		k.conns = append(k.conns, here, there)
		if k.cut {
			here.Close()
			there.Close()
		}
		k.mu.Unlock()
		k.copying.Go(func() { carry(here, there) })
		k.copying.Go(func() { carry(there, here) })
	}
}

// carry copies until either side is closed, and closes the other.
func carry(to, from net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			_, err = to.Write(buf[:n])
		}
		if err != nil {
			to.Close()
			return
		}
	}
}

// set cuts the link, with everything that goes over it, or restores it.
func (k *link) set(cut bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.cut = cut
	for _, c := range k.conns {
		c.Close()
	}
	k.conns = nil
}

// replica is a whole node: what iwx-queued is made of there.
type replica struct {
	*member
	*link
	store    *state.Store
	replayer *replay.Replayer
	dir      string // its commands write here
}

// replica joins a new node and has it replay until the test ends.
func (l *lab) replica(name, shim string) *replica {
	l.t.Helper()
	n := &replica{member: l.join(name), link: newLink(l.t, l.at), dir: l.t.TempDir()}
	id := &cluster.Identity{Role: cluster.RoleNode, NodeID: n.answer.NodeID, Name: name, ClusterID: n.answer.ClusterID, Start: n.answer.Start}
	var err error
	n.store, err = state.Create(l.t.Context(), filepath.Join(n.dir, "state.db"))
	check(l.t, err)
	check(l.t, n.store.SetIdentity(l.t.Context(), id))
	runner, err := attempt.NewChild(filepath.Join(n.dir, "attempts"), shim, nil)
	check(l.t, err)
	log := slog.New(slog.DiscardHandler)
	n.replayer = (&replay.Replayer{
		Journal: n.store.Journal(id), Runner: runner, Spec: n.spec, Node: id.NodeID, Start: id.Start, Boot: "boot", Version: "0.1.0",
		Interval: func() time.Duration { return time.Minute }, Now: time.Now, Alive: func() {}, Log: log,
	}).New()
	client := l.through(n)
	fetcher := &replay.Fetcher{
		Manager: client, Replayer: n.replayer, Contacts: n.store, Instance: n.instance,
		Verify: func(p queue.Position, sig []byte) error {
			return pki.VerifyHead(n.answer.LogKey, cluster.Head(id.ClusterID, p), sig)
		},
		PollWait: func() time.Duration { return time.Minute }, Now: time.Now, Log: log,
	}
	reporter := &replay.Reporter{Manager: client, Replayer: n.replayer, Instance: n.instance, Log: log}
	l.t.Cleanup(func() { runner.Close(); n.store.Close() })
	l.run(n.replayer.Run, fetcher.Run, reporter.Run)
	return n
}

// through returns a client whose way to the manager is the node's link.
func (l *lab) through(n *replica) *api.Client {
	l.t.Helper()
	config, err := pki.ClientConfig(l.ca.Cert, pki.NewCredentials(n.cert), time.Now)
	check(l.t, err)
	c := api.NewClient([]netip.AddrPort{n.listener.Addr().(*net.TCPAddr).AddrPort()}, netip.Addr{}, config)
	l.t.Cleanup(c.Close)
	return c
}

// run runs the parts until the test ends.
func (l *lab) run(parts ...func(context.Context) error) {
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for _, part := range parts {
		running.Go(func() {
			if err := part(ctx); err != nil {
				l.t.Error(err)
			}
		})
	}
	l.t.Cleanup(func() { stop(); running.Wait() })
}

// spec gives a command what it needs to leave a trace of itself.
func (n *replica) spec(op queue.OpID, _ int, c *queue.Command) (attempt.Spec, error) {
	env := []string{"PATH=/usr/bin:/bin", fmt.Sprintf("SEQ=%d", op.Seq), "TRACE=" + filepath.Join(n.dir, "trace")}
	return attempt.Spec{Argv: c.Argv, Env: env, Dir: n.dir, Stdin: c.Stdin, Umask: 0o077, KillAfter: time.Second}, nil
}

// trace is the entries that were run on the node, in order.
func (n *replica) trace(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(n.dir, "trace"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return strings.Join(strings.Fields(string(data)), " ")
}

// queue appends a command that leaves a trace.
func (l *lab) queue(targets queue.Targets, sensitive bool) uint64 {
	l.t.Helper()
	c := &queue.Command{Argv: []string{"sh", "-c", `echo $SEQ >> "$TRACE"; cat`}, Stdin: []byte("hush"), Sensitive: sensitive, QueuedAt: time.Now()}
	body, err := c.Encode()
	check(l.t, err)
	return l.append(state.Draft{Kind: queue.KindCommand, Targets: targets, Body: body, Sensitive: sensitive})
}

func (l *lab) append(d state.Draft) uint64 {
	l.t.Helper()
	op, err := l.store.Append(l.t.Context(), d)
	check(l.t, err)
	check(l.t, l.Refresh(l.t.Context()))
	return op.Seq
}

// awaitDone waits until the manager knows that the nodes are done with seq.
func (l *lab) awaitDone(seq uint64, nodes ...*replica) {
	l.t.Helper()
	testenv.Until(l.t, fmt.Sprintf("entry %d is done", seq), func() bool {
		left, err := l.store.Unsettled(l.t.Context(), seq)
		check(l.t, err)
		return !slices.ContainsFunc(left, func(m cluster.Node) bool {
			return slices.ContainsFunc(nodes, func(n *replica) bool { return n.answer.NodeID == m.ID })
		})
	})
}

// buildShim builds the program that runs commands on nodes.
func buildShim(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "iwx-attempt")
	build := exec.Command("go", "build", "-o", path, "iwx/cmd/iwx-attempt")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%s%v", out, err)
	}
	return path
}

// TestCluster has a manager and three nodes do what they are for: entries
// reach all, and a node that was cut off catches up in order, but for what was
// skipped for it meanwhile.
func TestCluster(t *testing.T) {
	t.Parallel()
	shim := buildShim(t)
	l := serve(t)
	web1, web2, web3 := l.replica("web1", shim), l.replica("web2", shim), l.replica("web3", shim)

	for range 3 {
		l.queue(queue.Members(), false)
	}
	l.queue(queue.Nodes(web2.answer.NodeID), false)
	l.awaitDone(4, web1, web2, web3)
	for n, want := range map[*replica]string{web1: "1 2 3", web2: "1 2 3 4", web3: "1 2 3"} {
		if got := n.trace(t); got != want {
			t.Errorf("%s ran %s, want %s", n.answer.Name, got, want)
		}
	}

	web3.set(true)
	l.queue(queue.Members(), false)
	skipped := l.queue(queue.Members(), false)
	secret := l.queue(queue.Members(), true)
	l.queue(queue.Members(), false)
	l.awaitDone(8, web1, web2)
	void := queue.Void{Seq: skipped, Disposition: queue.Skipped, Who: "root"}
	head := l.append(state.Draft{Kind: queue.KindVoid, Targets: queue.Nodes(web3.answer.NodeID), Body: void.Encode()})
	l.awaitDone(head, web1, web2)
	if r := l.record(secret); r.Body == nil || r.Erased {
		t.Error("a secret is erased that one node has yet to run")
	}
	if got := web3.trace(t); got != "1 2 3" {
		t.Errorf("cut off, web3 ran %s", got)
	}

	web3.set(false)
	l.awaitDone(head, web1, web2, web3)
	for n, want := range map[*replica]string{web1: "1 2 3 5 6 7 8", web2: "1 2 3 4 5 6 7 8", web3: "1 2 3 5 7 8"} {
		if got := n.trace(t); got != want {
			t.Errorf("%s ran %s, want %s", n.answer.Name, got, want)
		}
	}
	if r := l.record(secret); r.Body != nil || !r.Erased {
		t.Error("a secret that every node is done with is still there")
	}
	l.checkHistory(secret)
}

func (l *lab) record(seq uint64) *queue.Record {
	l.t.Helper()
	r, err := l.store.Record(l.t.Context(), seq)
	check(l.t, err)
	return r
}

// checkHistory fails unless the manager knows of every attempt, with the
// output, but for that of the secret.
func (l *lab) checkHistory(secret uint64) {
	l.t.Helper()
	attempts, err := l.store.Attempts(l.t.Context(), state.AttemptFilter{})
	check(l.t, err)
	if len(attempts) != 7+8+6 {
		l.t.Errorf("%d attempts are known, want 21", len(attempts))
	}
	for _, a := range attempts {
		want := "hush"
		if a.Seq == secret {
			want = ""
		}
		if a.Outcome != cluster.OutcomeDone || string(a.Stdout.Head) != want || a.Stdout.Size != 4 {
			l.t.Errorf("entry %d: %s, %q of %d bytes", a.Seq, a.Outcome, a.Stdout.Head, a.Stdout.Size)
		}
	}
}

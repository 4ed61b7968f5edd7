package queuetool

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"iwx/lib/cli"
	"iwx/lib/cluster"
	"iwx/lib/daemon"
	"iwx/lib/host"
	"iwx/lib/state"
)

// rig is a server below a root of its own, whose nodes are played by the test.
type rig struct {
	*testing.T
	root  string
	store *state.Store
	stdin io.Reader
}

// newRig makes a manager with members of those names; their ids are "id-NAME".
func newRig(t *testing.T, names ...string) *rig {
	t.Helper()
	r := newServer(t, &cluster.Identity{Role: cluster.RoleManager, ClusterID: "00c1", ClusterName: "alpha", Name: "mgr",
		Manager: netip.MustParseAddrPort("192.0.2.1:2480"), SetupAt: time.Now()})
	for _, name := range names {
		r.join(name)
	}
	return r
}

func newServer(t *testing.T, id *cluster.Identity) *rig {
	t.Helper()
	t.Setenv("SUDO_USER", "ada")
	t.Setenv("IWX_OP_ID", "")
	r := &rig{T: t, root: t.TempDir(), stdin: strings.NewReader("")}
	paths := host.At(r.root)
	if err := os.MkdirAll(paths.Lib, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(paths.Run, 0o700); err != nil {
		t.Fatal(err)
	}
	waker, err := daemon.Listen(paths.Run)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { waker.Close() })
	store, err := state.Create(t.Context(), paths.State)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	r.store = store
	r.ok(store.SetIdentity(t.Context(), id))
	return r
}

func (r *rig) ok(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

// join makes a member whose own entries begin after the log's last.
func (r *rig) join(name string) {
	r.Helper()
	token := &cluster.Token{ID: "t-" + name, Name: name, Hash: []byte{1}, From: cluster.FromNow, CreatedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour)}
	r.ok(r.store.AddToken(r.Context(), token))
	r.ok(r.store.Admit(r.Context(), token.ID, func(token *cluster.Token, _ []cluster.Node, head uint64) ([]cluster.Node, error) {
		token.UsedAt, token.NodeID = time.Now(), "id-"+name
		return []cluster.Node{{ID: "id-" + name, Name: name, Membership: cluster.Member, MachineID: name, Start: head + 1, JoinedAt: time.Now()}}, nil
	}))
	r.report(name, cluster.Status{Word: "current", Done: r.head(), Head: r.head()})
}

func (r *rig) head() uint64 {
	p, err := r.store.Head(r.Context())
	r.ok(err)
	return p.Seq
}

// report is what a node's daemon tells the manager.
func (r *rig) report(name string, status cluster.Status, attempts ...cluster.Attempt) {
	r.Helper()
	status.Version = "1.0"
	r.ok(r.store.SaveReport(context.WithoutCancel(r.Context()), "id-"+name, time.Now(), status, attempts))
}

// done reports that the node is done with every entry up to seq, the last of
// which it ran.
func (r *rig) done(name string, seq uint64) {
	r.Helper()
	now := time.Now().UnixMilli()
	r.report(name, cluster.Status{Word: "current", Epoch: 1, Done: seq, Head: seq},
		cluster.Attempt{Epoch: 1, Seq: seq, Attempt: 1, Started: now, Ended: now, Duration: 2500, Outcome: cluster.OutcomeDone})
}

// halt reports that the node fails at entry seq.
func (r *rig) halt(name string, seq uint64, attempt int) {
	r.Helper()
	now := time.Now()
	r.report(name, cluster.Status{Word: "halted", Epoch: 1, Done: seq - 1, Head: seq, Blocked: &cluster.Blocked{
		Epoch: 1, Seq: seq, Attempts: attempt, Code: 3, Error: "no such package", FirstFailure: now.UnixMilli(), RetryAt: now.Add(5*time.Minute + 30*time.Second).UnixMilli(),
	}}, cluster.Attempt{Epoch: 1, Seq: seq, Attempt: attempt, Started: now.UnixMilli(), Ended: now.UnixMilli(), Duration: 1500000,
		Outcome: cluster.OutcomeFailed, Code: 3, Stdout: written("reading lists\n"), Stderr: written("no such package\nsee the log\n")})
}

func written(s string) cluster.Output { return cluster.Output{Head: []byte(s), Size: int64(len(s))} }

// run runs iwx-queue and returns what a shell would see.
func (r *rig) run(args ...string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	r.Setenv("IWX_ROOT", r.root)
	code = cli.Main(Tool(), args, r.stdin, &out, &err)
	r.stdin = strings.NewReader("")
	return code, out.String(), err.String()
}

// want runs iwx-queue and compares all that a shell would see: "exit N", what
// came on standard output, and on standard error with "! " in front.
func (r *rig) want(want string, args ...string) {
	r.Helper()
	code, stdout, stderr := r.run(args...)
	got := stdout
	for line := range strings.Lines(stderr) {
		got += "! " + line
	}
	if code != 0 {
		got += fmt.Sprintf("exit %d\n", code)
	}
	got = strings.ReplaceAll(got, r.root, "ROOT")
	want = strings.TrimPrefix(strings.ReplaceAll(want, "\n\t\t", "\n"), "\n")
	if got != want {
		r.Errorf("iwx-queue %q:\n%s\nwant:\n%s", args, got, want)
	}
}

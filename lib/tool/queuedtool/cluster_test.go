package queuedtool

import (
	"context"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"iwx/lib/cluster"
	"iwx/lib/host"
	"iwx/lib/pki"
	"iwx/lib/state"
	"iwx/lib/testenv"
)

// testCluster is a cluster made by hand: what setup would make of a manager and
// its nodes.
type testCluster struct {
	root  string   // of the manager
	nodes []string // roots
	ids   []string
	store *state.Store // the manager's
	addr  netip.AddrPort
}

func newTestCluster(t *testing.T, nodes int) *testCluster {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	c := &testCluster{root: t.TempDir(), addr: l.Addr().(*net.TCPAddr).AddrPort()}
	now := time.Now()
	clusterID := pki.NewID()
	keys := pki.Store{Dir: prepare(t, c.root)}
	ca := must(keys.EnsureCA(clusterID, now))(t)
	key := must(keys.EnsureKey())(t)
	check(t, keys.SaveCertificate(must(ca.SignManager(key.Public(), now))(t)))
	logKey := pki.LogPublic(must(keys.EnsureLogKey())(t))
	c.store = must(state.Create(t.Context(), host.At(c.root).State))(t)
	t.Cleanup(func() { c.store.Close() })
	id := cluster.Identity{Role: cluster.RoleManager, ClusterID: clusterID, ClusterName: "test", Name: "manager",
		Manager: c.addr, Address: netip.MustParseAddr("127.0.0.1"), LogKey: logKey, SetupAt: now}
	check(t, c.store.SetIdentity(t.Context(), &id))
	for i := range nodes {
		c.addNode(t, ca, id, i)
	}
	return c
}

func (c *testCluster) addNode(t *testing.T, ca *pki.CA, id cluster.Identity, i int) {
	t.Helper()
	root := t.TempDir()
	keys := pki.Store{Dir: prepare(t, root)}
	id.Role, id.NodeID, id.Name, id.Start = cluster.RoleNode, pki.NewID(), "node"+string(rune('1'+i)), 1
	id.Address = netip.AddrFrom4([4]byte{127, 0, 0, byte(10 + i)})
	key := must(keys.EnsureKey())(t)
	cert := must(ca.SignNode(must(pki.NewCSR(key))(t), id.NodeID, time.Now()))(t)
	check(t, keys.SaveRoot(ca.Cert))
	check(t, keys.SaveCertificate(cert))
	store := must(state.Create(t.Context(), host.At(root).State))(t)
	check(t, store.SetIdentity(t.Context(), &id))
	check(t, store.Close())
	token := cluster.Token{ID: id.NodeID, Name: id.Name, Hash: []byte{1}, From: cluster.FromBeginning, CreatedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour)}
	check(t, c.store.AddToken(t.Context(), &token))
	check(t, c.store.Admit(t.Context(), token.ID, func(*cluster.Token, []cluster.Node, uint64) ([]cluster.Node, error) {
		return []cluster.Node{{ID: id.NodeID, Name: id.Name, Membership: cluster.Member, MachineID: id.NodeID, Start: 1, JoinedAt: time.Now()}}, nil
	}))
	c.nodes, c.ids = append(c.nodes, root), append(c.ids, id.NodeID)
}

// prepare makes a root's directories and identity, and returns its pki
// directory.
func prepare(t *testing.T, root string) string {
	t.Helper()
	p := host.At(root)
	for _, dir := range []string{p.Lib, p.PKI, p.Run, filepath.Dir(p.MachineID)} {
		check(t, os.MkdirAll(dir, 0o700))
	}
	must(host.EnsureMachineID(root))(t)
	check(t, host.SetHostname(root, "test"))
	return p.PKI
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		check(t, err)
		return v
	}
}

// buildShim builds iwx-attempt beside the test binary, which is where the
// daemon in it looks.
func buildShim() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command("go", "build", "-o", filepath.Dir(self), "iwx/cmd/iwx-attempt")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	return cmd.Run()
}

// awaitAPI waits until the manager listens.
func (c *testCluster) awaitAPI(t *testing.T) {
	t.Helper()
	testenv.Until(t, "the manager listens", func() bool {
		conn, err := net.Dial("tcp", c.addr.String())
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

// done is how far the manager knows the first node to be.
func (c *testCluster) done(t *testing.T) uint64 {
	t.Helper()
	return must(c.store.Members(context.Background()))(t)[0].Status.Done
}

func (c *testCluster) awaitDone(t *testing.T, seq uint64) {
	t.Helper()
	testenv.Until(t, "the node has replayed everything", func() bool { return c.done(t) == seq })
}

// checkReports checks that the manager knows of one attempt for each entry, and
// that each succeeded.
func (c *testCluster) checkReports(t *testing.T, entries int) {
	t.Helper()
	attempts := must(c.store.Attempts(t.Context(), state.AttemptFilter{}))(t)
	seen := map[uint64]int{}
	for _, a := range attempts {
		seen[a.Seq]++
		if a.Outcome != cluster.OutcomeDone || a.Attempt.Attempt != 1 {
			t.Fatalf("entry %d, attempt %d: %s", a.Seq, a.Attempt.Attempt, a.Outcome)
		}
	}
	for seq := range uint64(entries) {
		if seen[seq+1] != 1 {
			t.Fatalf("entry %d has %d attempts", seq+1, seen[seq+1])
		}
	}
}

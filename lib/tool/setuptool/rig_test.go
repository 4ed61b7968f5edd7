package setuptool

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"iwx/lib/api"
	"iwx/lib/cli"
	"iwx/lib/cluster"
	"iwx/lib/fault"
	"iwx/lib/host"
	"iwx/lib/join"
	"iwx/lib/pki"
	"iwx/lib/state"
)

// clock is a time that a test sets.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (k *clock) read() time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.now
}

func (k *clock) move(d time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.now = k.now.Add(d)
}

// rig is a manager and a server that may become its node, with their clocks.
// The manager's rules and API run in the test itself.
type rig struct {
	t        *testing.T
	block    string // of loopback addresses, "127.1.2."
	manager  string // root directories
	node     string
	clock    *clock // the manager's
	nodes    *clock // the node's
	recovery string // the key, as it was shown
	lose     bool   // the manager's answers to a join get lost
}

func newRig(t *testing.T) *rig {
	t.Helper()
	dir := t.TempDir()
	start := time.Now().Truncate(time.Second)
	r := &rig{
		t: t, block: loopbackBlock(t),
		manager: filepath.Join(dir, "mgr"), node: filepath.Join(dir, "web1"),
		clock: &clock{now: start}, nodes: &clock{now: start},
	}
	out, _, err := r.run(r.manager, r.clock, &managerVerb{QuorumIP: r.ip(1), Address: r.ip(2), Name: "demo"})
	if err != nil {
		t.Fatal(err)
	}
	r.recovery = out
	r.serve()
	return r
}

// loopbackBlock returns addresses that no other test uses at the same time.
func loopbackBlock(t *testing.T) string {
	t.Helper()
	for a := 20; a < 250; a++ {
		block := fmt.Sprintf("127.%d.99.", a)
		if l, err := net.Listen("tcp", block+"254:2480"); err == nil {
			t.Cleanup(func() { l.Close() })
			return block
		}
	}
	t.Fatal("no block of loopback addresses is free")
	return ""
}

func (r *rig) ip(last int) ip { return ip{netip.MustParseAddr(fmt.Sprint(r.block, last))} }

// verb is what cli runs.
type verb interface{ Run(*cli.Context) error }

// run runs a verb on the server below root.
func (r *rig) run(root string, k *clock, v verb) (stdout, stderr string, err error) {
	r.t.Helper()
	var out, errs bytes.Buffer
	c := &cli.Context{
		Context: r.t.Context(), Tool: "iwx-cluster-setup", Root: root, Stdin: strings.NewReader(""),
		Stdout: &out, Stderr: &errs, Now: k.read, Getenv: func(string) string { return "" },
	}
	err = v.Run(c)
	return out.String(), errs.String(), err
}

// store opens the state below root until the test ends.
func (r *rig) store(root string) *state.Store {
	r.t.Helper()
	s, err := state.Open(r.t.Context(), host.At(root).State)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { s.Close() })
	return s
}

// losing is the manager's rules behind a wire that loses answers.
type losing struct {
	*cluster.Manager
	rig *rig
}

// Join implements api.Rules.
func (l losing) Join(ctx context.Context, remote netip.Addr, req *cluster.JoinRequest) (*cluster.JoinAnswer, error) {
	answer, err := l.Manager.Join(ctx, remote, req)
	if err == nil && l.rig.lose {
		return nil, fault.New(fault.Failed, "the answer is lost")
	}
	return answer, err
}

// serve runs the manager until the test ends.
func (r *rig) serve() {
	r.t.Helper()
	store := r.store(r.manager)
	id, err := store.Identity(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	keys := pki.Store{Dir: host.At(r.manager).PKI}
	ca, err1 := keys.CA()
	logKey, err2 := keys.LogKey()
	cert, err3 := keys.Certificate()
	facts, err4 := host.Read(r.manager, id.Manager.Addr(), id.Address)
	if err1 != nil || err2 != nil || err3 != nil || err4 != nil {
		r.t.Fatal(err1, err2, err3, err4)
	}
	log := slog.New(slog.DiscardHandler)
	rules := &cluster.Manager{
		Store: store, Identity: id, Facts: func() (host.Facts, error) { return facts, nil }, Version: cli.Version, Now: r.clock.read, Log: log,
		Signer: &cluster.Keys{CA: ca, Log: logKey, Cluster: id.ClusterID, Now: r.clock.read},
	}
	if err := rules.Refresh(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
	l, err := net.Listen("tcp", id.Manager.String())
	if err != nil {
		r.t.Fatal(err)
	}
	server := &api.Server{Rules: losing{rules, r}, CA: ca.Cert, Creds: pki.NewCredentials(cert), Now: r.clock.read, Log: log}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, l) }()
	r.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			r.t.Error(err)
		}
	})
}

// token invites the node; change, if not nil, makes it a special invitation.
func (r *rig) token(change func(*cluster.Token)) string {
	r.t.Helper()
	token := r.newToken()
	hash := token.Secret.Hash()
	k := &cluster.Token{
		ID: token.ID.String(), Name: "web1", Hash: hash[:], From: cluster.FromNow,
		CreatedAt: r.clock.read(), ExpiresAt: r.clock.read().Add(time.Hour),
	}
	if change != nil {
		change(k)
	}
	if err := r.store(r.manager).AddToken(r.t.Context(), k); err != nil {
		r.t.Fatal(err)
	}
	return r.tokenFile(token)
}

// newToken makes a token that the manager does not know.
func (r *rig) newToken() join.Token {
	r.t.Helper()
	root, err := pki.Store{Dir: host.At(r.manager).PKI}.Root()
	if err != nil {
		r.t.Fatal(err)
	}
	return join.NewToken(netip.AddrPortFrom(r.ip(1).Addr, 2480), pki.PinOf(root))
}

func (r *rig) tokenFile(token join.Token) string {
	r.t.Helper()
	file := filepath.Join(r.t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token.Text()+"\n"), 0o600); err != nil {
		r.t.Fatal(err)
	}
	return file
}

// join runs the verb that joins the node.
func (r *rig) join(token string, ignore ...string) (stderr string, err error) {
	r.t.Helper()
	_, stderr, err = r.run(r.node, r.nodes, &nodeVerb{File: token, Address: r.ip(11), Ignore: ignore})
	return stderr, err
}

// identity is what the node is.
func (r *rig) identity() *cluster.Identity {
	r.t.Helper()
	id, err := r.store(r.node).Identity(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	return id
}

// wantError fails unless err says all of parts, in its text or its hint.
func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	text := fmt.Sprintf("%v\n%s", err, fault.HintOf(err))
	for _, part := range parts {
		if err == nil || !strings.Contains(text, part) {
			t.Errorf("error:\n%s\nwant: %s", text, part)
		}
	}
}

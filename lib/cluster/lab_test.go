package cluster_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/pem"
	"errors"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"iwx/lib/cluster"
	"iwx/lib/host"
	"iwx/lib/join"
	"iwx/lib/pki"
	"iwx/lib/queue"
	"iwx/lib/state"
)

// lab is a manager's rules over a real state file.
type lab struct {
	*cluster.Manager
	t     *testing.T
	store *state.Store
	ca    *pki.CA
	log   *bytes.Buffer
	hosts byte // servers made so far
}

// onManager runs a test in virtual time. Sleeping there moves the clock and
// costs nothing.
func onManager(t *testing.T, test func(t *testing.T, l *lab)) {
	t.Helper()
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, path)
		defer l.store.Close()
		test(t, l)
	})
}

func newLab(t *testing.T, path string) *lab {
	t.Helper()
	ca, err := pki.NewCA(pki.NewID(), time.Now())
	check(t, err)
	logKey, err := pki.NewLogKey()
	check(t, err)
	store, err := state.Create(t.Context(), path)
	check(t, err)
	identity := &cluster.Identity{
		Role: cluster.RoleManager, ClusterID: ca.ClusterID(), ClusterName: "shop", Name: "mgr",
		Manager: netip.MustParseAddrPort("127.0.0.1:2480"), Address: netip.MustParseAddr("127.0.0.2"),
		LogKey: pki.LogPublic(logKey),
	}
	check(t, store.SetIdentity(t.Context(), identity))
	log := &bytes.Buffer{}
	l := &lab{t: t, store: store, ca: ca, log: log, Manager: &cluster.Manager{
		Store:    store,
		Signer:   &cluster.Keys{CA: ca, Log: logKey, Cluster: ca.ClusterID(), Now: time.Now},
		Identity: identity, Facts: func() (host.Facts, error) { return facts(1), nil }, Version: "0.1.0", Now: time.Now,
		Log: slog.New(slog.NewTextHandler(log, nil)),
	}}
	check(t, l.Refresh(t.Context()))
	return l
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// facts are those of the server at 127.0.0.n.
func facts(n byte) host.Facts {
	return host.Facts{
		MachineID: strings.Repeat(string("0123456789abcdef"[n>>4]), 16) + strings.Repeat(string("0123456789abcdef"[n&15]), 16),
		OS:        host.OS{ID: "debian", Version: "12"}, Arch: "amd64",
		Addresses: []host.Address{{Prefix: netip.PrefixFrom(addr(n), 8), Interface: "lo", Loopback: true}},
		Users:     []host.User{{Name: "shop", UID: 2000}},
	}
}

func addr(n byte) netip.Addr { return netip.AddrFrom4([4]byte{127, 0, 0, n}) }

// server is a server that wants to join, or has.
type server struct {
	id, instance string
	remote       netip.Addr
	req          *cluster.JoinRequest
	answer       *cluster.JoinAnswer
}

// server makes a server with a key, facts and an address of its own.
func (l *lab) server() *server {
	l.t.Helper()
	l.hosts++
	n := l.hosts + 10
	return &server{remote: addr(n), instance: pki.NewID(), req: &cluster.JoinRequest{
		CSR: csr(l.t), Facts: facts(n), Version: "0.1.0", Time: time.Now().UnixMilli(),
	}}
}

// csr is a request for a certificate for a new key, in PEM.
func csr(t testing.TB) string {
	t.Helper()
	key, err := pki.NewKey()
	check(t, err)
	der, err := pki.NewCSR(key)
	check(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

// invite stores a token for the name, good for an hour, after change.
func (l *lab) invite(name string, change func(*cluster.Token)) join.Token {
	l.t.Helper()
	secret := join.NewToken(l.Identity.Manager, pki.PinOf(l.ca.Cert))
	hash := secret.Secret.Hash()
	token := &cluster.Token{
		ID: secret.ID.String(), Name: name, Hash: hash[:], From: cluster.FromNow,
		CreatedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour),
	}
	if change != nil {
		change(token)
	}
	check(l.t, l.store.AddToken(l.t.Context(), token))
	return secret
}

// ask presents the token.
func (l *lab) ask(s *server, token join.Token) (*cluster.JoinAnswer, error) {
	s.req.TokenID, s.req.Secret = token.ID.String(), token.Secret[:]
	return l.Join(l.t.Context(), s.remote, s.req)
}

// joined returns a new member.
func (l *lab) joined(name string) *server {
	l.t.Helper()
	s := l.server()
	l.mustJoin(s, l.invite(name, nil))
	return s
}

func (l *lab) mustJoin(s *server, token join.Token) {
	l.t.Helper()
	var err error
	s.answer, err = l.ask(s, token)
	check(l.t, err)
	s.id = s.answer.NodeID
}

// node returns what the state knows of the server.
func (l *lab) node(s *server) cluster.Node {
	l.t.Helper()
	nodes, err := l.store.Nodes(l.t.Context())
	check(l.t, err)
	for _, n := range nodes {
		if n.ID == s.id {
			return n
		}
	}
	l.t.Fatalf("the state knows no node %q", s.id)
	return cluster.Node{}
}

// add appends a command of the given size for the targets.
func (l *lab) add(targets queue.Targets, size int) queue.OpID {
	l.t.Helper()
	op, err := l.store.Append(l.t.Context(), state.Draft{Kind: queue.KindCommand, Targets: targets, Body: make([]byte, size)})
	check(l.t, err)
	return op
}

// addMany appends n commands of the given size for all members, in one write.
func (l *lab) addMany(n, size int) {
	l.t.Helper()
	drafts := make([]state.Draft, n)
	for i := range drafts {
		drafts[i] = state.Draft{Kind: queue.KindCommand, Targets: queue.Members(), Body: make([]byte, size)}
	}
	_, err := l.store.Append(l.t.Context(), drafts...)
	check(l.t, err)
}

// refresh lets the polls see what was written.
func (l *lab) refresh() {
	l.t.Helper()
	check(l.t, l.Refresh(l.t.Context()))
}

func (l *lab) head() queue.Position {
	l.t.Helper()
	p, err := l.store.Head(l.t.Context())
	check(l.t, err)
	return p
}

// pollAt polls from the position, waiting as given.
func (l *lab) pollAt(ctx context.Context, s *server, at queue.Position, wait time.Duration) (*cluster.PollAnswer, error) {
	return l.Poll(ctx, s.id, s.remote, &cluster.PollRequest{
		Instance: s.instance, Position: cluster.WirePosition(at), Wait: wait.Milliseconds(),
	})
}

// parked is a poll that was held open.
type parked struct {
	answer *cluster.PollAnswer
	err    error
	after  time.Duration
	done   atomic.Bool // set when the others are
}

// park polls in the background, from the log's end. It returns when the poll
// is held open or was answered.
func (l *lab) park(ctx context.Context, s *server, wait time.Duration) *parked {
	l.t.Helper()
	p, at, begun := &parked{}, l.head(), time.Now()
	go func() {
		p.answer, p.err = l.pollAt(ctx, s, at, wait)
		p.after = time.Since(begun)
		p.done.Store(true)
	}()
	synctest.Wait()
	return p
}

// refused fails the test unless err is the refusal.
func refused(t *testing.T, err error, reason, message, hint string) {
	t.Helper()
	var r *cluster.Refusal
	if !errors.As(err, &r) {
		t.Fatalf("got %v, want a refusal: %s", err, message)
	}
	if r.Reason != reason || r.Message != message || r.Hint != hint {
		t.Errorf("refused with %s: %s\nhint: %s\nwant %s: %s\nhint: %s", r.Reason, r.Message, r.Hint, reason, message, hint)
	}
}

// verify fails the test unless the answer's page follows from the position and
// its end is signed.
func (l *lab) verify(at queue.Position, a *cluster.PollAnswer) queue.Position {
	l.t.Helper()
	page := a.QueuePage()
	check(l.t, page.Verify(at))
	last := page.Records[len(page.Records)-1].Position()
	check(l.t, pki.VerifyHead(l.Identity.LogKey, cluster.Head(l.Identity.ClusterID, last), page.Sig))
	return last
}

// keyHash is what the state keeps of a server's key.
func keyHash(t *testing.T, csr string) [sha256.Size]byte {
	t.Helper()
	block, _ := pem.Decode([]byte(csr))
	key, err := pki.ParseCSR(block.Bytes)
	check(t, err)
	return sha256.Sum256(publicDER(t, key))
}

func (l *lab) addSensitive(body []byte) {
	l.t.Helper()
	_, err := l.store.Append(l.t.Context(), state.Draft{Kind: queue.KindCommand, Targets: queue.Members(), Body: body, Sensitive: true})
	check(l.t, err)
}

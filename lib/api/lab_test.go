package api_test

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"iwx/lib/api"
	"iwx/lib/cluster"
	"iwx/lib/host"
	"iwx/lib/join"
	"iwx/lib/pki"
	"iwx/lib/state"
	"iwx/lib/testenv"
)

// lab is a manager that serves its API on loopback.
type lab struct {
	*cluster.Manager
	t      *testing.T
	dir    string
	store  *state.Store
	ca     *pki.CA
	at     netip.AddrPort
	ctx    context.Context
	stop   context.CancelFunc
	served chan error
	hosts  byte
}

func serve(t *testing.T) *lab {
	t.Helper()
	l := &lab{t: t, dir: t.TempDir(), served: make(chan error, 1)}
	l.ctx, l.stop = context.WithCancel(t.Context())
	l.openState()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	l.at = listener.Addr().(*net.TCPAddr).AddrPort()
	l.Identity.Manager = l.at
	check(t, l.Refresh(t.Context()))
	server := &api.Server{Rules: l.Manager, CA: l.ca.Cert, Creds: l.managerCreds(), Now: time.Now, Log: l.Log}
	go func() { l.served <- server.Serve(l.ctx, listener) }()
	t.Cleanup(func() {
		l.stop()
		<-l.served
		l.store.Close()
	})
	return l
}

// openState makes the manager's state and rules.
func (l *lab) openState() {
	l.t.Helper()
	var err error
	l.ca, err = pki.NewCA(pki.NewID(), time.Now())
	check(l.t, err)
	logKey, err := pki.NewLogKey()
	check(l.t, err)
	l.store, err = state.Create(l.t.Context(), filepath.Join(l.dir, "state.db"))
	check(l.t, err)
	identity := &cluster.Identity{
		Role: cluster.RoleManager, ClusterID: l.ca.ClusterID(), ClusterName: "shop", Name: "mgr",
		Manager: netip.MustParseAddrPort("127.0.0.1:2480"), LogKey: pki.LogPublic(logKey),
	}
	check(l.t, l.store.SetIdentity(l.t.Context(), identity))
	l.Manager = &cluster.Manager{
		Store:    l.store,
		Signer:   &cluster.Keys{CA: l.ca, Log: logKey, Cluster: l.ca.ClusterID(), Now: time.Now},
		Identity: identity, Facts: func() (host.Facts, error) { return facts(1), nil }, Version: "0.1.0", Now: time.Now, Log: slog.New(slog.DiscardHandler),
	}
}

// member returns what the manager's state holds of the member of that name.
func (l *lab) member(name string) (n cluster.Node, err error) {
	members, err := l.store.Members(l.t.Context())
	if err != nil {
		return n, err
	}
	for _, n := range members {
		if n.Name == name {
			return n, nil
		}
	}
	return n, fmt.Errorf("no member is called %q", name)
}

func (l *lab) managerCreds() *pki.Credentials {
	l.t.Helper()
	key := newKey(l.t)
	cert, err := l.ca.SignManager(key.Public(), time.Now())
	check(l.t, err)
	return pki.NewCredentials(pair(cert, key))
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := pki.NewKey()
	check(t, err)
	return key
}

func pair(cert *x509.Certificate, key crypto.Signer) *tls.Certificate {
	return &tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}
}

func addr(n byte) netip.Addr { return netip.AddrFrom4([4]byte{127, 0, 0, n}) }

// facts are those of the server at 127.0.0.n.
func facts(n byte) host.Facts {
	digit := func(b byte) string { return strings.Repeat(string("0123456789abcdef"[b&15]), 16) }
	return host.Facts{
		MachineID: digit(n>>4) + digit(n), OS: host.OS{ID: "debian", Version: "12"}, Arch: "amd64",
		Addresses: []host.Address{{Prefix: netip.PrefixFrom(addr(n), 8), Interface: "lo", Loopback: true}},
	}
}

// member is a node that has joined, with a client of its own.
type member struct {
	*api.Client
	answer   *cluster.JoinAnswer
	local    netip.Addr
	instance string
	cert     *tls.Certificate
}

// invite stores a token for the name.
func (l *lab) invite(name string) join.Token {
	l.t.Helper()
	token := join.NewToken(l.at, pki.PinOf(l.ca.Cert))
	hash := token.Secret.Hash()
	check(l.t, l.store.AddToken(l.t.Context(), &cluster.Token{
		ID: token.ID.String(), Name: name, Hash: hash[:], From: cluster.FromNow,
		CreatedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour),
	}))
	return token
}

// join takes a new server through all that a node does to become one.
func (l *lab) join(name string) *member {
	l.t.Helper()
	l.hosts++
	m := &member{local: addr(l.hosts + 10), instance: pki.NewID()}
	token := l.invite(name)
	ca, ahead, err := api.FetchCA(l.t.Context(), l.at, m.local, time.Now)
	check(l.t, err)
	check(l.t, pki.CheckPin(ca, token.Pin))
	if ahead.Abs() > time.Minute {
		l.t.Errorf("the manager's clock is %s ahead of itself", ahead)
	}
	key := newKey(l.t)
	csr, err := pki.NewCSR(key)
	check(l.t, err)
	stranger := l.client(m.local, &pki.Credentials{})
	m.answer, err = stranger.Join(l.t.Context(), &cluster.JoinRequest{
		TokenID: token.ID.String(), Secret: token.Secret[:], Facts: facts(l.hosts + 10), Version: "0.1.0", Time: time.Now().UnixMilli(),
		CSR: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: csr})),
	})
	check(l.t, err)
	cert, err := api.ParseCertificate(m.answer.Certificate)
	check(l.t, err)
	m.cert = pair(cert, key)
	m.Client = l.client(m.local, pki.NewCredentials(m.cert))
	return m
}

// client returns a client of the manager with the credentials.
func (l *lab) client(local netip.Addr, creds *pki.Credentials) *api.Client {
	l.t.Helper()
	config, err := pki.ClientConfig(l.ca.Cert, creds, time.Now)
	check(l.t, err)
	c := api.NewClient([]netip.AddrPort{l.at}, local, config)
	l.t.Cleanup(c.Close)
	return c
}

// poll polls from the position, holding on as long as given.
func (m *member) poll(ctx context.Context, at cluster.Position, wait time.Duration) (*cluster.PollAnswer, error) {
	return m.Poll(ctx, &cluster.PollRequest{Instance: m.instance, Position: at, Wait: wait.Milliseconds()})
}

// raw is an HTTP client that shows the certificate, nil for none, and trusts
// anyone.
func raw(t *testing.T, cert *tls.Certificate) *http.Client {
	t.Helper()
	config := pki.FetchConfig()
	if cert != nil {
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return cert, nil }
	}
	transport := &http.Transport{TLSClientConfig: config}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: testenv.Wait()}
}

func (l *lab) url(path string) string { return "https://" + l.at.String() + path }

// refused fails the test unless err is such a refusal.
func refused(t *testing.T, err error, reason, message string) *cluster.Refusal {
	t.Helper()
	var r *cluster.Refusal
	if !errors.As(err, &r) || r.Reason != reason || r.Message != message {
		t.Fatalf("got %v, want %s: %s", err, reason, message)
	}
	return r
}

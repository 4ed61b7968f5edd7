package api_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"iwx/lib/cluster"
	"iwx/lib/fault"
	"iwx/lib/pki"
	"iwx/lib/queue"
	"iwx/lib/state"
	"iwx/lib/testenv"
)

// memberPaths are those that a certificate is needed for, and their methods.
func memberPaths() map[string]string {
	return map[string]string{
		cluster.PathHello: http.MethodGet, cluster.PathPoll: http.MethodPost, cluster.PathReport: http.MethodPost,
		cluster.PathPulse: http.MethodPost, cluster.PathRenew: http.MethodPost, cluster.PathLeave: http.MethodPost, cluster.PathBackup + "x": http.MethodGet,
	}
}

// send sends a request and returns the status and the answer, which is JSON
// and small.
func send(t *testing.T, c *http.Client, method, url string, body io.Reader) (int, *cluster.Refusal) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	check(t, err)
	res, err := c.Do(req)
	check(t, err)
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	check(t, err)
	if len(data) > 4096 || res.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%s %s: %d bytes of %s", method, url, len(data), res.Header.Get("Content-Type"))
	}
	r := &cluster.Refusal{}
	if err := json.Unmarshal(data, r); err != nil {
		t.Errorf("%s %s: %v: %.200q", method, url, err, data)
	}
	return res.StatusCode, r
}

func TestOldTLS(t *testing.T) {
	t.Parallel()
	l := serve(t)
	dialer := &tls.Dialer{Config: &tls.Config{MaxVersion: tls.VersionTLS12, InsecureSkipVerify: true}}
	conn, err := dialer.DialContext(t.Context(), "tcp", l.at.String())
	if err == nil {
		conn.Close()
		t.Fatal("TLS 1.2 is spoken")
	}
	if !strings.Contains(err.Error(), "protocol version not supported") {
		t.Errorf("got %v", err)
	}
}

// TestCertificates shows the manager certificates that are not good here: the
// handler refuses them with the reason, on every path of members.
func TestCertificates(t *testing.T) {
	t.Parallel()
	l := serve(t)
	m := l.join("web1")
	id := m.answer.NodeID
	other, err := pki.NewCA(pki.NewID(), time.Now())
	check(t, err)
	twin, err := pki.NewCA(l.ca.ClusterID(), time.Now())
	check(t, err)
	old, early := time.Now().Add(-91*24*time.Hour), time.Now().Add(2*time.Hour)
	stamp := func(at time.Time) string { return at.UTC().Format(time.RFC3339) }
	const notOurs = "this server's certificate is not for this cluster: iwx-cluster-setup status"
	for _, tt := range []struct {
		name, message, hint string
		cert                *tls.Certificate
	}{
		{"none", "no client certificate", notOurs, nil},
		{"foreign CA", "certificate is not signed by the CA of this cluster", notOurs, node(t, twin, id, time.Now())},
		{"other cluster", "certificate is of another cluster, " + other.ClusterID(), notOurs, node(t, other, id, time.Now())},
		{"the manager's", "certificate is not a node's", notOurs, managers(t, l.ca)},
		{"expired", "certificate expired at " + stamp(old.Add(pki.LeafLife)),
			"join again, which keeps the node's place: on the manager iwx-node add NAME --rejoin, then here iwx-cluster-setup node",
			node(t, l.ca, id, old)},
		{"not yet valid", "certificate is not valid before " + stamp(early.Add(-pki.Backdate)),
			"compare the clocks of node and manager: timedatectl", node(t, l.ca, id, early)},
	} {
		client := raw(t, tt.cert)
		for path, method := range memberPaths() {
			status, r := send(t, client, method, l.url(path), strings.NewReader(`{"instance":"x"}`))
			if status != http.StatusForbidden || r.Reason != cluster.RefusedCert || r.Message != tt.message || r.Hint != tt.hint {
				t.Errorf("%s, %s: %d, %+v", tt.name, path, status, r)
			}
		}
	}
	_, err = m.poll(t.Context(), cluster.Position{}, 0)
	check(t, err)
	if n, err := l.member("web1"); err != nil || n.Refused != "" {
		t.Errorf("the member: %+v, %v", n, err)
	}
}

func node(t *testing.T, ca *pki.CA, id string, at time.Time) *tls.Certificate {
	t.Helper()
	key := newKey(t)
	csr, err := pki.NewCSR(key)
	check(t, err)
	cert, err := ca.SignNode(csr, id, at)
	check(t, err)
	return pair(cert, key)
}

func managers(t *testing.T, ca *pki.CA) *tls.Certificate {
	t.Helper()
	key := newKey(t)
	cert, err := ca.SignManager(key.Public(), time.Now())
	check(t, err)
	return pair(cert, key)
}

// TestStolenCertificate shows a member's certificate without its key.
func TestStolenCertificate(t *testing.T) {
	t.Parallel()
	l := serve(t)
	m := l.join("web1")
	res, err := raw(t, pair(m.cert.Leaf, newKey(t))).Get(l.url(cluster.PathHello))
	if err == nil {
		res.Body.Close()
		t.Fatalf("answered %s", res.Status)
	}
}

// TestRefusedLargeReport: the reason arrives although most of what was sent
// was not read.
func TestRefusedLargeReport(t *testing.T) {
	t.Parallel()
	l := serve(t)
	m := l.join("web1")
	c := l.client(m.local, pki.NewCredentials(node(t, l.ca, m.answer.NodeID, time.Now().Add(-91*24*time.Hour))))
	err := c.Report(t.Context(), &cluster.Report{Attempts: []cluster.Attempt{{Stdout: cluster.Output{Head: make([]byte, 1<<20)}}}})
	var r *cluster.Refusal
	if !errors.As(err, &r) || r.Reason != cluster.RefusedCert {
		t.Errorf("got %v", err)
	}
}

// TestDeletion: a deleted node's open poll is closed with the reason.
func TestDeletion(t *testing.T) {
	t.Parallel()
	l := serve(t)
	m := l.join("web1")
	polled := make(chan error, 1)
	go func() {
		_, err := m.poll(t.Context(), cluster.Position{}, time.Minute)
		polled <- err
	}()
	testenv.Until(t, "the poll is held open", func() bool {
		n, err := l.member("web1")
		return err == nil && !n.LastSeen.IsZero()
	})
	at := time.Now()
	check(t, l.store.EndMembership(t.Context(), m.answer.NodeID, cluster.Deleted, "root", at))
	check(t, l.Refresh(t.Context()))
	want := fmt.Sprintf("node web1 was deleted from the cluster at %s by root", at.UTC().Format(time.RFC3339))
	select {
	case err := <-polled:
		refused(t, err, cluster.RefusedDeleted, want)
	case <-time.After(testenv.Wait()):
		t.Fatal("the poll is still open")
	}
	_, err := m.Hello(t.Context())
	r := refused(t, err, cluster.RefusedDeleted, want)
	if r.Hint != "make this an independent server again: iwx-cluster-setup reset" {
		t.Errorf("hint: %s", r.Hint)
	}
}

// TestUnreadable sends what nobody should.
func TestUnreadable(t *testing.T) {
	t.Parallel()
	l := serve(t)
	m := l.join("web1")
	stranger, member := raw(t, nil), raw(t, m.cert)
	large := func(n int) string { return `{"instance":"` + strings.Repeat("x", n) + `"}` }
	for _, tt := range []struct {
		name, method, path, body string
		client                   *http.Client
		status                   int
		message                  string
	}{
		{"garbage", "POST", cluster.PathPoll, "garbage", member, 400, "the request cannot be read: invalid character 'g'"},
		{"no body", "POST", cluster.PathPoll, "", member, 400, "the request cannot be read: EOF"},
		{"half", "POST", cluster.PathReport, `{"instance":`, member, 400, "the request cannot be read: unexpected EOF"},
		{"wrong type", "POST", cluster.PathReport, `{"instance":7}`, member, 400, "the request cannot be read: json: cannot unmarshal number"},
		{"deep", "POST", cluster.PathPoll, strings.Repeat("[", 100000), member, 400, "the request cannot be read: "},
		{"no request for a certificate", "POST", cluster.PathRenew, `{}`, member, 400, "the certificate request is not PEM"},
		{"too large for a stranger", "POST", cluster.PathJoin, large(256 << 10), stranger, 400, "the request cannot be read: http: request body too large"},
		{"too large for a member", "POST", cluster.PathReport, large(16 << 20), member, 400, "the request cannot be read: http: request body too large"},
		{"too much after it", "POST", cluster.PathJoin, `{}` + strings.Repeat(" ", 256<<10), stranger, 400, "the request cannot be read: http: request body too large"},
		{"a long token", "POST", cluster.PathJoin, `{"token_id":"` + strings.Repeat("x", 200<<10) + `"}`, stranger, 400, "the certificate request is not PEM"},
		{"no such path", "GET", "/v2/ca", "", stranger, 404, `there is nothing at "/v2/ca"`},
		{"the root", "GET", "/", "", member, 404, `there is nothing at "/"`},
		{"a long path", "GET", "/" + strings.Repeat("x", 8000), "", stranger, 404, `there is nothing at "/xxx`},
		{"wrong method", "POST", cluster.PathCA, "", stranger, 404, `there is nothing at "/v1/ca"`},
		{"another method", "DELETE", cluster.PathPoll, "", member, 404, `there is nothing at "/v1/poll"`},
	} {
		status, r := send(t, tt.client, tt.method, l.url(tt.path), strings.NewReader(tt.body))
		if status != tt.status || r.Reason != cluster.RefusedMalformed || !strings.HasPrefix(r.Message, tt.message) {
			t.Errorf("%s: %d, %+v", tt.name, status, r)
		}
	}
	_, err := m.poll(t.Context(), cluster.Position{}, 0)
	check(t, err)
}

func TestHugeHeaders(t *testing.T) {
	t.Parallel()
	l := serve(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, l.url(cluster.PathCA), nil)
	check(t, err)
	req.Header.Set("X-Large", strings.Repeat("x", 64<<10))
	res, err := raw(t, nil).Do(req)
	check(t, err)
	res.Body.Close()
	if res.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("answered %s", res.Status)
	}
}

// TestStrangersAreClosed: who has no certificate keeps no connection.
func TestStrangersAreClosed(t *testing.T) {
	t.Parallel()
	l := serve(t)
	m := l.join("web1")
	for path, cert := range map[string]*tls.Certificate{cluster.PathCA: nil, "/nothing": nil, cluster.PathHello: m.cert} {
		res, err := raw(t, cert).Get(l.url(path))
		check(t, err)
		res.Body.Close()
		if res.Close != (cert == nil) {
			t.Errorf("%s: the connection is to be closed: %v", path, res.Close)
		}
	}
}

// TestIdleStrangers: hundreds of connections that say nothing, or only half of
// what is needed, keep no member out.
func TestIdleStrangers(t *testing.T) {
	t.Parallel()
	l := serve(t)
	m := l.join("web1")
	for i := range 300 {
		conn, err := net.Dial("tcp", l.at.String())
		check(t, err)
		defer conn.Close()
		if i%3 == 0 {
			_, err = conn.Write([]byte{22, 3, 1, 2, 0, 1}) // a handshake begins, RFC 8446 §5.1
			check(t, err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), testenv.Wait())
	defer cancel()
	_, err := m.poll(ctx, cluster.Position{}, 0)
	check(t, err)
	l.join("web2")
}

// TestLargeEntry takes the largest body there can be through the wire.
func TestLargeEntry(t *testing.T) {
	t.Parallel()
	l := serve(t)
	m := l.join("web1")
	body := bytes.Repeat([]byte{0xff, 0x00, 'x', '\n'}, queue.MaxBody/4)
	_, err := l.store.Append(t.Context(), state.Draft{Kind: queue.KindCommand, Targets: queue.Members(), Body: body})
	check(t, err)
	check(t, l.Refresh(t.Context()))
	a, err := m.poll(t.Context(), cluster.Position{}, 0)
	check(t, err)
	page := a.QueuePage()
	check(t, page.Verify(queue.Position{}))
	if len(page.Records) != 1 || !bytes.Equal(page.Records[0].Body, body) {
		t.Errorf("%d records", len(page.Records))
	}
}

// TestBytes: arguments that are not text arrive as they are.
func TestBytes(t *testing.T) {
	t.Parallel()
	l := serve(t)
	m := l.join("web1")
	var all []byte
	for b := range 255 {
		all = append(all, byte(b+1))
	}
	want := &queue.Command{Argv: []string{"printf", string(all), "\xff\xfe", "\u2028<&>"}, Stdin: []byte{0, 0xff}, QueuedAt: time.UnixMilli(0)}
	body, err := want.Encode()
	check(t, err)
	_, err = l.store.Append(t.Context(), state.Draft{Kind: queue.KindCommand, Targets: queue.Members(), Body: body})
	check(t, err)
	check(t, l.Refresh(t.Context()))
	a, err := m.poll(t.Context(), cluster.Position{}, 0)
	check(t, err)
	got, err := queue.DecodeCommand(a.QueuePage().Records[0].Body)
	check(t, err)
	if fmt.Sprintf("%q", got.Argv) != fmt.Sprintf("%q", want.Argv) || !bytes.Equal(got.Stdin, want.Stdin) {
		t.Errorf("got %q, %q", got.Argv, got.Stdin)
	}
}

// TestLocalAddress: the manager sees a node at the address that it has chosen.
func TestLocalAddress(t *testing.T) {
	t.Parallel()
	l := serve(t)
	m := l.join("web1")
	n, err := l.member("web1")
	check(t, err)
	if n.Address != m.local {
		t.Errorf("it joined from %s, want %s", n.Address, m.local)
	}
	elsewhere := l.client(netip.MustParseAddr("192.0.2.1"), pki.NewCredentials(m.cert)) // RFC 5737: not here
	if _, err := elsewhere.Hello(t.Context()); err == nil || !strings.Contains(err.Error(), "cannot assign requested address") {
		t.Errorf("from an address that is not here: %v", err)
	}
}

func TestMemberVerbs(t *testing.T) {
	t.Parallel()
	l := serve(t)
	m := l.join("web1")
	hello, err := m.Hello(t.Context())
	if err != nil || hello.Name != "web1" || hello.Cluster != "shop" {
		t.Errorf("hello: %+v, %v", hello, err)
	}
	check(t, m.Report(t.Context(), &cluster.Report{Instance: m.instance, Status: cluster.Status{Word: "current", Version: "9"}}))
	if n, err := l.member("web1"); err != nil || n.Status.Version != "9" {
		t.Errorf("stored: %+v, %v", n, err)
	}
	csr, err := pki.NewCSR(newKey(t))
	check(t, err)
	cert, err := m.Renew(t.Context(), csr)
	check(t, err)
	if id, err := pki.VerifyClient(l.ca.Cert, []*x509.Certificate{cert}, time.Now()); err != nil || id != m.answer.NodeID {
		t.Errorf("renewed for %q: %v", id, err)
	}
	check(t, m.Leave(t.Context()))
	var r *cluster.Refusal
	if err := m.Leave(t.Context()); !errors.As(err, &r) || r.Reason != cluster.RefusedDeleted {
		t.Errorf("left already: %v", err)
	}
}

// TestJoinRefused tells the failed checks over the wire.
func TestJoinRefused(t *testing.T) {
	t.Parallel()
	l := serve(t)
	token := l.invite("web1")
	csr, err := pki.NewCSR(newKey(t))
	check(t, err)
	stranger := l.client(addr(9), &pki.Credentials{})
	ours := facts(9)
	ours.Arch = "arm64"
	req := &cluster.JoinRequest{TokenID: token.ID.String(), Secret: token.Secret[:], Facts: ours, Version: "0.1.0",
		Time: time.Now().UnixMilli(), CSR: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: csr}))}
	_, err = stranger.Join(t.Context(), req)
	r := refused(t, err, cluster.RefusedChecks, "the manager does not take this server as web1")
	if len(r.Checks) != 8 {
		t.Errorf("checks: %+v", r.Checks)
	}
	req.Secret = make([]byte, 16)
	_, err = stranger.Join(t.Context(), req)
	refused(t, err, cluster.RefusedToken, "the secret of token "+token.ID.String()+" is wrong")
	if fault.HintOf(err) == "" {
		t.Error("no hint")
	}
}

// TestServeEnds: when the daemon ends, polls that are held open are cut off,
// and none of them looks like an answer.
func TestServeEnds(t *testing.T) {
	t.Parallel()
	l := serve(t)
	m := l.join("web1")
	polled := make(chan error, 1)
	go func() {
		_, err := m.poll(t.Context(), cluster.Position{}, time.Minute)
		polled <- err
	}()
	testenv.Until(t, "the poll is held open", func() bool {
		n, err := l.member("web1")
		return err == nil && !n.LastSeen.IsZero()
	})
	l.stop()
	select {
	case err := <-polled:
		if err == nil || !strings.HasPrefix(err.Error(), "the manager at "+l.at.String()+" cannot be reached: ") {
			t.Errorf("the poll: %v", err)
		}
	case <-time.After(testenv.Wait()):
		t.Fatal("the poll is still open")
	}
	select {
	case err := <-l.served:
		check(t, err)
		l.served <- nil
	case <-time.After(testenv.Wait()):
		t.Fatal("still serving")
	}
}

package pki

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"iwx/lib/fault"
	"iwx/lib/testenv"
)

func clock(at time.Time) func() time.Time { return func() time.Time { return at } }

func pair(cert *x509.Certificate, key crypto.Signer) *tls.Certificate {
	return &tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}
}

// managerCreds are fresh ones of ca, made at a time.
func managerCreds(t *testing.T, ca *CA, at time.Time) *Credentials {
	t.Helper()
	key := testKey(t)
	cert, err := ca.SignManager(key.Public(), at)
	if err != nil {
		t.Fatal(err)
	}
	return NewCredentials(pair(cert, key))
}

// listen serves HTTPS on loopback. The handler answers with the verdict on the
// client's certificate, as a manager's does.
func listen(t *testing.T, ca *CA, creds *Credentials, now time.Time) (addr string) {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, err := VerifyClient(ca.Cert, r.TLS.PeerCertificates, now)
		if err != nil {
			w.WriteHeader(http.StatusForbidden)
			io.WriteString(w, string(ReasonOf(err)))
			return
		}
		io.WriteString(w, "node "+id)
	}))
	s.EnableHTTP2 = true
	s.TLS = ServerConfig(creds, clock(now))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // refused handshakes are expected
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func get(t *testing.T, addr string, config *tls.Config) (string, error) {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(t.Context(), testenv.Wait())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+addr+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return string(body), err
}

func clientConfig(t *testing.T, ca *CA, cert *tls.Certificate, now time.Time) *tls.Config {
	t.Helper()
	config, err := ClientConfig(ca.Cert, NewCredentials(cert), clock(now))
	if err != nil {
		t.Fatal(err)
	}
	return config
}

func TestHandshake(t *testing.T) {
	ca, twin := testCA(t, "c1"), testCA(t, "c1")
	addr := listen(t, ca, managerCreds(t, ca, start), start)
	key := testKey(t)
	managerKey := testKey(t)
	managerCert, err := ca.SignManager(managerKey.Public(), start)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		cert *tls.Certificate
		want string
	}{
		{"member", pair(nodeCert(t, ca, "n1", key, start), key), "node n1"},
		{"no certificate", nil, string(NoCertificate)},
		{"foreign CA", pair(nodeCert(t, twin, "n1", key, start), key), string(ForeignCA)},
		{"expired", pair(nodeCert(t, ca, "n1", key, start.Add(-100*24*time.Hour)), key), string(Expired)},
		{"not yet valid", pair(nodeCert(t, ca, "n1", key, start.Add(48*time.Hour)), key), string(NotYetValid)},
		{"manager's own", pair(managerCert, managerKey), string(WrongUsage)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := get(t, addr, clientConfig(t, ca, tt.cert, start))
			if err != nil || got != tt.want {
				t.Errorf("answer %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}

func TestClientRefusesManager(t *testing.T) {
	ca, twin := testCA(t, "c1"), testCA(t, "c1")
	key := testKey(t)
	asNode := NewCredentials(pair(nodeCert(t, ca, "n1", key, start), key))
	named, err := ca.sign(key.Public(), "n1.node.c1", x509.ExtKeyUsageServerAuth, start)
	if err != nil {
		t.Fatal(err)
	}
	clientOnly, err := ca.sign(key.Public(), "manager.c1", x509.ExtKeyUsageClientAuth, start)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name  string
		creds *Credentials
		now   time.Time
		want  string // in the error
		hint  string
	}{
		{"another CA", managerCreds(t, twin, start), start, "unknown authority", "not the manager of this cluster"},
		{"a node poses as manager", asNode, start, "manager.c1", "not its manager"},
		{"the manager's name on a client's certificate", NewCredentials(pair(clientOnly, key)), start, "incompatible key usage", ""},
		{"another name", NewCredentials(pair(named, key)), start, "manager.c1", "not its manager"},
		{"expired", managerCreds(t, ca, start), start.Add(91 * 24 * time.Hour), "expired", "date -u"},
		{"clock far behind", managerCreds(t, ca, start), start.Add(-2 * time.Hour), "not yet valid", "date -u"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			addr := listen(t, ca, tt.creds, start)
			_, err := get(t, addr, clientConfig(t, ca, nil, tt.now))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("%v, want …%s…", err, tt.want)
			}
			hint := fault.HintOf(ExplainManager(err))
			if (tt.hint == "") != (hint == "") || !strings.Contains(hint, tt.hint) {
				t.Errorf("hint %q, want …%s…", hint, tt.hint)
			}
		})
	}
	plain := errors.New("connection refused")
	if ExplainManager(plain) != plain {
		t.Error("an error without a certificate in it was changed")
	}
}

func TestSkewIsBridgedByManagersTime(t *testing.T) {
	ca := testCA(t, "c1")
	addr := listen(t, ca, managerCreds(t, ca, start), start)
	if _, err := get(t, addr, clientConfig(t, ca, nil, start)); err != nil {
		t.Errorf("a client on the manager's time: %v", err)
	}
}

func TestTLS12IsRefused(t *testing.T) {
	ca := testCA(t, "c1")
	creds := managerCreds(t, ca, start)
	addr := listen(t, ca, creds, start)
	config := clientConfig(t, ca, nil, start)
	config.MinVersion, config.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	if _, err := get(t, addr, config); err == nil || !strings.Contains(err.Error(), "protocol version") {
		t.Errorf("a TLS 1.2 client: %v", err)
	}

	old := ServerConfig(creds, clock(start))
	old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	for name, config := range map[string]*tls.Config{"client": clientConfig(t, ca, nil, start), "fetch": FetchConfig()} {
		if err := handshake(old, config); err == nil || !strings.Contains(err.Error(), "protocol version") {
			t.Errorf("%s against a TLS 1.2 server: %v", name, err)
		}
	}
}

// handshake runs both sides over a pipe and returns the client's error.
func handshake(server, client *tls.Config) error {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	go tls.Server(a, server).Handshake()
	if client.ServerName == "" {
		client.ServerName = "any"
	}
	return tls.Client(b, client).Handshake()
}

func TestCredentialsAreReplacedLive(t *testing.T) {
	ca := testCA(t, "c1")
	creds := managerCreds(t, ca, start)
	addr := listen(t, ca, creds, start)
	seen := func() string {
		config := clientConfig(t, ca, nil, start)
		var serial string
		config.VerifyConnection = func(s tls.ConnectionState) error {
			serial = s.PeerCertificates[0].SerialNumber.String()
			return nil
		}
		if _, err := get(t, addr, config); err != nil {
			t.Fatal(err)
		}
		return serial
	}
	first := seen()
	creds.Set(managerCreds(t, ca, start).current.Load())
	if second := seen(); second == first || second != creds.Leaf().SerialNumber.String() {
		t.Errorf("serial %s, then %s, want %s", first, second, creds.Leaf().SerialNumber)
	}
	if new(Credentials).Leaf() != nil {
		t.Error("the zero Credentials have a certificate")
	}
}

func TestFetchAndPin(t *testing.T) {
	ca, twin := testCA(t, "c1"), testCA(t, "c1")
	addr := listen(t, ca, managerCreds(t, ca, start), start)
	if _, err := get(t, addr, FetchConfig()); err != nil {
		t.Errorf("fetch: %v", err)
	}
	if err := CheckPin(ca.Cert, PinOf(ca.Cert)); err != nil {
		t.Error(err)
	}
	if err := CheckPin(twin.Cert, PinOf(ca.Cert)); err == nil || fault.HintOf(err) == "" {
		t.Errorf("another CA's pin: %v", err)
	}
	leaf := nodeCert(t, ca, "n1", testKey(t), start)
	if _, err := ClientConfig(leaf, new(Credentials), clock(start)); err == nil {
		t.Error("a leaf was taken for a CA")
	}
}

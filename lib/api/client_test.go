package api_test

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"iwx/lib/api"
	"iwx/lib/cluster"
	"iwx/lib/fault"
	"iwx/lib/pki"
)

// impostor is a client of whatever answers at an address, which believes the
// lab's CA.
func (l *lab) impostor(at string, creds *pki.Credentials) *api.Client {
	l.t.Helper()
	config, err := pki.ClientConfig(l.ca.Cert, creds, time.Now)
	check(l.t, err)
	c := api.NewClient([]netip.AddrPort{netip.MustParseAddrPort(at)}, netip.Addr{}, config)
	l.t.Cleanup(c.Close)
	return c
}

// answering is a server with the manager's certificate that answers as given.
func (l *lab) answering(answer http.HandlerFunc) string {
	l.t.Helper()
	s := httptest.NewUnstartedServer(answer)
	s.TLS = pki.ServerConfig(l.managerCreds(), time.Now)
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // what the client makes of it is looked at
	s.StartTLS()
	l.t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// twin is a server whose certificate has the manager's name and another CA.
func (l *lab) twin() string {
	l.t.Helper()
	ca, err := pki.NewCA(l.ca.ClusterID(), time.Now())
	check(l.t, err)
	return (&lab{t: l.t, ca: ca}).answering(http.NotFound)
}

func TestNobodyThere(t *testing.T) {
	t.Parallel()
	l := serve(t)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	at := free.Addr().String()
	free.Close()
	_, err = l.impostor(at, &pki.Credentials{}).Hello(t.Context())
	if err == nil || err.Error() != "the manager at "+at+" cannot be reached: connect: connection refused" || fault.CodeOf(err) != fault.Busy {
		t.Errorf("exit code %d, %v", fault.CodeOf(err), err)
	}
}

// TestBlackHole asks a manager whose kernel takes the connection, and nobody else.
func TestBlackHole(t *testing.T) {
	t.Parallel()
	l := serve(t)
	stuck, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer stuck.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err = l.impostor(stuck.Addr().String(), &pki.Credentials{}).Hello(ctx)
	if err == nil || err.Error() != "the manager at "+stuck.Addr().String()+" cannot be reached: no answer in time" {
		t.Errorf("got %v", err)
	}
}

// TestNotAManager asks servers that are something else.
func TestNotAManager(t *testing.T) {
	t.Parallel()
	l, other := serve(t), serve(t)
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	page := func(status int, body string) string {
		return l.answering(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			io.WriteString(w, body)
		})
	}
	for _, tt := range []struct {
		name, at string
		want     string // AT stands for the address
		hint     string
	}{
		{"HTTP", plain.Listener.Addr().String(), "the manager at AT cannot be reached: http: server gave HTTP response to HTTPS client", "on the manager: systemctl status iwx-queued"},
		{"a mail server", greeting(t, "220 mail.example ESMTP\r\n"), "the manager at AT cannot be reached: the server there does not speak TLS", "on the manager: systemctl status iwx-queued"},
		{"another cluster's", other.at.String(), "the server at AT: tls: failed to verify certificate: x509: certificate is valid for manager." + other.ca.ClusterID() + ", not manager." + l.ca.ClusterID(), "the server at this address is not the manager of this cluster; iwx-cluster-setup status"},
		{"its twin's", l.twin(), "the server at AT: tls: failed to verify certificate: x509: certificate signed by unknown authority", "the server at this address is not the manager of this cluster; iwx-cluster-setup status"},
		{"a web server", page(404, "<html>not found"), "the server at AT is not an iwx manager: it answered 404 Not Found", ""},
		{"its empty refusal", page(500, ""), "the server at AT is not an iwx manager: it answered 500 Internal Server Error", ""},
		{"a refusal without a reason", page(403, "{}"), "the server at AT is not an iwx manager: it answered 403 Forbidden", ""},
		{"a redirect", l.answering(http.RedirectHandler("https://192.0.2.1/", http.StatusFound).ServeHTTP), "the server at AT is not an iwx manager: it answered 302 Found", ""},
		{"rubbish", page(200, "<html>"), "the manager at AT cannot be reached: its answer: invalid character '<' looking for beginning of value", "on the manager: systemctl status iwx-queued"},
		{"nothing", page(200, ""), "the manager at AT cannot be reached: it closed the connection", "on the manager: systemctl status iwx-queued"},
	} {
		_, err := l.impostor(tt.at, &pki.Credentials{}).Hello(t.Context())
		want := strings.ReplaceAll(tt.want, "AT", tt.at)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(fault.HintOf(err), tt.hint) {
			t.Errorf("%s: %v\nhint: %s\nwant %s", tt.name, err, fault.HintOf(err), want)
		}
		var r *cluster.Refusal
		if errors.As(err, &r) {
			t.Errorf("%s: taken for a refusal by the manager: %v", tt.name, r)
		}
	}
}

// TestEmptyAnswer: a report that was not acknowledged has to be sent again.
func TestEmptyAnswer(t *testing.T) {
	t.Parallel()
	l := serve(t)
	at := l.answering(func(http.ResponseWriter, *http.Request) {})
	if err := l.impostor(at, &pki.Credentials{}).Report(t.Context(), &cluster.Report{}); err == nil {
		t.Error("an empty answer was taken for an acknowledgement")
	}
}

// TestEndlessAnswer: no more is read than the largest answer there can be.
func TestEndlessAnswer(t *testing.T) {
	t.Parallel()
	l := serve(t)
	var sent int
	done := make(chan struct{})
	at := l.answering(func(w http.ResponseWriter, _ *http.Request) {
		defer close(done)
		io.WriteString(w, `{"name":"`)
		for chunk := make([]byte, 1<<20); sent < 200<<20; sent += len(chunk) {
			for i := range chunk {
				chunk[i] = 'x'
			}
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	})
	c := l.impostor(at, &pki.Credentials{})
	if _, err := c.Hello(t.Context()); err == nil {
		t.Error("an answer without an end was read")
	}
	c.Close()
	<-done
	if sent > 40<<20 {
		t.Errorf("%d MiB were sent", sent>>20)
	}
}

func TestFetchCARubbish(t *testing.T) {
	t.Parallel()
	l := serve(t)
	for body, want := range map[string]string{
		`{}`:            "the manager's answer holds no certificate",
		`{"ca":"junk"}`: "the manager's answer holds no certificate",
		`{"ca":"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"}`: "x509: ",
	} {
		at := l.answering(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, body) })
		ca, _, err := api.FetchCA(t.Context(), netip.MustParseAddrPort(at), netip.Addr{}, time.Now)
		if err == nil || ca != nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, %v", body, ca, err)
		}
	}
}

// TestAhead reports how far the manager's clock is ahead, which is what a join
// compares.
func TestAhead(t *testing.T) {
	t.Parallel()
	l := serve(t)
	behind := func() time.Time { return time.Now().Add(-time.Hour) }
	_, ahead, err := api.FetchCA(t.Context(), l.at, netip.Addr{}, behind)
	check(t, err)
	if (ahead - time.Hour).Abs() > 5*time.Second {
		t.Errorf("ahead by %s, want an hour", ahead)
	}
}

// TestReuse: request after request goes over one connection.
func TestReuse(t *testing.T) {
	t.Parallel()
	l := serve(t)
	var mu sync.Mutex
	conns := map[string]int{}
	at := l.answering(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		conns[r.RemoteAddr]++
		switch n := conns[r.RemoteAddr]; n {
		case 3:
			io.WriteString(w, `{"name":"`+strings.Repeat("x", 3<<20)+`"}`+"\n")
		default:
			io.WriteString(w, "{}\n")
		}
	})
	c := l.impostor(at, &pki.Credentials{})
	for i := range 8 {
		_, err := c.Hello(t.Context())
		if err != nil {
			t.Errorf("request %d: %v", i, err)
		}
		if err := c.Report(t.Context(), &cluster.Report{}); err != nil {
			t.Error(err)
		}
	}
	if len(conns) != 1 {
		t.Errorf("connections and their requests: %v", conns)
	}
}

// greeting serves text to whoever connects, and returns where.
func greeting(t *testing.T, text string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			io.WriteString(conn, text)
			io.Copy(io.Discard, conn) // until the other side has read it and gone
			conn.Close()
		}
	}()
	return l.Addr().String()
}

package api

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"iwx/lib/cluster"
	"iwx/lib/fault"
	"iwx/lib/pki"
)

// wire is a listener whose connections stay in this process, so that peers can
// be slow in virtual time.
type wire struct {
	conns  chan net.Conn
	closed chan struct{}
}

func newWire() *wire { return &wire{make(chan net.Conn), make(chan struct{})} }

func (w *wire) Accept() (net.Conn, error) {
	select {
	case c := <-w.conns:
		return c, nil
	case <-w.closed:
		return nil, net.ErrClosed
	}
}

func (w *wire) Close() error {
	select {
	case <-w.closed:
	default:
		close(w.closed)
	}
	return nil
}

func (*wire) Addr() net.Addr { return &net.TCPAddr{} }

func (w *wire) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case w.conns <- there:
		return here, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// authority is a cluster's CA and its manager's credentials.
func authority(t *testing.T) (*pki.CA, *pki.Credentials) {
	t.Helper()
	ca, err := pki.NewCA(pki.NewID(), time.Now())
	check(t, err)
	key, err := pki.NewKey()
	check(t, err)
	cert, err := ca.SignManager(key.Public(), time.Now())
	check(t, err)
	return ca, pki.NewCredentials(&tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert})
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// patient are rules that hold every poll open to its end.
type patient struct{ Rules }

func (patient) Poll(ctx context.Context, _ string, _ netip.Addr, req *cluster.PollRequest) (*cluster.PollAnswer, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(time.Duration(req.Wait) * time.Millisecond):
		return &cluster.PollAnswer{Head: 7}, nil
	}
}

// onWire runs a test against a server in virtual time.
func onWire(t *testing.T, test func(t *testing.T, w *wire, ca *pki.CA)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ca, creds := authority(t)
		w := newWire()
		ctx, stop := context.WithCancel(t.Context())
		served := make(chan error)
		server := &Server{Rules: patient{}, CA: ca.Cert, Creds: creds, Now: time.Now, Log: slog.New(slog.DiscardHandler)}
		go func() { served <- server.Serve(ctx, w) }()
		test(t, w, ca)
		stop()
		check(t, <-served)
	})
}

// TestSlowPeers: who sends too slowly, or nothing, is cut off.
func TestSlowPeers(t *testing.T) {
	for _, tt := range []struct {
		name, say string // said at once, then more every second
		plain     bool   // without TLS
		want      string // what the answer holds
		after     time.Duration
	}{
		{name: "no handshake", plain: true, after: 15 * time.Second},
		{name: "no request", after: 15 * time.Second},
		{name: "headers", say: "GET /v1/ca HTTP/1.1\r\nHost: x\r\nX: ", after: 15 * time.Second},
		{name: "body", say: "POST /v1/join HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{",
			want: `{"reason":"malformed","error":"the request cannot be read: `, after: 15 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			onWire(t, func(t *testing.T, w *wire, _ *pki.CA) {
				begun := time.Now()
				answer := drip(t, w, tt.plain, tt.say)
				if took := time.Since(begun); took < tt.after || took > tt.after+2*time.Second {
					t.Errorf("cut off after %s, want %s", took, tt.after)
				}
				if !strings.Contains(answer, tt.want) {
					t.Errorf("answered %q", answer)
				}
			})
		})
	}
}

// drip says the text, then one byte a second, until the server closes the
// connection. It returns what the server said.
func drip(t *testing.T, w *wire, plain bool, say string) string {
	t.Helper()
	conn, err := w.dial(t.Context(), "", "")
	check(t, err)
	defer conn.Close()
	if !plain {
		secure := tls.Client(conn, pki.FetchConfig())
		check(t, secure.HandshakeContext(t.Context()))
		conn = secure
	}
	var dripping sync.WaitGroup
	if say != "" {
		_, err := io.WriteString(conn, say)
		check(t, err)
		dripping.Go(func() {
			for err := error(nil); err == nil; {
				time.Sleep(time.Second)
				_, err = conn.Write([]byte{' '})
			}
		})
	}
	answer, _ := io.ReadAll(conn) // as far as it came
	conn.Close()
	dripping.Wait()
	return string(answer)
}

// TestSlowReader: who does not fetch the answer is waited for half a minute.
func TestSlowReader(t *testing.T) {
	for after, want := range map[time.Duration]bool{29 * time.Second: true, 31 * time.Second: false} {
		t.Run(after.String(), func(t *testing.T) {
			onWire(t, func(t *testing.T, w *wire, _ *pki.CA) {
				conn, err := w.dial(t.Context(), "", "")
				check(t, err)
				defer conn.Close()
				secure := tls.Client(conn, pki.FetchConfig())
				_, err = io.WriteString(secure, "GET /v1/ca HTTP/1.1\r\nHost: x\r\n\r\n")
				check(t, err)
				time.Sleep(after)
				answer, _ := io.ReadAll(secure) // as far as it came
				if got := strings.Contains(string(answer), `{"cluster_id":`); got != want {
					t.Errorf("the answer is there: %v, want %v", got, want)
				}
			})
		})
	}
}

// TestLongPoll: the deadlines of reading and writing do not end a poll that is
// held open.
func TestLongPoll(t *testing.T) {
	onWire(t, func(t *testing.T, w *wire, ca *pki.CA) {
		key, err := pki.NewKey()
		check(t, err)
		csr, err := pki.NewCSR(key)
		check(t, err)
		cert, err := ca.SignNode(csr, "web1", time.Now())
		check(t, err)
		c := wired(t, w, ca.Cert, pki.NewCredentials(&tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}))
		defer c.Close()
		for range 2 {
			begun := time.Now()
			a, err := c.Poll(t.Context(), &cluster.PollRequest{Wait: 120_000})
			if err != nil || a.Head != 7 || time.Since(begun) != 2*time.Minute {
				t.Errorf("after %s: %+v, %v", time.Since(begun), a, err)
			}
		}
	})
}

// Leave is slow, and stops when the peer is gone.
func (patient) Leave(ctx context.Context, _ string) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(2 * readWait):
		return nil
	}
}

// TestLongWork: a request without a body is not cut off while its answer takes
// long.
func TestLongWork(t *testing.T) {
	onWire(t, func(t *testing.T, w *wire, ca *pki.CA) {
		conn := memberConn(t, w, ca, time.Hour)
		if res := exchange(t, conn, "POST /v1/leave HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"); res.StatusCode != http.StatusOK {
			t.Errorf("answered %s", res.Status)
		}
	})
}

// TestDeadlineOfEarlierRequest: after the deadline of an earlier answer has
// passed, the next request on the connection is still answered.
func TestDeadlineOfEarlierRequest(t *testing.T) {
	for request, want := range map[string]int{
		"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n":                         http.StatusNotFound,
		"GET /v1/hello HTTP/1.1\r\nHost: x\r\n\r\n":                        http.StatusForbidden, // its certificate has expired
		"POST /v1/poll HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}": http.StatusForbidden,
	} {
		t.Run(request, func(t *testing.T) {
			onWire(t, func(t *testing.T, w *wire, ca *pki.CA) {
				conn := memberConn(t, w, ca, time.Minute)
				if res := exchange(t, conn, "POST /v1/poll HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"); res.StatusCode != http.StatusOK {
					t.Fatalf("answered %s", res.Status)
				}
				time.Sleep(2 * time.Minute)
				if res := exchange(t, conn, request); res.StatusCode != want {
					t.Errorf("answered %s", res.Status)
				}
			})
		})
	}
}

// Fence panics, and so does every method that patient lacks.
func (patient) Fence(_ context.Context, id string, _ *cluster.TailRequest) error {
	panic("no such fence: " + id)
}

// TestPanickingRules: a request that panics gets no answer, and is logged; the next
// one is answered.
func TestPanickingRules(t *testing.T) {
	for request, work := range map[string]string{
		"POST /v1/fence HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}": `work="request POST \"/v1/fence\""`,
		"GET /v1/hello HTTP/1.1\r\nHost: x\r\n\r\n":                         `work="request GET \"/v1/hello\""`,
	} {
		t.Run(work, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca, creds := authority(t)
				w := newWire()
				ctx, stop := context.WithCancel(t.Context())
				served := make(chan error)
				var log bytes.Buffer
				server := &Server{Rules: patient{}, CA: ca.Cert, Creds: creds, Now: time.Now, Log: slog.New(slog.NewTextHandler(&log, nil))}
				go func() { served <- server.Serve(ctx, w) }()
				conn := memberConn(t, w, ca, time.Hour)
				_, err := io.WriteString(conn, request)
				check(t, err)
				if answer, _ := io.ReadAll(conn); len(answer) > 0 {
					t.Errorf("answered %q", answer)
				}
				conn = memberConn(t, w, ca, time.Hour)
				if res := exchange(t, conn, "POST /v1/poll HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"); res.StatusCode != http.StatusOK {
					t.Errorf("answered %s", res.Status)
				}
				conn.Close()
				stop()
				check(t, <-served)
				if text := log.String(); strings.Count(text, "a panic was caught") != 1 || !strings.Contains(text, work) {
					t.Errorf("logged %s", text)
				}
			})
		})
	}
}

// memberConn returns a connection of a member whose certificate expires after left.
func memberConn(t *testing.T, w *wire, ca *pki.CA, left time.Duration) net.Conn {
	t.Helper()
	key, err := pki.NewKey()
	check(t, err)
	csr, err := pki.NewCSR(key)
	check(t, err)
	cert, err := ca.SignNode(csr, "web1", time.Now().Add(left-pki.LeafLife))
	check(t, err)
	conn, err := w.dial(t.Context(), "", "")
	check(t, err)
	t.Cleanup(func() { conn.Close() })
	config := pki.FetchConfig()
	config.Certificates = []tls.Certificate{{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}}
	return tls.Client(conn, config)
}

// exchange sends a request, and returns the answer, whose body it has read.
func exchange(t *testing.T, conn net.Conn, request string) *http.Response {
	t.Helper()
	_, err := io.WriteString(conn, request)
	check(t, err)
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	check(t, err)
	_, err = io.ReadAll(res.Body)
	check(t, err)
	return res
}

// TestNoCertificate: a stranger on a member's path keeps no connection.
func TestNoCertificate(t *testing.T) {
	onWire(t, func(t *testing.T, w *wire, _ *pki.CA) {
		conn, err := w.dial(t.Context(), "", "")
		check(t, err)
		defer conn.Close()
		secure := tls.Client(conn, pki.FetchConfig())
		go io.WriteString(secure, "GET /v1/hello HTTP/1.1\r\nHost: x\r\n\r\n")
		res, err := http.ReadResponse(bufio.NewReader(secure), nil)
		check(t, err)
		if res.StatusCode != http.StatusForbidden || !res.Close {
			t.Errorf("a stranger on a member's path: %s, to be closed: %v", res.Status, res.Close)
		}
	})
}

// TestAbandoned: a request that the daemon's end has cut short gets no answer
// at all, since an empty one would be a success.
func TestAbandoned(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := &Server{Now: time.Now, Log: slog.New(slog.DiscardHandler)}
	defer func() {
		if got := recover(); got != http.ErrAbortHandler {
			t.Errorf("ended with %v", got)
		}
	}()
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, cluster.PathReport, nil)
	s.answer(httptest.NewRecorder(), r, "id", maxMember, func(*call) (any, error) { return struct{}{}, nil })
	t.Error("it was answered")
}

// TestSilentManager: each way in which a manager can be silent is noticed, in
// a bounded time and by name.
func TestSilentManager(t *testing.T) {
	poll := func(ctx context.Context, c *Client) error {
		_, err := c.Poll(ctx, &cluster.PollRequest{Wait: 60_000})
		return err
	}
	report := func(ctx context.Context, c *Client) error { return c.Report(ctx, &cluster.Report{}) }
	for _, tt := range []struct {
		name  string
		peer  func(t *testing.T, w *wire, creds *pki.Credentials)
		call  func(context.Context, *Client) error
		after time.Duration
		want  string
	}{
		{"no handshake", func(_ *testing.T, w *wire, _ *pki.Credentials) { hold(<-w.conns, w) }, report, 5 * time.Second, "no answer in time"},
		{"no answer", mute(""), report, 20 * time.Second, "no answer in time"},
		{"no answer to a poll", mute(""), poll, 75 * time.Second, "no answer in time"},
		{"half an answer", mute("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"), poll, 30 * time.Second, "no answer in time"},
		{"closed", hangUp(""), report, 0, "it closed the connection"},
		{"closed in mid-answer", hangUp("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"), poll, 0, "it closed the connection"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWire()
				defer w.Close()
				ca, creds := authority(t)
				go tt.peer(t, w, creds)
				c := wired(t, w, ca.Cert, &pki.Credentials{})
				defer c.Close()
				begun := time.Now()
				err := tt.call(t.Context(), c)
				if took := time.Since(begun); took != tt.after {
					t.Errorf("given up after %s, want %s", took, tt.after)
				}
				if want := "the manager at 192.0.2.1:2480 cannot be reached: " + tt.want; err == nil || err.Error() != want {
					t.Errorf("got %v, want %s", err, want)
				}
				if fault.CodeOf(err) != fault.Busy || fault.HintOf(err) != "on the manager: systemctl status iwx-queued; from here: ping 192.0.2.1" {
					t.Errorf("exit code %d, hint %s", fault.CodeOf(err), fault.HintOf(err))
				}
			})
		})
	}
}

// hold keeps the connection open and reads what comes.
func hold(conn net.Conn, w *wire) {
	go io.Copy(io.Discard, conn)
	<-w.closed
	conn.Close()
}

// mute is a manager that takes a request, says as much, and no more.
func mute(say string) func(*testing.T, *wire, *pki.Credentials) {
	return func(t *testing.T, w *wire, creds *pki.Credentials) {
		conn := tls.Server(<-w.conns, pki.ServerConfig(creds, time.Now))
		if _, err := http.ReadRequest(bufio.NewReader(conn)); err != nil {
			t.Error(err)
		}
		if _, err := io.WriteString(conn, say); err != nil {
			t.Error(err)
		}
		hold(conn, w)
	}
}

// hangUp is a manager that takes a request, says as much, and is gone.
func hangUp(say string) func(*testing.T, *wire, *pki.Credentials) {
	return func(t *testing.T, w *wire, creds *pki.Credentials) {
		conn := tls.Server(<-w.conns, pki.ServerConfig(creds, time.Now))
		defer conn.Close()
		if _, err := http.ReadRequest(bufio.NewReader(conn)); err != nil {
			t.Error(err)
		}
		if _, err := io.WriteString(conn, say); err != nil {
			t.Error(err)
		}
	}
}

// wired is a client whose connections lead to the wire.
func wired(t *testing.T, w *wire, ca *x509.Certificate, creds *pki.Credentials) *Client {
	t.Helper()
	config, err := pki.ClientConfig(ca, creds, time.Now)
	check(t, err)
	c := NewClient([]netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:2480")}, netip.Addr{}, config)
	c.addresses.connect = w.dial
	return c
}

// TestCancelled: a call that is called off says only that.
func TestCancelled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWire()
		defer w.Close()
		ca, creds := authority(t)
		go mute("")(t, w, creds)
		c := wired(t, w, ca.Cert, &pki.Credentials{})
		defer c.Close()
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		begun := time.Now()
		_, err := c.Hello(ctx)
		if !errors.Is(err, context.Canceled) || fault.HintOf(err) != "" || time.Since(begun) != time.Second {
			t.Errorf("after %s: %v, hint %s", time.Since(begun), err, fault.HintOf(err))
		}
	})
}

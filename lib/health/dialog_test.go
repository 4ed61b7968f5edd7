package health

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// kinds returns all kinds.
func kinds() []Kind {
	return []Kind{TCP, HTTP, HTTPS, SMTP, Submission, SMTPS, POP3, POP3S, IMAP, IMAPS}
}

// begun returns a dialog that has just connected, and the service's end. until
// is the deadline of the connection.
func begun(t *testing.T, check Check, until time.Time) (*dialog, *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	target := Target{Addr: netip.MustParseAddrPort(l.Addr().String()), Check: check.Filled()}
	target.Check.Level = Speak
	conn, err := connect(t.Context(), target, until)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	there, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { there.Close() })
	return newDialog(conn, target, time.Now), there.(*net.TCPConn)
}

// reset makes the service reset the connection, and waits until the reset has
// arrived.
func reset(t *testing.T, d *dialog, there *net.TCPConn) {
	t.Helper()
	there.SetLinger(0)
	there.Close()
	raw, err := d.conn.(socket).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	polled := raw.Control(func(fd uintptr) {
		n := 0
		for n, err = unix.Poll([]unix.PollFd{{Fd: int32(fd)}}, 30000); err == unix.EINTR; {
			n, err = unix.Poll([]unix.PollFd{{Fd: int32(fd)}}, 30000)
		}
		if err == nil && n == 0 {
			err = errors.New("the reset does not come")
		}
	})
	if err := errors.Join(polled, err); err != nil {
		t.Fatal(err)
	}
}

// TestFailsAtOnce: if a connection fails in any way before the service was asked
// anything, the probe has a result that says so.
func TestFailsAtOnce(t *testing.T) {
	tests := []struct {
		name   string
		happen func(*testing.T, *dialog, *net.TCPConn)
		word   Word
		reason string
	}{
		{"reset", reset, Wrong, "connected, then reset: no "},
		{"deadline over", func(_ *testing.T, d *dialog, _ *net.TCPConn) { d.conn.SetDeadline(time.Unix(1, 0)) }, Silent, "connected, no "},
		{"write deadline over", func(_ *testing.T, d *dialog, _ *net.TCPConn) { d.conn.SetWriteDeadline(time.Unix(1, 0)) }, Silent, "connected, no "},
		{"cut short", func(_ *testing.T, d *dialog, _ *net.TCPConn) { d.conn.Close() }, Unasked, "the probe was cut short: no "},
	}
	for _, tt := range tests {
		for _, kind := range kinds() {
			t.Run(fmt.Sprint(tt.name, " ", kind), func(t *testing.T) {
				d, there := begun(t, Check{Kind: kind, Proxy: true}, time.Now().Add(30*time.Second))
				tt.happen(t, d, there)
				err := d.open()
				var found *trouble
				if !errors.As(err, &found) || found.word != tt.word || !strings.HasPrefix(found.reason, tt.reason) || strings.TrimPrefix(found.reason, tt.reason) == "" {
					t.Errorf("%#v", err)
				}
			})
		}
	}
}

// TestFailsInHandshake is the same for a TLS handshake that comes first,
// without a header before it: it has its own deadlines.
func TestFailsInHandshake(t *testing.T) {
	for _, kind := range []Kind{HTTPS, SMTPS, POP3S, IMAPS} {
		t.Run(string(kind), func(t *testing.T) {
			d, there := begun(t, Check{Kind: kind}, time.Now().Add(30*time.Second))
			reset(t, d, there)
			if err := d.open(); err == nil || err.Error() != "connected, then reset: no TLS handshake" {
				t.Error("reset:", err)
			}
			d, _ = begun(t, Check{Kind: kind, Timeout: time.Nanosecond}, time.Now().Add(30*time.Second))
			if err := d.open(); err == nil || !strings.HasPrefix(err.Error(), "connected, no TLS handshake within ") {
				t.Error("deadline over:", err)
			}
			d, there = begun(t, Check{Kind: kind, Timeout: 30 * time.Second}, time.Now().Add(30*time.Second))
			there.CloseWrite()
			if err := d.open(); err == nil || err.Error() != "connected, then closed: no TLS handshake" {
				t.Error("closed:", err)
			}
		})
	}
}

// TestConnectedLate: the connection is noticed only after its deadline, as after
// a pause of this server. What follows has its own deadline, whichever side
// speaks first.
func TestConnectedLate(t *testing.T) {
	for _, check := range []Check{{Kind: IMAP, Proxy: true}, {Kind: TCP, Proxy: true}, {Kind: HTTP}} {
		check.Timeout = 30 * time.Second
		d, there := begun(t, check, time.Now().Add(-time.Second))
		if err := d.open(); err != nil {
			t.Fatalf("%s: %v", check.Kind, err)
		}
		if check.Kind == HTTP {
			if err := d.send("answer to GET", "GET / HTTP/1.1\r\n"); err != nil {
				t.Error(err)
			}
		}
		if n, err := there.Read(make([]byte, 4)); n != 4 {
			t.Errorf("%s: %d bytes came: %v", check.Kind, n, err)
		}
		if _, err := d.conn.Write([]byte("x")); err != nil {
			t.Error(err)
		}
	}
	target := Target{Check: Check{Level: Speak}.Filled()}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	target.Addr = netip.MustParseAddrPort(l.Addr().String())
	conn, err := connect(t.Context(), target, time.Now().Add(-time.Second))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("x")); err != nil {
		t.Error("the deadline of the connection is there still:", err)
	}
}

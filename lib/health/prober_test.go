package health

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"iwx/lib/testenv"
)

// serve has every connection to a port of its own served, until the test ends.
func serve(t *testing.T, host string, service func(net.Conn)) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go answer(l, service)
	return netip.MustParseAddrPort(l.Addr().String())
}

// answer has every connection served until the listener is closed.
func answer(l net.Listener, service func(net.Conn)) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go func() { service(conn); conn.Close() }()
	}
}

// says is a service that says its lines, each after it has received one, the first
// at once.
func says(lines ...string) func(net.Conn) {
	return func(conn net.Conn) {
		heard := bufio.NewReader(conn)
		for n, line := range lines {
			if n > 0 {
				if _, err := heard.ReadString('\n'); err != nil {
					return
				}
			}
			io.WriteString(conn, line)
		}
		io.Copy(io.Discard, heard)
		conn.Close()
	}
}

// hears is a service of HTTP that answers after it has received a request.
func hears(answer string) func(net.Conn) {
	return func(conn net.Conn) {
		request := bufio.NewReader(conn)
		for line := "x"; line != "\r\n"; {
			var err error
			if line, err = request.ReadString('\n'); err != nil {
				return
			}
		}
		io.WriteString(conn, answer)
		io.Copy(io.Discard, request)
	}
}

// closes is a service that says something, and then that is all.
func closes(text string) func(net.Conn) {
	return func(conn net.Conn) {
		io.WriteString(conn, text)
		conn.(*net.TCPConn).CloseWrite()
		io.Copy(io.Discard, conn)
	}
}

// trickles is a service that says a byte in each 20 ms.
func trickles(text string) func(net.Conn) {
	return func(conn net.Conn) {
		ticker := time.NewTicker(20 * time.Millisecond)
		defer ticker.Stop()
		for n := range text {
			<-ticker.C
			if _, err := io.WriteString(conn, text[n:n+1]); err != nil {
				return
			}
		}
	}
}

// silence is how long tests wait for an answer that does not come.
const silence = 300 * time.Millisecond

// probe probes once.
func probe(t *testing.T, kind Kind, addr netip.AddrPort, change func(*Check)) Result {
	t.Helper()
	c := Check{Kind: kind, Connect: testenv.Wait(), Timeout: testenv.Wait()}
	if change != nil {
		change(&c)
	}
	p := Prober{Now: time.Now}
	began := time.Now()
	r := p.Probe(t.Context(), Target{ID: "x", Addr: addr, Check: c.Filled()})
	if took := time.Since(began); r.Took > took || r.At.Before(began) {
		t.Errorf("took %v, and says %v, at %v", took, r.Took, r.At)
	}
	return r
}

const (
	smtpEHLO = "250-mail.example\r\n250-SIZE 10240000\r\n250 HELP\r\n"
	capa     = "+OK\r\nUSER\r\nUIDL\r\n.\r\n"
	caps     = "* CAPABILITY IMAP4rev1 IDLE\r\na OK done\r\n"
)

func TestProbeWellSpoken(t *testing.T) {
	for _, tt := range []struct {
		kind    Kind
		service func(net.Conn)
	}{
		{TCP, says("")},
		{SMTP, says("220 mail.example ESMTP\r\n", smtpEHLO, "221 bye\r\n")},
		{SMTP, says("220-mail.example\r\n220 no spam here\r\n", "250 mail.example\r\n", "221 bye\r\n")},
		{SMTP, says("220 mail.example\r\n", smtpEHLO, "500 what?\r\n")},
		{SMTP, says("220 mail.example\n", "250 mail.example\n", "221 bye\n")},
		{Submission, says("220 mail.example ESMTP\r\n", smtpEHLO)},
		{POP3, says("+OK ready\r\n", capa, "+OK bye\r\n")},
		{POP3, says("+OK\r\n", "-ERR unknown command\r\n", "+OK bye\r\n")},
		{IMAP, says("* OK ready\r\n", caps, "* BYE\r\na OK\r\n")},
		{IMAP, says("* PREAUTH as you wish\r\n", caps, "* BYE\r\na OK\r\n")},
		{IMAP, says("* ok ready\r\n", "* capability imap4rev1\r\nA ok\r\n", "")},
		{HTTP, hears("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")},
		{HTTP, hears("HTTP/1.0 302 Found\r\nLocation: /x\r\n\r\n")},
		{HTTP, hears("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n")},
	} {
		for _, host := range []string{"127.0.0.1", "::1"} {
			if r := probe(t, tt.kind, serve(t, host, tt.service), nil); r.Word != Good || r.Reason != "" {
				t.Errorf("%s at %s: %s: %s", tt.kind, host, r.Word, r.Reason)
			}
		}
	}
}

func TestProbeLiars(t *testing.T) {
	megabyte := strings.Repeat("x", 1<<20)
	for _, tt := range []struct {
		name    string
		kind    Kind
		service func(net.Conn)
		word    Word
		reason  string
	}{
		{"no greeting", SMTP, says(""), Silent, "connected, no greeting within 300 ms"},
		{"no greeting", IMAP, says(""), Silent, "connected, no greeting within 300 ms"},
		{"no greeting", POP3, says(""), Silent, "connected, no greeting within 300 ms"},
		{"half a greeting", SMTP, says("220 mai"), Silent, "connected, only part of a greeting within 300 ms"},
		{"half a greeting", IMAP, says("* O"), Silent, "connected, only part of a greeting within 300 ms"},
		{"closes", SMTP, closes(""), Wrong, "connected, then closed: no greeting"},
		{"closes in it", SMTP, closes("220 mai"), Wrong, "connected, then closed: only part of a greeting"},
		{"closes after it", POP3, closes("+OK\r\n"), Wrong, "connected, then closed: no answer to CAPA"},
		{"too busy", SMTP, says("421 4.3.2 too many connections\r\n"), Wrong, `greeted with "421 4.3.2 too many connections"`},
		{"too busy", IMAP, says("* BYE too many connections\r\n"), Wrong, `greeted with "* BYE too many connections"`},
		{"too busy", POP3, says("-ERR [SYS/TEMP] later\r\n"), Wrong, `greeted with "-ERR [SYS/TEMP] later"`},
		{"no EHLO", SMTP, says("220 hello\r\n", "500 5.5.1 what?\r\n"), Wrong, `answered EHLO with "500 5.5.1 what?"`},
		{"no CAPA", POP3, says("+OK\r\n", "250 ok\r\n"), Wrong, `answered CAPA with "250 ok"`},
		{"half a CAPA", POP3, says("+OK\r\n", "+OK\r\nUSER\r\n"), Silent, "connected, only part of an answer to CAPA within 300 ms"},
		{"no CAPABILITY", IMAP, says("* OK\r\n", "a BAD what?\r\n"), Wrong, `answered CAPABILITY with "a BAD what?"`},
		{"another's tag", IMAP, says("* OK\r\n", "b OK\r\n"), Wrong, `answered CAPABILITY with "b OK"`},
		{"leaves", IMAP, says("* OK\r\n", "* BYE\r\n"), Wrong, `answered CAPABILITY with "* BYE"`},
		{"silent at EHLO", SMTP, says("220 hello\r\n"), Silent, "connected, no answer to EHLO within 300 ms"},
		{"silent", HTTP, says(""), Silent, "connected, no answer to GET within 300 ms"},
		{"half a header", HTTP, hears("HTTP/1.1 200 OK\r\nServer: x"), Silent, "connected, only part of an answer to GET within 300 ms"},
		{"broken", HTTP, hears("HTTP/1.1 503 Service Unavailable\r\n\r\n"), Wrong, "answered 503 Service Unavailable"},
		{"no reason", HTTP, hears("HTTP/1.1 500\r\n\r\n"), Wrong, "answered 500"},
		{"interim for ever", HTTP, hears(strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 99)), Wrong, "answered 1xx again and again"},
		{"a byte a time", SMTP, trickles(strings.Repeat("220-mail.example\r\n", 99)), Silent, "connected, only part of a greeting within 300 ms"},
		{"a byte a time", IMAP, trickles("* OK mail.example is ready for whatever you may ask of it\r\n"), Silent, "connected, only part of a greeting within 300 ms"},
		{"a byte a time", HTTP, trickles("HTTP/1.1 200 OK\r\nServer: somebody"), Silent, "connected, only part of an answer to GET within 300 ms"},
		{"a megabyte a line", SMTP, says("220 " + megabyte + "\r\n"), Wrong, "a greeting of more than 32 KiB"},
		{"a megabyte a line", POP3, says("+OK\r\n", "+OK\r\n"+megabyte+"\r\n.\r\n"), Wrong, "an answer to CAPA of more than 32 KiB"},
		{"a megabyte a line", IMAP, says("* OK "+megabyte+"\r\n", caps), Wrong, "a greeting of more than 32 KiB"},
		{"a megabyte a line", HTTP, hears("HTTP/1.1 200 OK\r\nX: " + megabyte + "\r\n\r\n"), Wrong, "an answer to GET of more than 32 KiB"},
		{"lines without end", SMTP, says(strings.Repeat("220-more\r\n", 1<<16)), Wrong, "a greeting of more than 32 KiB"},
		{"lines without end", IMAP, says("* OK\r\n", strings.Repeat("* more\r\n", 1<<16)), Wrong, "an answer to CAPABILITY of more than 32 KiB"},
		{"secure shell", SMTP, says("SSH-2.0-OpenSSH_9.2\r\n"), Wrong, `greeted with "SSH-2.0-OpenSSH_9.2"`},
		{"secure shell", IMAP, says("SSH-2.0-OpenSSH_9.2\r\n"), Wrong, `greeted with "SSH-2.0-OpenSSH_9.2"`},
		{"secure shell", HTTP, says("SSH-2.0-OpenSSH_9.2\r\n"), Wrong, `answered with "SSH-2.0-OpenSSH_9.2", which is not HTTP`},
		{"mail for the web", HTTP, says("220 mail.example\r\n"), Wrong, `answered with "220 mail.example", which is not HTTP`},
		{"the web for mail", SMTP, says("HTTP/1.1 400 Bad Request\r\n"), Wrong, `greeted with "HTTP/1.1 400 Bad Request"`},
		{"POP3 for IMAP", IMAP, says("+OK ready\r\n"), Wrong, `greeted with "+OK ready"`},
		{"IMAP for POP3", POP3, says("* OK ready\r\n"), Wrong, `greeted with "* OK ready"`},
		{"control characters", SMTP, says("500 \x1b[2J\x07\r\n"), Wrong, `greeted with "500 \x1b[2J\a"`},
		{"long", POP3, says(strings.Repeat("y", 99) + "\r\n"), Wrong, `greeted with "` + strings.Repeat("y", 60) + `\u2026"`},
		{"no TLS", HTTPS, says("HTTP/1.1 400 Bad Request\r\n"), Wrong, `does not speak TLS: it began with "HTTP/"`},
		{"no TLS", IMAPS, says("* OK ready\r\n"), Wrong, `does not speak TLS: it began with "* OK "`},
		{"silent at TLS", POP3S, says(""), Silent, "connected, no TLS handshake within 300 ms"},
		{"closes at TLS", SMTPS, closes(""), Wrong, "connected, then closed: no TLS handshake"},
		{"a byte a time", IMAPS, trickles("\x16\x03\x03\x40\x00" + strings.Repeat("\x02", 999)), Silent, "connected, no TLS handshake within 300 ms"},
	} {
		t.Run(strings.ReplaceAll(string(tt.kind)+" "+tt.name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			r := probe(t, tt.kind, serve(t, "127.0.0.1", tt.service), func(c *Check) {
				if tt.word == Silent {
					c.Timeout = silence
				}
			})
			if r.Word != tt.word || r.Reason != tt.reason {
				t.Errorf("got  %s: %s\nwant %s: %s", r.Word, r.Reason, tt.word, tt.reason)
			}
		})
	}
}

func TestProbeNobodyThere(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "::1"} {
		l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
		if err != nil {
			t.Fatal(err)
		}
		addr := netip.MustParseAddrPort(l.Addr().String())
		l.Close()
		for _, kind := range Kinds() {
			if r := probe(t, kind, addr, nil); r.Word != Refused || r.Reason != "connection refused" {
				t.Errorf("%s: %+v", kind, r)
			}
		}
	}
}

func TestNotConnected(t *testing.T) {
	for _, tt := range []struct {
		err    error
		word   Word
		reason string
	}{
		{syscall.ECONNREFUSED, Refused, "connection refused"},
		{syscall.EHOSTUNREACH, Unreachable, "no route to host"},
		{syscall.ENETUNREACH, Unreachable, "network is unreachable"},
		{syscall.ETIMEDOUT, Silent, "no connection within 250 ms"},
		{os.ErrDeadlineExceeded, Silent, "no connection within 250 ms"},
		{context.DeadlineExceeded, Silent, "no connection within 250 ms"},
		{syscall.ECONNRESET, Wrong, "the connection was reset at once"},
		{syscall.EMFILE, Unasked, "too many open files"},
		{syscall.EADDRNOTAVAIL, Unasked, "cannot assign requested address"},
		{syscall.ENOBUFS, Unasked, "no buffer space available"},
		{syscall.EPERM, Unasked, "operation not permitted"},
		{errors.New("other"), Unasked, "other"},
	} {
		err := fmt.Errorf("dial: %w", &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", tt.err)})
		if got := notConnected(err, 250*time.Millisecond); got.word != tt.word || !strings.HasSuffix(got.reason, tt.reason) {
			t.Errorf("%v: %s: %s", tt.err, got.word, got.reason)
		}
	}
}

// A server that is not there at all answers nothing: it takes no longer than
// Connect to find out. The queue of a socket that accepts nothing is one.
func TestProbeSilentServer(t *testing.T) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), syscall.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(name.(*syscall.SockaddrInet4).Port))
	for range 2 { // to fill the queue
		d := net.Dialer{Timeout: 100 * time.Millisecond}
		if conn, err := d.Dial("tcp", addr.String()); err == nil {
			defer conn.Close()
		}
	}
	for _, level := range []Level{Connect, Speak} {
		r := probe(t, HTTP, addr, func(c *Check) { c.Level, c.Connect = level, 120*time.Millisecond })
		if r.Word != Silent || r.Reason != "no connection within 120 ms" {
			t.Errorf("%s: %+v", level, r)
		}
	}
}

// An answer that has come is one, whenever it is looked at: this server may have
// had no time to.
func TestConnectLookedAtLate(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	target := Target{Addr: netip.MustParseAddrPort(l.Addr().String()), Check: Check{Level: Connect}}
	conn, err := connect(t.Context(), target, time.Now().Add(-time.Second))
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	l.Close()
	if _, err := connect(t.Context(), target, time.Now().Add(-time.Second)); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("nobody listens: %v", err)
	}
}

// A knock is answered by the kernel, and the service never hears of it.
func TestProbeKnock(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "::1"} {
		l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		addr := netip.MustParseAddrPort(l.Addr().String())
		for range 50 {
			if r := probe(t, SMTP, addr, func(c *Check) { c.Level = Connect }); r.Word != Good {
				t.Fatalf("%+v", r)
			}
		}
		conn, err := net.Dial("tcp", addr.String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		l.(*net.TCPListener).SetDeadline(time.Now().Add(testenv.Wait()))
		first, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer first.Close()
		if first.RemoteAddr().String() != conn.LocalAddr().String() {
			t.Errorf("the service received a connect probe")
		}
	}
}

func TestProbeHTTPRequest(t *testing.T) {
	for _, tt := range []struct {
		kind       Kind
		host, path string
		addr, want string
	}{
		{HTTP, "", "", "192.0.2.1:80", "GET / HTTP/1.1\r\nHost: 192.0.2.1\r\n"},
		{HTTP, "", "", "192.0.2.1:8080", "GET / HTTP/1.1\r\nHost: 192.0.2.1:8080\r\n"},
		{HTTP, "", "", "[2001:db8::1]:80", "GET / HTTP/1.1\r\nHost: [2001:db8::1]\r\n"},
		{HTTP, "", "", "[2001:db8::1]:81", "GET / HTTP/1.1\r\nHost: [2001:db8::1]:81\r\n"},
		{HTTPS, "", "", "192.0.2.1:443", "GET / HTTP/1.1\r\nHost: 192.0.2.1\r\n"},
		{HTTP, "www.example", "/up?x=1", "192.0.2.1:80", "GET /up?x=1 HTTP/1.1\r\nHost: www.example\r\n"},
	} {
		heard := make(chan string, 1)
		here, there := net.Pipe()
		go func() {
			text := make([]byte, 4096)
			n, _ := there.Read(text)
			heard <- string(text[:n])
			there.Close()
		}()
		check := Check{Kind: tt.kind, Host: tt.host, Path: tt.path}.Filled()
		d := newDialog(here, Target{Addr: netip.MustParseAddrPort(tt.addr), Check: check}, time.Now)
		d.http()
		if got := <-heard; !strings.HasPrefix(got, tt.want) || !strings.HasSuffix(got, "\r\nConnection: close\r\n\r\n") {
			t.Errorf("%q", got)
		}
	}
}

func TestProbeStatuses(t *testing.T) {
	addr := serve(t, "127.0.0.1", hears("HTTP/1.1 401 Unauthorized\r\n\r\n"))
	if r := probe(t, HTTP, addr, func(c *Check) { c.Status = "200,401" }); r.Word != Good {
		t.Errorf("%+v", r)
	}
	if r := probe(t, HTTP, addr, nil); r.Reason != "answered 401 Unauthorized" {
		t.Errorf("%+v", r)
	}
}

func TestProbeProxyHeader(t *testing.T) {
	for _, kind := range []Kind{HTTP, SMTP} {
		heard := make(chan string, 1)
		addr := serve(t, "127.0.0.1", func(conn net.Conn) {
			header := make([]byte, 16)
			io.ReadFull(conn, header)
			heard <- string(header)
			if kind == SMTP {
				says("220 hello\r\n", "250 ok\r\n", "221 bye\r\n")(conn)
			} else {
				hears("HTTP/1.1 204 No Content\r\n\r\n")(conn)
			}
		})
		if r := probe(t, kind, addr, func(c *Check) { c.Proxy = true }); r.Word != Good {
			t.Errorf("%s: %+v", kind, r)
		}
		if got := <-heard; got != "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00" {
			t.Errorf("%s: %q", kind, got)
		}
	}
}

func TestProbeEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	addr := serve(t, "127.0.0.1", func(net.Conn) { cancel() })
	p := Prober{Now: time.Now}
	began, timeout := time.Now(), 10*testenv.Wait()
	r := p.Probe(ctx, Target{Addr: addr, Check: Check{Kind: SMTP, Timeout: timeout}.Filled()})
	if r.Word.Up() || time.Since(began) >= timeout {
		t.Errorf("%+v", r)
	}
}

func TestProbeOfManyAtOnceKeepsNothingOpen(t *testing.T) {
	addr := serve(t, "127.0.0.1", says("220 hello\r\n", "250 ok\r\n", "221 bye\r\n"))
	open := func() int {
		list, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, fd := range list {
			if name, _ := os.Readlink("/proc/self/fd/" + fd.Name()); strings.HasPrefix(name, "socket:") {
				n++
			}
		}
		return n
	}
	probe(t, SMTP, addr, nil)
	before := open()
	for range 50 {
		probe(t, SMTP, addr, func(c *Check) { c.Level = Connect })
	}
	if after := open(); after > before+1 {
		t.Errorf("%d sockets, and %d after 50 knocks", before, after)
	}
}

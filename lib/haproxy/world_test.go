package haproxy

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"sync/atomic"
	"testing"
	"time"

	"iwx/lib/host"
	"iwx/lib/lb"
	"iwx/lib/testenv"
)

// newEngine returns an engine in a directory of its own, whose instance ends
// with the test. The name of a socket must be short, so the directory's is.
func newEngine(t testing.TB) *Engine {
	t.Helper()
	testenv.Need(t, "haproxy")
	dir, err := os.MkdirTemp("", "hx")
	if err != nil {
		t.Fatal(err)
	}
	e := New(host.At(dir))
	t.Cleanup(func() {
		if err := e.runner.end(context.Background()); err != nil {
			t.Error(err)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return e
}

// apply makes the engine have what is desired, and checks that it has.
func apply(t *testing.T, e *Engine, desired lb.Table) {
	t.Helper()
	is := observe(t, e)
	if err := e.Apply(t.Context(), lb.Diff(desired, is)); err != nil {
		t.Fatal(err)
	}
	if ops := lb.Diff(desired, observe(t, e)); len(ops) > 0 {
		t.Fatalf("after Apply there is left to do: %v", ops)
	}
}

func observe(t *testing.T, e *Engine) lb.Table {
	t.Helper()
	table, err := e.Observe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func addr(text string) netip.AddrPort { return netip.MustParseAddrPort(text) }

// freePort returns an address of the host with a port that nobody has.
func freePort(t testing.TB, host string) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return addr(l.Addr().String())
}

// echo is a server that greets with its name and sends lines back.
type echo struct {
	name     string
	addr     netip.AddrPort
	listener net.Listener
	accepted atomic.Int64
}

func newEcho(t *testing.T, name, host string) *echo {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	s := &echo{name: name, addr: addr(l.Addr().String()), listener: l}
	t.Cleanup(func() { s.listener.Close() })
	go s.accept(l)
	return s
}

// listen has a server whose listener was closed listen again.
func (s *echo) listen(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", s.addr.String())
	if err != nil {
		t.Fatal(err)
	}
	s.listener = l
	go s.accept(l)
}

func (s *echo) accept(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go s.serve(conn)
	}
}

func (s *echo) serve(conn net.Conn) {
	defer conn.Close()
	s.accepted.Add(1)
	if _, err := fmt.Fprintln(conn, s.name); err == nil {
		_, _ = io.Copy(conn, conn)
	}
}

func (s *echo) real(weight int) lb.Real { return lb.Real{Name: s.name, Weight: weight} }

// client is a connection through the balancer.
type client struct {
	net.Conn
	lines  *bufio.Reader
	server string // that greeted
}

// dial connects, and returns when a server has greeted.
func dial(key netip.AddrPort) (*client, error) {
	conn, err := net.DialTimeout("tcp", key.String(), testenv.Wait())
	if err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(time.Now().Add(testenv.Wait())); err != nil {
		return nil, err
	}
	c := &client{Conn: conn, lines: bufio.NewReader(conn)}
	greeting, err := c.lines.ReadString('\n')
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("greeting: %w", err)
	}
	c.server = greeting[:len(greeting)-1]
	return c, nil
}

func mustDial(t *testing.T, key netip.AddrPort) *client {
	t.Helper()
	c, err := dial(key)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// say sends a line and waits for it to come back.
func (c *client) say(text string) error {
	if _, err := fmt.Fprintln(c, text); err != nil {
		return err
	}
	line, err := c.lines.ReadString('\n')
	if err == nil && line != text+"\n" {
		err = fmt.Errorf("sent %q, received %q", text, line)
	}
	return err
}

// table1 is a table with one service.
func table1(key netip.AddrPort, v lb.Virtual, servers map[netip.AddrPort]lb.Real) lb.Table {
	v.Servers = servers
	if v.Scheduler == "" {
		v.Scheduler = "wrr"
	}
	v.Forwarding = lb.Proxy
	if v.Name == "" {
		v.Name = "port " + key.String()
	}
	return lb.Table{key: v}
}

type reals = map[netip.AddrPort]lb.Real

func masterStatus(t *testing.T, e *Engine) status {
	t.Helper()
	s, err := e.master.status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func run(t *testing.T, program string, args ...string) {
	t.Helper()
	if out, err := exec.Command(program, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", program, args, err, out)
	}
}

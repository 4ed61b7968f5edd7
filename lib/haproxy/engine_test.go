//go:build !lab

package haproxy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"iwx/lib/fault"
	"iwx/lib/lb"
	"iwx/lib/testenv"
)

func TestServersComeAndGoWithoutAReload(t *testing.T) {
	e, key := newEngine(t), freePort(t, "127.0.0.9")
	a, b := newEcho(t, "web1", "127.0.0.1"), newEcho(t, "web2", "127.0.0.1")
	apply(t, e, table1(key, lb.Virtual{}, reals{a.addr: a.real(100)}))
	before, held := masterStatus(t, e), mustDial(t, key)
	for _, step := range []struct {
		servers reals
		want    string
	}{
		{reals{a.addr: a.real(0), b.addr: b.real(100)}, "web2"}, // added, and the other drained
		{reals{a.addr: a.real(255), b.addr: b.real(0)}, "web1"}, // and back
		{reals{b.addr: b.real(1)}, "web2"},                      // deleted, with a connection
		{reals{a.addr: a.real(7)}, "web1"},                      // and added again
	} {
		apply(t, e, table1(key, lb.Virtual{}, step.servers))
		for range 4 {
			if got := mustDial(t, key).server; got != step.want {
				t.Errorf("%v: %s answers", step.servers, got)
			}
		}
		if err := held.say("still here"); err != nil {
			t.Errorf("%v: a connection from before: %v", step.servers, err)
		}
	}
	if after := masterStatus(t, e); after.reloads != before.reloads {
		t.Errorf("%d reloads", after.reloads-before.reloads)
	}
}

// What a full disk kept out of the configuration is in it once that can be written,
// though the worker has nothing more to be told.
func TestConfigurationThatWasNotWrittenIsWrittenLater(t *testing.T) {
	e, key := newEngine(t), freePort(t, "127.0.0.9")
	web := newEcho(t, "web1", "127.0.0.1")
	apply(t, e, table1(key, lb.Virtual{}, reals{web.addr: web.real(100)}))
	old, err := os.ReadFile(e.config)
	if err != nil {
		t.Fatal(err)
	}
	config := e.config
	e.config = fullDisk(t, old)
	ops := lb.Diff(table1(key, lb.Virtual{}, reals{web.addr: web.real(7)}), observe(t, e))
	if err := e.Apply(t.Context(), ops); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("on a full disk: %v", err)
	}
	if err := e.Apply(t.Context(), nil); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("on a disk that is still full: %v", err)
	}
	e.config = config // there is space again
	if err := e.Apply(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(e.config); !bytes.Contains(text, []byte(" weight 7 ")) {
		t.Errorf("%s", text)
	}
}

// fullDisk returns a file that holds text, on a disk with no space left.
func fullDisk(t *testing.T, text []byte) string {
	dir := t.TempDir()
	if err := unix.Mount("none", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Fatal("mounting takes root: ", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, 0) })
	path := filepath.Join(dir, "haproxy.cfg")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	fill, err := os.Create(filepath.Join(dir, "fill"))
	if err != nil {
		t.Fatal(err)
	}
	defer fill.Close()
	for err == nil {
		_, err = fill.Write(make([]byte, 4096))
	}
	return path
}

func TestWeightsShareConnections(t *testing.T) {
	e, key := newEngine(t), freePort(t, "127.0.0.9")
	a, b := newEcho(t, "web1", "127.0.0.1"), newEcho(t, "web2", "127.0.0.1")
	apply(t, e, table1(key, lb.Virtual{}, reals{a.addr: a.real(30), b.addr: b.real(90)}))
	count := map[string]int{}
	for range 40 {
		count[mustDial(t, key).server]++
	}
	if count["web1"] != 10 || count["web2"] != 30 {
		t.Errorf("of 40 connections: %v", count)
	}
}

// random returns a table of some of the keys.
func random(rng *rand.Rand, keys []netip.AddrPort) lb.Table {
	table := lb.Table{}
	for i, key := range keys {
		if rng.IntN(4) == 0 {
			continue
		}
		v := lb.Virtual{
			Name:       fmt.Sprintf("port %d on %s", key.Port(), key.Addr()),
			Scheduler:  []string{"wlc", "rr", "wrr", "lc", "sh"}[rng.IntN(8)%5],
			Forwarding: lb.Proxy,
			HTTP:       i == 0,
			Proxy:      rng.IntN(8) == 0,
			Servers:    map[netip.AddrPort]lb.Real{},
		}
		if rng.IntN(3) == 0 {
			v.Persistence = 300 * time.Second
		}
		for n := range 4 {
			host := netip.AddrFrom4([4]byte{127, 0, 1, byte(n)})
			if n == 3 {
				host = netip.MustParseAddr("2001:db8::3")
			}
			if rng.IntN(2) == 0 {
				v.Servers[netip.AddrPortFrom(host, 8080)] = lb.Real{Name: fmt.Sprintf("web%d.x", n), Weight: rng.IntN(4) * 85, Local: n == 0}
			}
		}
		table[key] = v
	}
	return table
}

func TestObserveReturnsWhatWasApplied(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	e := newEngine(t)
	keys := []netip.AddrPort{freePort(t, "127.0.0.9"), freePort(t, "127.0.0.9"), freePort(t, "::1")}
	apply(t, e, random(rng, keys))
	for i := range 12 {
		want := random(rng, keys)
		if len(want) == 0 {
			continue
		}
		apply(t, e, want)
		if got := observe(t, e); !reflect.DeepEqual(got, want) {
			t.Fatalf("table %d: got\n%v\nwant\n%v", i, got, want)
		}
		// What a start would read is the same.
		text, err := os.ReadFile(e.config)
		if err != nil || string(text) != e.text(want) {
			t.Fatalf("table %d: the configuration is not that of the table: %v\n%s", i, err, text)
		}
	}
}

func TestReloadKeepsWhatTheServersAreLike(t *testing.T) {
	e, key, other := newEngine(t), freePort(t, "127.0.0.9"), freePort(t, "127.0.0.9")
	a, b, c := newEcho(t, "web1", "127.0.0.1"), newEcho(t, "web2", "127.0.0.1"), newEcho(t, "web3", "127.0.0.1")
	want := table1(key, lb.Virtual{}, reals{a.addr: a.real(100)})
	apply(t, e, want)
	want[key].Servers[b.addr], want[key].Servers[c.addr] = b.real(20), c.real(0)
	apply(t, e, want)
	held := mustDial(t, key)
	want[other] = table1(other, lb.Virtual{}, reals{b.addr: b.real(100)})[other]
	apply(t, e, want)
	if got := observe(t, e); !reflect.DeepEqual(got, want) {
		t.Errorf("after a reload: got\n%v\nwant\n%v", got, want)
	}
	if err := held.say("hello"); err != nil {
		t.Errorf("a connection from before the reload: %v", err)
	}
	for range 10 {
		if got := mustDial(t, key).server; got == "web3" {
			t.Error("a drained server answers after a reload")
		}
	}
	want[key].Servers[c.addr] = c.real(100)
	apply(t, e, want)
	testenv.Until(t, "web3 answers", func() bool { return mustDial(t, key).server == "web3" })
}

// TestDeadServerCostsNoConnection is the time between a server's death and the
// verdict: HAProxy has to bridge it on its own.
func TestDeadServerCostsNoConnection(t *testing.T) {
	e, key := newEngine(t), freePort(t, "127.0.0.9")
	a, b := newEcho(t, "web1", "127.0.0.1"), newEcho(t, "web2", "127.0.0.1")
	want := table1(key, lb.Virtual{}, reals{a.addr: a.real(100), b.addr: b.real(100)})
	apply(t, e, want)
	b.listener.Close()
	for range 20 {
		if got := mustDial(t, key).server; got != "web1" {
			t.Errorf("%s answers", got)
		}
	}
	if got := observe(t, e); !reflect.DeepEqual(got, want) {
		t.Errorf("what HAProxy sees for itself is no change of ours: got\n%v\nwant\n%v", got, want)
	}
	b.listen(t)
	testenv.Until(t, "web2 answers again", func() bool { return mustDial(t, key).server == "web2" })
}

func TestEndAlsoEndsSessionsOfWorkersBefore(t *testing.T) {
	e, key, other := newEngine(t), freePort(t, "127.0.0.9"), freePort(t, "127.0.0.9")
	a, b := newEcho(t, "web1", "127.0.0.1"), newEcho(t, "web2", "127.0.0.1")
	want := table1(key, lb.Virtual{}, reals{a.addr: a.real(100)})
	apply(t, e, want)
	old := mustDial(t, key)
	want[other] = table1(other, lb.Virtual{}, reals{b.addr: b.real(100)})[other]
	apply(t, e, want)
	current, alive := mustDial(t, key), mustDial(t, other)
	if got, want := sessions(t, e), map[string]int{"web1": 2, "web2": 1}; !reflect.DeepEqual(got, want) {
		t.Errorf("sessions: got %v, want %v", got, want)
	}
	if n := len(masterStatus(t, e).workers); n != 2 {
		t.Fatalf("there are %d workers", n)
	}
	if err := e.End(t.Context(), a.addr); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]*client{"before the reload": old, "after it": current} {
		if _, err := c.lines.ReadByte(); err == nil || os.IsTimeout(err) {
			t.Errorf("the connection from %s goes on: %v", name, err)
		}
	}
	if err := alive.say("hello"); err != nil {
		t.Errorf("another server's connection: %v", err)
	}
	testenv.Until(t, "the worker from before ends", func() bool { return len(masterStatus(t, e).workers) == 1 })
}

func TestServersAreToldWhoAsks(t *testing.T) {
	e, web, smtp := newEngine(t), freePort(t, "127.0.0.9"), freePort(t, "127.0.0.9")
	forwarded := make(chan string, 1)
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		forwarded <- r.Header.Get("X-Forwarded-For")
	}))
	t.Cleanup(s.Close)
	echo := newEcho(t, "web1", "127.0.0.1") // it sends back what it gets
	want := table1(web, lb.Virtual{HTTP: true}, reals{addr(s.Listener.Addr().String()): {Name: "web1", Weight: 1}})
	want[smtp] = table1(smtp, lb.Virtual{Proxy: true}, reals{echo.addr: echo.real(100)})[smtp]
	apply(t, e, want)
	answer, err := http.Get("http://" + web.String())
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if got := <-forwarded; got != "127.0.0.1" {
		t.Errorf("X-Forwarded-For is %q", got)
	}
	conn := mustDial(t, smtp)
	header := make([]byte, 28)
	_, err = io.ReadFull(conn.lines, header)
	// Version 2, PROXY, TCP over IPv4, twelve bytes of addresses and ports: PROXY
	// protocol §2.2.
	start := append([]byte("\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c"), 127, 0, 0, 1, 127, 0, 0, 9)
	if err != nil || !bytes.HasPrefix(header, start) {
		t.Errorf("the server received % x, %v, want % x…", header, err, start)
	}
}

// TestConnectionsToServersAreKept holds that requests of one visitor that go to
// servers in turn find a connection there: making one costs more than a request.
func TestConnectionsToServersAreKept(t *testing.T) {
	e, key := newEngine(t), freePort(t, "127.0.0.9")
	var made atomic.Int64
	servers := reals{}
	for _, name := range []string{"web1", "web2"} {
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				made.Add(1)
			}
		}
		s.Start()
		t.Cleanup(s.Close)
		servers[addr(s.Listener.Addr().String())] = lb.Real{Name: name, Weight: 1}
	}
	first := maps.Clone(servers)
	for at := range servers {
		delete(first, at)
		break
	}
	apply(t, e, table1(key, lb.Virtual{HTTP: true}, first)) // of the configuration
	apply(t, e, table1(key, lb.Virtual{HTTP: true}, servers))
	const requests = 40
	for range requests {
		answer, err := http.Get("http://" + key.String())
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
	}
	if n := made.Load(); n > 10 {
		t.Errorf("%d connections for %d requests", n, requests)
	}
}

// sessions returns the connections by the server's name.
func sessions(t *testing.T, e *Engine) map[string]int {
	t.Helper()
	list, err := e.Sessions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	table, count := observe(t, e), map[string]int{}
	for _, s := range list {
		count[table[s.Key].Servers[s.Addr].Name] += s.Active
	}
	return count
}

func TestClientStaysWithAServer(t *testing.T) {
	e, key, other := newEngine(t), freePort(t, "127.0.0.9"), freePort(t, "127.0.0.9")
	a, b := newEcho(t, "web1", "127.0.0.1"), newEcho(t, "web2", "127.0.0.1")
	want := table1(key, lb.Virtual{Persistence: time.Minute}, reals{a.addr: a.real(100), b.addr: b.real(100)})
	apply(t, e, want)
	// A worker hands its tables on once it has found that there is none before it.
	testenv.Until(t, "the table can be handed on", func() bool {
		answer, err := e.stats.ask(t.Context(), "show peers")
		return err == nil && strings.Contains(answer, "resync_timeout=<PAST>")
	})
	first := mustDial(t, key).server
	stays := func(when string) {
		t.Helper()
		for range 6 {
			if got := mustDial(t, key).server; got != first {
				t.Errorf("%s: with %s, then with %s", when, first, got)
			}
		}
	}
	stays("at first")
	want[other] = table1(other, lb.Virtual{}, reals{b.addr: b.real(100)})[other]
	apply(t, e, want)
	stays("after a reload")
	drained, rest := a, b
	if first == b.name {
		drained, rest = b, a
	}
	want[key].Servers[drained.addr] = drained.real(0)
	apply(t, e, want)
	first = rest.name
	stays("drained")
}

func TestLastServiceEndsWithItsLastConnection(t *testing.T) {
	e, key := newEngine(t), freePort(t, "127.0.0.9")
	a := newEcho(t, "web1", "127.0.0.1")
	want := table1(key, lb.Virtual{}, reals{a.addr: a.real(100)})
	apply(t, e, want)
	held := mustDial(t, key)
	apply(t, e, lb.Table{})
	testenv.Until(t, "it takes no connection", func() bool { _, err := dial(key); return err != nil })
	if err := held.say("hello"); err != nil {
		t.Errorf("a connection from before: %v", err)
	}
	if _, err := os.Stat(e.config); !os.IsNotExist(err) {
		t.Errorf("the configuration is still there: %v", err)
	}
	held.Close()
	testenv.Until(t, "the instance ends", func() bool { _, err := e.master.status(t.Context()); return err == errNobody })
	apply(t, e, lb.Table{})
	apply(t, e, want)
	mustDial(t, key)
	apply(t, e, lb.Table{})
	apply(t, e, want) // while the one before is still ending a connection
	mustDial(t, key)
}

func TestInstanceThatWasKilledIsStartedAgain(t *testing.T) {
	e, key := newEngine(t), freePort(t, "127.0.0.9")
	a := newEcho(t, "web1", "127.0.0.1")
	want := table1(key, lb.Virtual{}, reals{a.addr: a.real(100)})
	apply(t, e, want)
	was := masterStatus(t, e)
	for _, pid := range append(was.workers, was.pid) {
		if err := signal(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	testenv.Until(t, "nobody answers", func() bool { return len(observe(t, e)) == 0 })
	apply(t, e, want)
	mustDial(t, key)
}

func TestInterruptedChangeIsMadeGood(t *testing.T) {
	e, key := newEngine(t), freePort(t, "127.0.0.9")
	a := newEcho(t, "web1", "127.0.0.1")
	want := table1(key, lb.Virtual{}, reals{a.addr: a.real(100)})
	apply(t, e, want)
	// Written, and never loaded.
	changed := table1(key, lb.Virtual{Scheduler: "sh"}, reals{a.addr: a.real(100)})
	if err := e.write(e.text(changed)); err != nil {
		t.Fatal(err)
	}
	if got := observe(t, e); len(got) != 0 {
		t.Errorf("of what is not known there is told %v", got)
	}
	apply(t, e, changed)
	// A file that is gone, and one that somebody wrote.
	for _, spoil := range []func() error{
		func() error { return os.Remove(e.config) },
		func() error { return os.WriteFile(e.config, []byte("global\n"), 0o600) },
	} {
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		apply(t, e, want)
		mustDial(t, key)
	}
}

func TestReloadThatFailsLeavesWhatWas(t *testing.T) {
	e, key := newEngine(t), freePort(t, "127.0.0.9")
	a := newEcho(t, "web1", "127.0.0.1")
	want := table1(key, lb.Virtual{}, reals{a.addr: a.real(100)})
	apply(t, e, want)
	held := mustDial(t, key)
	worse := table1(a.addr, lb.Virtual{}, reals{}) // a port that is taken
	worse[key] = want[key]
	text := e.text(worse)
	if err := e.check(t.Context(), e.programs[0], text); err != nil {
		t.Fatal(err)
	}
	if err := e.reload(t.Context(), markOf(text)); err == nil || fault.HintOf(err) == "" {
		t.Errorf("the error is %v, hint %q", err, fault.HintOf(err))
	}
	if got := observe(t, e); !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%v\nwant\n%v", got, want)
	}
	mustDial(t, key)
	if err := held.say("hello"); err != nil {
		t.Error(err)
	}
	want[key].Servers[a.addr] = a.real(50)
	apply(t, e, want)
}

func TestPortThatIsTakenIsLeftOut(t *testing.T) {
	e, key := newEngine(t), freePort(t, "127.0.0.9")
	a := newEcho(t, "web1", "127.0.0.1")
	want := table1(key, lb.Virtual{}, reals{a.addr: a.real(100)})
	for k, v := range table1(a.addr, lb.Virtual{Name: "http on 127.0.0.1"}, reals{a.addr: a.real(100)}) {
		want[k] = v
	}
	for range 2 {
		err := e.Apply(t.Context(), lb.Diff(want, observe(t, e)))
		if text := fmt.Sprintf("http on 127.0.0.1: another program on this server has port %d", a.addr.Port()); err == nil || err.Error() != text {
			t.Errorf("the error is %v, want %s", err, text)
		}
		if hint := fmt.Sprintf("ss -ltnp 'sport = :%d'", a.addr.Port()); fault.HintOf(err) != hint {
			t.Errorf("the hint is %q, want %q", fault.HintOf(err), hint)
		}
		mustDial(t, key)
	}
	if n := masterStatus(t, e).reloads; n != 0 {
		t.Errorf("what cannot be done was tried with %d reloads", n)
	}
}

func TestWithoutHAProxyNothingIsChanged(t *testing.T) {
	e := newEngine(t)
	e.programs = []string{"haproxy-that-is-not-there"}
	key := addr("127.0.0.9:8080")
	if got := observe(t, e); len(got) != 0 {
		t.Errorf("it has %v", got)
	}
	err := e.Apply(t.Context(), lb.Diff(table1(key, lb.Virtual{}, reals{}), lb.Table{}))
	if err == nil || err.Error() != "haproxy is not installed on this server" || fault.HintOf(err) != "apt-get install haproxy" {
		t.Errorf("the error is %v, hint %q", err, fault.HintOf(err))
	}
	if _, err := os.Stat(e.dir); !os.IsNotExist(err) {
		t.Errorf("%s was made: %v", e.dir, err)
	}
	if list, err := e.Sessions(t.Context()); len(list) != 0 || err != nil {
		t.Errorf("sessions %v, %v", list, err)
	}
	if err := e.End(t.Context(), key); err != nil {
		t.Error(err)
	}
}

// TestAnotherHAProxyGoesOn has one of the administrator's own beside ours.
func TestAnotherHAProxyGoesOn(t *testing.T) {
	e, key, theirs := newEngine(t), freePort(t, "127.0.0.9"), freePort(t, "127.0.0.9")
	a := newEcho(t, "web1", "127.0.0.1")
	dir := t.TempDir()
	file := filepath.Join(dir, "haproxy.cfg")
	config := fmt.Sprintf("defaults\n mode tcp\n timeout connect 1s\n timeout client 1m\n timeout server 1m\nlisten x\n bind %s\n server s %s\n", theirs, a.addr)
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(e.programs[1], "-W", "-db", "-f", file)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Signal(syscall.SIGTERM); _ = cmd.Wait() })
	testenv.Until(t, "theirs listens", func() bool { c, err := dial(theirs); return err == nil && c.Close() == nil })
	held := mustDial(t, theirs)
	apply(t, e, table1(key, lb.Virtual{}, reals{a.addr: a.real(100)}))
	apply(t, e, table1(key, lb.Virtual{Scheduler: "lc"}, reals{a.addr: a.real(100)}))
	apply(t, e, lb.Table{})
	if err := held.say("hello"); err != nil {
		t.Error(err)
	}
	mustDial(t, theirs)
	if text, err := os.ReadFile(file); err != nil || string(text) != config {
		t.Errorf("their configuration: %v\n%s", err, text)
	}
}

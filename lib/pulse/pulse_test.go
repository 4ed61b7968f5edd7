package pulse

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"iwx/lib/health"
	"iwx/lib/testenv"
)

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// listen opens a socket that listens, and returns its port.
func listen(t testing.TB, network, at string) (net.Listener, uint16) {
	t.Helper()
	l, err := net.Listen(network, at)
	check(t, err)
	t.Cleanup(func() { l.Close() })
	return l, netip.MustParseAddrPort(l.Addr().String()).Port()
}

func addrs(list ...string) (out []netip.Addr) {
	for _, a := range list {
		out = append(out, netip.MustParseAddr(a))
	}
	return out
}

func TestListening(t *testing.T) {
	tests := []struct {
		network, at string
		hears       []string
		deaf        []string
	}{
		{"tcp4", "127.0.0.1:0", []string{"127.0.0.1"}, []string{"127.0.0.2", "::1"}},
		{"tcp4", "0.0.0.0:0", []string{"127.0.0.1", "192.0.2.1"}, []string{"::1"}},
		{"tcp6", "[::1]:0", []string{"::1"}, []string{"127.0.0.1", "2001:db8::1"}},
		{"tcp6", "[::]:0", []string{"::1", "2001:db8::1"}, []string{"127.0.0.1"}}, // net sets IPV6_V6ONLY
		{"tcp", "[::]:0", []string{"::1", "127.0.0.1", "192.0.2.1"}, nil},
	}
	var eye Eye
	defer eye.Close()
	for _, tt := range tests {
		l, port := listen(t, tt.network, tt.at)
		p, err := eye.Look(Watch{Ports: []uint16{port, 1}})
		check(t, err)
		for _, a := range addrs(tt.hears...) {
			if !p.Hears(a, port) {
				t.Errorf("%s %s: not listening at %s: %v", tt.network, tt.at, a, p.Listening)
			}
		}
		for _, a := range addrs(tt.deaf...) {
			if p.Hears(a, port) {
				t.Errorf("%s %s: listening at %s: %v", tt.network, tt.at, a, p.Listening)
			}
		}
		l.Close()
		if p, err = eye.Look(Watch{Ports: []uint16{port}}); err != nil || len(p.Listening) > 0 {
			t.Errorf("%s %s: after it was closed: %v, %v", tt.network, tt.at, p.Listening, err)
		}
	}
}

// TestConnectionsAreNoListeners: a connection has the port of its listener.
func TestConnectionsAreNoListeners(t *testing.T) {
	l, port := listen(t, "tcp4", "127.0.0.1:0")
	c, err := net.Dial("tcp4", l.Addr().String())
	check(t, err)
	defer c.Close()
	l.Close()
	var eye Eye
	defer eye.Close()
	if p, err := eye.Look(Watch{Ports: []uint16{port}}); err != nil || len(p.Listening) > 0 {
		t.Errorf("%v, %v", p.Listening, err)
	}
}

// TestManySockets needs more than one datagram of the kernel's.
func TestManySockets(t *testing.T) {
	var ports []uint16
	for range 700 {
		_, port := listen(t, "tcp4", "127.0.0.1:0")
		ports = append(ports, port)
	}
	var eye Eye
	defer eye.Close()
	p, err := eye.Look(Watch{Ports: ports})
	check(t, err)
	if len(p.Listening) != len(ports) {
		t.Errorf("%d of %d", len(p.Listening), len(ports))
	}
	if again, err := eye.Look(Watch{Ports: ports}); err != nil || !Equal(&p, &again) {
		t.Errorf("a second look sees otherwise: %v", err)
	}
}

// namespace gives the test a network of its own. Its thread is not used again.
func namespace(t *testing.T) (ip func(args ...string)) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("network namespaces are for root")
	}
	runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
	check(t, unix.Unshare(unix.CLONE_NEWNET))
	return func(args ...string) {
		t.Helper()
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %q: %v: %s", args, err, out)
		}
	}
}

func TestVirtualAddresses(t *testing.T) {
	ip := namespace(t)
	vips := addrs("192.0.2.80", "192.0.2.81", "2001:db8::80")
	ip("link", "add", "eth0", "type", "veth", "peer", "eth1")
	ip("link", "set", "eth0", "up")
	ip("link", "set", "lo", "up")
	set := func(name, value string) { check(t, os.WriteFile("/proc/sys/net/ipv4/conf/"+name, []byte(value), 0)) }
	look := func(held, noisy []netip.Addr) {
		t.Helper()
		var eye Eye
		p, err := eye.Look(Watch{VIPs: vips})
		check(t, err)
		if !slices.Equal(p.Held, held) || !slices.Equal(p.Noisy, noisy) {
			t.Errorf("held %v and noisy %v, want %v and %v", p.Held, p.Noisy, held, noisy)
		}
	}
	look(nil, nil)
	ip("addr", "add", "192.0.2.80/32", "dev", "lo")
	ip("addr", "add", "2001:db8::80/128", "dev", "lo")
	look(addrs("192.0.2.80", "2001:db8::80"), addrs("192.0.2.80"))
	set("eth0/arp_ignore", "1")
	look(addrs("192.0.2.80", "2001:db8::80"), nil)
	set("eth0/arp_ignore", "0")
	set("all/arp_ignore", "2")
	look(addrs("192.0.2.80", "2001:db8::80"), nil)
	ip("addr", "add", "192.0.2.81/24", "dev", "eth0")
	look(addrs("192.0.2.80", "2001:db8::80"), addrs("192.0.2.81"))
}

// TestWatcherTells goes through what a watcher is to tell: what is there, what
// changes, and again what could not be told.
func TestWatcherTells(t *testing.T) {
	l, port := listen(t, "tcp4", "127.0.0.1:0")
	type call struct {
		pulse  health.Pulse
		answer chan error
	}
	calls := make(chan call)
	w := Watcher{
		Watch: func(context.Context) (Watch, error) { return Watch{Ports: []uint16{port}}, nil },
		Tell: func(ctx context.Context, p health.Pulse) error {
			c := call{p, make(chan error, 1)}
			select {
			case calls <- c:
				return <-c.answer
			case <-ctx.Done():
				return ctx.Err()
			}
		},
		Now: time.Now, Log: slog.New(slog.DiscardHandler),
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	next := func(listening int, answer error) {
		t.Helper()
		select {
		case c := <-calls:
			if len(c.pulse.Listening) != listening {
				t.Errorf("told of %v, want %d", c.pulse.Listening, listening)
			}
			c.answer <- answer
		case <-time.After(testenv.Wait()):
			t.Fatal("nothing was told")
		}
	}
	next(1, errors.New("nobody there"))
	next(1, nil)
	next(1, nil) // after tellEvery, unchanged
	l.Close()
	next(0, nil)
	cancel()
	check(t, <-ended)
}

// FuzzAnswer: the kernel is believed, and still no answer may crash the daemon.
func FuzzAnswer(f *testing.F) {
	s := &sockets{}
	f.Add(s.request(unix.AF_INET, 1<<tcpListen))
	f.Add(append(s.request(unix.AF_INET6, 1<<tcpListen), make([]byte, 40)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		n := 0
		_, _ = s.read(data, func(socket) { n++ })
		if n > len(data) {
			t.Errorf("%d sockets in %d bytes", n, len(data))
		}
	})
}

func BenchmarkLook(b *testing.B) {
	_, port := listen(b, "tcp4", "127.0.0.1:0")
	var eye Eye
	defer eye.Close()
	for b.Loop() {
		if _, err := eye.Look(Watch{Ports: []uint16{port}}); err != nil {
			b.Fatal(err)
		}
	}
}

// TestWatcherBacksOff: in virtual time, a failing manager does not get a report
// every second, and gets one soon after it works again.
func TestWatcherBacksOff(t *testing.T) {
	for _, takes := range []time.Duration{0, time.Second, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			var mu sync.Mutex
			fails, told := true, 0
			w := Watcher{
				Watch: func(context.Context) (Watch, error) { return Watch{Ports: []uint16{1}}, nil },
				Tell: func(ctx context.Context, _ health.Pulse) error {
					mu.Lock()
					told++
					fine := !fails
					mu.Unlock()
					if fine {
						return nil
					}
					select {
					case <-time.After(takes):
						return errors.New("nobody there")
					case <-ctx.Done():
						return ctx.Err()
					}
				},
				Now: time.Now, Log: slog.New(slog.DiscardHandler),
			}
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- w.Run(ctx) }()
			// in returns how often it is told in a while.
			in := func(d time.Duration, failing bool) int {
				mu.Lock()
				fails, told = failing, 0
				mu.Unlock()
				time.Sleep(d) // virtual
				synctest.Wait()
				mu.Lock()
				defer mu.Unlock()
				return told
			}
			for range 2 {
				in(time.Minute, true)
				if n := in(10*time.Minute, true); n < 45 || n > 75 {
					t.Errorf("each takes %v: told %d times in 10 min", takes, n)
				}
				if in(15*time.Second, false) == 0 {
					t.Errorf("each takes %v: nothing was told 15 s after the manager is back", takes)
				}
				if n := in(time.Minute, false); n < 11 {
					t.Errorf("each takes %v: told %d times in a minute by then", takes, n)
				}
			}
			cancel()
			check(t, <-ended)
		})
	}
}

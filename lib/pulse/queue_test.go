package pulse

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
)

// TestQueues goes through looks at one queue: each is the connections that wait,
// a letter for each.
func TestQueues(t *testing.T) {
	for _, tt := range []struct{ name, looks, stalled string }{
		{"empty", ". . .", "---"},
		{"one waits for a moment", "a . .", "---"},
		{"one waits on", "a a a a", "--!!"},
		{"and more come", "a ab abc abcd", "--!!"},
		{"it goes on", "a a a . .", "--!--"},
		{"one was accepted", "ab ab ab b b b b b b b", "--!------!"},
		{"always full, and in motion", "abcd bcde cdef defg", "----"},
		{"always full, slowly", "abcd bcde bcde cdef cdef", "--!--"},
		{"empty now and then", "a . a . a a a", "------!"},
		{"another each time", "a b c d", "----"},
		{"of those that wait none can be told", "? ? ? ?", "----"},
	} {
		var q queues
		got := ""
		for _, look := range strings.Fields(tt.looks) {
			var cookies []uint64
			for _, c := range strings.Trim(look, ".?") {
				cookies = append(cookies, uint64(c))
			}
			slices.Reverse(cookies) // the kernel has no order
			err := q.look(map[uint16]bool{80: look != ".", 25: false}, func(found func(uint16, uint64)) error {
				for _, c := range cookies {
					found(80, c)
				}
				found(443, 'x')
				return nil
			})
			check(t, err)
			if len(q.stalled()) > 0 {
				got += "!"
			} else {
				got += "-"
			}
		}
		if got != tt.stalled {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.stalled)
		}
	}
}

// knocks opens so many connections to a listener.
func knocks(t testing.TB, l net.Listener, n int) (list []net.Conn) {
	t.Helper()
	for range n {
		c, err := net.Dial(l.Addr().Network(), l.Addr().String())
		check(t, err)
		t.Cleanup(func() { c.Close() })
		list = append(list, c)
	}
	return list
}

// TestStalled has a real socket at which nothing is accepted, and clients that
// come, give up, and are accepted in the end.
func TestStalled(t *testing.T) {
	for _, at := range []string{"127.0.0.1:0", "[::1]:0"} {
		l, port := listen(t, "tcp", at)
		var eye Eye
		defer eye.Close()
		look := func(want bool) {
			t.Helper()
			p, err := eye.Look(Watch{Ports: []uint16{port}})
			check(t, err)
			if slices.Contains(p.Stalled, port) != want {
				t.Errorf("%s: stalled at %v", at, p.Stalled)
			}
		}
		accept := func() net.Conn {
			c, err := l.Accept()
			check(t, err)
			t.Cleanup(func() { c.Close() })
			return c
		}
		look(false)
		clients := knocks(t, l, 2)
		look(false)
		look(false)
		look(true)
		clients[0].Close() // it has given up, and waits all the same
		look(true)
		knocks(t, l, 1)
		look(true)
		accept()
		for range 1 + restLooks + 1 {
			look(false)
		}
		look(true)
		accept()
		accept()
		look(false)
		look(false)
		look(false)
	}
}

// TestBusyIsNotStalled: where connections wait all the time, and one is accepted
// between two looks, the service works.
func TestBusyIsNotStalled(t *testing.T) {
	l, port := listen(t, "tcp", "127.0.0.1:0")
	knocks(t, l, 30)
	var eye Eye
	defer eye.Close()
	for range 20 {
		p, err := eye.Look(Watch{Ports: []uint16{port}})
		check(t, err)
		if len(p.Stalled) > 0 {
			t.Fatal("stalled")
		}
		c, err := l.Accept()
		check(t, err)
		defer c.Close()
	}
}

// BenchmarkLookAtQueue is a look at a server with so many connections, one of
// which waits.
func BenchmarkLookAtQueue(b *testing.B) {
	for _, connections := range []int{100, 5000} {
		b.Run(fmt.Sprint(connections), func(b *testing.B) {
			l, port := listen(b, "tcp", "127.0.0.1:0")
			for range connections {
				knocks(b, l, 1)
				c, err := l.Accept()
				check(b, err)
				b.Cleanup(func() { c.Close() })
			}
			knocks(b, l, 1)
			var eye Eye
			defer eye.Close()
			for b.Loop() {
				if _, err := eye.Look(Watch{Ports: []uint16{port}}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

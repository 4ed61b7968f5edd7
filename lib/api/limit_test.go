package api

import (
	"errors"
	"net"
	"testing"
	"testing/synctest"
)

// TestLimit: connections over the limit wait until one of those before them
// is closed.
func TestLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWire()
		l := newLimitedListener(w, 2)
		accepted := make(chan net.Conn, 9)
		ended := make(chan error, 1)
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					ended <- err
					return
				}
				accepted <- c
			}
		}()
		var there []net.Conn
		for range 4 {
			go func() {
				if c, err := w.dial(t.Context(), "", ""); err == nil {
					there = append(there, c)
				}
			}()
			synctest.Wait()
		}
		expect := func(n int) {
			t.Helper()
			synctest.Wait()
			if len(there) != n {
				t.Fatalf("%d connections are open, want %d", len(there), n)
			}
		}
		expect(2)
		first := <-accepted
		first.Close()
		expect(3)
		first.Close() // twice is once
		expect(3)
		(<-accepted).Close()
		expect(4)
		l.Close()
		l.Close()
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Errorf("ended with %v", err)
		}
		for _, c := range there {
			c.Close()
		}
	})
}

package cluster_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"iwx/lib/cluster"
)

// clone is another server with the certificate of s.
func (l *lab) clone(s *server) *server {
	l.hosts++
	return &server{id: s.id, instance: "clone", remote: addr(l.hosts + 10)}
}

// hintClone is what to do with a copy of a server.
const hintClone = "on a copy of a server, remove the copied setup: iwx-cluster-setup reset --local; then join it with a token of its own"

// TestClone: the incumbent, asked to show that it lives, does so in time.
func TestClone(t *testing.T) {
	for name, alive := range map[string]func(l *lab, s *server) error{
		"by polling": func(l *lab, s *server) error {
			_, err := l.pollAt(l.t.Context(), s, l.head(), 0)
			return err
		},
		"by taking a large answer": func(l *lab, s *server) error {
			l.Heard(s.id, addr(99)) // a transfer of another than the incumbent does not count
			l.Heard(s.id, s.remote)
			return nil
		},
		"by reporting": func(l *lab, s *server) error {
			return l.Report(l.t.Context(), s.id, s.remote, &cluster.Report{Instance: s.instance})
		},
	} {
		t.Run(name, func(t *testing.T) {
			onManager(t, func(t *testing.T, l *lab) {
				s := l.joined("web1")
				clone := l.clone(s)
				incumbent := l.park(t.Context(), s, time.Minute)
				newcomer := l.park(t.Context(), clone, time.Minute)
				if !incumbent.done.Load() || incumbent.err != nil || !incumbent.answer.Again || newcomer.done.Load() {
					t.Fatalf("incumbent: %+v, newcomer: %+v", incumbent, newcomer)
				}
				time.Sleep(2*time.Second - time.Millisecond)
				check(t, alive(l, s))
				synctest.Wait()
				at := stamped()
				refused(t, newcomer.err, cluster.RefusedClone, fmt.Sprintf("another server, at %s, is using this node's certificate", s.remote), hintClone)
				want := fmt.Sprintf("at %s a second server, at %s, used the certificate of this node and was refused", at, clone.remote)
				if got := l.node(s).Refused; got != want {
					t.Errorf("noted %q, want %q", got, want)
				}
				if !strings.Contains(l.log.String(), `msg="a second server uses a node's certificate" node=web1`) {
					t.Errorf("log: %s", l.log)
				}
			})
		})
	}
}

// TestCloneOfBusy: an incumbent between two polls holds its place too.
func TestCloneOfBusy(t *testing.T) {
	onManager(t, func(t *testing.T, l *lab) {
		s := l.joined("web1")
		clone := l.clone(s)
		clone.remote = s.remote             // behind one address, even
		l.park(t.Context(), s, time.Minute) // and answered:
		check(t, l.store.Pause(t.Context(), []string{s.id}, true))
		l.refresh()
		synctest.Wait()
		check(t, l.store.Pause(t.Context(), []string{s.id}, false))
		l.refresh()
		time.Sleep(time.Second) // it runs a command, or waits after an error
		newcomer := l.park(t.Context(), clone, time.Minute)
		time.Sleep(time.Second)
		p := l.park(t.Context(), s, time.Minute)
		if p.done.Load() {
			t.Errorf("the incumbent lost its place: %+v, %v", p.answer, p.err)
		}
		refused(t, newcomer.err, cluster.RefusedClone, fmt.Sprintf("another server, at %s, is using this node's certificate", s.remote), hintClone)
	})
}

// TestCloneOfSilent: a server whose network went away loses its place to the
// one that it became elsewhere.
func TestCloneOfSilent(t *testing.T) {
	onManager(t, func(t *testing.T, l *lab) {
		s := l.joined("web1")
		moved := l.clone(s)
		l.park(t.Context(), s, time.Minute) // and never asks again
		newcomer := l.park(t.Context(), moved, time.Minute)
		time.Sleep(2*time.Second - time.Millisecond)
		synctest.Wait()
		if newcomer.done.Load() {
			t.Fatalf("the incumbent has two seconds: %+v, %v", newcomer.answer, newcomer.err)
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if newcomer.done.Load() {
			t.Fatalf("the newcomer: %+v, %v", newcomer.answer, newcomer.err)
		}
		// The old one is back: now it is the newcomer, and the place is held.
		late := l.park(t.Context(), s, time.Minute)
		_, err := l.pollAt(t.Context(), moved, l.head(), 0)
		check(t, err)
		synctest.Wait()
		refused(t, late.err, cluster.RefusedClone, fmt.Sprintf("another server, at %s, is using this node's certificate", moved.remote), hintClone)
	})
}

// TestCloneDoesNotCount: a transfer of a clone does not keep the incumbent's place.
func TestCloneDoesNotCount(t *testing.T) {
	onManager(t, func(t *testing.T, l *lab) {
		s := l.joined("web1")
		clone := l.clone(s)
		l.park(t.Context(), s, time.Minute)
		newcomer := l.park(t.Context(), clone, time.Minute)
		l.Heard(s.id, clone.remote)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if newcomer.done.Load() {
			t.Errorf("the newcomer: %+v, %v", newcomer.answer, newcomer.err)
		}
	})
}

// TestCloneGivesUp: a newcomer that goes away while it waits changes nothing.
func TestCloneGivesUp(t *testing.T) {
	onManager(t, func(t *testing.T, l *lab) {
		s := l.joined("web1")
		l.park(t.Context(), s, time.Minute)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		newcomer := l.park(ctx, l.clone(s), time.Minute)
		time.Sleep(time.Minute)
		synctest.Wait()
		if newcomer.err != context.DeadlineExceeded {
			t.Errorf("newcomer: %v", newcomer.err)
		}
		if p := l.park(t.Context(), s, time.Minute); p.done.Load() {
			t.Errorf("the incumbent: %+v, %v", p.answer, p.err)
		}
	})
}

// TestRestart: a daemon that starts again on the same server does not wait for
// itself.
func TestRestart(t *testing.T) {
	onManager(t, func(t *testing.T, l *lab) {
		s := l.joined("web1")
		ctx, cancel := context.WithCancel(t.Context())
		l.park(ctx, s, time.Minute)
		cancel() // its connections are closed
		synctest.Wait()
		begun := time.Now()
		s.instance = "restarted"
		_, err := l.pollAt(t.Context(), s, l.head(), 0)
		if err != nil || time.Since(begun) != 0 {
			t.Errorf("after %s: %v", time.Since(begun), err)
		}
	})
}

// TestMoved: a node that has been silent for a while may come from anywhere.
func TestMoved(t *testing.T) {
	onManager(t, func(t *testing.T, l *lab) {
		s := l.joined("web1")
		l.park(t.Context(), s, time.Second)
		time.Sleep(3 * time.Second)
		begun := time.Now()
		_, err := l.pollAt(t.Context(), l.clone(s), l.head(), 0)
		if err != nil || time.Since(begun) != 0 {
			t.Errorf("after %s: %v", time.Since(begun), err)
		}
	})
}

// TestCloneAsksTwice: while the incumbent shows that it lives, a second request
// of the newcomer does not slip in, even from the same address.
func TestCloneAsksTwice(t *testing.T) {
	onManager(t, func(t *testing.T, l *lab) {
		s := l.joined("web1")
		clone := l.clone(s)
		clone.remote = s.remote
		incumbent := l.park(t.Context(), s, time.Minute)
		first := l.park(t.Context(), clone, time.Minute)
		second := l.park(t.Context(), clone, 0)
		if !incumbent.done.Load() || second.done.Load() {
			t.Fatalf("incumbent: %+v, the second request: %+v", incumbent, second)
		}
		check(t, l.Report(t.Context(), s.id, s.remote, &cluster.Report{Instance: s.instance}))
		synctest.Wait()
		for _, p := range []*parked{first, second} {
			refused(t, p.err, cluster.RefusedClone, fmt.Sprintf("another server, at %s, is using this node's certificate", s.remote), hintClone)
		}
	})
}

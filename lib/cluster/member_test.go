package cluster_test

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"iwx/lib/cluster"
	"iwx/lib/pki"
	"iwx/lib/queue"
	"iwx/lib/state"
	"iwx/lib/testenv"
)

// sweep looks for silent nodes.
func (l *lab) sweep() {
	l.t.Helper()
	check(l.t, l.Sweep(l.t.Context()))
}

func TestSweep(t *testing.T) {
	onManager(t, func(t *testing.T, l *lab) {
		idle, parks, never := l.joined("idle"), l.joined("parks"), l.joined("never")
		_, err := l.pollAt(t.Context(), idle, l.head(), 0)
		check(t, err)
		heard := time.Now()
		l.park(t.Context(), parks, time.Minute)
		l.sweep()
		time.Sleep(10*time.Second - time.Millisecond)
		l.sweep()
		for _, s := range []*server{idle, parks, never} {
			if n := l.node(s); !n.SilentSince.IsZero() {
				t.Errorf("%s is silent since %s, too early", n.Name, n.SilentSince)
			}
		}
		time.Sleep(time.Millisecond)
		l.sweep()
		if got := l.node(idle).SilentSince; !got.Equal(heard) {
			t.Errorf("silent since %s, want %s", got, heard)
		}
		if l.node(never).SilentSince.IsZero() || !l.node(parks).SilentSince.IsZero() {
			t.Error("one that never came is silent, one whose poll is held open is not")
		}
		time.Sleep(time.Minute)
		l.sweep()
		if got := l.node(idle).SilentSince; !got.Equal(heard) {
			t.Errorf("later it is silent since %s, want %s", got, heard)
		}
		if n := strings.Count(l.log.String(), `msg="a node is unreachable" node=idle`); n != 1 {
			t.Errorf("logged %d times", n)
		}
		_, err = l.pollAt(t.Context(), idle, l.head(), 0)
		check(t, err)
		if n := l.node(idle); !n.SilentSince.IsZero() || !n.LastSeen.Equal(time.Now()) {
			t.Errorf("back, it is silent since %s, seen at %s", n.SilentSince, n.LastSeen)
		}
	})
}

// TestSweepTransfer: a node is not silent while it receives a large answer, and
// is silent once it stops.
func TestSweepTransfer(t *testing.T) {
	onManager(t, func(t *testing.T, l *lab) {
		s := l.joined("web1")
		_, err := l.pollAt(t.Context(), s, l.head(), 0)
		check(t, err)
		for range 20 {
			time.Sleep(29 * time.Second)
			l.Heard(s.id, s.remote)
			check(t, l.Report(t.Context(), s.id, s.remote, &cluster.Report{Instance: s.instance}))
			l.sweep()
			if n := l.node(s); !n.SilentSince.IsZero() {
				t.Fatalf("silent since %s", n.SilentSince)
			}
		}
		for range 2 {
			heard := time.Now()
			time.Sleep(30 * time.Second)
			l.sweep()
			if got := l.node(s).SilentSince; !got.Equal(heard) {
				t.Errorf("silent since %s, want %s", got, heard)
			}
			time.Sleep(time.Minute)
			l.Heard(s.id, s.remote) // the transfer goes on after all
			l.sweep()
			if n := l.node(s); !n.SilentSince.IsZero() || !n.LastSeen.Equal(time.Now()) {
				t.Errorf("silent since %s, last seen at %s", n.SilentSince, n.LastSeen)
			}
		}
		// After the transfer it must poll as soon as others.
		_, err = l.pollAt(t.Context(), s, l.head(), 0)
		check(t, err)
		time.Sleep(10 * time.Second)
		l.sweep()
		if l.node(s).SilentSince.IsZero() {
			t.Error("it is not silent")
		}
	})
}

// TestSweepFetched: the manager knows from polls what a node has received while its
// report is in transfer; a report that was sent before does not undo that.
func TestSweepFetched(t *testing.T) {
	onManager(t, func(t *testing.T, l *lab) {
		s := l.joined("web1")
		report := func(head uint64) {
			t.Helper()
			check(t, l.Report(t.Context(), s.id, s.remote, &cluster.Report{Instance: s.instance, Status: cluster.Status{Word: cluster.WordReplaying, Head: head}}))
		}
		received := func(status, fetched uint64) {
			t.Helper()
			l.sweep()
			if n := l.node(s); n.Status.Head != status || n.Fetched != fetched {
				t.Errorf("by its status it has %d, by its polls %d; want %d, %d", n.Status.Head, n.Fetched, status, fetched)
			}
		}
		l.addMany(3, 10)
		l.refresh()
		_, err := l.pollAt(t.Context(), s, queue.Position{}, 0)
		check(t, err)
		received(0, 0)
		_, err = l.pollAt(t.Context(), s, l.head(), 0)
		check(t, err)
		received(0, 3)
		report(1)
		received(1, 3)
		report(3)
		received(3, 3)
		// A position that is not in this log is ignored.
		_, err = l.pollAt(t.Context(), s, queue.Position{Epoch: 1, Seq: 9}, 0)
		check(t, err)
		received(3, 3)
	})
}

// disk is a state that cannot be written for a while.
type disk struct {
	*state.Store
	full bool
}

func (d *disk) SaveFetched(ctx context.Context, fetched map[string]uint64) error {
	if d.full {
		return errors.New("the disk is full")
	}
	return d.Store.SaveFetched(ctx, fetched)
}

// slowDisk is a state in which something is done while SaveFetched writes.
type slowDisk struct {
	*state.Store
	do func()
}

func (d *slowDisk) SaveFetched(ctx context.Context, fetched map[string]uint64) error {
	d.do()
	return d.Store.SaveFetched(ctx, fetched)
}

// TestPollDuringSweep: a poll that says nothing new of the node does not wait until it
// is saved what nodes have received.
func TestPollDuringSweep(t *testing.T) {
	t.Parallel()
	l := newLab(t, filepath.Join(t.TempDir(), "state.db"))
	defer l.store.Close()
	nodes := []*server{l.joined("web1"), l.joined("web2")}
	l.addMany(2, 10)
	l.refresh()
	poll := func(s *server, seq uint64) {
		_, err := l.pollAt(t.Context(), s, l.at(seq), 0)
		check(t, err)
	}
	for _, s := range nodes {
		poll(s, 1)
	}
	during := 0
	l.Manager.Store = &slowDisk{l.store, func() {
		for _, s := range nodes {
			answered := make(chan error, 1)
			at := l.at(2)
			go func() { _, err := l.pollAt(t.Context(), s, at, 0); answered <- err }()
			select {
			case err := <-answered:
				check(t, err)
				during++
			case <-time.After(testenv.Limit(30 * time.Second)):
				t.Error("the poll waits")
			}
		}
	}}
	l.sweep()
	if during != len(nodes) {
		t.Errorf("%d polls were answered meanwhile", during)
	}
	l.sweep()
	for _, s := range nodes {
		if n := l.node(s); n.Fetched != 2 {
			t.Errorf("node %s has received entry %d", n.Name, n.Fetched)
		}
	}
}

// TestFetchedIsKnown: what a node has received is saved once it can be, is not undone
// by a poll that is late, and is less after the node went back.
func TestFetchedIsKnown(t *testing.T) {
	onManager(t, func(t *testing.T, l *lab) {
		s := l.joined("web1")
		l.addMany(4, 10)
		l.refresh()
		fetched := func(what string, want uint64) {
			t.Helper()
			l.sweep()
			if n := l.node(s); n.Fetched != want {
				t.Errorf("%s: %d, want %d", what, n.Fetched, want)
			}
		}
		poll := func(seq uint64) {
			t.Helper()
			_, err := l.pollAt(t.Context(), s, l.at(seq), 0)
			check(t, err)
		}
		poll(2)
		full := &disk{l.store, true}
		l.Manager.Store = full
		if err := l.Sweep(t.Context()); err == nil {
			t.Fatal("it was saved on a full disk")
		}
		full.full = false
		fetched("the disk has room again", 2)
		poll(3)
		poll(2) // the manager gets to an older one of the same daemon
		fetched("a poll is late", 3)
		s.instance = pki.NewID()
		time.Sleep(time.Minute)
		poll(1)
		fetched("another daemon, at an older state", 1)
		poll(3)
		fetched("it is on its way again", 3)
		s.instance = pki.NewID()
		time.Sleep(time.Minute)
		poll(3)
		fetched("a restart", 3)
		poll(4)
		fetched("it goes on", 4)
	})
}

// TestSweepAfterRestart: a manager that has been away gives the nodes their
// time, and then knows since when they are silent.
func TestSweepAfterRestart(t *testing.T) {
	onManager(t, func(t *testing.T, l *lab) {
		s := l.joined("web1")
		_, err := l.pollAt(t.Context(), s, l.head(), 0)
		check(t, err)
		heard := time.Now()
		time.Sleep(time.Hour)
		old := l.Manager
		l.Manager = &cluster.Manager{Store: old.Store, Signer: old.Signer, Identity: old.Identity, Facts: old.Facts, Version: old.Version, Now: old.Now, Log: old.Log}
		l.refresh()
		l.sweep()
		if !l.node(s).SilentSince.IsZero() {
			t.Error("a manager that has just begun cannot know")
		}
		time.Sleep(10 * time.Second)
		l.sweep()
		if got := l.node(s).SilentSince; !got.Equal(heard) {
			t.Errorf("silent since %s, want %s", got, heard)
		}
	})
}

// fullDisk is a state that does not note who is silent.
type fullDisk struct {
	*state.Store
	err error
}

func (f fullDisk) SaveSilence(context.Context, map[string]time.Time) error { return f.err }

// TestSweepTriesAgain: what could not be noted is noted when it can be.
func TestSweepTriesAgain(t *testing.T) {
	onManager(t, func(t *testing.T, l *lab) {
		s := l.joined("web1")
		_, err := l.pollAt(t.Context(), s, l.head(), 0)
		check(t, err)
		time.Sleep(time.Minute)
		full := fullDisk{l.store, errors.New("the disk is full")}
		l.Store = full
		if err := l.Sweep(t.Context()); !errors.Is(err, full.err) {
			t.Fatalf("got %v", err)
		}
		l.Store = l.store
		l.sweep()
		if l.node(s).SilentSince.IsZero() {
			t.Error("the node is not noted as silent")
		}
	})
}

// TestNotAMember: every verb refuses who does not belong, and says why.
func TestNotAMember(t *testing.T) {
	onManager(t, func(t *testing.T, l *lab) {
		deleted, left := l.joined("web1"), l.joined("web2")
		parked := l.park(t.Context(), deleted, time.Minute)
		check(t, l.store.EndMembership(t.Context(), deleted.id, cluster.Deleted, "root on mgr", time.Now()))
		check(t, l.Leave(t.Context(), left.id)) // this lets the polls see both
		synctest.Wait()
		at := stamped()
		independent := "make this an independent server again: iwx-cluster-setup reset"
		leave := "leave this cluster: iwx-cluster-setup reset"
		gone := "node web1 was deleted from the cluster at " + at + " by root on mgr"
		refused(t, parked.err, cluster.RefusedDeleted, gone, independent)
		time.Sleep(time.Hour)
		for _, tt := range []struct{ id, message, hint string }{
			{deleted.id, gone, independent},
			{left.id, "node web2 left the cluster at " + at, leave},
			{"stranger", "the manager knows no node with the id stranger", leave},
		} {
			for verb, call := range l.verbs(&server{id: tt.id, instance: "i", remote: addr(9)}) {
				t.Log(verb)
				refused(t, call(), cluster.RefusedDeleted, tt.message, tt.hint)
			}
		}
		if n := l.node(left); n.Membership != cluster.Left || n.EndedBy != "its own reset" {
			t.Errorf("left: %+v", n)
		}
	})
}

// verbs are the requests of a member.
func (l *lab) verbs(s *server) map[string]func() error {
	return map[string]func() error{
		"poll": func() error { _, err := l.pollAt(l.t.Context(), s, queue.Position{}, time.Minute); return err },
		"report": func() error {
			return l.Report(l.t.Context(), s.id, s.remote, &cluster.Report{Instance: s.instance})
		},
		"hello": func() error { _, err := l.Hello(l.t.Context(), s.id); return err },
		"renew": func() error { _, err := l.Renew(l.t.Context(), s.id, nil); return err },
		"leave": func() error { return l.Leave(l.t.Context(), s.id) },
	}
}

func TestHello(t *testing.T) {
	onManager(t, func(t *testing.T, l *lab) {
		s := l.joined("web1")
		l.add(queue.Members(), 1)
		check(t, l.store.Pause(t.Context(), []string{s.id}, true))
		l.refresh()
		got, err := l.Hello(t.Context(), s.id)
		check(t, err)
		want := cluster.Hello{Cluster: "shop", Name: "web1", Head: 1, Orders: cluster.Orders{Paused: true}, Time: time.Now().UnixMilli()}
		if *got != want {
			t.Errorf("got %+v, want %+v", *got, want)
		}
		if !l.node(s).LastSeen.IsZero() {
			t.Error("asking changes nothing")
		}
	})
}

func TestReport(t *testing.T) {
	onManager(t, func(t *testing.T, l *lab) {
		s := l.joined("web1")
		l.addMany(5, 1)
		l.refresh()
		r := &cluster.Report{Instance: s.instance, Status: cluster.Status{Word: "halted", Epoch: 1, Done: 3, Head: 5}, Attempts: []cluster.Attempt{
			{Epoch: 1, Seq: 4, Attempt: 1, Started: 10, Ended: 20, Outcome: cluster.OutcomeFailed, Code: 3, Stderr: cluster.Output{Head: []byte{0xff, 0}, Size: 2}},
		}}
		for range 2 { // the answer of the first is lost
			check(t, l.Report(t.Context(), s.id, s.remote, r))
		}
		if n := l.node(s); n.Word() != "halted" || n.Status.Done != 3 || !n.LastSeen.Equal(time.Now()) {
			t.Errorf("stored: %+v", n)
		}
		attempts, err := l.store.Attempts(t.Context(), state.AttemptFilter{})
		check(t, err)
		if len(attempts) != 1 || attempts[0].Node != s.id || attempts[0].Code != 3 || string(attempts[0].Stderr.Head) != "\xff\x00" {
			t.Errorf("attempts: %+v", attempts)
		}
	})
}

func TestRenew(t *testing.T) {
	onManager(t, func(t *testing.T, l *lab) {
		s := l.joined("web1")
		time.Sleep(60 * 24 * time.Hour)
		block, _ := pem.Decode([]byte(csr(t)))
		cert, err := l.Renew(t.Context(), s.id, block.Bytes)
		check(t, err)
		time.Sleep(60 * 24 * time.Hour) // past the end of the first
		id, err := pki.VerifyClient(l.ca.Cert, []*x509.Certificate{cert}, time.Now())
		if err != nil || id != s.id {
			t.Errorf("the certificate is that of %q: %v", id, err)
		}
		if n := l.node(s); n.CertSerial != cert.SerialNumber.Text(16) || !n.CertExpires.Equal(cert.NotAfter) {
			t.Errorf("stored: %s until %s", n.CertSerial, n.CertExpires)
		}
		if _, err := l.Renew(t.Context(), s.id, []byte("rubbish")); err == nil {
			t.Error("rubbish was signed")
		}
	})
}

func TestSummary(t *testing.T) {
	onManager(t, func(t *testing.T, l *lab) {
		l.joined("web1")
		l.add(queue.Members(), 1)
		check(t, l.Leave(t.Context(), l.joined("web2").id))
		if head, members := l.Summary(); head != 1 || members != 1 {
			t.Errorf("%d entries, %d members", head, members)
		}
	})
}

package cluster_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"iwx/lib/cluster"
	"iwx/lib/host"
	"iwx/lib/nfs"
)

// TestConnects: the source address of a node's polls is saved at once when it
// changes, and its registered address stays.
func TestConnects(t *testing.T) {
	onManager(t, func(t *testing.T, l *lab) {
		s := l.joined("web1")
		home := s.remote
		if l.node(s).Connects.IsValid() {
			t.Error("it has not polled yet")
		}
		for _, from := range []netip.Addr{home, addr(77), addr(78), home} {
			s.remote = from
			_, err := l.pollAt(t.Context(), s, l.head(), 0)
			check(t, err)
			time.Sleep(10 * time.Millisecond)
			if n := l.node(s); n.Connects != from || n.Address != home {
				t.Errorf("it connects from %s, and its address is %s; want %s and %s", n.Connects, n.Address, from, home)
			}
		}
		// Reports may come from another address, which is ignored.
		check(t, l.Report(t.Context(), s.id, addr(79), &cluster.Report{Instance: s.instance}))
		if n := l.node(s); n.Connects != home {
			t.Errorf("by a report it connects from %s", n.Connects)
		}
	})
}

// TestFacts: the last reported facts are shown; the machine-id stays that of
// the join.
func TestFacts(t *testing.T) {
	onManager(t, func(t *testing.T, l *lab) {
		s := l.joined("web1")
		joined := l.node(s)
		now := joined.Facts
		now.Kernel, now.Hostname, now.OS.Version, now.MachineID = "6.12.1", "renamed", "13", "another"
		check(t, l.Report(t.Context(), s.id, s.remote, &cluster.Report{Instance: s.instance, Facts: &now}))
		check(t, l.Report(t.Context(), s.id, s.remote, &cluster.Report{Instance: s.instance})) // as from a node of an earlier version
		n := l.node(s)
		if n.Facts.Kernel != "6.12.1" || n.Facts.Hostname != "renamed" || n.Facts.OS.Version != "13" || n.FactsAt.IsZero() {
			t.Errorf("facts: %+v", n.Facts)
		}
		if n.MachineID != joined.MachineID || n.Facts.MachineID != joined.Facts.MachineID || len(n.Facts.Users) != len(joined.Facts.Users) {
			t.Errorf("it is another node: %+v", n)
		}
		huge := host.Facts{Hostname: strings.Repeat("x", 1<<20)}
		check(t, l.Report(t.Context(), s.id, s.remote, &cluster.Report{Instance: s.instance, Facts: &huge}))
		if n := l.node(s); n.Facts.Hostname != "renamed" {
			t.Errorf("a name of %d bytes was kept", len(n.Facts.Hostname))
		}
	})
}

// TestFormerAddress: the shares stay exported to where the node may have
// mounted them from, and to no address that it never had.
func TestFormerAddress(t *testing.T) {
	a, b, c, none := addr(11), addr(12), addr(13), netip.Addr{}
	for name, tt := range map[string]struct {
		address, former, connects, to, want netip.Addr
	}{
		"it is there already":          {a, none, b, b, a},
		"it is to go there":            {a, none, a, b, a},
		"nobody knows":                 {a, none, none, b, a},
		"back, before it went":         {b, a, a, a, none},
		"elsewhere, before it went":    {b, a, a, c, a},
		"elsewhere, after a mistake":   {b, a, c, c, a},
		"on, and it has been there":    {b, a, b, c, b},
		"back, and it has been there":  {b, a, b, a, b},
		"back, and nobody knows where": {b, a, none, a, none},
	} {
		n := cluster.Node{Address: tt.address, Former: tt.former, Connects: tt.connects}
		if got := n.FormerAddress(tt.to); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

// TestAddressMoved: the former address is removed once the node connects from the new
// one, no longer has the former one, and its mounts work; not before.
func TestAddressMoved(t *testing.T) {
	hung := []nfs.Health{{Path: "/srv/iwx", Word: nfs.Hung}}
	healthy := []nfs.Health{{Path: "/srv/iwx", Word: nfs.Healthy}}
	to := addr(77)
	for name, tt := range map[string]struct {
		from   func(s *server) netip.Addr
		facts  func(s *server) *host.Facts
		mounts []nfs.Health
		silent bool
		moved  bool
	}{
		"it has moved":                {mounts: healthy, moved: true},
		"it mounts nothing":           {moved: true},
		"its mount hangs":             {mounts: hung},
		"it is where it was":          {mounts: healthy, from: func(s *server) netip.Addr { return s.remote }},
		"it is somewhere else":        {mounts: healthy, from: func(*server) netip.Addr { return addr(99) }},
		"it has both":                 {mounts: healthy, facts: func(s *server) *host.Facts { return &s.req.Facts }},
		"it is of an earlier version": {mounts: healthy, facts: func(*server) *host.Facts { return nil }, moved: true},
		"it was silent then":          {mounts: healthy, silent: true},
	} {
		t.Run(name, func(t *testing.T) {
			onManager(t, func(t *testing.T, l *lab) {
				s := l.joined("web1")
				_, err := l.pollAt(t.Context(), s, l.head(), 0)
				check(t, err)
				n := l.node(s)
				check(t, l.store.SetAddress(t.Context(), s.id, to, n.FormerAddress(to)))
				l.refresh()
				if tt.from == nil {
					tt.from = func(*server) netip.Addr { return to }
				}
				now := facts(77)
				latest := &now
				if tt.facts != nil {
					latest = tt.facts(s)
				}
				from := tt.from(s)
				check(t, l.Report(t.Context(), s.id, from, &cluster.Report{
					Instance: s.instance, Facts: latest, Status: cluster.Status{Word: cluster.WordCurrent, Mounts: tt.mounts},
				}))
				moving := *s
				moving.remote = from
				_, err = l.pollAt(t.Context(), &moving, l.head(), 0)
				check(t, err)
				if tt.silent {
					time.Sleep(time.Minute)
				}
				l.sweep() // finds that it is silent
				roster := l.Members()[0]
				if roster.Address != to || roster.Former.IsValid() == tt.moved || l.node(s).Former != roster.Former {
					t.Errorf("its address is %s, and was %s", roster.Address, roster.Former)
				}
			})
		})
	}
}

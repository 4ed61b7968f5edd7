package bind

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"iwx/lib/testenv"
)

// atOnce limits the wait for a change that servers are notified of, which takes a
// fraction of a second. It is shorter than BIND's own refresh.
func atOnce() time.Duration { return testenv.Limit(20 * time.Second) }

// catchUp limits the wait for BIND's own refresh: at start it checks the catalog
// after a random part of its retry, half a minute at most.
func catchUp() time.Duration { return testenv.Limit(5 * time.Minute) }

// TestCluster: zones come to the nodes, change and vanish there at once; a node
// that was off catches up; nodes come and go.
func TestCluster(t *testing.T) {
	if !alone(t) {
		return
	}
	c := newCluster(t)
	c.follow(t, c.web1, c.web2)
	c.serve(t, zoneOf("a.example", "192.0.2.80"))
	both := func(name, want string) {
		t.Helper()
		for _, n := range []*named{c.web1, c.web2} {
			t.Logf("%s is %q at %s after %s", name, want, n.Address, n.comes(name, want, atOnce()).Round(time.Millisecond))
		}
	}
	c.manager.comes("www.a.example", "192.0.2.80", atOnce())
	c.web1.comes("www.a.example", "192.0.2.80", catchUp()) // they may have asked before there was a primary
	c.web2.comes("www.a.example", "192.0.2.80", catchUp())

	c.serve(t, zoneOf("a.example", "192.0.2.81"), zoneOf("b.example", "192.0.2.80"))
	both("www.b.example", "192.0.2.80")
	both("www.a.example", "192.0.2.81")
	c.serve(t, zoneOf("b.example", "192.0.2.80"))
	both("www.a.example", "")

	c.web1.stop()
	c.serve(t, zoneOf("b.example", "192.0.2.82"), zoneOf("c.example", "192.0.2.80"))
	c.web2.comes("www.b.example", "192.0.2.82", atOnce())
	c.web1.start()
	lagging, err := c.web1.Behind(t.Context(), &c.secondary)
	if err != nil || !slices.Equal(lagging, []string{Catalog, "b.example", "c.example"}) {
		t.Fatalf("web1 is behind with %q, %v", lagging, err)
	}
	if err := c.web1.Refresh(t.Context(), lagging); err != nil {
		t.Fatal(err)
	}
	both("www.c.example", "192.0.2.80")
	both("www.b.example", "192.0.2.82")
	if lagging, err := c.web1.Behind(t.Context(), &c.secondary); err != nil || len(lagging) > 0 {
		t.Fatalf("web1 is still behind with %q, %v", lagging, err)
	}

	// A node that leaves serves nothing of ours; one more follows from its first minute on.
	if err := c.web2.Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.web2.comes("www.c.example", "", atOnce())
	web3 := newNamed(t, 4, "")
	c.primary.Secondaries = []netip.Addr{c.web1.Address, web3.Address}
	c.serve(t, c.primary.Zones...)
	c.follow(t, web3)
	t.Logf("a new node has all zones after %s", web3.comes("www.c.example", "192.0.2.80", atOnce()).Round(time.Millisecond))
	c.serve(t, append(c.primary.Zones, zoneOf("d.example", "192.0.2.80"))...)
	web3.comes("www.d.example", "192.0.2.80", atOnce())
}

// TestEarly: a node that follows before the manager serves has the zones soon after,
// though nobody tells it; one that is refused for good says by whom.
func TestEarly(t *testing.T) {
	if !alone(t) {
		return
	}
	c := newCluster(t)
	c.primary.Secondaries = nil // nobody is told
	c.follow(t, c.web1)
	testenv.Until(t, "the node is refused", func() bool { return strings.Contains(c.web1.log(), "tsig indicates error") })
	served := make(chan error, 1)
	go func() {
		time.Sleep(time.Second)
		c.primary.Zones = []Zone{zoneOf("a.example", "192.0.2.80")}
		served <- c.manager.Serve(t.Context(), &c.primary)
	}()
	if err := c.web1.Fetched(t.Context(), &c.secondary); err != nil {
		t.Fatalf("%v\n%s", err, c.web1.log())
	}
	if err := <-served; err != nil {
		t.Fatal(err)
	}
	c.web1.comes("www.a.example", "192.0.2.80", atOnce())

	other := c.secondary
	other.Key = newKey()
	if err := c.web2.Follow(t.Context(), &other); err != nil {
		t.Fatal(err)
	}
	if err := c.web2.Fetched(t.Context(), &other); err == nil || !strings.HasPrefix(err.Error(), "the manager's named does not give its zones: ") {
		t.Errorf("with another key: %v", err)
	}
	c.manager.stop()
	if err := c.web2.Fetched(t.Context(), &other); err == nil || !strings.HasPrefix(err.Error(), "the manager's named does not answer") {
		t.Errorf("without a manager: %v", err)
	}
}

// TestBatch measures two hundred zones that come and go in one change.
func TestBatch(t *testing.T) {
	if !alone(t) {
		return
	}
	c := newCluster(t)
	c.serve(t)
	c.follow(t, c.web1, c.web2)
	c.web1.comes("x", "", catchUp())
	var zones []Zone
	for i := range 200 {
		zones = append(zones, zoneOf(fmt.Sprintf("z%d.example", i), "192.0.2.80"))
	}
	began := time.Now()
	c.serve(t, zones...)
	t.Logf("served by the primary after %s", time.Since(began).Round(time.Millisecond))
	for i := range zones {
		for _, n := range []*named{c.web1, c.web2} {
			n.comes("www."+zones[i].Name, "192.0.2.80", catchUp())
		}
	}
	t.Logf("200 zones are on both nodes after %s", time.Since(began).Round(time.Millisecond))
	began = time.Now()
	for i := range zones {
		zones[i] = zoneOf(zones[i].Name, "192.0.2.81")
	}
	c.serve(t, zones...)
	for i := range zones {
		c.web1.comes("www."+zones[i].Name, "192.0.2.81", catchUp())
	}
	t.Logf("200 changed zones are on web1 after %s", time.Since(began).Round(time.Millisecond))
	c.serve(t)
	c.web1.comes("www.z199.example", "", atOnce())
	c.web1.comes("www.z0.example", "", atOnce())
}

// TestKey: who does not have the key is given nothing, and who has another is told.
func TestKey(t *testing.T) {
	if !alone(t) {
		return
	}
	c := newCluster(t)
	c.serve(t, zoneOf("a.example", "192.0.2.80"))
	c.follow(t, c.web1)
	c.web1.comes("www.a.example", "192.0.2.80", catchUp())
	mustFail := func(zone string) {
		t.Helper()
		out, err := Command(t.Context(), "dig", "+norecurse", "@"+c.manager.Address.String(), zone, "AXFR")
		if err != nil || !strings.Contains(string(out), "Transfer failed") {
			t.Errorf("without a key a transfer of %s: %v\n%s", zone, err, out)
		}
	}
	mustFail("a.example")
	mustFail(Catalog)
	wrong := c.secondary
	wrong.Key = newKey()
	if err := c.web2.Follow(t.Context(), &wrong); err != nil {
		t.Fatal(err)
	}
	if _, err := c.web2.Behind(t.Context(), &wrong); err == nil || !strings.Contains(err.Error(), "127.3.0.1") {
		t.Errorf("with another key: %v", err)
	}
	if got := c.web2.lookup("www.a.example"); got != "" {
		t.Errorf("a node with another key has %q", got)
	}
	c.follow(t, c.web2)
	c.web2.comes("www.a.example", "192.0.2.80", catchUp())
}

// TestFaults: what is not valid leaves all as it was, also what an earlier call
// left half told.
func TestFaults(t *testing.T) {
	if !alone(t) {
		return
	}
	c := newCluster(t)
	c.serve(t, zoneOf("a.example", "192.0.2.80"))
	good := c.manager.texts()
	same := func(what string) {
		t.Helper()
		if now := c.manager.texts(); !maps.Equal(now, good) {
			t.Errorf("%s changed the configuration: %v", what, now)
		}
	}
	bad := Zone{"b.example", func(uint32) string {
		return "$TTL 300\n@ SOA ns1 hostmaster 1 1 1 1 1\n@ NS ns1\nns1 A 192.0.2.1\nwww CNAME @\nwww A 192.0.2.1\n"
	}}
	c.primary.Zones = append(c.primary.Zones, bad)
	err := c.manager.Serve(t.Context(), &c.primary)
	if err == nil || !strings.Contains(err.Error(), "line:6: www.b.example: CNAME and other data") {
		t.Errorf("a bad zone: %v", err)
	}
	same("a bad zone")
	if exists(c.manager.zoneFile("b.example")) {
		t.Error("a bad zone was written")
	}

	// so it is among others, which are judged together
	c.primary.Zones = append(c.primary.Zones, zoneOf("c.example", "192.0.2.80"))
	if among := c.manager.Serve(t.Context(), &c.primary); among == nil || among.Error() != err.Error() {
		t.Errorf("a bad zone among others: %v; by itself: %v", among, err)
	}
	same("a bad zone among others")
	c.primary.Zones = c.primary.Zones[:2]

	c.primary.Zones[1] = zoneOf("b.example", "192.0.2.80")
	c.manager.Command = failing("named-checkconf")
	if err := c.manager.Serve(t.Context(), &c.primary); err == nil || !strings.Contains(err.Error(), "it does not want to") {
		t.Errorf("a bad configuration: %v", err)
	}
	same("a bad configuration")

	c.manager.Command = failing("rndc")
	if err := c.manager.Serve(t.Context(), &c.primary); err == nil || !strings.Contains(err.Error(), "named does not run") {
		t.Errorf("named that does not listen: %v", err)
	}
	c.manager.Command = Command
	if change, err := c.manager.Unserved(&c.primary); err != nil || change != "notify BIND of the changes" {
		t.Errorf("left to do: %q, %v", change, err)
	}
	c.serve(t, c.primary.Zones...)
	c.manager.comes("www.b.example", "192.0.2.80", atOnce())
	if change, err := c.manager.Unserved(&c.primary); err != nil || change != "" {
		t.Errorf("left to do: %q, %v", change, err)
	}
	if err := c.manager.Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.manager.comes("www.b.example", "", atOnce())
}

// TestLeave: nothing of ours is left in the administrator's files.
func TestLeave(t *testing.T) {
	if !alone(t) {
		return
	}
	for _, distribution := range []string{"", redHat} {
		b := newNamed(t, 5+len(distribution), distribution)
		before := b.texts()
		want := &Secondary{Primaries: []netip.Addr{b.Address}, Key: newKey()}
		if err := b.Follow(t.Context(), want); err != nil {
			t.Fatal(err)
		}
		if change, err := b.Unfollowed(want); change != "" || err != nil {
			t.Errorf("left to do: %q, %v", change, err)
		}
		if err := b.Leave(t.Context()); err != nil {
			t.Fatal(err)
		}
		if after := b.texts(); !maps.Equal(before, after) {
			t.Errorf("was %q, is %q", before, after)
		}
		if err := b.Leave(t.Context()); err != nil {
			t.Errorf("a second time: %v", err)
		}
	}
}

// TestByHand: zones of the administrator's get into the catalog when they can be
// transferred.
func TestByHand(t *testing.T) {
	if !alone(t) {
		return
	}
	c := newCluster(t)
	c.serve(t)
	c.follow(t, c.web1)
	zone := zoneOf("hand.example", "192.0.2.90")
	if err := c.manager.Adoptable(t.Context(), zone.Name, c.primary.Key); err == nil || !strings.Contains(err.Error(), "named does not serve the zone hand.example") {
		t.Errorf("a zone that is not there: %v", err)
	}
	file := c.manager.Root + "/hand.zone"
	writeFile(t, file, zone.Text(1))
	local, err := read(c.manager.include)
	if err != nil {
		t.Fatal(err)
	}
	stanza := func(more string) {
		t.Helper()
		writeFile(t, c.manager.include, local+fmt.Sprintf("zone \"hand.example\" { type primary; file %q; %s };\n", file, more))
		mustAsk(t, c.manager, "reconfig")
	}
	stanza("allow-transfer { none; };")
	if err := c.manager.Adoptable(t.Context(), zone.Name, c.primary.Key); err == nil || !strings.Contains(err.Error(), "does not give the zone hand.example to the nodes") {
		t.Errorf("a zone that is kept to itself: %v", err)
	}
	if told, err := c.manager.Notifies(zone.Name); told || err != nil {
		t.Errorf("the nodes are told: %v, %v", told, err)
	}
	stanza(Stanza())
	if err := c.manager.Adoptable(t.Context(), zone.Name, c.primary.Key); err != nil {
		t.Fatal(err)
	}
	if told, err := c.manager.Notifies(zone.Name); !told || err != nil {
		t.Errorf("the nodes are told: %v, %v", told, err)
	}
	c.primary.Others = []string{zone.Name}
	c.serve(t)
	c.web1.comes("www.hand.example", "192.0.2.90", catchUp())
	writeFile(t, file, zoneOf(zone.Name, "192.0.2.91").Text(2))
	mustAsk(t, c.manager, "reload", zone.Name)
	c.web1.comes("www.hand.example", "192.0.2.91", 10*time.Second) // the statement before had another notify-delay
	writeFile(t, file, zoneOf(zone.Name, "192.0.2.92").Text(3))
	mustAsk(t, c.manager, "reload", zone.Name)
	c.web1.comes("www.hand.example", "192.0.2.92", atOnce())
	c.serve(t, zoneOf(zone.Name, "192.0.2.99")) // the administrator's stays
	c.manager.comes("www.hand.example", "192.0.2.92", atOnce())
	c.primary.Others = nil
	c.serve(t)
	c.web1.comes("www.hand.example", "", atOnce())
}

func mustAsk(t *testing.T, b *named, words ...string) {
	t.Helper()
	if _, err := b.ask(t.Context(), words...); err != nil {
		t.Fatal(err)
	}
}

// TestModern holds which versions will do.
func TestModern(t *testing.T) {
	for out, want := range map[string]bool{
		"BIND 9.18.49-1~deb12u3-Debian (Extended Support Version) <id:>": true,
		"BIND 9.20.4 (Stable Release) <id:>":                             true,
		"BIND 9.16.23-RH (Extended Support Version) <id:fde3b1f>":        false,
		"": false,
	} {
		s := &Server{Command: says(out, nil)}
		if err := s.modern(t.Context()); (err == nil) != want {
			t.Errorf("%q: %v", out, err)
		}
	}
	s := &Server{Command: says("", errors.New("no such program"))}
	if err := s.modern(t.Context()); err == nil {
		t.Error("without BIND it is modern")
	}
}

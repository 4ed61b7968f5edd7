package upkeep_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"iwx/lib/cluster"
	"iwx/lib/dns"
	"iwx/lib/host"
	"iwx/lib/lb"
	"iwx/lib/profile"
	"iwx/lib/site"
	"iwx/lib/state"
	"iwx/lib/tool/local"
	"iwx/lib/tool/upkeep"
)

// TestDNS holds who serves zones how, and that the key is the nodes' alone.
func TestDNS(t *testing.T) {
	c := shop(t, 2)
	if documents, err := c.Documents(); err != nil || slices.Contains(kinds(documents["n0"]), "dns zones") {
		t.Fatalf("without zones a node gets %q, %v", kinds(documents["n0"]), err)
	}
	c.Identity.Address = netip.MustParseAddr("192.0.2.9")
	c.DNS = &upkeep.DNS{Key: "c2VjcmV0", Revision: 7}
	documents, err := c.Documents()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := specOf(documents["n0"]), `{"primaries":["192.0.2.9","192.0.2.10"],"key":"c2VjcmV0"}`; got != want {
		t.Errorf("a node: got  %s\nwant %s", got, want)
	}
	own, err := c.Manager()
	if spec := specOf(own); err != nil || spec == "" || strings.Contains(spec, "c2VjcmV0") {
		t.Errorf("the manager gets %q, %v", spec, err)
	}
}

func specOf(doc profile.Document) string {
	for _, item := range doc.Items {
		if item.Kind == upkeep.KindDNS {
			return string(item.Spec)
		}
	}
	return ""
}

// nameserver is a manager with zones, and all that they are made from.
type nameserver struct {
	testing.TB
	*local.Server
	members []cluster.Roster
	sites   map[string]site.Spec // by domain
	users   int
}

func newNameserver(t testing.TB) *nameserver {
	t.Helper()
	paths := host.At(t.TempDir())
	must(t, os.MkdirAll(paths.Lib, 0o700))
	must(t, os.MkdirAll(paths.Templates, 0o755))
	store, err := state.Create(t.Context(), paths.State)
	must(t, err)
	t.Cleanup(func() { store.Close() })
	shop := shop(t, 2)
	id := shop.Identity
	id.Name, id.Address = "mgr", netip.MustParseAddr("192.0.2.9")
	must(t, store.SetIdentity(t.Context(), id))
	n := &nameserver{TB: t, Server: &local.Server{Paths: paths, Store: store, Identity: id, Config: shop.Config}, members: shop.Members, sites: map[string]site.Spec{}}
	n.Config.DNS.Provider = "bind"
	return n
}

// look returns the spec of the manager's item, and all that applying it serves.
func (n *nameserver) look() (spec, text string) {
	n.Helper()
	c, err := upkeep.Of(n.Context(), n.Server, n.members)
	must(n, err)
	own, err := c.Manager()
	must(n, err)
	p, err := c.Primary(n.Context(), n.Server)
	if err != nil {
		return specOf(own), err.Error()
	}
	for _, z := range p.Zones {
		text += z.Name + "\n" + z.Text(7)
	}
	return specOf(own), fmt.Sprint(text, p.Others, p.Secondaries)
}

func (n *nameserver) site(domain string, change func(*site.Spec)) {
	n.Helper()
	spec, is := n.sites[domain]
	if !is {
		n.users++
		user := fmt.Sprint("u", n.users)
		spec.Site = site.Site{Domain: domain, User: user, UID: uint32(20000 + n.users), Home: "/srv/iwx/home/" + user}
	}
	if change != nil {
		change(&spec)
	}
	n.sites[domain] = spec
	_, err := n.Store.ChangeSites(n.Context(), &state.SiteChange{Specs: []site.Spec{spec}, WebServer: "nginx"})
	must(n, err)
}

func (n *nameserver) zone(name string, alone bool, set ...dns.Set) {
	n.Helper()
	must(n, n.Store.PutZone(n.Context(), &dns.Zone{Name: name, Alone: alone, Sets: set}))
}

func (n *nameserver) balance(change func(*lb.Setup)) {
	n.Helper()
	must(n, n.Store.ChangeBalancing(n.Context(), func(setup lb.Setup) (lb.Setup, error) { change(&setup); return setup, nil }))
}

func (n *nameserver) template(text string) {
	n.Helper()
	must(n, os.WriteFile(filepath.Join(n.Templates, "default.zone"), []byte(text), 0o644))
}

func record(kind, data string) dns.Set {
	return dns.Set{Name: "host", Type: kind, TTL: 300, Data: []string{data}}
}

const myZone = "{{range .Web}}@ {{.Type}} {{.Addr}}\n{{end}}"

// TestZonesItem varies all that zones are made from: what is served is another then,
// and so is the item that has it served. What zones are not made from leaves both.
func TestZonesItem(t *testing.T) {
	n := newNameserver(t)
	n.site("a.example", nil)
	vip := netip.MustParseAddr("192.0.2.80")
	hostmaster, names := &n.Config.DNS.Hostmaster, &n.Config.DNS.Nameservers
	for _, step := range []struct {
		name    string
		change  func()
		differs bool
	}{
		{"nothing", func() {}, false},
		{"a site", func() { n.site("b.example", nil) }, true},
		{"an alias", func() { n.site("b.example", func(s *site.Spec) { s.Aliases = []string{"shop.b.example"} }) }, true},
		{"the virtual host of a site", func() { n.site("b.example", func(s *site.Spec) { s.VHost = "other" }) }, false},
		{"a site is suspended", func() { n.site("b.example", func(s *site.Spec) { s.Suspended = true }) }, false},
		{"a site is being deleted", func() { n.site("b.example", func(s *site.Spec) { s.Gone = true }) }, true},
		{"a record", func() { n.zone("a.example", false, record("A", "192.0.2.99")) }, true},
		{"another", func() { n.zone("a.example", false, record("A", "192.0.2.98")) }, true},
		{"a zone of no site", func() { n.zone("c.example", true) }, true},
		{"its end", func() { must(t, n.Store.DeleteZone(t.Context(), "c.example")) }, true},
		{"an adopted zone", func() { must(t, n.Store.AdoptZone(t.Context(), "d.example")) }, true},
		{"a site beneath it", func() { n.site("www.d.example", nil) }, true},
		{"its release", func() { _, err := n.Store.ReleaseZone(t.Context(), "d.example"); must(t, err) }, true},
		{"a template", func() { n.template(myZone) }, true},
		{"another template", func() { n.template(myZone + "bytes TXT \"\xfe\"\n") }, true},
		{"one byte of it", func() { n.template(myZone + "bytes TXT \"\xff\"\n") }, true},
		{"a template that is not valid", func() { n.template("{{") }, true},
		{"a template that cannot be read", func() {
			must(t, os.Remove(filepath.Join(n.Templates, "default.zone")))
			must(t, os.Mkdir(filepath.Join(n.Templates, "default.zone"), 0o755))
		}, true},
		{"no template", func() { must(t, os.Remove(filepath.Join(n.Templates, "default.zone"))) }, true},
		{"the hostmaster", func() { *hostmaster = "root@example.net" }, true},
		{"the manager's name", func() { n.Identity.Name = "boss" }, true},
		{"the manager's address", func() { n.Identity.Address = netip.MustParseAddr("192.0.2.8") }, true},
		{"an address alone of the manager", func() { n.Identity.Address = netip.Addr{} }, true},
		{"which moves", func() { n.Identity.Manager = netip.MustParseAddrPort("192.0.2.7:2480") }, true},
		{"its port", func() { n.Identity.Manager = netip.MustParseAddrPort("192.0.2.7:2481") }, false},
		{"a node's address", func() { n.members[0].Address = netip.MustParseAddr("192.0.2.111") }, true},
		{"a node's name", func() { n.members[0].Name = "www7" }, true},
		{"a node leaves", func() { n.members[0].Membership = cluster.Leaving }, true},
		{"and is gone", func() { n.members = n.members[1:] }, true},
		{"what a node's last contact was", func() { n.members[0].LastSeen = time.Now() }, false},
		{"names of name servers", func() { *names = "ns1.example.net ns2.example.net" }, true},
		{"which are others", func() { *names = "ns1.example.net ns3.example.net" }, true},
		{"a node's name, which no zone gives", func() { n.members[0].Name = "www8" }, true}, // it may be done for nothing
		{"a virtual IP", func() { n.balance(func(s *lb.Setup) { s.VIPs = []lb.VIP{{Addr: vip, AddedAt: time.Now()}} }) }, true},
		{"a second one", func() {
			n.balance(func(s *lb.Setup) {
				s.VIPs = append(s.VIPs, lb.VIP{Addr: netip.MustParseAddr("2001:db8::80"), AddedAt: time.Now()})
			})
		}, true},
		{"a service of the web there", func() { n.balance(func(s *lb.Setup) { s.Policies = []lb.Policy{policy("http", 80, nil)} }) }, true},
		{"one of mail elsewhere", func() {
			n.balance(func(s *lb.Setup) {
				s.Policies = append(s.Policies, policy("smtp", 25, func(p *lb.Policy) { p.VIP = netip.MustParseAddr("2001:db8::80") }))
			})
		}, true},
		{"how it is balanced", func() { n.balance(func(s *lb.Setup) { s.Policies[0].ServerPort = 8080 }) }, false},
		{"a drain", func() { n.balance(func(s *lb.Setup) { s.Drains = []lb.Drain{{Server: "n1"}} }) }, false},
		{"a backup", func() {
			must(t, n.Store.SetBackup(t.Context(), state.Backup{Name: "iwx-shop-20261123T000000Z.backup", Size: 1}))
		}, false},
	} {
		spec, text := n.look()
		step.change()
		now, after := n.look()
		unnecessary := step.name == "a node's name, which no zone gives"
		if (text != after) != step.differs && !unnecessary {
			t.Errorf("%s: what is served differs: %v\n%s", step.name, text != after, after)
		}
		if (spec != now) != step.differs {
			t.Errorf("%s: the item differs: %v", step.name, spec != now)
		}
	}
}

// TestZonesItemWalk changes at random all that zones are made from: whatever happens in
// between, the same spec stands for the same zones.
func TestZonesItemWalk(t *testing.T) {
	n := newNameserver(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	one := func(list ...string) string { return list[r.IntN(len(list))] }
	domain := func() string { return one("a.example", "b.example", "sub.a.example", "c.example") }
	addr := func() netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(100 + r.IntN(4))}) }
	ctx := context.WithoutCancel(t.Context())
	changes := []func(){
		func() { n.site(domain(), func(s *site.Spec) { s.Gone = !s.Gone }) },
		func() {
			n.site(domain(), func(s *site.Spec) { s.Gone, s.Aliases = false, []string{one("www.", "m.") + s.Domain} })
		},
		func() { n.site(domain(), func(s *site.Spec) { s.VHost = one("x", "y") }) },
		func() {
			gone := domain()
			delete(n.sites, gone)
			_, err := n.Store.ChangeSites(ctx, &state.SiteChange{Ended: []string{gone}})
			must(t, err)
		},
		func() {
			n.zone(domain(), r.IntN(2) == 0, record(one("A", "AAAA"), one("192.0.2.1", "2001:db8::1")), dns.Set{Name: "t", Type: "TXT", TTL: 300, Data: []string{`"x"`}})
		},
		func() { must(t, n.Store.DeleteZone(ctx, domain())) },
		func() { must(t, n.Store.AdoptZone(ctx, domain())) },
		func() { _, err := n.Store.ReleaseZone(ctx, domain()); must(t, err) },
		func() { n.template(myZone + one("", "x TXT a\n", "x TXT b\n")) },
		func() { _ = os.Remove(filepath.Join(n.Templates, "default.zone")) },
		func() { n.Config.DNS.Hostmaster = one("", "root@example.net") },
		func() { n.Config.DNS.Nameservers = one("", "ns1.example.net", "ns1.example.net ns2.example.net") },
		func() { n.Identity.Name = one("mgr", "boss") },
		func() { n.Identity.Address = addr() },
		func() { n.members[r.IntN(2)].Address = addr() },
		func() { n.members[r.IntN(2)].Name = one("web1", "web2") },
		func() {
			n.members[r.IntN(2)].Membership = []cluster.Membership{cluster.Member, cluster.Leaving}[r.IntN(2)]
		},
		func() {
			n.balance(func(s *lb.Setup) { s.Policies, s.VIPs = nil, []lb.VIP{{Addr: addr(), AddedAt: time.Now()}} })
		},
		func() {
			n.balance(func(s *lb.Setup) {
				if len(s.VIPs) > 0 {
					s.Policies = []lb.Policy{policy(one("http", "smtp", "imap"), 80, func(p *lb.Policy) { p.VIP = s.VIPs[0].Addr })}
				}
			})
		},
	}
	served := map[string]string{} // what is served, by the spec
	texts := map[string]bool{}
	for step := 0; step < 400 || len(texts) < 100; step++ {
		changes[r.IntN(len(changes))]()
		spec, text := n.look()
		if was, is := served[spec]; is && was != text {
			t.Fatalf("spec %s stands for\n%s\nand for\n%s", spec, was, text)
		}
		served[spec], texts[text] = text, true
	}
}

// TestTraffic: whether servers may take traffic is found out without backups and DNS.
func TestTraffic(t *testing.T) {
	n := newNameserver(t)
	n.site("a.example", nil)
	nodes := []cluster.Node{{ID: "n1", Name: "web1", Membership: cluster.Member, Address: netip.MustParseAddr("192.0.2.11")}, {ID: "n2", Name: "web2", Membership: cluster.Leaving}}
	c, err := upkeep.Traffic(t.Context(), n.Server, nodes)
	must(t, err)
	documents, err := c.Documents()
	must(t, err)
	own, err := c.Manager()
	must(t, err)
	if got := kinds(documents["n1"]); c.DNS != nil || c.Backup != nil || specOf(own) != "" || !slices.Equal(got, []string{"manager address", "web sites"}) || len(documents["n2"].Items) > 0 {
		t.Errorf("%q, %q", got, kinds(own))
	}
}

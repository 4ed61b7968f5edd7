package upkeep_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"iwx/lib/backup"
	"iwx/lib/cluster"
	"iwx/lib/conf"
	"iwx/lib/lb"
	"iwx/lib/profile"
	"iwx/lib/pulse"
	"iwx/lib/tool/upkeep"
)

// shop is a cluster of n nodes with the settings as they are by default.
func shop(t testing.TB, n int) *upkeep.Cluster {
	t.Helper()
	config, err := conf.Parse("iwx.toml", nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &upkeep.Cluster{
		Identity: &cluster.Identity{Role: cluster.RoleManager, ClusterID: "aaaaaaaaaaaaaaaaaaaaaaaaaa", Manager: netip.MustParseAddrPort("192.0.2.10:2480")},
		Config:   config,
		Backup:   &backup.Copy{File: "iwx-shop-20261123T000000Z.backup", Size: 1, SHA256: fmt.Sprintf("%064d", 1), Keep: 7},
	}
	for i := range n {
		c.Members = append(c.Members, cluster.Roster{
			ID: fmt.Sprint("n", i), Name: fmt.Sprint("web", i), Membership: cluster.Member,
			Address: netip.AddrFrom4([4]byte{192, 0, 2, byte(11 + i)}),
		})
	}
	return c
}

// policy is an lb.Policy on a documentation address.
func policy(service string, port uint16, change func(*lb.Policy)) lb.Policy {
	p := lb.Policy{Service: service, VIP: netip.MustParseAddr("192.0.2.80"), Port: port, ServerPort: port}
	if change != nil {
		change(&p)
	}
	return p
}

// TestWatch holds what a node is to tell of, and when.
func TestWatch(t *testing.T) {
	c := shop(t, 2)
	vip := netip.MustParseAddr("192.0.2.80")
	c.Balancing = lb.Setup{Engine: "ipvs", Policies: []lb.Policy{
		policy("https", 443, func(p *lb.Policy) { p.Forwarding = lb.NAT }),
		policy("http", 80, nil),
		policy("smtp", 25, func(p *lb.Policy) { p.Only, p.Forwarding = []string{"n1"}, lb.Tunnel }),
		policy("imap", 143, func(p *lb.Policy) { p.ServerPort, p.Forwarding = 10143, lb.Proxy }),
	}}
	want := map[string]pulse.Watch{
		"n0": {Ports: []uint16{80, 443, 10143}, VIPs: []netip.Addr{vip}},
		"n1": {Ports: []uint16{25, 80, 443, 10143}, VIPs: []netip.Addr{vip}},
	}
	documents, err := c.Documents()
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range want {
		if got, err := upkeep.Watched(documents[id]); err != nil || !slices.Equal(got.Ports, want.Ports) || !slices.Equal(got.VIPs, want.VIPs) {
			t.Errorf("%s: %v, %v; want %v", id, got, err, want)
		}
	}
	c.Balancing.Engine = "haproxy"
	if _, vips := c.Balancing.Watched("n0"); len(vips) > 0 {
		t.Errorf("with haproxy a node is to hold %v", vips)
	}
	if ports, vips := c.Balancing.Watched(lb.ManagerID); len(vips) > 0 || len(ports) != 3 {
		t.Errorf("the manager looks at %v and %v", ports, vips)
	}
	c.Balancing.External = true
	if documents, err = c.Documents(); err != nil || slices.Contains(kinds(documents["n0"]), "watch services") {
		t.Errorf("%v, %v", kinds(documents["n0"]), err)
	}
}

func kinds(doc profile.Document) (list []string) {
	for _, item := range doc.Items {
		list = append(list, item.String())
	}
	return list
}

// BenchmarkDocuments is what the manager does at every look at the state.
func BenchmarkDocuments(b *testing.B) {
	c := shop(b, 200)
	for b.Loop() {
		documents, err := c.Documents()
		if err != nil {
			b.Fatal(err)
		}
		for _, doc := range documents {
			if doc.Check() != nil || doc.Version() == "" {
				b.Fatal(doc)
			}
		}
	}
}

// TestDocuments holds which kinds there are, and who gets them.
func TestDocuments(t *testing.T) {
	c := shop(t, 2)
	c.Members[1].Membership = cluster.Leaving
	documents, err := c.Documents()
	if err != nil {
		t.Fatal(err)
	}
	node := kinds(documents["n0"])
	if !slices.Contains(node, "mount /srv/iwx") || !slices.Contains(node, "backup daily") || slices.Contains(node, "export /srv/iwx") {
		t.Errorf("a node gets %q", node)
	}
	if doc, is := documents["n1"]; !is || len(doc.Items) > 0 {
		t.Errorf("a node that is leaving gets %q", kinds(doc))
	}
	own, err := c.Manager()
	if err != nil {
		t.Fatal(err)
	}
	if got := kinds(own); !slices.Contains(got, "export /srv/iwx") || slices.Contains(got, "mount /srv/iwx") {
		t.Errorf("the manager gets %q", got)
	}
	for name, doc := range map[string]profile.Document{"node": documents["n0"], "manager": own} {
		if err := doc.Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestDocumentsBelowARoot: nothing there touches the server itself.
func TestDocumentsBelowARoot(t *testing.T) {
	c := shop(t, 1)
	c.Own = true
	documents, err := c.Documents()
	if err != nil {
		t.Fatal(err)
	}
	own, err := c.Manager()
	if err != nil {
		t.Fatal(err)
	}
	for _, item := range append(documents["n0"].Items, own.Items...) {
		if item.Kind == "mount" || item.Kind == "export" {
			t.Errorf("%s", item)
		}
	}
}

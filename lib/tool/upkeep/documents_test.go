package upkeep_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"iwx/lib/backup"
	"iwx/lib/cluster"
	"iwx/lib/conf"
	"iwx/lib/endpoint"
	"iwx/lib/lb"
	"iwx/lib/profile"
	"iwx/lib/pulse"
	"iwx/lib/realip"
	"iwx/lib/tool/upkeep"
	"iwx/lib/vip"
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

// TestEndpoint: with external balancing every server tells of its own services,
// with its drains; without, none does.
func TestEndpoint(t *testing.T) {
	c := shop(t, 2)
	c.Identity.Address = netip.MustParseAddr("192.0.2.9")
	c.Config.LB.EndpointAllow = "198.51.100.0/24"
	c.Balancing = lb.Setup{Engine: "haproxy", External: true,
		Policies: []lb.Policy{policy("http", 80, nil), policy("imap", 143, func(p *lb.Policy) { p.Only = []string{"n0"} })},
		Drains:   []lb.Drain{{Server: "n0", Service: "imap"}},
	}
	documents, err := c.Documents()
	if err != nil {
		t.Fatal(err)
	}
	own, err := c.Manager()
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		doc  profile.Document
		want string
	}{
		"n0":      {documents["n0"], "192.0.2.11:2481 [192.0.2.9/32 192.0.2.10/32 198.51.100.0/24] http 192.0.2.11:80 false imap 192.0.2.11:143 true"},
		"n1":      {documents["n1"], "192.0.2.12:2481 [192.0.2.9/32 192.0.2.10/32 198.51.100.0/24] http 192.0.2.12:80 false"},
		"manager": {own, "192.0.2.9:2481 [192.0.2.9/32 192.0.2.10/32 198.51.100.0/24] http 192.0.2.9:80 false"},
	} {
		i := slices.IndexFunc(tt.doc.Items, func(item profile.Item) bool { return item.Kind == endpoint.Kind })
		if i < 0 {
			t.Fatalf("%s has no endpoint: %v", name, kinds(tt.doc))
		}
		var spec endpoint.Spec
		if err := tt.doc.Items[i].Decode(&spec); err != nil {
			t.Fatal(err)
		}
		got := fmt.Sprint(spec.Listen, " ", spec.Allow)
		for _, s := range spec.Services {
			got += fmt.Sprint(" ", s.Name, " ", s.Addr, " ", s.Drained)
		}
		if got != tt.want {
			t.Errorf("%s: got  %s\nwant %s", name, got, tt.want)
		}
	}
	c.Balancing.External = false
	if documents, err = c.Documents(); err != nil || slices.Contains(kinds(documents["n0"]), "endpoint http") {
		t.Errorf("%v, %v", kinds(documents["n0"]), err)
	}
}

// TestClients: which servers are to know the addresses of which clients, and whom
// they believe.
func TestClients(t *testing.T) {
	const http = `client-address http {"balancers":["192.0.2.9/32","192.0.2.10/32"]}`
	web := policy("http", 80, nil)
	tests := []struct {
		name        string
		setup       lb.Setup
		manager, n1 string
		change      func(*conf.LB)
	}{
		{"the kernel balances", lb.Setup{Engine: "ipvs", Policies: []lb.Policy{web}}, "", "", nil},
		{"a proxy does", lb.Setup{Engine: "haproxy", Policies: []lb.Policy{web}}, http, http, nil},
		{"not this server", lb.Setup{Engine: "haproxy", Policies: []lb.Policy{policy("http", 80, func(p *lb.Policy) { p.Only = []string{"n0"} })}}, http, "", nil},
		{"another port", lb.Setup{Engine: "haproxy", Policies: []lb.Policy{policy("http", 80, func(p *lb.Policy) { p.ServerPort = 8080 })}}, http, http, nil},
		{"somebody's own PROXY port", lb.Setup{Engine: "haproxy", Policies: []lb.Policy{policy("http", 80, func(p *lb.Policy) { p.Check.Proxy = true })}}, "", "", nil},
		{"a port without a name", lb.Setup{Engine: "haproxy", Policies: []lb.Policy{policy("tcp", 8080, nil)}}, "", "", nil},
		{"HTTPS", lb.Setup{Engine: "haproxy", Policies: []lb.Policy{policy("https", 443, nil)}},
			`client-address https {"listen":"192.0.2.9:10443","balancers":["192.0.2.9/32","192.0.2.10/32"]}`,
			`client-address https {"listen":"192.0.2.12:10443","balancers":["192.0.2.9/32","192.0.2.10/32"]}`, nil},
		{"turned off", lb.Setup{Engine: "haproxy", Policies: []lb.Policy{web}}, "", "", func(l *conf.LB) { l.ClientAddress = false }},
		{"somebody else balances", lb.Setup{Engine: "haproxy", External: true, Policies: []lb.Policy{web}}, "", "", nil},
		{"and is believed", lb.Setup{Engine: "ipvs", External: true, Policies: []lb.Policy{web}},
			`client-address http {"balancers":["198.51.100.0/24"]}`, `client-address http {"balancers":["198.51.100.0/24"]}`, func(l *conf.LB) { l.Proxies = "198.51.100.0/24" }},
	}
	for _, tt := range tests {
		c := shop(t, 2)
		c.Identity.Address = netip.MustParseAddr("192.0.2.9")
		c.Balancing = tt.setup
		if tt.change != nil {
			tt.change(&c.Config.LB)
		}
		own, err := c.Manager()
		if err != nil {
			t.Fatal(err)
		}
		documents, err := c.Documents()
		if err != nil {
			t.Fatal(err)
		}
		if m, n := clientsOf(own), clientsOf(documents["n1"]); m != tt.manager || n != tt.n1 {
			t.Errorf("%s: the manager %q, a node %q", tt.name, m, n)
		}
	}
}

func clientsOf(doc profile.Document) string {
	var list []string
	for _, item := range doc.Items {
		if item.Kind == realip.Kind {
			list = append(list, item.String()+" "+string(item.Spec))
		}
	}
	return strings.Join(list, "\n")
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

// TestVIPs holds who is to have which virtual address, and how.
func TestVIPs(t *testing.T) {
	c := shop(t, 2)
	one, two := netip.MustParseAddr("192.0.2.80"), netip.MustParseAddr("2001:db8::80")
	vips := []lb.VIP{{Addr: one}, {Addr: two}}
	onTwo := func(f lb.Forwarding, only ...string) func(*lb.Policy) {
		return func(p *lb.Policy) { p.VIP, p.Forwarding, p.Only = two, f, only }
	}
	const direct, plain, silent = `{"role":"announced","direct":true}`, `{"role":"announced"}`, `{"role":"silent"}`
	tests := []struct {
		name            string
		setup           lb.Setup
		manager, n0, n1 []string
	}{
		{"no policies", lb.Setup{Engine: "ipvs", VIPs: vips}, []string{"192.0.2.80 " + plain, "2001:db8::80 " + plain}, nil, nil},
		{"direct routing", lb.Setup{Engine: "ipvs", VIPs: vips, Policies: []lb.Policy{policy("http", 80, nil), policy("https", 443, nil)}},
			[]string{"192.0.2.80 " + direct, "2001:db8::80 " + plain}, []string{"192.0.2.80 " + silent}, []string{"192.0.2.80 " + silent}},
		{"a tunnel to one", lb.Setup{Engine: "ipvs", VIPs: vips, Policies: []lb.Policy{policy("http", 80, onTwo(lb.Direct)), policy("smtp", 25, onTwo(lb.Tunnel, "n1"))}},
			[]string{"192.0.2.80 " + plain, "2001:db8::80 " + direct}, []string{"2001:db8::80 " + silent}, []string{`2001:db8::80 {"role":"silent","tunnel":true}`}},
		{"by address translation", lb.Setup{Engine: "ipvs", VIPs: vips, Policies: []lb.Policy{policy("http", 80, onTwo(lb.NAT))}},
			[]string{"192.0.2.80 " + plain, `2001:db8::80 {"role":"announced","pass":true}`}, nil, nil},
		{"a proxy", lb.Setup{Engine: "haproxy", VIPs: vips, Policies: []lb.Policy{policy("http", 80, nil)}},
			[]string{"192.0.2.80 " + plain, "2001:db8::80 " + plain}, nil, nil},
		{"somebody else's", lb.Setup{Engine: "ipvs", External: true, VIPs: vips, Policies: []lb.Policy{policy("http", 80, nil)}},
			nil, []string{"192.0.2.80 " + silent}, []string{"192.0.2.80 " + silent}},
	}
	for _, tt := range tests {
		c.Balancing = tt.setup
		own, err := c.Manager()
		if err != nil {
			t.Fatal(err)
		}
		documents, err := c.Documents()
		if err != nil {
			t.Fatal(err)
		}
		if m, n0, n1 := vipsOf(own), vipsOf(documents["n0"]), vipsOf(documents["n1"]); !slices.Equal(m, tt.manager) || !slices.Equal(n0, tt.n0) || !slices.Equal(n1, tt.n1) {
			t.Errorf("%s: the manager %q, the nodes %q, %q", tt.name, m, n0, n1)
		}
	}
	c.Own = true
	own, err := c.Manager()
	if err != nil || len(vipsOf(own)) > 0 {
		t.Errorf("below a root: %q, %v", vipsOf(own), err)
	}
}

func vipsOf(doc profile.Document) (list []string) {
	for _, item := range doc.Items {
		if item.Kind == vip.Kind {
			list = append(list, item.Name+" "+string(item.Spec))
		}
	}
	return list
}

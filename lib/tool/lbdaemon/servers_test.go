package lbdaemon

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"iwx/lib/cluster"
	"iwx/lib/conf"
	"iwx/lib/dns"
	"iwx/lib/host"
	"iwx/lib/lb"
	"iwx/lib/nfs"
	"iwx/lib/profile"
	"iwx/lib/queue"
	"iwx/lib/site"
	"iwx/lib/state"
	"iwx/lib/tool/local"
	"iwx/lib/tool/upkeep"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestManagerIsAMember: it is held to its profile and its mounts as a node is, but
// for what it exports, which is a directory of its own.
func TestManagerIsAMember(t *testing.T) {
	export := profile.Result{Kind: nfs.KindExport, Name: "/srv/iwx", Word: profile.WordFailed, Error: "nfs-server is not installed"}
	mount := profile.Result{Kind: nfs.KindMount, Name: "/srv/iwx", Word: profile.WordFailed, Error: "no such host"}
	mounted, hung := mount, []nfs.Health{{Path: "/srv/iwx", Word: nfs.Hung}}
	mounted.Word, mounted.Error = profile.WordApplied, ""
	elsewhere := mounted
	elsewhere.Digest = "000000000000"
	outside := conf.Default()
	outside.Storage.Server = "nas.example"
	for _, tt := range []struct {
		name           string
		config         conf.Config
		reported       []profile.Result
		mounts         []nfs.Health
		unready, unfit string
	}{
		{name: "it exports", config: conf.Default()},
		{name: "it exports, and that fails", config: conf.Default(), reported: []profile.Result{export}},
		{name: "it has mounted", config: outside, reported: []profile.Result{mounted}},
		{name: "it has not looked yet", config: outside, unready: "its profile is not applied: mount /srv/iwx is pending"},
		{name: "it has mounted something else", config: outside, reported: []profile.Result{elsewhere}, unready: "its profile is not applied: mount /srv/iwx is pending"},
		{name: "it cannot mount", config: outside, reported: []profile.Result{mount}, unready: "its profile is not applied: mount /srv/iwx: no such host"},
		{name: "its mount hangs", config: outside, reported: []profile.Result{mounted}, mounts: hung, unfit: "/srv/iwx is hung"},
	} {
		s := newManager(t)
		s.Config, s.Root = tt.config, "" // below a root, nothing is mounted
		must(t, s.Store.Profile().Receive(t.Context(), profile.Document{}.Revision()))
		must(t, s.Store.Profile().Report(t.Context(), profile.Status{Items: tt.reported}))
		got, err := Servers(t.Context(), s, tt.mounts)
		if err != nil || len(got) != 1 || got[0].Unready != tt.unready || got[0].Unfit != tt.unfit || !got[0].Manager || got[0].ID != lb.ManagerID || got[0].Name != "mgr" {
			t.Errorf("%s: %+v, %v", tt.name, got, err)
		}
	}
}

// TestManagerWithoutNeeds: where nothing is needed of it, nothing has to be applied.
func TestManagerWithoutNeeds(t *testing.T) {
	if got, err := Servers(t.Context(), newManager(t), nil); err != nil || len(got) != 1 || got[0].Unready != "" || got[0].Unfit != "" {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestNewNodeWaitsForItsBaseline holds that a node is not balanced to before it
// has replayed what was kept for those who join, sites among it, whatever else of
// it is as it should be.
func TestNewNodeWaitsForItsBaseline(t *testing.T) {
	ctx := t.Context()
	s := newManager(t)
	baseline := state.Draft{Kind: queue.KindCommand, Targets: queue.Targets{Scope: queue.ScopeBaseline}, Body: []byte("{}")}
	others := state.Draft{Kind: queue.KindCommand, Targets: queue.Members(), Body: []byte("{}")}
	if _, err := s.Store.Append(ctx, baseline, others, baseline, others); err != nil {
		t.Fatal(err)
	}
	joinNodes(t, s, 1)
	for done, want := range []string{
		"it is new, and has replayed 0 of 2 entries of the baseline", "it is new, and has replayed 1 of 2 entries of the baseline",
		"it is new, and has replayed 1 of 2 entries of the baseline", "", "",
	} {
		applies(t, s, uint64(done))
		if got, err := Servers(ctx, s, nil); err != nil || len(got) != 2 || got[1].Unready != want {
			t.Errorf("done with %d: %+v, %v, want %q", done, got, err, want)
		}
	}
}

// newManager returns a manager below a root of its own whose BIND serves zones.
func newManager(t testing.TB) *local.Server {
	t.Helper()
	paths := host.At(t.TempDir())
	for _, dir := range []string{paths.Lib, paths.Templates, paths.Backups} {
		must(t, os.MkdirAll(dir, 0o700))
	}
	store, err := state.Create(t.Context(), paths.State)
	must(t, err)
	t.Cleanup(func() { store.Close() })
	id := &cluster.Identity{
		Role: cluster.RoleManager, ClusterID: "00c1", ClusterName: "demo", NodeID: "m", Name: "mgr",
		Manager: netip.MustParseAddrPort("192.0.2.10:2480"), Address: netip.MustParseAddr("192.0.2.9"),
	}
	must(t, store.SetIdentity(t.Context(), id))
	s := &local.Server{Paths: paths, Store: store, Identity: id, Config: conf.Default()}
	s.Config.DNS.Provider = "bind"
	s.Config.Backup.Keep = 7
	return s
}

// joinNodes has nodes join: web0, web1, …
func joinNodes(t testing.TB, s *local.Server, n int) {
	t.Helper()
	for i := range n {
		id, name := fmt.Sprint("n", i), fmt.Sprint("web", i)
		token := &cluster.Token{ID: "t-" + id, Name: name, Hash: []byte{1}, From: cluster.FromNow, CreatedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour)}
		must(t, s.Store.AddToken(t.Context(), token))
		must(t, s.Store.Admit(t.Context(), token.ID, func(token *cluster.Token, _ []cluster.Node, head uint64) ([]cluster.Node, error) {
			token.UsedAt, token.NodeID = time.Now(), id
			return []cluster.Node{{ID: id, Name: name, Membership: cluster.Member, MachineID: name, Start: head + 1, JoinedAt: time.Now(),
				Address: netip.AddrFrom4([4]byte{192, 0, 2, byte(11 + i)})}}, nil
		}))
	}
}

// addSites adds a site for each domain.
func addSites(t testing.TB, s *local.Server, domains ...string) {
	t.Helper()
	specs := make([]site.Spec, len(domains))
	last, err := s.Store.LastUID(t.Context())
	must(t, err)
	for i, domain := range domains {
		last++
		user := fmt.Sprint("u", last)
		specs[i] = site.Spec{VHost: "server { }", Site: site.Site{Domain: domain, Aliases: []string{"www." + domain}, User: user, UID: 20000 + last, Home: "/srv/iwx/home/" + user}}
	}
	_, err = s.Store.ChangeSites(t.Context(), &state.SiteChange{Specs: specs, LastUID: last, WebServer: "nginx"})
	must(t, err)
}

// applies has the manager and all nodes report that they have received their profiles
// and applied them, and are done with that entry.
func applies(t testing.TB, s *local.Server, done uint64) {
	t.Helper()
	known, err := upkeep.Look(t.Context(), s)
	must(t, err)
	all := func(doc profile.Document) profile.Status {
		status := profile.Status{Desired: doc.Version(), Reached: doc.Version()}
		for _, item := range doc.Items {
			status.Items = append(status.Items, profile.Result{Kind: item.Kind, Name: item.Name, Digest: item.Digest(), Word: profile.WordApplied, Since: 1})
		}
		return status
	}
	own, err := known.Manager()
	must(t, err)
	must(t, s.Store.Profile().Receive(t.Context(), own.Revision()))
	must(t, s.Store.Profile().Report(t.Context(), all(own)))
	documents, err := known.Documents()
	must(t, err)
	for id, doc := range documents {
		status := all(doc)
		must(t, s.Store.SaveReport(t.Context(), id, time.Now(), cluster.Status{Word: cluster.WordCurrent, Done: done, Profile: &status}, nil))
	}
}

func putZone(t testing.TB, s *local.Server, name, data string) {
	t.Helper()
	must(t, s.Store.PutZone(t.Context(), &dns.Zone{Name: name, Sets: []dns.Set{{Name: "host", Type: "A", TTL: 300, Data: []string{data}}}}))
}

// TestChangesHoldNobodyOut: what clients do not notice, such as a zone that was edited,
// keeps no server from being added while it travels. What they do notice does.
func TestChangesHoldNobodyOut(t *testing.T) {
	s := newManager(t)
	joinNodes(t, s, 2)
	addSites(t, s, "a.example", "b.example")
	must(t, s.Store.ChangeBalancing(t.Context(), func(setup lb.Setup) (lb.Setup, error) {
		setup.Engine, setup.VIPs = "haproxy", []lb.VIP{{Addr: netip.MustParseAddr("192.0.2.80"), AddedAt: time.Now()}}
		setup.Policies = []lb.Policy{lb.NewPolicy(lb.Service{Name: "http", Port: 80}, netip.MustParseAddr("192.0.2.80"))}
		return setup, nil
	}))
	applies(t, s, 0)
	held := func() (list []string) {
		t.Helper()
		servers, err := Servers(t.Context(), s, nil)
		if err != nil || len(servers) != 3 {
			t.Fatalf("%+v, %v", servers, err)
		}
		for _, server := range servers {
			if server.Unready != "" {
				list = append(list, server.Name+": "+server.Unready)
			}
		}
		return list
	}
	if list := held(); list != nil {
		t.Fatalf("all is applied: %q", list)
	}
	for _, step := range []struct {
		name   string
		change func()
	}{
		{"a zone is edited", func() { putZone(t, s, "a.example", "192.0.2.99") }},
		{"and again", func() { putZone(t, s, "a.example", "192.0.2.98") }},
		{"a zone is adopted", func() { must(t, s.Store.AdoptZone(t.Context(), "c.example")) }},
		{"a site is added", func() { addSites(t, s, "d.example") }},
		{"the zones have another template", func() {
			must(t, os.WriteFile(filepath.Join(s.Templates, "default.zone"), []byte("x TXT y\n"), 0o600))
		}},
		{"a zone is not valid", func() { s.Config.DNS.Nameservers = "ns1.a.example" }},
		{"a backup is made", func() {
			must(t, os.WriteFile(filepath.Join(s.Backups, "b"), []byte("x"), 0o600))
			must(t, s.Store.SetBackup(t.Context(), state.Backup{Name: "b", Size: 1, SHA256: "00"}))
		}},
		{"DNS is left alone", func() { s.Config.DNS.Provider = "none" }},
	} {
		before := versions(t, s)
		step.change()
		if versions(t, s) == before {
			t.Errorf("%s: the profiles are the same", step.name)
		}
		if list := held(); list != nil {
			t.Errorf("%s: held out are %q", step.name, list)
		}
	}
	must(t, s.Store.ChangeBalancing(t.Context(), func(setup lb.Setup) (lb.Setup, error) {
		setup.Policies[0].ServerPort = 8080
		return setup, nil
	}))
	if list := held(); len(list) != 2 || list[0] != "web0: its profile is not applied: watch services is pending" {
		t.Errorf("another port is balanced: held out are %q", list)
	}
}

// versions are those of the profiles of the manager and of a node.
func versions(t testing.TB, s *local.Server) [2]string {
	t.Helper()
	known, err := upkeep.Look(t.Context(), s)
	must(t, err)
	own, err := known.Manager()
	must(t, err)
	documents, err := known.Documents()
	must(t, err)
	return [2]string{own.Version(), documents["n0"].Version()}
}

// BenchmarkServers is what the daemon does at every commit, in a cluster with many sites
// and zones.
func BenchmarkServers(b *testing.B) {
	s := newManager(b)
	joinNodes(b, s, 8)
	domains := make([]string, 1000)
	for i := range domains {
		domains[i] = fmt.Sprintf("site%d.example", i)
	}
	addSites(b, s, domains...)
	for _, domain := range domains[:200] {
		putZone(b, s, domain, "192.0.2.99")
	}
	must(b, s.Store.ChangeBalancing(b.Context(), func(setup lb.Setup) (lb.Setup, error) {
		vip := netip.MustParseAddr("192.0.2.80")
		setup.Engine, setup.VIPs = "haproxy", []lb.VIP{{Addr: vip, AddedAt: time.Now()}}
		for _, service := range []lb.Service{{Name: "http", Port: 80}, {Name: "https", Port: 443}, {Name: "smtp", Port: 25}, {Name: "imap", Port: 143}} {
			setup.Policies = append(setup.Policies, lb.NewPolicy(service, vip))
		}
		return setup, nil
	}))
	applies(b, s, 0)
	for b.Loop() {
		servers, err := Servers(b.Context(), s, nil)
		if err != nil || len(servers) != 9 || servers[1].Unready != "" {
			b.Fatal(servers, err)
		}
	}
}

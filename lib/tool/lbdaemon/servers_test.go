package lbdaemon

import (
	"cmp"
	"net/netip"
	"path/filepath"
	"testing"

	"iwx/lib/cluster"
	"iwx/lib/conf"
	"iwx/lib/lb"
	"iwx/lib/nfs"
	"iwx/lib/profile"
	"iwx/lib/queue"
	"iwx/lib/state"
	"iwx/lib/tool/local"
	"iwx/lib/tool/upkeep"
)

func TestUnready(t *testing.T) {
	applied := profile.Result{Kind: "mount", Name: "/srv/iwx", Word: profile.WordApplied}
	failed := profile.Result{Kind: "mount", Name: "/srv/iwx", Word: profile.WordFailed, Error: "no such host"}
	pending := profile.Result{Kind: "vip", Name: "192.0.2.10", Word: profile.WordPending}
	copies := profile.Result{Kind: "backup", Name: "daily", Word: profile.WordFailed, Error: "disk full"}
	removal := failed
	removal.Removal = true
	halted := &cluster.Blocked{Seq: 7, Attempts: 3}
	for _, tt := range []struct {
		name string
		node cluster.Node
		want string
	}{
		{"nothing told", cluster.Node{}, "it has not told of its profile yet"},
		{"applied", with("v2", applied), ""},
		{"a halted queue", cluster.Node{Status: cluster.Status{Word: "halted", Blocked: halted, Profile: with("v2", applied).Status.Profile}}, ""},
		{"an older one", with("v1", applied), "it has not received its newest profile yet"},
		{"a mount that fails", with("v2", applied, failed), "its profile is not applied: mount /srv/iwx: no such host"},
		{"one that waits", with("v2", applied, pending), "its profile is not applied: vip 192.0.2.10 is pending"},
		{"a copy of a backup that fails", with("v2", applied, copies), ""},
		{"what would not go", with("v2", applied, removal), ""},
		{"nothing could be looked at", cluster.Node{Status: cluster.Status{Profile: &profile.Status{Desired: "v2", Error: "locked"}}}, "its profile is not applied: locked"},
	} {
		if got := unready(&tt.node, "v2"); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
	fresh := with("v2", applied)
	fresh.Baseline = &cluster.Progress{Done: 3, Total: 4}
	if got := unready(&fresh, "v2"); got != "it is new, and has replayed 3 of 4 entries of the baseline" {
		t.Error(got)
	}
	fresh.Baseline.Done = 4
	if got := unready(&fresh, "v2"); got != "" {
		t.Error(got)
	}
}

// with is a node that has received a version, and tells of these items. It has
// not reached the version as a whole: a copy of a backup may be in the way.
func with(version string, items ...profile.Result) cluster.Node {
	return cluster.Node{Status: cluster.Status{Profile: &profile.Status{Desired: version, Items: items}}}
}

func TestUnfit(t *testing.T) {
	for _, tt := range []struct {
		mounts []nfs.Health
		want   string
	}{
		{nil, ""},
		{[]nfs.Health{{Path: "/srv/iwx", Word: nfs.Healthy}}, ""},
		{[]nfs.Health{{Path: "/srv/iwx", Word: nfs.Healthy}, {Path: "/srv/mail", Word: nfs.Hung}}, "/srv/mail is hung"},
		{[]nfs.Health{{Path: "/srv/iwx", Word: nfs.Missing, Error: "it is not mounted"}}, "/srv/iwx is missing: it is not mounted"},
	} {
		if got := unfit(tt.mounts); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

// TestManagerIsAMember: it is held to its profile and its mounts as a node is, but
// for what it exports, which is a directory of its own.
func TestManagerIsAMember(t *testing.T) {
	export := profile.Result{Kind: nfs.KindExport, Name: "/srv/iwx", Word: profile.WordFailed, Error: "nfs-server is not installed"}
	mount := profile.Result{Kind: nfs.KindMount, Name: "/srv/iwx", Word: profile.WordFailed, Error: "no such host"}
	hung := []nfs.Health{{Path: "/srv/iwx", Word: nfs.Hung}}
	outside := conf.Default()
	outside.Storage.Server = "nas.example"
	for _, tt := range []struct {
		name           string
		config         conf.Config
		version        string // that it has received; "": the newest
		told           []profile.Result
		mounts         []nfs.Health
		unready, unfit string
	}{
		{name: "it exports", config: conf.Default()},
		{name: "it exports, and that fails", config: conf.Default(), told: []profile.Result{export}},
		{name: "it has mounted", config: outside},
		{name: "it has not looked yet", config: outside, version: "older", unready: "it has not received its newest profile yet"},
		{name: "it cannot mount", config: outside, told: []profile.Result{mount}, unready: "its profile is not applied: mount /srv/iwx: no such host"},
		{name: "its mount hangs", config: outside, mounts: hung, unfit: "/srv/iwx is hung"},
	} {
		c := &upkeep.Cluster{Identity: &cluster.Identity{Name: "mgr", ClusterID: "00c1", Address: netip.MustParseAddr("192.0.2.1")}, Config: tt.config}
		doc, err := c.Manager()
		if err != nil {
			t.Fatal(err)
		}
		saved := &profile.Saved{Desired: profile.Revision{Version: cmp.Or(tt.version, doc.Version())}, Status: profile.Status{Items: tt.told}}
		got, err := manager(c, saved, tt.mounts)
		if err != nil || got.Unready != tt.unready || got.Unfit != tt.unfit || !got.Manager || got.ID != lb.ManagerID || got.Name != "mgr" {
			t.Errorf("%s: %+v, %v", tt.name, got, err)
		}
	}
}

// TestManagerWithoutNeeds: where nothing is needed of it, nothing has to be applied.
func TestManagerWithoutNeeds(t *testing.T) {
	c := &upkeep.Cluster{Identity: &cluster.Identity{Name: "mgr"}, Config: conf.Default(), Own: true}
	if got, err := manager(c, &profile.Saved{}, nil); err != nil || got.Unready != "" || got.Unfit != "" {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestNewNodeWaitsForItsBaseline holds that a node is not balanced to before it
// has replayed what was kept for those who join, sites among it, whatever else of
// it is as it should be.
func TestNewNodeWaitsForItsBaseline(t *testing.T) {
	ctx := t.Context()
	store, err := state.Create(ctx, filepath.Join(t.TempDir(), "state.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if err := store.SetIdentity(ctx, &cluster.Identity{ClusterID: "c", ClusterName: "demo", Role: cluster.RoleManager, NodeID: "m", Name: "mgr"}); err != nil {
		t.Fatal(err)
	}
	baseline := state.Draft{Kind: queue.KindCommand, Targets: queue.Targets{Scope: queue.ScopeBaseline}, Body: []byte("{}")}
	others := state.Draft{Kind: queue.KindCommand, Targets: queue.Members(), Body: []byte("{}")}
	if _, err := store.Append(ctx, baseline, others, baseline, others); err != nil {
		t.Fatal(err)
	}
	doc := profile.Document{}
	for done, want := range map[uint64]string{
		0: "it is new, and has replayed 0 of 2 entries of the baseline",
		2: "it is new, and has replayed 1 of 2 entries of the baseline",
		3: "", 4: "",
	} {
		n := with(doc.Version())
		n.ID, n.Name, n.Membership, n.Start, n.Status.Done = "n1", "web1", cluster.Member, 5, done
		server, err := member(ctx, &local.Server{Store: store}, &n, doc)
		if err != nil || server == nil || server.Unready != want {
			t.Errorf("done with %d: %+v, %v, want %q", done, server, err, want)
		}
	}
}

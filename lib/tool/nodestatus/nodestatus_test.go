package nodestatus

import (
	"testing"
	"time"

	"iwx/lib/cluster"
	"iwx/lib/nfs"
	"iwx/lib/site"
)

func row(name, word string) Row {
	now := time.Unix(1, 0)
	return Row{Node: cluster.Node{Name: name, Membership: cluster.Member, LastSeen: now, Status: cluster.Status{Word: word}}}
}

func TestVerdict(t *testing.T) {
	silent := row("web9", "halted")
	silent.SilentSince = time.Unix(2, 0)
	tests := []struct {
		rows []Row
		want string
	}{
		{nil, "no nodes yet: iwx-node add NAME invites one"},
		{[]Row{row("web1", "current")}, "1 node: current"},
		{[]Row{row("web1", "current"), row("web2", "current")}, "2 nodes: current"},
		{[]Row{row("web1", "current"), row("web2", "replaying")}, "2 nodes: 1 current, 1 replaying"},
		{[]Row{row("web1", "halted")}, "1 node: 1 halted (web1)"},
		{[]Row{row("web1", "paused"), row("web2", "current"), silent, row("web3", "halted"), row("web4", "halted")},
			"5 nodes: 2 halted (web3, web4), 1 unreachable (web9), 1 paused (web1), 1 current"},
		{[]Row{row("a", "diverged"), row("b", "diverged"), row("c", "diverged"), row("d", "diverged"), row("e", "diverged"), row("f", "diverged")},
			"6 nodes: 6 diverged (a, b, c, d and 2 more)"},
	}
	for _, tt := range tests {
		if got := Verdict(tt.rows); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}

// TestGrave holds that a word which nobody has thought of is looked into.
func TestGrave(t *testing.T) {
	for word, want := range map[string]bool{
		"current": false, "replaying": false, "paused": false, "leaving": false,
		"halted": true, "unknown outcome": true, "unreachable": true, "diverged": true, "rewound": true,
		"needs resync": true, "needs upgrade": true, "": true, "new word": true,
	} {
		if Grave(word) != want {
			t.Errorf("Grave(%q) is %v", word, !want)
		}
	}
}

// TestStorage holds that mounts which are not healthy are told, and those of a
// silent node are not: nobody knows.
func TestStorage(t *testing.T) {
	hung := row("web1", "current")
	hung.Status.Mounts = []nfs.Health{{Path: "/srv/a", Word: nfs.Missing, Error: "it is not mounted"}, {Path: "/srv/b", Word: nfs.Hung}}
	healthy := row("web2", "current")
	healthy.Status.Mounts = []nfs.Health{{Path: "/srv/b", Word: nfs.Healthy}}
	silent := hung
	silent.Name, silent.SilentSince = "web3", time.Unix(2, 0)
	if got, want := Verdict([]Row{hung, healthy, silent}), "3 nodes: 1 unreachable (web3), 2 current; storage not healthy on web1"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := hung.trouble(); got != "storage: /srv/b is hung" {
		t.Errorf("trouble %q", got)
	}
	if got := StorageTrouble(hung.Status.Mounts[:1]); got != "storage: /srv/a is missing: it is not mounted" {
		t.Errorf("trouble %q", got)
	}
	if healthy.storage() != nil || StorageMark(nil) != nil || StorageTrouble(healthy.Status.Mounts) != "" {
		t.Errorf("told of healthy storage: %v", healthy.storage())
	}
	if hint(&hung.Node) != storageHint {
		t.Errorf("hint %q", hint(&hung.Node))
	}
}

// TestSites holds that sites which are amiss are told, the queue's and the
// storage's troubles first, and those of a silent node are not: nobody knows.
func TestSites(t *testing.T) {
	amiss := row("web1", "current")
	amiss.Status.Sites = &site.Report{Faults: []site.Fault{{Domain: "a.example", What: "user a is missing"}}}
	fine := row("web2", "current")
	fine.Status.Sites = &site.Report{Sites: 1}
	unknown := row("web4", "current")
	unknown.Status.Sites = &site.Report{Error: "it took too long"}
	silent := amiss
	silent.Name, silent.SilentSince = "web3", time.Unix(2, 0)
	if got, want := Verdict([]Row{amiss, fine, silent, unknown}), "4 nodes: 1 unreachable (web3), 3 current; sites amiss on web1, web4"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	for r, want := range map[*Row]string{&amiss: "sites: a.example: user a is missing", &fine: "", &silent: "", &unknown: "sites: it took too long"} {
		if got := r.trouble(); got != want {
			t.Errorf("trouble of %s: %q", r.Name, got)
		}
	}
	if fine.sites() != nil || SitesMark(nil) != nil || SitesMark(&site.Report{}) != nil || SitesMark(fine.Status.Sites) == nil {
		t.Error("a node without sites, or with good ones")
	}
	if got := hint(&amiss.Node); got != "iwx-site check --node web1" {
		t.Errorf("hint %q", got)
	}
	more := amiss
	more.Status.Sites = &site.Report{Faults: amiss.Status.Sites.Faults, More: 2}
	more.Status.Mounts = []nfs.Health{{Path: "/srv/b", Word: nfs.Hung}}
	if got := more.trouble(); got != "storage: /srv/b is hung" || hint(&more.Node) != storageHint {
		t.Errorf("trouble %q", got)
	}
	if got := SitesItems(more.Status.Sites); got.Text != "a.example: user a is missing\nand 2 more" {
		t.Errorf("%q", got.Text)
	}
}

package nodestatus

import (
	"net/netip"
	"slices"
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
		"current": false, "replaying": false, "fetching": false, "waiting": false, "paused": false, "leaving": false,
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
	if got := hung.Trouble(); got != "storage: /srv/b is hung" {
		t.Errorf("trouble %q", got)
	}
	if got := StorageTrouble(hung.Status.Mounts[:1]); got != "storage: /srv/a is missing: it is not mounted" {
		t.Errorf("trouble %q", got)
	}
	if healthy.storage() != nil || StorageMark(nil) != nil || StorageTrouble(healthy.Status.Mounts) != "" {
		t.Errorf("told of healthy storage: %v", healthy.storage())
	}
	if got := hints([]Row{hung}); !slices.Equal(got, []string{storageHint}) {
		t.Errorf("hints %q", got)
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
		if got := r.Trouble(); got != want {
			t.Errorf("trouble of %s: %q", r.Name, got)
		}
	}
	if fine.sites() != nil || SitesMark(nil) != nil || SitesMark(&site.Report{}) != nil || SitesMark(fine.Status.Sites) == nil {
		t.Error("a node without sites, or with good ones")
	}
	if got := hints([]Row{amiss}); !slices.Equal(got, []string{"iwx-site check --node web1"}) {
		t.Errorf("hints %q", got)
	}
	more := amiss
	more.Status.Sites = &site.Report{Faults: amiss.Status.Sites.Faults, More: 2}
	more.Status.Mounts = []nfs.Health{{Path: "/srv/b", Word: nfs.Hung}}
	if got := more.Trouble(); got != "storage: /srv/b is hung" || !slices.Equal(hints([]Row{more}), []string{storageHint}) {
		t.Errorf("trouble %q", got)
	}
	if got := SitesItems(more.Status.Sites); got.Text != "a.example: user a is missing\nand 2 more" {
		t.Errorf("%q", got.Text)
	}
}

func blocked(name, word string, seq uint64) Row {
	r := row(name, word)
	r.Status.Blocked = &cluster.Blocked{Seq: seq, Attempts: 1, Error: "no luck"}
	return r
}

// TestHints: every node with a problem has a hint, the most severe first, and
// nodes with the same problem share one.
func TestHints(t *testing.T) {
	silent := row("web9", "current")
	silent.SilentSince = time.Unix(2, 0)
	stuck := row("web8", "halted")
	stuck.Status.Blocked = &cluster.Blocked{Seq: 3, Error: "disk full"}
	many := []Row{row("ok", "current")}
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		r := silent
		r.Name = name
		many = append(many, r)
	}
	unknown := "look on web3 how far entry 5 came; then iwx-queue done web3, or iwx-queue retry web3, or iwx-queue skip web3"
	for name, tt := range map[string]struct {
		rows []Row
		want []string
	}{
		"none":          {[]Row{row("web1", "current"), row("web2", "paused"), row("web4", "replaying")}, nil},
		"two":           {[]Row{blocked("web1", "halted", 5), row("web2", "current"), blocked("web4", "halted", 5)}, []string{"iwx-queue show 5; then fix the cause, or iwx-queue retry web1 web4, or iwx-queue skip NAME"}},
		"apart":         {[]Row{blocked("web1", "halted", 5), blocked("web4", "halted", 6)}, []string{"iwx-queue show 5; then fix the cause, or iwx-queue retry web1, or iwx-queue skip web1", "iwx-queue show 6; then fix the cause, or iwx-queue retry web4, or iwx-queue skip web4"}},
		"gravest first": {[]Row{silent, stuck, blocked("web3", "unknown outcome", 5)}, []string{unknown, "on web8: journalctl -u iwx-queued", "on web9: iwx-cluster-setup status"}},
		"diverged":      {[]Row{row("web1", "diverged"), row("web2", "rewound")}, []string{"take back the lost entries from web1: iwx-queue recover; or give them up: iwx-queue accept web1", "take back the lost entries from web2: iwx-queue recover; or give them up: iwx-queue accept web2"}},
		"all of them":   {many, []string{"on NAME: iwx-cluster-setup status"}},
	} {
		if got := hints(tt.rows); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
	var apart []Row
	for i := range 9 {
		apart = append(apart, blocked("web"+string(rune('1'+i)), "halted", uint64(i+1)))
	}
	if got := hints(apart); len(got) != mostHints+1 || got[mostHints] != "and 3 more; each node has its own: iwx-node status NAME" {
		t.Errorf("%q", got)
	}
}

// TestFetch: a node that lacks an entry is not current, and is reported only
// after a while.
func TestFetch(t *testing.T) {
	now := time.Unix(10000, 0)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	for name, tt := range map[string]struct {
		word                   string
		queued, joined, heard  time.Duration // ago
		began                  time.Duration
		state, trouble, advice string
	}{
		"on its way":         {"current", time.Second, time.Hour, time.Hour, time.Hour, "current", "", ""},
		"for a while":        {"current", 90 * time.Second, time.Hour, time.Hour, time.Hour, "fetching", "has not fetched entry 8 for 1m", ""},
		"while it replays":   {"replaying", 90 * time.Second, time.Hour, time.Hour, time.Hour, "fetching", "has not fetched entry 8 for 1m", ""},
		"too long":           {"current", 2 * time.Minute, time.Hour, time.Hour, time.Hour, "fetching", "has not fetched entry 8 for 2m", "on web1: iwx-cluster-setup status"},
		"it is new":          {"current", time.Hour, time.Second, time.Second, time.Hour, "current", "", ""},
		"it is back":         {"current", time.Hour, time.Hour, 4 * time.Second, time.Hour, "current", "", ""},
		"the manager is new": {"current", time.Hour, time.Hour, time.Hour, time.Second, "current", "", ""},
		"halted besides":     {"halted", time.Hour, time.Hour, time.Hour, time.Hour, "halted", "", "on web1: journalctl -u iwx-queued"},
		"paused besides":     {"paused", time.Hour, time.Hour, time.Hour, time.Hour, "paused", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := row("web1", tt.word)
			r.JoinedAt, r.HeardSince, r.LastSeen = ago(tt.joined), ago(tt.heard), now
			r.Fetch = fetch(&r.Node, 8, ago(tt.queued), ago(tt.began), now)
			advice := ""
			if list := hints([]Row{r}); len(list) > 0 {
				advice = list[0]
			}
			if got := r.Word(); got != tt.state || r.Trouble() != tt.trouble || advice != tt.advice {
				t.Errorf("%s, %q, hint %q; want %s, %q, %q", got, r.Trouble(), advice, tt.state, tt.trouble, tt.advice)
			}
		})
	}
}

// TestWaiting: a node that waits for its turn is not replaying.
func TestWaiting(t *testing.T) {
	r, old, busy := row("web1", "replaying"), row("web2", "replaying"), row("web3", "paused")
	r.Status.Held, busy.Status.Held = 5, 5
	if got, want := Verdict([]Row{r, old, busy, blocked("web4", "halted", 5)}), "4 nodes: 1 halted (web4), 1 paused (web3), 1 waiting (web1), 1 replaying"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if r.Trouble() != "waits for its turn at entry 5" || old.Trouble() != "" || hints([]Row{r, old, busy}) != nil {
		t.Errorf("%q, %q", r.Trouble(), hints([]Row{r, old, busy}))
	}
}

// TestDisplaced: a node that is not at its address is reported with both
// addresses, after any problem of its queue.
func TestDisplaced(t *testing.T) {
	r := row("web1", "current")
	r.Address, r.Connects = netip.MustParseAddr("10.91.0.11"), netip.MustParseAddr("10.91.0.77")
	if r.Trouble() != "" || hints([]Row{r}) != nil {
		t.Error("nobody has said that it matters")
	}
	r.Displaced = true
	halted := blocked("web2", "halted", 5)
	halted.Displaced, halted.Address, halted.Connects = true, r.Address, r.Connects
	if got := r.Trouble(); got != "connects from 10.91.0.77, not from its address 10.91.0.11" {
		t.Errorf("trouble %q", got)
	}
	if got, want := Verdict([]Row{r, halted}), "2 nodes: 1 halted (web2), 1 current; not at its address: web1, web2"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	want := []string{"iwx-queue show 5; then fix the cause, or iwx-queue retry web2, or iwx-queue skip web2",
		"if web1 has moved there: iwx-node edit web1 --address 10.91.0.77; if not, find out who uses its certificate: iwx-node show web1"}
	if got := hints([]Row{r, halted}); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestBackAndNotConnected: a node at an older state is reported with a hint, and a node
// that has not connected since a restore does not have its state from the backup.
func TestBackAndNotConnected(t *testing.T) {
	back := row("web1", "current")
	back.Status.Done, back.WentBack = 42, &cluster.WentBack{From: 42, To: 40, At: 60_000}
	back.now = time.UnixMilli(180_000)
	if got, want := back.Trouble(), "went back from entry 42 to 40 2m ago and repeats the entries after it"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := Verdict([]Row{back, row("web2", "current")}), "2 nodes: current; went back to an older state: web1"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := hints([]Row{back}); !slices.Equal(got, []string{back.BackHint()}) {
		t.Errorf("hints %q", got)
	}
	back.now = time.UnixMilli(60_000).Add(25 * time.Hour)
	if back.Trouble() != "" || back.Back() != "" {
		t.Errorf("after a day: %q", back.Trouble())
	}
	absent := row("web3", "")
	absent.Awaited, absent.SilentSince = 4, time.Unix(2, 0)
	absent.Status.Blocked = &cluster.Blocked{Seq: 3, Error: "as the backup has it"}
	if got := absent.Word() + ": " + absent.Trouble(); got != "unreachable: has not connected since this manager was restored" {
		t.Error(got)
	}
}

package sitetool

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"iwx/lib/cli"
	"iwx/lib/cluster"
	"iwx/lib/site"
	"iwx/lib/state"
)

var errTest = errors.New("no")

// node is a member that has just reported its sites.
func node(word string, r *site.Report) cluster.Node {
	return cluster.Node{
		Name: "web1", Membership: cluster.Member, LastSeen: time.Unix(1, 0),
		Status: cluster.Status{Word: word, Version: "0.9", Sites: r},
	}
}

func TestJudge(t *testing.T) {
	now := time.Unix(100, 0)
	q := &inquiry{c: &cli.Context{Now: func() time.Time { return now }}, timeout: 10 * time.Second}
	w := wanted{last: 7, digest: "cafe"}
	report := func(change func(*site.Report)) *site.Report {
		r := &site.Report{Seen: 3, Done: 7, Digest: "cafe"}
		change(r)
		return r
	}
	silent := node("current", report(func(*site.Report) {}))
	silent.SilentSince = time.Unix(40, 0)
	changing := w
	changing.digest = ""
	skipped := func(r *site.Report) { r.Digest = "beef" }
	for _, tt := range []struct {
		what       string
		node       cluster.Node
		want       wanted
		state, why string
		pending    bool
	}{
		{"good", node("current", report(func(*site.Report) {})), w, stateGood, "", false},
		{"asked later by another", node("current", report(func(r *site.Report) { r.Seen = 9 })), w, stateGood, "", false},
		{"amiss", node("current", report(func(r *site.Report) { r.Add(site.Fault{What: "x"}) })), w, stateAmiss, "", false},
		{"skipped", node("current", report(skipped)), w, stateAmiss, "its sites differ from the manager's: an entry was skipped, or marked as done", false},
		{"changed meanwhile", node("current", report(skipped)), changing, stateGood, "", false},
		{"behind", node("halted", report(func(r *site.Report) { r.Done, r.Digest = 6, "beef" })), w, stateBehind, "it is halted, and done with entry 6 of 7", false},
		{"behind, and amiss", node("halted", report(func(r *site.Report) { r.Done = 6; r.Add(site.Fault{What: "x"}) })), w, stateBehind, "it is halted, and done with entry 6 of 7", false},
		{"could not look", node("current", report(func(r *site.Report) { r.Fail(errTest); r.Done = 0 })), w, stateUnknown, "no", false},
		{"has not answered", node("current", report(func(r *site.Report) { r.Seen = 2 })), w, stateSilent, "it has not answered within 10s", true},
		{"has just begun", node("current", &site.Report{}), w, stateSilent, "it has not answered within 10s", true},
		{"of an older version", node("current", nil), w, stateOld, "its version of iwx, 0.9, cannot look at its sites", false},
		{"unreachable", silent, w, stateUnreachable, "it has been silent for 1m", false},
	} {
		a := q.judge(&tt.node, 3, tt.want)
		if a.state != tt.state || a.why != tt.why || a.node == nil {
			t.Errorf("%s: %s, %q", tt.what, a.state, a.why)
		}
		if got := pending(&tt.node, 3); got != tt.pending {
			t.Errorf("%s: waited for: %v", tt.what, got)
		}
		if rows := faultRows([]answer{a}); (len(rows) == 0) != (tt.state == stateGood) {
			t.Errorf("%s: rows %+v", tt.what, rows)
		}
	}
}

// TestReportOfANeighbour holds that a report of the next version is read, and
// that one of this version says to it what it says here.
func TestReportOfANeighbour(t *testing.T) {
	var s cluster.Status
	text := `{"word":"current","sites":{"seen":3,"done":7,"digest":"cafe","tone":"new","faults":[{"what":"x","new":1}]}}`
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		t.Fatal(err)
	}
	n := node(s.Word, s.Sites)
	q := &inquiry{c: &cli.Context{Now: time.Now}}
	if a := q.judge(&n, 3, wanted{last: 7, digest: "cafe"}); a.state != stateAmiss || a.amiss() != 1 {
		t.Errorf("%+v", a)
	}
	empty, err := json.Marshal(cluster.Status{Sites: &site.Report{}})
	if err != nil {
		t.Fatal(err)
	}
	s = cluster.Status{}
	if err := json.Unmarshal(empty, &s); err != nil || s.Sites == nil {
		t.Errorf("%s: a node that has not looked yet is taken for one that cannot: %v", empty, err)
	}
}

func TestNarrow(t *testing.T) {
	r := &site.Report{}
	r.Add(site.Fault{Domain: "a.example", What: "x"})
	a := judgeReport("web1", r)
	a.narrow("a.example")
	if a.state != stateAmiss || a.amiss() != 1 {
		t.Errorf("%+v", a)
	}
	a.narrow("b.example")
	if a.state != stateGood || a.amiss() != 0 || len(r.Faults) != 1 {
		t.Errorf("%+v, %+v", a, r)
	}
	for range site.MostFaults {
		r.Add(site.Fault{Domain: "c.example", What: "x"})
	}
	a = judgeReport("web1", r)
	a.narrow("b.example")
	if rows := faultRows([]answer{a}); a.state != stateAmiss || len(rows) != 1 || rows[0].fault != "and 1 more" {
		t.Errorf("what was not listed may be of the site: %s, %+v", a.state, rows)
	}
}

func TestVerdict(t *testing.T) {
	list := []answer{{server: "mgr", state: stateGood}, {server: "web1", state: stateGood}}
	if got := verdict(list); got != "2 servers: good" {
		t.Error(got)
	}
	list = append(list, answer{server: "web2", state: stateBehind}, answer{server: "web3", state: stateAmiss, why: "skipped"}, answer{server: "web4", state: stateAmiss, report: &site.Report{Faults: []site.Fault{{Stays: true}, {}}}})
	if got := verdict(list); got != "5 servers: 2 amiss (web3, web4), 1 behind (web2), 2 good" {
		t.Error(got)
	}
	for _, tt := range []struct {
		list []answer
		want string
	}{
		{list, "iwx-site sync web3 web4"},
		{list[:3], "iwx-node status"},
		{[]answer{{server: "web2", state: stateAmiss, report: &site.Report{Faults: []site.Fault{{Stays: true}}}}}, "iwx-site sync does not fix these faults: fix them on the server itself"},
		{[]answer{{server: "web2", state: stateOld}}, "install this version of iwx on web2"},
		{[]answer{{server: "web2", state: stateSilent}}, "iwx-site check --timeout 1m"},
		{[]answer{{server: "web2", state: stateAmiss, report: &site.Report{Faults: []site.Fault{{Foreign: true}}}}},
			"an account on web2 is not the site's: rename it, or give it another id; then, on the manager: iwx-site sync web2"},
	} {
		if got := advice(tt.list, true); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
	if got := advice(list[3:4], false); got != "on the manager: iwx-site sync web3" {
		t.Error(got)
	}
}

func TestWant(t *testing.T) {
	rows := []state.SiteRow{
		{Spec: site.Spec{Site: site.Site{Domain: "a.example"}}, Seq: 3},
		{Spec: site.Spec{Site: site.Site{Domain: "b.example"}, Gone: true}, Seq: 5},
	}
	w := want(rows)
	if w.last != 5 || w.digest != site.Digest([]site.Spec{rows[0].Spec}) {
		t.Errorf("%+v", w)
	}
	if w := want(nil); w.last != 0 || w.digest == "" {
		t.Errorf("%+v", w)
	}
}

// TestStatesAreNamed holds that a verdict leaves none out.
func TestStatesAreNamed(t *testing.T) {
	for _, word := range []string{stateAmiss, stateUnknown, stateBehind, stateSilent, stateUnreachable, stateOld} {
		if !slices.Contains(states(), word) {
			t.Errorf("%q is missing", word)
		}
	}
}

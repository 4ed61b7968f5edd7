package balancing

import (
	"bytes"
	"context"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"iwx/lib/cli"
	"iwx/lib/cluster"
	"iwx/lib/control"
	"iwx/lib/fault"
	"iwx/lib/health"
	"iwx/lib/host"
	"iwx/lib/lb"
	"iwx/lib/profile"
	"iwx/lib/queue"
	"iwx/lib/state"
)

// rig is a manager below a root of its own, with the nodes web1 and web2, whose
// ids are "id-web1" and "id-web2", and a daemon that reports what the test says.
type rig struct {
	*testing.T
	*Manager
	c      *cli.Context
	stderr bytes.Buffer
}

func newRig(t *testing.T) *rig {
	t.Helper()
	t.Setenv("SUDO_USER", "ada")
	paths := host.At(t.TempDir())
	for _, dir := range []string{paths.Lib, paths.Run, paths.Balance} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	store, err := state.Create(t.Context(), paths.State)
	if err != nil {
		t.Fatal(err)
	}
	err = store.SetIdentity(t.Context(), &cluster.Identity{Role: cluster.RoleManager, ClusterID: "00c1", ClusterName: "alpha", Name: "mgr",
		Manager: netip.MustParseAddrPort("192.0.2.1:2480"), SetupAt: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"web1", "web2"} {
		join(t, store, name)
	}
	store.Close()
	r := &rig{T: t}
	r.c = &cli.Context{Context: t.Context(), Tool: "iwx-lb", Root: paths.Root, Stderr: &r.stderr, Stdout: &r.stderr, Now: time.Now, Getenv: os.Getenv}
	if r.Manager, err = Open(r.c); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func join(t *testing.T, store *state.Store, name string) {
	t.Helper()
	token := &cluster.Token{ID: "t-" + name, Name: name, Hash: []byte{1}, From: cluster.FromNow, CreatedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour)}
	if err := store.AddToken(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	err := store.Admit(t.Context(), token.ID, func(token *cluster.Token, _ []cluster.Node, head uint64) ([]cluster.Node, error) {
		token.UsedAt, token.NodeID = time.Now(), "id-"+name
		return []cluster.Node{{ID: "id-" + name, Name: name, Membership: cluster.Member, MachineID: name, Start: head + 1, JoinedAt: time.Now()}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// said is what the tool has said since it was last asked for.
func (r *rig) said() string {
	text := strings.TrimSpace(r.stderr.String())
	r.stderr.Reset()
	return text
}

// drains are the drains in the state: "id-web1 http", with a * for one of an entry.
func (r *rig) drains() (list []string) {
	r.Helper()
	setup, err := r.Store.Balancing(r.Context())
	if err != nil {
		r.Fatal(err)
	}
	for _, d := range setup.Drains {
		text := strings.TrimSpace(d.Server + " " + d.Service)
		if d.Entry > 0 {
			text += "*"
		}
		list = append(list, text)
	}
	return list
}

// Context has the test's win over that of the embedded ones.
func (r *rig) Context() context.Context { return r.T.Context() }

// rolls has an entry that rolls drain a node for its turn.
func (r *rig) rolls(node string) {
	r.Helper()
	body, err := (&queue.Command{Argv: []string{"true"}}).Encode()
	if err != nil {
		r.Fatal(err)
	}
	op, err := r.Store.Append(r.Context(), state.Draft{Kind: queue.KindCommand, Body: body, Targets: queue.Targets{Scope: queue.ScopeMembers, Rolling: 1}})
	if err != nil {
		r.Fatal(err)
	}
	turn := cluster.Turn{Node: node, Stage: cluster.Draining, Since: time.Now(), Drained: true}
	if err := r.Store.SaveRoll(r.Context(), op.Seq, []cluster.Turn{turn}, false); err != nil {
		r.Fatal(err)
	}
}

// TestDrain drains and undrains, each twice; each step has what it says and the
// drains that there are then.
func TestDrain(t *testing.T) {
	r := newRig(t)
	all, some := Drain{Node: "web1"}, Drain{Node: "web1", Services: []string{"http", "imap"}}
	steps := []struct {
		do     func() error
		said   string
		drains string
	}{
		{func() error { return some.Begin(r.c, r.Manager) }, "http, imap on web1: gets no new connections", "id-web1 http, id-web1 imap"},
		{func() error { return some.Begin(r.c, r.Manager) }, "http, imap on web1: drained already; nothing changed", "id-web1 http, id-web1 imap"},
		{func() error { return all.Begin(r.c, r.Manager) }, "web1: gets no new connections", "id-web1, id-web1 http, id-web1 imap"},
		{func() error { return all.End(r.c, r.Manager) }, "web1: gets new connections again", ""},
		{func() error { return all.End(r.c, r.Manager) }, "web1: not drained; nothing changed", ""},
		{func() error { return some.Begin(r.c, r.Manager) }, "http, imap on web1: gets no new connections", "id-web1 http, id-web1 imap"},
		{func() error { return Drain{Node: "web1", Services: []string{"imap"}}.End(r.c, r.Manager) }, "imap on web1: gets new connections again", "id-web1 http"},
	}
	for i, s := range steps {
		if err := s.do(); err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
		if said, drains := r.said(), strings.Join(r.drains(), ", "); said != s.said || drains != s.drains {
			t.Errorf("step %d: said %q; drained are %q", i, said, drains)
		}
	}
	err := Drain{Node: "web9"}.Begin(r.c, r.Manager)
	if err == nil || fault.HintOf(err) != "the servers are mgr, web1, web2" {
		t.Errorf("a server that is none: %v; %s", err, fault.HintOf(err))
	}
}

// TestDrainBesideTurn: an administrator's drain stands beside one for a node's
// turn, and an undrain ends both.
func TestDrainBesideTurn(t *testing.T) {
	r := newRig(t)
	r.rolls("id-web1")
	all, http := Drain{Node: "web1"}, Drain{Node: "web1", Services: []string{"http"}}
	if err := http.End(r.c, r.Manager); err == nil || fault.HintOf(err) != "iwx-lb undrain web1" {
		t.Errorf("a part of it: %v; %s", err, fault.HintOf(err))
	}
	if err := all.Begin(r.c, r.Manager); err != nil || !strings.HasSuffix(r.said(), "web1: gets no new connections") {
		t.Error(err)
	}
	if got := r.drains(); !slices.Equal(got, []string{"id-web1", "id-web1*"}) {
		t.Errorf("drained are %q", got)
	}
	if err := all.End(r.c, r.Manager); err != nil || r.drains() != nil {
		t.Errorf("%v; drained are %q", err, r.drains())
	}
}

// teller is a daemon that reports one thing after the other, and the last for
// good.
type teller struct {
	mu      sync.Mutex
	reports []lb.Report
}

func (d *teller) Report(context.Context) lb.Report {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.reports[0]
	if len(d.reports) > 1 {
		d.reports = d.reports[1:]
	}
	return now
}

func (*teller) Hear(string, health.Pulse) {}

// tells has a daemon run that reports so.
func (r *rig) tells(reports ...lb.Report) {
	ctx, end := context.WithCancel(r.Context())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- control.Serve(ctx, r.Balance, &teller{reports: reports}, slog.New(slog.DiscardHandler), func() { close(ready) })
	}()
	select {
	case <-ready:
	case err := <-ended:
		r.Fatal(err)
	}
	r.Cleanup(func() {
		end()
		if err := <-ended; err != nil {
			r.Error(err)
		}
	})
}

// holding is a report of one service, http, in which web1 is as m says.
func holding(m lb.MemberReport) lb.Report {
	m.Server, m.Name = "id-web1", "web1"
	policy := lb.NewPolicy(lb.Service{Name: "http", Port: 80}, netip.MustParseAddr("192.0.2.80"))
	other := lb.MemberReport{Server: "id-web2", Name: "web2", In: true, Weight: 100, Active: 7}
	return lb.Report{Services: []lb.ServiceReport{{Policy: policy, Members: []lb.MemberReport{m, other}}}}
}

// TestWait: it is over when the engine has seen the drain and no connection is
// left.
func TestWait(t *testing.T) {
	r := newRig(t)
	r.tells(
		holding(lb.MemberReport{In: true, Weight: 100}),
		holding(lb.MemberReport{In: true, Weight: 100, Draining: true}),
		holding(lb.MemberReport{In: true, Draining: true, Active: 2}),
		holding(lb.MemberReport{In: true, Draining: true}),
	)
	if err := (Drain{Node: "web1"}).Wait(r.c, r.Manager, 20*time.Second); err != nil {
		t.Fatal(err)
	}
	if said := r.said(); !strings.HasSuffix(said, "web1: no connection is left") {
		t.Errorf("said %q", said)
	}
}

func TestWaitInVain(t *testing.T) {
	r := newRig(t)
	r.tells(holding(lb.MemberReport{In: true, Draining: true, Active: 2}))
	err := Drain{Node: "web1", Services: []string{"http"}}.Wait(r.c, r.Manager, 100*time.Millisecond)
	want := "http on web1 still has connections: http on 192.0.2.80: 2; it stays drained"
	if fault.CodeOf(err) != fault.TimedOut || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("got %v", err)
	}
}

func TestWaitForNobody(t *testing.T) {
	r := newRig(t)
	err := Drain{Node: "web1"}.Wait(r.c, r.Manager, time.Second)
	if fault.CodeOf(err) != fault.Busy || !strings.HasPrefix(fault.HintOf(err), "start it: iwx-lb --root ") {
		t.Errorf("got %v; %s", err, fault.HintOf(err))
	}
}

// TestLeft has what a drain goes by.
func TestLeft(t *testing.T) {
	standby := holding(lb.MemberReport{Manager: true, In: true, Weight: 100, Draining: true, Active: 5})
	standby.Services[0].Standby = "manager"
	external := holding(lb.MemberReport{In: true, Weight: 100, Draining: true})
	external.External = true
	blind := holding(lb.MemberReport{In: true, Draining: true})
	blind.Blind = true
	for name, tt := range map[string]struct {
		report   lb.Report
		services []string
		left     string
		seen     bool
	}{
		"not seen by the daemon":            {holding(lb.MemberReport{In: true}), nil, "", false},
		"not seen by the engine":            {holding(lb.MemberReport{In: true, Weight: 100, Draining: true}), nil, "", false},
		"connections":                       {holding(lb.MemberReport{In: true, Draining: true, Active: 1, Other: 4}), nil, "http on 192.0.2.80: 1", true},
		"none":                              {holding(lb.MemberReport{In: true, Draining: true, Other: 4}), nil, "", true},
		"taken out":                         {holding(lb.MemberReport{Draining: true}), nil, "", true},
		"another service":                   {holding(lb.MemberReport{In: true, Weight: 100, Active: 1}), []string{"imap"}, "", true},
		"the manager as the fallback":       {standby, nil, "", true},
		"somebody else's balancer":          {external, nil, "", true},
		"the engine does not tell":          {blind, nil, "", false},
		"no service that the server is for": {lb.Report{}, nil, "", true},
	} {
		left, seen := Drain{Services: tt.services}.left(&tt.report, "id-web1")
		if strings.Join(left, ", ") != tt.left || seen != tt.seen {
			t.Errorf("%s: left %q, seen %v", name, left, seen)
		}
	}
}

// TestLacks has what is waited for of a server's profile.
func TestLacks(t *testing.T) {
	item := func(kind, spec string) profile.Item {
		made, err := profile.Make(kind, "192.0.2.80", spec)
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
	result := func(i profile.Item, word, text string) profile.Result {
		return profile.Result{Kind: i.Kind, Name: i.Name, Digest: i.Digest(), Word: word, Error: text}
	}
	held, other, answers, mount := item("vip", "1"), item("vip", "2"), item("endpoint", "1"), item("mount", "1")
	removal := result(held, profile.WordPending, "")
	removal.Removal, removal.Digest = true, ""
	for name, tt := range map[string]struct {
		desired  []profile.Item
		reported []profile.Result
		want     string
	}{
		"nothing is reported":       {[]profile.Item{held, mount}, nil, "web1: vip 192.0.2.80"},
		"nothing to do":             {nil, nil, ""},
		"nothing of balancing":      {[]profile.Item{mount}, nil, ""},
		"held":                      {[]profile.Item{held}, []profile.Result{result(held, profile.WordApplied, "")}, ""},
		"held otherwise":            {[]profile.Item{other}, []profile.Result{result(held, profile.WordApplied, "")}, "web1: vip 192.0.2.80"},
		"not yet":                   {[]profile.Item{held}, []profile.Result{result(held, profile.WordPending, "")}, "web1: vip 192.0.2.80"},
		"it cannot":                 {[]profile.Item{held}, []profile.Result{result(held, profile.WordFailed, "no such device")}, "web1: vip 192.0.2.80: no such device"},
		"no endpoint yet":           {[]profile.Item{held, answers}, []profile.Result{result(held, profile.WordApplied, "")}, "web1: endpoint 192.0.2.80"},
		"to be taken back":          {nil, []profile.Result{removal}, "web1: take back vip 192.0.2.80"},
		"it does not know that yet": {nil, []profile.Result{result(held, profile.WordApplied, "")}, "web1: take back vip 192.0.2.80"},
		"something else":            {[]profile.Item{mount}, []profile.Result{result(mount, profile.WordFailed, "no route to host")}, ""},
	} {
		if got := strings.Join(lacks("web1", tt.desired, profile.Status{Items: tt.reported}), ", "); got != tt.want {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
	}
}

// TestCurrent: a report is of use when it is by what was asked for last.
func TestCurrent(t *testing.T) {
	m := &Manager{Setup: lb.Setup{Engine: "haproxy", Policies: make([]lb.Policy, 1)}}
	report := lb.Report{Engine: "haproxy", Services: make([]lb.ServiceReport, 1)}
	if !m.current(&report) {
		t.Error("a report by this very setup is not current")
	}
	for name, change := range map[string]func(*lb.Report){
		"engine":   func(r *lb.Report) { r.Engine = "ipvs" },
		"external": func(r *lb.Report) { r.External = true },
		"stopped":  func(r *lb.Report) { r.Stopped = true },
		"services": func(r *lb.Report) { r.Services = nil },
	} {
		other := report
		change(&other)
		if m.current(&other) {
			t.Errorf("one with another %s is current", name)
		}
	}
}

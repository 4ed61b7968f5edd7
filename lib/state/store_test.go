package state_test

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"iwx/lib/cluster"
	"iwx/lib/fault"
	"iwx/lib/host"
	"iwx/lib/queue"
	"iwx/lib/state"
)

// at is a time that survives being stored in milliseconds.
func at(ms int64) time.Time { return time.UnixMilli(ms) }

// must fails the test on an error.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

// member is a node that belongs to the cluster.
func member(id, name string) cluster.Node {
	return cluster.Node{
		ID: id, Name: name, Membership: cluster.Member, MachineID: "machine-" + id,
		Address: netip.MustParseAddr("192.0.2.7"), CertSerial: "ab", CertExpires: at(9000), Start: 3, JoinedAt: at(5000),
	}
}

// admit makes nodes members with a token each.
func admit(t testing.TB, s *state.Store, nodes ...cluster.Node) {
	t.Helper()
	for _, n := range nodes {
		must(t, s.AddToken(t.Context(), &cluster.Token{ID: "k" + n.ID, Name: n.Name, Hash: []byte("h"), From: cluster.FromNow, CreatedAt: at(1), ExpiresAt: at(2)}))
		must(t, s.Admit(t.Context(), "k"+n.ID, func(k *cluster.Token, _ []cluster.Node, _ uint64) ([]cluster.Node, error) {
			k.UsedAt, k.UsedBy, k.KeyHash, k.NodeID = at(3), "192.0.2.7", []byte("key"), n.ID
			return []cluster.Node{n}, nil
		}))
	}
}

func TestIdentity(t *testing.T) {
	t.Parallel()
	s := newManager(t)
	id := manager()
	id.Manager, id.Address = netip.MustParseAddrPort("192.0.2.1:2480"), netip.MustParseAddr("192.0.2.2")
	id.LogKey, id.Recovery, id.MachineID = []byte{1, 2}, "age1x", "m"
	must(t, s.SetIdentity(t.Context(), id))
	must(t, s.SetIdentity(t.Context(), id))
	got, err := s.Identity(t.Context())
	must(t, err)
	equal(t, "identity", got, id)
	epoch, err := s.Epoch(t.Context())
	must(t, err)
	equal(t, "epoch", epoch, uint64(1))
}

func TestUndo(t *testing.T) {
	t.Parallel()
	s := newManager(t)
	for _, target := range []string{"/etc/a", "/etc/b", "/etc/a"} {
		must(t, s.RecordUndo(t.Context(), "file", target, at(1)))
	}
	got, err := s.Undos(t.Context())
	must(t, err)
	equal(t, "undos", got, []state.Undo{{Kind: "file", Target: "/etc/b", At: at(1)}, {Kind: "file", Target: "/etc/a", At: at(1)}})
}

// TestAppendIsWhole: all entries of a call are in the log, one after the other,
// or none.
func TestAppendIsWhole(t *testing.T) {
	t.Parallel()
	s := newManager(t)
	first, err := s.Append(t.Context(), draft("a"), draft("b"))
	must(t, err)
	equal(t, "first", first, queue.OpID{Epoch: 1, Seq: 1})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Append(ctx, draft("c"), draft("d")); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller that had given up: %v", err)
	}
	first, err = s.Append(t.Context(), draft("e"))
	must(t, err)
	equal(t, "first", first, queue.OpID{Epoch: 1, Seq: 3})
	equal(t, "entries", len(verify(t, s)), 3)
}

func TestRecordsFitAPage(t *testing.T) {
	t.Parallel()
	s := newManager(t)
	big := strings.Repeat("x", 1000)
	_, err := s.Append(t.Context(), draft(big), draft(big), draft(big))
	must(t, err)
	for _, c := range []struct{ limit, size, want int }{{10, 10, 1}, {10, 2500, 2}, {10, 1 << 20, 3}, {1, 1 << 20, 1}} {
		list, err := s.Records(t.Context(), 0, c.limit, c.size)
		must(t, err)
		equal(t, "records in a page", len(list), c.want)
	}
	_, err = s.Record(t.Context(), 4)
	wantFault(t, err, fault.Failed, "there is no entry 4", "iwx-queue list")
	p, err := s.PositionAt(t.Context(), 4)
	must(t, err)
	equal(t, "position of what is not there", p, queue.Position{})
}

func TestEpoch(t *testing.T) {
	t.Parallel()
	s := newManager(t)
	_, err := s.Append(t.Context(), draft("a"))
	must(t, err)
	parent, err := s.Head(t.Context())
	must(t, err)
	epoch, err := s.RaiseEpoch(t.Context(), 0, "restore", 7)
	must(t, err)
	equal(t, "epoch", epoch, uint64(2))
	op, err := s.Append(t.Context(), draft("b"))
	must(t, err)
	equal(t, "op id", op, queue.OpID{Epoch: 2, Seq: 3})
	records := verify(t, s)
	record, err := queue.DecodeEpoch(records[1].Body)
	must(t, err)
	equal(t, "record", record, &queue.Epoch{Parent: parent, Reason: "restore", At: 7})
}

func TestHeld(t *testing.T) {
	t.Parallel()
	s := newManager(t)
	h := state.Held{Targets: queue.Nodes("n1"), Body: []byte("body"), PID: 12, Boot: "boot", At: at(5)}
	one, err := s.Hold(t.Context(), h)
	must(t, err)
	two, err := s.Hold(t.Context(), h)
	must(t, err)
	equal(t, "entries while held", len(verify(t, s)), 0)
	must(t, s.Cancel(t.Context(), one))
	op, err := s.Release(t.Context(), two, false)
	must(t, err)
	equal(t, "op id", op, queue.OpID{Epoch: 1, Seq: 1})
	records := verify(t, s)
	equal(t, "body", string(records[0].Body), "body")
	equal(t, "targets", records[0].Targets, queue.Nodes("n1").Encode())
	_, err = s.Release(t.Context(), two, false)
	wantFault(t, err, fault.Failed, "there is no held command h2", "iwx-queue list")
	wantFault(t, s.Cancel(t.Context(), one), fault.Failed, "there is no held command h1", "iwx-queue list")
	three, err := s.Hold(t.Context(), h)
	must(t, err)
	if three <= two {
		t.Errorf("id %d was given after %d: they must not be given twice", three, two)
	}
	list, err := s.Helds(t.Context())
	must(t, err)
	h.ID = three
	equal(t, "held", list, []state.Held{h})
}

func TestVoids(t *testing.T) {
	t.Parallel()
	s := newManager(t)
	v := queue.Void{Seq: 1, Disposition: queue.Skipped, Who: "root", Reason: "gone", At: 9}
	_, err := s.Append(t.Context(), draft("a"),
		state.Draft{Kind: queue.KindVoid, Targets: queue.Nodes("n2", "n1"), Body: v.Encode()},
		state.Draft{Kind: queue.KindVoid, Targets: queue.Nodes("n1"), Body: v.Encode()},
		state.Draft{Kind: queue.KindVoid, Targets: queue.Members(), Body: v.Encode()},
		state.Draft{Kind: queue.KindVoid, Targets: queue.Members(), Body: append(v.Encode(), 99, 1, 0)})
	must(t, err)
	got, err := s.Voids(t.Context(), 1, 10)
	must(t, err)
	equal(t, "voids", got, []state.Void{{Void: v, Node: "n1", Record: 2}, {Void: v, Node: "n2", Record: 2}, {Void: v, Node: "", Record: 4}})
	verify(t, s)
}

func TestTokens(t *testing.T) {
	t.Parallel()
	s := newManager(t)
	one := &cluster.Token{ID: "k1", Name: "web1", Hash: []byte("1"), From: cluster.FromNow, CreatedAt: at(10), ExpiresAt: at(100)}
	two := &cluster.Token{ID: "k2", Name: "web1", Hash: []byte("2"), Address: netip.MustParseAddr("192.0.2.9"), From: cluster.FromBeginning, Rejoin: "n9", CreatedAt: at(20), ExpiresAt: at(100)}
	must(t, s.AddToken(t.Context(), one))
	must(t, s.AddToken(t.Context(), two))
	list, err := s.Tokens(t.Context())
	must(t, err)
	revoked := *one
	revoked.RevokedAt = at(20)
	equal(t, "tokens", list, []cluster.Token{*two, revoked})

	err = s.RevokeToken(t.Context(), "k2", at(30))
	must(t, err)
	must(t, s.RevokeToken(t.Context(), "k2", at(40)))
	list, err = s.Tokens(t.Context())
	must(t, err)
	equal(t, "revoked at", list[0].RevokedAt, at(30)) // the first time counts
	err = s.RevokeToken(t.Context(), "k9", at(40))
	wantFault(t, err, fault.Failed, `there is no token "k9"`, "iwx-node token list")
}

func TestAdmit(t *testing.T) {
	t.Parallel()
	s := newManager(t)
	n := member("n1", "web1")
	admit(t, s, n)
	got, err := s.Members(t.Context())
	must(t, err)
	equal(t, "members", got, []cluster.Node{n})
	err = s.RevokeToken(t.Context(), "kn1", at(9))
	wantFault(t, err, fault.Failed, "has been used: web1 joined with it", "iwx-node delete web1")

	errNo := errors.New("no")
	must(t, s.AddToken(t.Context(), &cluster.Token{ID: "k2", Name: "web2", Hash: []byte("h"), From: cluster.FromNow}))
	err = s.Admit(t.Context(), "k2", func(k *cluster.Token, nodes []cluster.Node, _ uint64) ([]cluster.Node, error) {
		equal(t, "nodes", len(nodes), 1)
		k.UsedAt = at(9)
		return []cluster.Node{member("n2", "web2")}, errNo
	})
	if !errors.Is(err, errNo) {
		t.Errorf("admit: %v", err)
	}
	must(t, s.Admit(t.Context(), "k9", func(k *cluster.Token, _ []cluster.Node, _ uint64) ([]cluster.Node, error) {
		if k != nil {
			t.Errorf("token k9 is %+v", k)
		}
		return nil, nil
	}))
	got, err = s.Members(t.Context())
	must(t, err)
	equal(t, "members still", got, []cluster.Node{n})
}

// TestAdmitDisplacesNobody: the file itself refuses a second member of the same
// name or machine.
func TestAdmitDisplacesNobody(t *testing.T) {
	t.Parallel()
	for what, change := range map[string]func(*cluster.Node){
		"name":    func(n *cluster.Node) { n.Name = "web1" },
		"machine": func(n *cluster.Node) { n.MachineID = "machine-n1" },
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			s := newManager(t)
			admit(t, s, member("n1", "web1"))
			n := member("n2", "web2")
			change(&n)
			must(t, s.AddToken(t.Context(), &cluster.Token{ID: "k2", Name: "web2", Hash: []byte("h"), From: cluster.FromNow}))
			err := s.Admit(t.Context(), "k2", func(k *cluster.Token, _ []cluster.Node, _ uint64) ([]cluster.Node, error) {
				return []cluster.Node{n}, nil
			})
			if err == nil {
				t.Error("it was admitted")
			}
			list, err := s.Members(t.Context())
			must(t, err)
			if len(list) != 1 || list[0].ID != "n1" {
				t.Errorf("members are %+v", list)
			}
		})
	}
}

// TestAddress: a node's address changes once, even if it is set again, and only
// the intended address is forgotten.
func TestAddress(t *testing.T) {
	t.Parallel()
	s := newManager(t)
	admit(t, s, member("n1", "web1"))
	first, second, third := member("n1", "web1").Address, netip.MustParseAddr("192.0.2.22"), netip.MustParseAddr("192.0.2.33")
	for range 2 {
		must(t, s.SetAddress(t.Context(), "n1", second, first))
	}
	must(t, s.SetAddress(t.Context(), "n1", second, third)) // it has it already
	must(t, s.ForgetFormer(t.Context(), "n1", third))       // an earlier one's
	list, err := s.Members(t.Context())
	must(t, err)
	rosters, err := s.Rosters(t.Context())
	must(t, err)
	equal(t, "addresses", []netip.Addr{list[0].Address, list[0].Former, rosters[0].Address, rosters[0].Former}, []netip.Addr{second, first, second, first})
	must(t, s.ForgetFormer(t.Context(), "n1", first))
	if list, err = s.Members(t.Context()); err != nil || list[0].Former.IsValid() {
		t.Errorf("the former address is %s: %v", list[0].Former, err)
	}
}

// TestQueuedAt: a record without a time has that of the next record with one.
func TestQueuedAt(t *testing.T) {
	t.Parallel()
	s := newManager(t)
	queued := func(ms int64) state.Draft {
		body, err := (&queue.Command{Argv: []string{"true"}, QueuedAt: at(ms)}).Encode()
		must(t, err)
		return state.Draft{Kind: queue.KindCommand, Targets: queue.Members(), Body: body}
	}
	_, err := s.Append(t.Context(), queued(1000), queued(2000))
	must(t, err)
	_, err = s.RaiseEpoch(t.Context(), 0, "test", 2500)
	must(t, err)
	_, err = s.Append(t.Context(), queued(3000))
	must(t, err)
	// A void record has its own time, also when it is the last one.
	skip := queue.Void{Seq: 1, Disposition: queue.Skipped, Who: "root", At: 4000}
	_, err = s.Append(t.Context(), state.Draft{Kind: queue.KindVoid, Targets: queue.Members(), Body: skip.Encode()})
	must(t, err)
	cancel := queue.Void{Seq: 4, Disposition: queue.Cancelled, Who: "root", At: 5000}
	_, err = s.Append(t.Context(), state.Draft{Kind: queue.KindVoid, Targets: queue.Members(), Body: cancel.Encode()})
	must(t, err)
	for seq, want := range map[uint64]time.Time{1: at(1000), 2: at(2000), 3: at(3000), 4: at(3000), 5: at(4000), 6: at(5000), 7: {}} {
		if got, err := s.QueuedAt(t.Context(), seq); err != nil || !got.Equal(want) {
			t.Errorf("record %d was queued at %s, want %s: %v", seq, got, want, err)
		}
	}
}

// TestFacts: the facts are the last ones sent, except those fixed at the join.
func TestFacts(t *testing.T) {
	t.Parallel()
	s := newManager(t)
	n := member("n1", "web1")
	n.Facts = host.Facts{MachineID: "one", Kernel: "6.1", Users: []host.User{{Name: "shop", UID: 2000}}, Services: []host.User{{Name: "named", UID: 110}}}
	admit(t, s, n)
	must(t, s.SaveFacts(t.Context(), "n1", at(7), host.Facts{MachineID: "two", Kernel: "6.12", Hostname: "web", Users: []host.User{{Name: "root"}}}))
	must(t, s.SaveFacts(t.Context(), "nobody", at(7), host.Facts{}))
	list, err := s.Members(t.Context())
	must(t, err)
	want := n.Facts
	want.Kernel, want.Hostname = "6.12", "web"
	equal(t, "facts", list[0].Facts, want)
	equal(t, "time", list[0].FactsAt, at(7))
}

func TestNodes(t *testing.T) {
	t.Parallel()
	s := newManager(t)
	admit(t, s, member("n2", "web2"), member("n1", "web1"))
	from := netip.MustParseAddr("192.0.2.7")
	must(t, s.SaveReport(t.Context(), "n1", at(40), cluster.Status{Word: "current", Done: 4}, nil))
	must(t, s.SaveContact(t.Context(), "n1", at(50), from))
	must(t, s.SaveSilence(t.Context(), map[string]time.Time{"n2": at(60)}))
	must(t, s.SaveSilence(t.Context(), map[string]time.Time{"n2": at(70)}))
	must(t, s.Pause(t.Context(), []string{"n1"}, true))
	must(t, s.Retry(t.Context(), map[string]uint64{"n1": 5}, at(100)))
	must(t, s.Retry(t.Context(), map[string]uint64{"n1": 6}, at(99)))
	for i, now := range []int64{200, 150} {
		number, err := s.AskLook(t.Context(), []string{"n1", "n2"}[:2-i], at(now))
		if must(t, err); number != 200+uint64(i) {
			t.Errorf("request %d to look has number %d", i, number)
		}
	}
	must(t, s.SaveRefused(t.Context(), "n2", "a clone"))
	must(t, s.SaveCertificate(t.Context(), "n2", "cd", at(80)))
	list, err := s.Members(t.Context())
	must(t, err)
	one, two := member("n1", "web1"), member("n2", "web2")
	one.LastSeen, one.Status, one.Paused, one.Retry, one.RetrySeq = at(50), cluster.Status{Word: "current", Done: 4}, true, 101, 6
	one.Look, two.Look = 201, 200
	one.HeardSince, one.Connects = at(40), from
	two.SilentSince, two.Refused, two.CertSerial, two.CertExpires = at(60), "a clone", "cd", at(80)
	equal(t, "members", list, []cluster.Node{one, two})

	must(t, s.SaveContact(t.Context(), "n2", at(90), from))
	list, err = s.Members(t.Context())
	must(t, err)
	if n := list[1]; !n.HeardSince.Equal(at(90)) || n.Connects != from {
		t.Errorf("back from its silence, it was heard since %s, from %s", n.HeardSince, n.Connects)
	}
	must(t, s.EndMembership(t.Context(), "n2", cluster.Left, "itself", at(91)))
	must(t, s.EndMembership(t.Context(), "n2", cluster.Deleted, "root", at(92)))
	list, err = s.Nodes(t.Context())
	must(t, err)
	if n := list[1]; n.Membership != cluster.Left || n.EndedBy != "itself" || !n.EndedAt.Equal(at(91)) || !n.SilentSince.IsZero() {
		t.Errorf("a node that left is %+v", n)
	}
	rosters, err := s.Rosters(t.Context())
	must(t, err)
	equal(t, "orders", rosters[0].Orders, cluster.Orders{Paused: true, Retry: 101, RetrySeq: 6, Look: 201})
	admit(t, s, member("n3", "web2")) // the name is free again
}

// try is an attempt that ended at the time given.
func try(seq uint64, n int, outcome string, ended int64) cluster.Attempt {
	return cluster.Attempt{Epoch: 1, Seq: seq, Attempt: n, Started: ended - 1, Ended: ended, Duration: 1000, Outcome: outcome,
		Stdout: cluster.Output{Head: []byte("out"), Size: 3}}
}

func TestReports(t *testing.T) {
	t.Parallel()
	s := newManager(t)
	admit(t, s, member("n1", "web1"))
	report := []cluster.Attempt{try(1, 1, cluster.OutcomeFailed, 10), try(1, 2, cluster.OutcomeDone, 20)}
	for range 2 {
		must(t, s.SaveReport(t.Context(), "n1", at(30), cluster.Status{Done: 1}, report))
	}
	for _, c := range []struct {
		filter state.AttemptFilter
		want   []int // attempt numbers
	}{
		{state.AttemptFilter{}, []int{2, 1}},
		{state.AttemptFilter{Limit: 1}, []int{2}},
		{state.AttemptFilter{Failed: true}, []int{1}},
		{state.AttemptFilter{Node: "n1", Seq: 1, Since: at(15)}, []int{2}},
		{state.AttemptFilter{Node: "n2"}, nil},
		{state.AttemptFilter{Seq: 2}, nil},
	} {
		list, err := s.Attempts(t.Context(), c.filter)
		must(t, err)
		var got []int
		for _, a := range list {
			got = append(got, a.Attempt.Attempt)
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%+v: attempts %v, want %v", c.filter, got, c.want)
		}
	}
	list, err := s.Attempts(t.Context(), state.AttemptFilter{Limit: 1})
	must(t, err)
	equal(t, "attempt", list[0], state.Attempt{Node: "n1", Attempt: report[1]})
}

func TestPrune(t *testing.T) {
	t.Parallel()
	s := newManager(t)
	admit(t, s, member("n1", "web1"), member("n2", "web2"))
	var tries []cluster.Attempt
	for seq := range uint64(10) {
		tries = append(tries, try(seq+1, 1, cluster.OutcomeDone, int64(seq+1)*10))
	}
	// n1 halts at entry 2, long ago.
	halted := cluster.Status{Blocked: &cluster.Blocked{Seq: 2}}
	must(t, s.SaveReport(t.Context(), "n1", at(200), halted, append([]cluster.Attempt{try(2, 2, cluster.OutcomeFailed, 25)}, tries[:2]...)))
	must(t, s.SaveReport(t.Context(), "n2", at(200), cluster.Status{Done: 10}, tries))
	n, err := s.Prune(t.Context(), at(55), 4)
	must(t, err)
	equal(t, "pruned", n, int64(7)) // entry 1 of n1; 1 to 6 of n2: 5 too old, 1 too many
	list, err := s.Attempts(t.Context(), state.AttemptFilter{})
	must(t, err)
	left := map[string]int{}
	for _, a := range list {
		left[a.Node]++
		if a.Node == "n1" && a.Seq != 2 || a.Node == "n2" && a.Seq < 7 {
			t.Errorf("entry %d of %s is left", a.Seq, a.Node)
		}
	}
	equal(t, "left", left, map[string]int{"n1": 2, "n2": 4})
}

// TestStub: who queued an erased entry, and when, stays; nothing else of it
// does.
func TestStub(t *testing.T) {
	t.Parallel()
	s := newManager(t)
	admit(t, s, member("n1", "web1"))
	command := queue.Command{
		Argv: []string{"hunter2"}, Env: []string{"A=hunter2"}, Stdin: []byte("hunter2"), User: "hunter2", Dir: "/hunter2",
		Sensitive: true, QueuedAt: at(7), QueuedBy: "ann as root",
	}
	body, err := command.Encode()
	must(t, err)
	_, err = s.Append(t.Context(), state.Draft{Kind: queue.KindCommand, Targets: queue.Members(), Body: body, Sensitive: true})
	must(t, err)
	must(t, s.SaveReport(t.Context(), "n1", at(8), cluster.Status{Done: 1}, nil))
	r := verify(t, s)[0]
	if r.Body != nil || !r.Erased || strings.Contains(string(r.Stub), "hunter2") {
		t.Errorf("left: %+v", r)
	}
	stub, err := queue.DecodeCommand(r.Stub)
	must(t, err)
	if !stub.QueuedAt.Equal(at(7)) || stub.QueuedBy != "ann as root" {
		t.Errorf("left: %+v", stub)
	}
}

// TestEraseSensitive: the text of a sensitive entry is erased when every member
// is done with it, in the file as well, and the chain holds.
func TestEraseSensitive(t *testing.T) {
	t.Parallel()
	s := newManager(t)
	admit(t, s, member("n1", "web1"), member("n2", "web2"))
	// Large enough for pages of its own, which go back to the file's free ones.
	secret := draft(strings.Repeat("hunter2-", 4000))
	secret.Sensitive = true
	_, err := s.Append(t.Context(), draft("plain"), secret)
	must(t, err)
	must(t, s.SaveReport(t.Context(), "n1", at(1), cluster.Status{Done: 2}, nil))
	if r := verify(t, s)[1]; r.Erased || r.Body == nil {
		t.Fatalf("it was erased before n2 was done with it")
	}
	must(t, s.SaveReport(t.Context(), "n2", at(1), cluster.Status{Done: 2}, nil))
	records := verify(t, s)
	if r := records[1]; !r.Erased || r.Body != nil {
		t.Errorf("it is still there: %+v", r)
	}
	equal(t, "what is not sensitive", string(records[0].Body), "plain")
	for _, name := range []string{s.Path(), s.Path() + "-wal"} {
		if data, err := os.ReadFile(name); err == nil && strings.Contains(string(data), "hunter2-hunter2") {
			t.Errorf("%s still holds the text", name)
		}
	}

	// What waited for a node that leaves waits no more.
	_, err = s.Append(t.Context(), secret)
	must(t, err)
	must(t, s.SaveReport(t.Context(), "n1", at(2), cluster.Status{Done: 3}, nil))
	must(t, s.EndMembership(t.Context(), "n2", cluster.Deleted, "root", at(3)))
	if r := verify(t, s)[2]; !r.Erased {
		t.Error("it is kept for a node that was deleted")
	}
}

func TestOps(t *testing.T) {
	t.Parallel()
	s := newManager(t)
	op := queue.OpID{Epoch: 1, Seq: 4}
	for range 2 {
		must(t, s.RecordOp(t.Context(), op, queue.Hash{1}, at(1)))
	}
	for digest, want := range map[queue.Hash]bool{{1}: true, {2}: false} {
		done, err := s.OpDone(t.Context(), op, digest)
		must(t, err)
		equal(t, "done", done, want)
	}
}

func TestContact(t *testing.T) {
	t.Parallel()
	s, _ := newNode(t)
	must(t, s.SaveSilent(t.Context(), at(5), cluster.RefusedDeleted, "deleted", "join again"))
	must(t, s.SaveSilent(t.Context(), at(6), "", "no route", ""))
	c, err := s.Contact(t.Context())
	must(t, err)
	equal(t, "silent", c, &state.Contact{SilentAt: at(5), Error: "no route"})
	orders := cluster.Orders{Paused: true, Retry: 3, RetrySeq: 1}
	must(t, s.SaveHeard(t.Context(), at(7), 1, 12, orders))
	c, err = s.Contact(t.Context())
	must(t, err)
	equal(t, "heard", c, &state.Contact{HeardAt: at(7), Head: 12, Orders: orders})
}

// TestWatch: the number changes with every commit of another process's, and
// with none of a reader's.
func TestWatch(t *testing.T) {
	t.Parallel()
	s := newManager(t)
	w, err := s.Watch(t.Context())
	must(t, err)
	before, err := w.Read(t.Context())
	must(t, err)
	verify(t, s)
	same, err := w.Read(t.Context())
	must(t, err)
	_, err = open(t, s.Path()).Append(t.Context(), draft("x"))
	must(t, err)
	after, err := w.Read(t.Context())
	must(t, err)
	if same != before || after == before {
		t.Errorf("the number is %d, then %d, then %d after a commit", before, same, after)
	}
	must(t, w.Close())
}

// TestSnapshot: a copy made while others write opens, verifies and is nobody
// else's to read.
func TestSnapshot(t *testing.T) {
	t.Parallel()
	s := newManager(t)
	w := startWriter(t, s.Path(), "w", all)
	for i := range 3 {
		w.read(20)
		path := filepath.Join(t.TempDir(), "copy.db")
		must(t, s.Snapshot(t.Context(), path))
		acked := len(w.acks)
		info, err := os.Stat(path)
		must(t, err)
		equal(t, "mode", info.Mode().Perm(), os.FileMode(0o600))
		records := verify(t, open(t, path))
		if len(records) < acked {
			t.Errorf("copy %d: %d entries, of %d that were acknowledged before", i, len(records), acked)
		}
		if err := s.Snapshot(t.Context(), path); !errors.Is(err, os.ErrExist) {
			t.Errorf("a second copy in the same place: %v", err)
		}
	}
	w.kill()
	if len(w.acks) < 60 {
		t.Errorf("the writer ended early: %s", w.failure)
	}
}

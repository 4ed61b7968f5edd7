package state_test

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"iwx/lib/cluster"
	"iwx/lib/queue"
	"iwx/lib/state"
)

// rejoin admits what decide makes of node a, with a new token.
func rejoin(t *testing.T, s *state.Store, token string, decide func(a cluster.Node) []cluster.Node) error {
	t.Helper()
	must(t, s.AddToken(t.Context(), &cluster.Token{ID: token, Name: "a", Hash: []byte{1}, Rejoin: "a", CreatedAt: at(30), ExpiresAt: at(40)}))
	return s.Admit(t.Context(), token, func(_ *cluster.Token, nodes []cluster.Node, _ uint64) ([]cluster.Node, error) {
		i := slices.IndexFunc(nodes, func(n cluster.Node) bool { return n.ID == "a" })
		return decide(nodes[i]), nil
	})
}

// withTail returns a manager that was restored. Nodes a and b have sent entry 4, which
// it lost, and a had gone back before.
func withTail(t *testing.T) *state.Store {
	t.Helper()
	s := withNodes(t, "a", "b")
	_, err := s.SaveStanding(t.Context(), "a", cluster.Standing{Seen: at(12), Received: 2})
	must(t, err)
	must(t, s.SaveFetched(t.Context(), map[string]uint64{"a": 3}))
	must(t, s.AskTrial(t.Context(), map[string]string{"a": "a trial"}))
	head, err := s.Head(t.Context())
	must(t, err)
	_, err = s.RaiseEpoch(t.Context(), 0, "restored", 15)
	must(t, err)
	lost := queue.Next(head, 1, queue.KindCommand, queue.Members(), []byte("lost"))
	for _, id := range []string{"a", "b"} {
		_, err = s.SaveStanding(t.Context(), id, cluster.Standing{Seen: at(20), Received: 4, Trouble: cluster.TroubleDiverged, Awaited: 4})
		must(t, err)
		must(t, s.SaveTail(t.Context(), id, cluster.Tail{First: 4, Last: cluster.WirePosition(lost.Position())}, []queue.Record{lost}))
	}
	return s
}

// source returns the node from which recover would take what was lost.
func source(t *testing.T, s *state.Store) string {
	t.Helper()
	plan, err := s.Recover(t.Context(), 50, "root", true)
	must(t, err)
	if plan == nil {
		return ""
	}
	return plan.Node
}

// TestRejoinKeeps: a node that joins again with its state keeps everything that is
// recorded about it and is not about its server.
func TestRejoinKeeps(t *testing.T) {
	t.Parallel()
	s := withTail(t)
	must(t, s.EndMembership(t.Context(), "b", cluster.Deleted, "root", at(25)))
	before, err := s.Rosters(t.Context())
	must(t, err)
	n := nodeOf(t, s, "a")
	if n.WentBack == nil || n.Awaited != 4 || n.Tail.First != 4 || n.Fetched != 3 {
		t.Fatalf("the test has nothing to lose: %+v", n)
	}
	address := netip.MustParseAddr("192.0.2.7")
	must(t, rejoin(t, s, "again", func(a cluster.Node) []cluster.Node { a.Address = address; return []cluster.Node{a} }))
	n.Address = address
	equal(t, "standing", nodeOf(t, s, "a"), n)
	after, err := s.Rosters(t.Context())
	must(t, err)
	i := slices.IndexFunc(before, func(r cluster.Roster) bool { return r.ID == "a" })
	before[i].Address = address
	equal(t, "rosters", after, before)
	equal(t, "the source of what was lost", source(t, s), "a")
	if err := s.MayAppend(t.Context()); err == nil || !strings.Contains(err.Error(), "node a has entries from 4 on") {
		t.Errorf("something may be queued before what was lost: %v", err)
	}
}

// TestReplacedHasATail: a server without its state does not take the place of a node
// while what that node has sent can be taken back from it.
func TestReplacedHasATail(t *testing.T) {
	t.Parallel()
	wiped := func(a cluster.Node) []cluster.Node {
		fresh := cluster.Node{ID: "a2", Name: "a", Membership: cluster.Member, MachineID: "a2", Start: 5}
		a.Membership = cluster.Deleted
		return []cluster.Node{a, fresh}
	}
	for what, c := range map[string]struct {
		before  func(s *state.Store) error
		refused bool
	}{
		"sent":      {func(*state.Store) error { return nil }, true},
		"given up":  {func(s *state.Store) error { return s.Accept(t.Context(), []string{"a"}, 25, "root") }, false},
		"recovered": {func(s *state.Store) error { _, err := s.Recover(t.Context(), 25, "root", false); return err }, false},
		"not sent, after another restore": {func(s *state.Store) error {
			_, err := s.RaiseEpoch(t.Context(), 0, "restored again", 25)
			return err
		}, false},
	} {
		t.Run(what, func(t *testing.T) {
			s := withTail(t)
			must(t, c.before(s))
			err := rejoin(t, s, "again", wiped)
			if !c.refused {
				must(t, err)
				return
			}
			var refusal *cluster.Refusal
			if !errors.As(err, &refusal) || !strings.Contains(refusal.Message, "the entries from 4 on that it lost and has from node a") || !strings.Contains(refusal.Hint, "iwx-queue recover\n") {
				t.Errorf("%v", err)
			}
			tokens, err := s.Tokens(t.Context())
			must(t, err)
			if !tokens[0].UsedAt.IsZero() {
				t.Error("the token is used up")
			}
			equal(t, "the source of what was lost", source(t, s), "a")
		})
	}
}

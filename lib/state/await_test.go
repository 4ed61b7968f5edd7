package state_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"iwx/lib/cluster"
	"iwx/lib/fault"
	"iwx/lib/queue"
	"iwx/lib/site"
	"iwx/lib/state"
)

// withNodes returns a manager with members of these ids and names, whose log has
// three entries that they have done.
func withNodes(t *testing.T, ids ...string) *state.Store {
	t.Helper()
	s := newManager(t)
	for _, id := range ids {
		token := &cluster.Token{ID: "t" + id, Name: id, Hash: []byte{1}, From: cluster.FromNow, CreatedAt: at(1), ExpiresAt: at(2)}
		must(t, s.AddToken(t.Context(), token))
		must(t, s.Admit(t.Context(), token.ID, func(token *cluster.Token, _ []cluster.Node, _ uint64) ([]cluster.Node, error) {
			return []cluster.Node{{ID: id, Name: id, Membership: cluster.Member, MachineID: id, Start: 1, JoinedAt: at(1)}}, nil
		}))
	}
	for i := range 3 {
		_, err := s.Append(t.Context(), draft(fmt.Sprint(i)))
		must(t, err)
	}
	for _, id := range ids {
		must(t, s.SaveReport(t.Context(), id, at(10), cluster.Status{Word: "current", Epoch: 1, Done: 3, Head: 3}, nil))
	}
	return s
}

func nodeOf(t *testing.T, s *state.Store, id string) cluster.Node {
	t.Helper()
	nodes, err := s.Standings(t.Context())
	must(t, err)
	for _, n := range nodes {
		if n.ID == id {
			return n
		}
	}
	t.Fatalf("no node %s", id)
	return cluster.Node{}
}

// TestNothingIsQueuedMeanwhile: from a restore on, and while a node is past the
// log, nothing can be queued until the nodes have connected or an operator has
// decided.
func TestNothingIsQueuedMeanwhile(t *testing.T) {
	writers := map[string]func(s *state.Store) error{
		"append": func(s *state.Store) error { _, err := s.Append(t.Context(), draft("new")); return err },
		"many":   func(s *state.Store) error { _, err := s.Append(t.Context(), draft("new"), draft("newer")); return err },
		"release": func(s *state.Store) error {
			id, err := s.Hold(t.Context(), state.Held{Targets: queue.Members(), Body: []byte("held"), At: at(1)})
			must(t, err)
			_, err = s.Release(t.Context(), id, false)
			return err
		},
		"sites": func(s *state.Store) error {
			d := draft("a site")
			_, err := s.ChangeSites(t.Context(), &state.SiteChange{Draft: &d})
			return err
		},
		"begin sites": func(s *state.Store) error { return s.BeginSites(t.Context(), &site.Intent{}) },
		"may append":  func(s *state.Store) error { return s.MayAppend(t.Context()) },
	}
	seen := func(trouble string, received, awaited uint64) cluster.Standing {
		return cluster.Standing{Seen: at(20), Trouble: trouble, Received: received, Awaited: awaited}
	}
	for what, c := range map[string]struct {
		do   func(s *state.Store) error
		want string // in the error; "" for none
	}{
		"restored":      {func(*state.Store) error { return nil }, "2 nodes (a, b) have not connected since this manager was restored"},
		"one connected": {func(s *state.Store) error { _, err := s.SaveStanding(t.Context(), "b", seen("", 3, 0)); return err }, "node a has not connected"},
		"one is past": {func(s *state.Store) error {
			_, err := s.SaveStanding(t.Context(), "a", seen("", 3, 0))
			must(t, err)
			_, err = s.SaveStanding(t.Context(), "b", seen("diverged", 7, 4))
			return err
		}, "node b has entries from 4 on that this manager lost"},
		"one is given up, one connected": {func(s *state.Store) error {
			_, err := s.SaveStanding(t.Context(), "b", seen("", 3, 0))
			must(t, err)
			return s.Accept(t.Context(), []string{"a"}, 1, "root")
		}, ""},
		"both are gone": {func(s *state.Store) error {
			must(t, s.EndMembership(t.Context(), "a", cluster.Deleted, "root", at(30)))
			return s.EndMembership(t.Context(), "b", cluster.Left, "itself", at(30))
		}, ""},
	} {
		for how, write := range writers {
			t.Run(what+", "+how, func(t *testing.T) {
				s := withNodes(t, "a", "b")
				_, err := s.RaiseEpoch(t.Context(), 0, "restored", 15)
				must(t, err)
				must(t, c.do(s))
				before, err := s.Head(t.Context())
				must(t, err)
				err = write(s)
				if c.want == "" {
					must(t, err)
					return
				}
				after, headErr := s.Head(t.Context())
				must(t, headErr)
				if err == nil || !strings.Contains(err.Error(), c.want) || fault.CodeOf(err) != fault.Busy || !strings.Contains(fault.HintOf(err), "iwx-queue accept ") || before != after {
					t.Errorf("%v (code %d, hint %s)", err, fault.CodeOf(err), fault.HintOf(err))
				}
			})
		}
	}
}

// TestNotConnectedSinceTheRestore: a node does not have its state from the backup.
func TestNotConnectedSinceTheRestore(t *testing.T) {
	s := withNodes(t, "a")
	_, err := s.RaiseEpoch(t.Context(), 0, "restored", 15)
	must(t, err)
	if n := nodeOf(t, s, "a"); n.Word() != cluster.WordUnreachable || !n.NotConnected() {
		t.Errorf("%s, not connected %v", n.Word(), n.NotConnected())
	}
	_, err = s.SaveStanding(t.Context(), "a", cluster.Standing{Seen: at(20), Received: 3})
	must(t, err)
	if n := nodeOf(t, s, "a"); n.NotConnected() || !n.SilentSince.IsZero() {
		t.Errorf("connected: %+v", n)
	}
}

// TestWentBack: a node at an older state is detected by what it asks for, by
// what it reports, and by what it has run twice; the record of the first run
// stays.
func TestWentBack(t *testing.T) {
	ran := func(seq uint64, attempt int, started int64, outcome string) cluster.Attempt {
		return cluster.Attempt{Epoch: 1, Seq: seq, Attempt: attempt, Started: started, Ended: started + 1, Outcome: outcome}
	}
	current := cluster.Status{Word: "current", Epoch: 1, Done: 3, Head: 3}
	for what, c := range map[string]struct {
		do   func(s *state.Store) error
		want *cluster.WentBack
	}{
		"asks": {func(s *state.Store) error {
			_, err := s.SaveStanding(t.Context(), "a", cluster.Standing{Seen: at(20), Received: 1})
			return err
		}, &cluster.WentBack{From: 3, To: 1, At: 20}},
		"reports": {func(s *state.Store) error {
			return s.SaveReport(t.Context(), "a", at(20), cluster.Status{Word: "replaying", Epoch: 1, Done: 2, Head: 3}, nil)
		}, &cluster.WentBack{From: 3, To: 2, At: 20}},
		"ran twice": {func(s *state.Store) error {
			return s.SaveReport(t.Context(), "a", at(20), current, []cluster.Attempt{ran(2, 1, 50, "done"), ran(3, 1, 60, "done")})
		}, &cluster.WentBack{From: 3, To: 1, At: 20}},
		"twice on the way": {func(s *state.Store) error {
			_, err := s.SaveStanding(t.Context(), "a", cluster.Standing{Seen: at(20), Received: 2})
			must(t, err)
			must(t, s.SaveReport(t.Context(), "a", at(21), cluster.Status{Word: "current", Epoch: 1, Done: 2, Head: 2}, nil))
			_, err = s.SaveStanding(t.Context(), "a", cluster.Standing{Seen: at(22), Received: 1})
			return err
		}, &cluster.WentBack{From: 3, To: 1, At: 22}},
		"reports again what it did": {func(s *state.Store) error {
			return s.SaveReport(t.Context(), "a", at(20), current, []cluster.Attempt{ran(2, 1, 5, "done"), ran(3, 1, 6, "failed"), ran(3, 2, 7, "done")})
		}, nil},
		"is diverged": {func(s *state.Store) error {
			return s.SaveReport(t.Context(), "a", at(20), cluster.Status{Word: "diverged", Epoch: 1, Done: 1, Head: 9}, nil)
		}, nil},
		"goes on": {func(s *state.Store) error {
			return s.SaveReport(t.Context(), "a", at(20), cluster.Status{Word: "current", Epoch: 1, Done: 4, Head: 4}, []cluster.Attempt{ran(4, 1, 8, "done")})
		}, nil},
	} {
		t.Run(what, func(t *testing.T) {
			s := withNodes(t, "a")
			first := []cluster.Attempt{ran(2, 1, 5, "done"), ran(3, 1, 6, "failed"), ran(3, 2, 7, "done")}
			must(t, s.SaveReport(t.Context(), "a", at(11), current, first))
			must(t, c.do(s))
			equal(t, "went back", nodeOf(t, s, "a").WentBack, c.want)
			kept, err := s.Attempts(t.Context(), state.AttemptFilter{})
			must(t, err)
			for _, want := range first {
				found := false
				for _, a := range kept {
					found = found || a.Seq == want.Seq && a.Attempt.Attempt == want.Attempt && a.Started == want.Started && a.Outcome == want.Outcome
				}
				if !found {
					t.Errorf("the record of %d, attempt %d, at %d is gone: %+v", want.Seq, want.Attempt, want.Started, kept)
				}
			}
		})
	}
}

// TestSecondRunIsReportedTwice: the second run has one record of its own, even if
// it is reported again.
func TestSecondRunIsReportedTwice(t *testing.T) {
	s := withNodes(t, "a")
	status := cluster.Status{Word: "current", Epoch: 1, Done: 3, Head: 3}
	a := cluster.Attempt{Epoch: 1, Seq: 3, Attempt: 1, Started: 5, Ended: 6, Outcome: "done"}
	must(t, s.SaveReport(t.Context(), "a", at(11), status, []cluster.Attempt{a}))
	a.Started, a.Ended = 50, 60
	b := a
	b.Attempt, b.Started, b.Ended = 2, 70, 80
	for range 3 {
		must(t, s.SaveReport(t.Context(), "a", at(12), status, []cluster.Attempt{a, b}))
	}
	list, err := s.Attempts(t.Context(), state.AttemptFilter{Seq: 3})
	must(t, err)
	text := ""
	for _, a := range list {
		text += fmt.Sprintf("%d at %d, ", a.Attempt.Attempt, a.Started)
	}
	equal(t, "attempts", text, "3 at 70, 2 at 50, 1 at 5, ")
}

// TestReportBack: the node is reported until it has caught up, and for a day.
func TestReportBack(t *testing.T) {
	n := cluster.Node{Status: cluster.Status{Done: 40}, WentBack: &cluster.WentBack{From: 42, To: 40, At: 1}}
	day := time.UnixMilli(1).Add(25 * time.Hour)
	if n.ReportBack(day) == nil {
		t.Error("not reported, and it has not come as far")
	}
	n.Status.Done = 42
	if n.ReportBack(time.UnixMilli(2)) == nil || n.ReportBack(day) != nil {
		t.Error("reported for another time than a day")
	}
}

package state_test

import (
	"fmt"
	"testing"

	"iwx/lib/cluster"
	"iwx/lib/queue"
	"iwx/lib/replay"
	"iwx/lib/state"
)

// numbers returns the attempts at entry 3, as "number at start".
func numbers(t *testing.T, s *state.Store) string {
	t.Helper()
	list, err := s.Attempts(t.Context(), state.AttemptFilter{Seq: 3})
	must(t, err)
	text := ""
	for _, a := range list {
		text += fmt.Sprintf("%d at %d, ", a.Attempt.Attempt, a.Started)
	}
	return text
}

// TestGivenUpStaysGivenUp: an attempt at an entry that was given up keeps its sign, and
// the record of no other attempt is lost to it.
func TestGivenUpStaysGivenUp(t *testing.T) {
	ran := func(attempt int, started int64) cluster.Attempt {
		return cluster.Attempt{Epoch: 1, Seq: 3, Attempt: attempt, Started: started, Ended: started + 1, Outcome: "done"}
	}
	for what, c := range map[string]struct {
		reports [][]cluster.Attempt
		want    string
	}{
		"one":                {[][]cluster.Attempt{{ran(-1, 5)}}, "-1 at 5, "},
		"again":              {[][]cluster.Attempt{{ran(-1, 5)}, {ran(-1, 5)}}, "-1 at 5, "},
		"a second run":       {[][]cluster.Attempt{{ran(-1, 5)}, {ran(-1, 50)}}, "-2 at 50, -1 at 5, "},
		"and again":          {[][]cluster.Attempt{{ran(-1, 5)}, {ran(-1, 50)}, {ran(-1, 50)}, {ran(-1, 5)}}, "-2 at 50, -1 at 5, "},
		"a third":            {[][]cluster.Attempt{{ran(-1, 5), ran(-2, 6)}, {ran(-2, 50)}, {ran(-1, 60)}}, "-4 at 60, -3 at 50, -2 at 6, -1 at 5, "},
		"beside others":      {[][]cluster.Attempt{{ran(-1, 5), ran(1, 10), ran(2, 11)}, {ran(-1, 50)}}, "-2 at 50, 2 at 11, 1 at 10, -1 at 5, "},
		"others beside them": {[][]cluster.Attempt{{ran(-1, 5), ran(1, 10)}, {ran(1, 50), ran(-1, 51)}}, "-2 at 51, 2 at 50, 1 at 10, -1 at 5, "},
	} {
		t.Run(what, func(t *testing.T) {
			s := withNodes(t, "a")
			for _, report := range c.reports {
				must(t, s.SaveReport(t.Context(), "a", at(20), cluster.Status{Word: "current", Epoch: 1, Done: 3, Head: 3}, report))
			}
			equal(t, "attempts", numbers(t, s), c.want)
		})
	}
}

// TestGivenUpTwice: entries that get their places in the log back, and are given up
// once more, leave the records of both runs, on the manager and on the node.
func TestGivenUpTwice(t *testing.T) {
	const want = "-3 at 7, -2 at 50, -1 at 5, "
	t.Run("manager", func(t *testing.T) {
		s := withNodes(t, "a")
		status := cluster.Status{Word: "current", Epoch: 1, Done: 3, Head: 3}
		for _, runs := range [][]cluster.Attempt{{{Epoch: 1, Seq: 3, Attempt: 1, Started: 5}}, {{Epoch: 1, Seq: 3, Attempt: 1, Started: 50}, {Epoch: 1, Seq: 3, Attempt: 2, Started: 7}}} {
			must(t, s.SaveReport(t.Context(), "a", at(20), status, runs))
			lost := received(queue.Command{Argv: []string{"lost"}})
			lost[0].Seq = 3
			must(t, s.SaveTail(t.Context(), "a", cluster.Tail{First: 3, Last: cluster.WirePosition(lost[0].Position())}, lost))
			must(t, s.Accept(t.Context(), []string{"a"}, 1, "root"))
		}
		equal(t, "attempts", numbers(t, s), want)
	})
	t.Run("node", func(t *testing.T) {
		s, j := newNode(t)
		records := received(queue.Command{}, queue.Command{}, queue.Command{})
		must(t, j.Commit(t.Context(), &replay.Changes{Records: records}))
		for _, runs := range [][]cluster.Attempt{{{Attempt: 1, Started: 5}}, {{Attempt: 1, Started: 50}, {Attempt: 2, Started: 7}}} {
			for _, a := range runs {
				a.Epoch, a.Seq, a.Ended, a.Outcome = 1, 3, 90, "done"
				must(t, j.Commit(t.Context(), &replay.Changes{Ended: &a}))
			}
			_, err := j.Cut(t.Context(), 3)
			must(t, err)
			must(t, j.Commit(t.Context(), &replay.Changes{Records: records[2:]}))
		}
		equal(t, "attempts", numbers(t, s), want)
	})
}

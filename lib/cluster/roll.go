package cluster

import (
	"context"
	"slices"

	"iwx/lib/queue"
)

// Roll is an entry that the nodes replay a few at a time, from when it is
// queued until every member is done with it.
//
// A node holds still before the entry until it is given its turn, which is
// written down before the node is told and is never taken back: the node may
// be running it. The others learn of records that follow all the same, so that
// a skip or a cancel reaches a node which waits.
type Roll struct {
	Seq     uint64
	Targets queue.Targets
	Turns   []string // ids of the nodes that have been given their turn
	Passed  []string // ids of the nodes that pass it by; "" stands for all
}

// holds reports whether the node is to wait for its turn. One that joined after
// the entry was queued, and replays it as baseline, serves nobody yet.
func (r *Roll) holds(n *Node) bool { return r.awaits(n) && !r.passes(n) && !r.under(n) }

// awaits reports whether the node has still to get past the entry.
func (r *Roll) awaits(n *Node) bool {
	return n.Start <= r.Seq && r.Targets.Include(n.ID, n.Start, r.Seq) && !n.Settled(r.Seq)
}

func (r *Roll) passes(n *Node) bool {
	return slices.Contains(r.Passed, n.ID) || slices.Contains(r.Passed, "")
}

// under reports whether the node may have begun the entry. What it says counts
// beside what is written down: a restored manager has forgotten the last turns.
func (r *Roll) under(n *Node) bool {
	return slices.Contains(r.Turns, n.ID) || n.Status.Running == r.Seq || r.failed(n)
}

func (r *Roll) failed(n *Node) bool { return n.Status.Blocked != nil && n.Status.Blocked.Seq == r.Seq }

// ready reports whether the node would begin the entry if it had its turn.
func (r *Roll) ready(n *Node) bool {
	return n.Status.Done+1 >= r.Seq && !n.Paused && n.Status.Blocked == nil && n.Status.Quiet()
}

// next returns the nodes whose turn it is now, in the order given, and whether
// the entry is over. present tells the nodes that would hear of it at once: one
// that is away is passed over, and takes its turn when it is back. While the
// entry has failed on a node, nobody's turn comes.
//
// A node that falls silent in its turn keeps it, since nobody knows whether it
// is running the entry, until the operator has it passed by there.
func (r *Roll) next(nodes []Node, present func(id string) bool) (turns []string, over bool) {
	free, stopped, over := int(r.Targets.Rolling), false, true
	for i := range nodes {
		n := &nodes[i]
		switch {
		case !r.awaits(n):
		case r.passes(n):
			if r.under(n) && n.Word() != WordUnreachable {
				free, over = free-1, false
			}
		case r.under(n):
			free, over = free-1, false
			stopped = stopped || r.failed(n)
		default:
			over = false
			if r.ready(n) && present(n.ID) {
				turns = append(turns, n.ID)
			}
		}
	}
	if stopped || free <= 0 {
		return nil, over
	}
	return turns[:min(free, len(turns))], over
}

// roll gives the nodes their turns and returns, by node, the entry before which
// each of the others holds still.
func (m *Manager) roll(ctx context.Context) (map[string]uint64, error) {
	rolls, err := m.Store.Rolls(ctx)
	if err != nil || len(rolls) == 0 {
		return nil, err
	}
	nodes, err := m.Store.Standings(ctx)
	if err != nil {
		return nil, err
	}
	holds := map[string]uint64{}
	for i := range rolls {
		r := &rolls[i]
		turns, over := r.next(nodes, m.present)
		if len(turns) > 0 || over {
			if err := m.Store.SaveRoll(ctx, r.Seq, turns, over); err != nil {
				return nil, err
			}
		}
		r.Turns = append(r.Turns, turns...)
		for j := range nodes {
			if n := &nodes[j]; holds[n.ID] == 0 && r.holds(n) {
				holds[n.ID] = r.Seq
			}
		}
	}
	return holds, nil
}

// present reports whether a poll of the node is open.
func (m *Manager) present(id string) bool {
	p := m.presence(id)
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.parked > 0
}

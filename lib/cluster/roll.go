package cluster

import (
	"context"
	"slices"
	"time"

	"iwx/lib/lb"
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
	Turns   []Turn   // of the nodes that have been given one
	Passed  []string // ids of the nodes that pass it by; "" stands for all
}

// Stage is how far a node is with its turn.
type Stage string

const (
	Draining  Stage = "draining"  // the connections that it has end
	Begun     Stage = "begun"     // it may begin the entry, or has
	Returning Stage = "returning" // past the entry; load balancing is to give it connections again
	Returned  Stage = "returned"  // it has no turn any more
)

// Turn is a node's turn at an entry that rolls. Where the node takes part in
// load balancing it is drained before it begins, and the turn itself is that
// drain, so that whatever ends the one ends the other.
type Turn struct {
	Node    string // id
	Stage   Stage
	Since   time.Time // it is in that stage
	Drained bool      // load balancing gives it nothing new
	Pools   []string  // lb.Share.In before: where it is to be again
	Left    []string  // lb.Share.Left when it began all the same
}

// open reports whether the turn keeps the node out of load balancing, or has
// and it is not back.
func (t *Turn) open() bool { return t.Drained || t.Stage == Draining || t.Stage == Returning }

// Balancer is load balancing, as entries that roll need it.
type Balancer interface {
	// Shares returns how the nodes take part, by id: none for those that do not,
	// as when there is no policy. known is false while that is found out. It does
	// not block for long.
	Shares(ctx context.Context) (shares map[string]lb.Share, known bool, err error)
	// Limit is how long a node's connections are waited for.
	Limit() time.Duration
	// Poke notifies the balancer that drains have changed.
	Poke()
}

// blindWait is how long an external balancer is given to see that a node is
// drained: it asks every few seconds.
const blindWait = 10 * time.Second

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
	return r.turn(n.ID).Stage == Begun || n.Status.Running == r.Seq || r.failed(n)
}

// turn returns the node's turn; the zero Turn if it was given none.
func (r *Roll) turn(id string) Turn {
	for _, t := range r.Turns {
		if t.Node == id {
			return t
		}
	}
	return Turn{Node: id}
}

func (r *Roll) failed(n *Node) bool { return n.Status.Blocked != nil && n.Status.Blocked.Seq == r.Seq }

// ready reports whether the node would begin the entry if it had its turn.
func (r *Roll) ready(n *Node) bool {
	return n.Status.Done+1 >= r.Seq && !n.Paused && n.Status.Blocked == nil && n.Status.Quiet()
}

// round is one look at an entry that rolls: what comes next, by how the nodes
// are now.
type round struct {
	*Roll
	now     time.Time
	present func(id string) bool // tells the nodes that would hear of a turn at once
	shares  map[string]lb.Share
	known   bool // the shares are
	limit   time.Duration
	out     map[string]bool // nodes that other entries have taken out of load balancing

	free     int
	stopped  bool    // the entry has failed on a node
	over     bool    // nobody has anything to do with the entry any more
	draining []*Node // their turn is about to begin
	waiting  []*Node // those that a turn could be given to
	changed  []Turn
}

// next finds out whose turn it is now, in the order of the nodes given, and
// whether the entry is over. One that is unreachable is passed over, and takes its
// turn when it is back. While the entry has failed on a node, nobody's turn comes.
//
// A node that falls silent in its turn keeps it, since nobody knows whether it
// is running the entry, until the operator has it passed by there. One that
// load balancing does not take back keeps it too, and what broke it from all the
// others.
func (r *round) next(nodes []Node) {
	r.free, r.over = int(r.Targets.Rolling)-len(r.out), true
	for i := range nodes {
		r.look(&nodes[i])
	}
	for _, n := range r.draining {
		r.drain(n)
	}
	if r.stopped || !r.known {
		return
	}
	for _, n := range r.waiting {
		// A node between two polls keeps its place, and gets its turn with the
		// next poll.
		if r.free > 0 && (!r.present(n.ID) || r.give(n)) {
			r.free--
		}
	}
}

func (r *round) look(n *Node) {
	switch t := r.turn(n.ID); {
	case !r.awaits(n):
		r.past(t, false)
	case r.passes(n):
		away := n.Word() == WordUnreachable
		if r.under(n) && !away {
			r.keep()
		} else {
			r.past(t, away)
		}
	case r.under(n):
		r.keep()
		r.stopped = r.stopped || r.failed(n)
	case t.Stage == Draining:
		r.keep()
		r.draining = append(r.draining, n)
	default:
		r.over = false
		if r.ready(n) && n.Word() != WordUnreachable && !r.out[n.ID] {
			r.waiting = append(r.waiting, n)
		}
	}
}

// keep counts a node that has its turn.
func (r *round) keep() { r.free, r.over = r.free-1, false }

func (r *round) change(t Turn, to Stage) {
	t.Stage, t.Since, t.Drained = to, r.now, t.Drained && to == Begun || to == Draining
	r.changed = append(r.changed, t)
}

// past puts a node that is past the entry back into load balancing, and keeps
// its turn until it is there. One that is away and was given up is not waited
// for.
func (r *round) past(t Turn, away bool) {
	switch {
	case t.Stage == Returning && (away || r.back(&t)):
		r.change(t, Returned)
	case t.Stage == Returning:
		r.keep()
	case t.open() || t.Stage == Begun && len(t.Pools) > 0:
		r.keep()
		r.change(t, Returning)
	}
}

// back reports whether the node is where it was before its turn, by checks that
// came after it. A pool that is no more, or from which an administrator drains
// the node, is not waited for.
func (r *round) back(t *Turn) bool {
	share, member := r.shares[t.Node]
	missing := func(pool string) bool { return slices.Contains(share.Out, pool) }
	switch {
	case !r.known || !member:
		return r.known
	case !share.Current || slices.ContainsFunc(t.Pools, missing):
		return false
	}
	return len(share.In) == 0 || share.Checked.After(t.Since)
}

// drain lets a node begin when its connections have ended, or have had their
// time. One that would not begin now gives its turn back.
func (r *round) drain(n *Node) {
	t := r.turn(n.ID)
	if r.stopped || !r.ready(n) || n.Word() == WordUnreachable {
		r.change(t, Returned)
		return
	}
	if !r.present(n.ID) {
		return
	}
	if share := r.shares[n.ID]; !r.drained(&t) {
		if r.now.Sub(t.Since) < r.limit {
			return
		}
		t.Left = share.Left
	}
	r.change(t, Begun)
}

func (r *round) drained(t *Turn) bool {
	share, member := r.shares[t.Node]
	switch {
	case !t.Drained: // an administrator has put it back
		return true
	case !r.known:
		return false
	case share.Blind:
		return share.Current && r.now.Sub(t.Since) >= blindWait
	}
	return !member || share.Drained()
}

// give gives a node its turn, which begins with a drain where it takes part in
// load balancing. What is about to change there is waited for.
func (r *round) give(n *Node) bool {
	share, member := r.shares[n.ID]
	switch {
	case !member:
		r.change(Turn{Node: n.ID}, Begun)
	case share.Current:
		r.change(Turn{Node: n.ID, Pools: share.In}, Draining)
	}
	return !member || share.Current
}

// roll gives the nodes their turns and returns, by node, the entry before which
// each of the others holds still, by the log up to head.
func (m *Manager) roll(ctx context.Context, head uint64) (map[string]uint64, error) {
	rolls, err := m.Store.Rolls(ctx, head)
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
		if err := m.advance(ctx, r, nodes, outside(rolls, r.Seq, nodes)); err != nil {
			return nil, err
		}
		for j := range nodes {
			if n := &nodes[j]; holds[n.ID] == 0 && r.holds(n) {
				holds[n.ID] = r.Seq
			}
		}
	}
	return holds, nil
}

// outside are the nodes that the other entries keep out of load balancing.
func outside(rolls []Roll, but uint64, nodes []Node) map[string]bool {
	out := map[string]bool{}
	for i := range rolls {
		for j := range nodes {
			if t := rolls[i].turn(nodes[j].ID); rolls[i].Seq != but && t.open() {
				out[t.Node] = true
			}
		}
	}
	return out
}

// advance has one entry go on, and writes that down.
func (m *Manager) advance(ctx context.Context, r *Roll, nodes []Node, out map[string]bool) (err error) {
	look := &round{Roll: r, now: m.Now(), present: m.present, known: true, out: out}
	if m.Balancer != nil {
		look.limit = m.Balancer.Limit()
		if look.shares, look.known, err = m.Balancer.Shares(ctx); err != nil {
			return err
		}
	}
	look.next(nodes)
	if len(look.changed) == 0 && !look.over {
		return nil
	}
	if err := m.Store.SaveRoll(ctx, r.Seq, look.changed, look.over); err != nil {
		return err
	}
	m.noteTurns(r, look.changed, nodes)
	return nil
}

// noteTurns has the entry know the turns that have been written down, and those
// that the drains among them concern.
func (m *Manager) noteTurns(r *Roll, turns []Turn, nodes []Node) {
	drains := false
	for _, t := range turns {
		drains = drains || t.Drained != r.turn(t.Node).Drained
		r.Turns = append(slices.DeleteFunc(r.Turns, func(old Turn) bool { return old.Node == t.Node }), t)
		if len(t.Left) > 0 && t.Stage == Begun {
			m.Log.Warn("a node's turn begins before its connections have ended", "entry", r.Seq, "node", nameOf(nodes, t.Node), "left", t.Left)
		}
	}
	if drains && m.Balancer != nil {
		m.Balancer.Poke()
	}
}

func nameOf(nodes []Node, id string) string {
	i := slices.IndexFunc(nodes, func(n Node) bool { return n.ID == id })
	if i < 0 {
		return id
	}
	return nodes[i].Name
}

// Rolling reports whether there is an entry that goes to some nodes at a time.
func (m *Manager) Rolling() bool { return m.view.Load().rolling }

// present reports whether a poll of the node is open.
func (m *Manager) present(id string) bool {
	p := m.presence(id)
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.parked > 0
}

package queuetool

import (
	"iwx/lib/cli"
	"iwx/lib/cluster"
	"iwx/lib/fault"
	"iwx/lib/queue"
	"iwx/lib/replay"
	"iwx/lib/state"
	"iwx/lib/tool/await"
	"iwx/lib/tool/local"
	"iwx/lib/tool/nodestatus"
)

// fleet is the nodes that this server knows the doings of: the members on the
// manager, itself on a node.
type fleet struct {
	nodes []cluster.Node
	head  uint64
}

func loadFleet(c *cli.Context, server *local.Server) (*fleet, error) {
	nodes, head, err := nodestatus.Nodes(c, server)
	return &fleet{nodes: nodes, head: head}, err
}

// only narrows the fleet to the node of that name; "" does not.
func (f *fleet) only(name string) error {
	if name == "" {
		return nil
	}
	found, err := named(f.nodes, []string{name})
	f.nodes = found
	return err
}

// settled is the last entry that every node is done with; the log's last
// without nodes.
func (f *fleet) settled() uint64 {
	low := f.head
	for i := range f.nodes {
		low = min(low, f.nodes[i].Status.Done)
	}
	return low
}

// blocked are the entries that nodes halt at.
func (f *fleet) blocked() []uint64 {
	var list []uint64
	for i := range f.nodes {
		if n := &f.nodes[i]; n.Halted() {
			list = append(list, n.Status.Blocked.Seq)
		}
	}
	return list
}

// isFor reports whether the entry is for one of the nodes.
func (f *fleet) isFor(t queue.Targets, seq uint64) bool {
	for i := range f.nodes {
		if t.Include(f.nodes[i].ID, f.nodes[i].Start, seq) {
			return true
		}
	}
	return false
}

// pending reports whether a node has still to do the entry.
func (f *fleet) pending(t queue.Targets, seq uint64) bool {
	for i := range f.nodes {
		n := &f.nodes[i]
		if !n.Settled(seq) && t.Include(n.ID, n.Start, seq) {
			return true
		}
	}
	return false
}

// progress is how far the nodes are with an entry.
type progress struct {
	total, done int
	running     int
	halted      []string // names of those that halt at it
	unknown     []string // and of those where its outcome is not known
	skipped     []string // and of those that have passed it by
	cancelled   bool
}

// progress counts the nodes that an entry is for. voids are those of the entry,
// and attempts the last ones at it, which matter only beside voids.
func (f *fleet) progress(t queue.Targets, seq uint64, voids []state.Void, attempts []state.Attempt) progress {
	var p progress
	for _, v := range voids {
		p.cancelled = p.cancelled || v.Disposition == queue.Cancelled
	}
	for i := range f.nodes {
		n := &f.nodes[i]
		if !t.Include(n.ID, n.Start, seq) {
			continue
		}
		p.total++
		switch b, void := n.Status.Blocked, await.VoidOf(voids, n.ID); {
		case n.Settled(seq) && (did(n, void, lastOn(attempts, n.ID)) || void.Disposition == queue.Completed):
			p.done++
		case n.Settled(seq):
			p.skipped = append(p.skipped, n.Name)
		case b != nil && b.Seq == seq && n.Status.Word == replay.WordUnknown:
			p.unknown = append(p.unknown, n.Name)
		case b != nil && b.Seq == seq:
			p.halted = append(p.halted, n.Name)
		case n.Status.Running == seq:
			p.running++
		}
	}
	return p
}

// did reports whether a node that is past an entry has replayed it, whatever it
// was told meanwhile.
func did(n *cluster.Node, void *state.Void, last *state.Attempt) bool {
	return void == nil || n.Status.Head < void.Record || last != nil && last.Outcome == cluster.OutcomeDone
}

func lastOn(attempts []state.Attempt, node string) *state.Attempt {
	for i := range attempts {
		if attempts[i].Node == node {
			return &attempts[i]
		}
	}
	return nil
}

// mark is the state of the entry in a word. For people it says on which nodes.
func (p *progress) mark(people bool) cli.Mark {
	on := func(word string, names []string) cli.Mark {
		if people {
			word += " on " + cli.Some(names, 4)
		}
		return cli.Mark{Text: word, Level: cli.Bad}
	}
	switch {
	case p.cancelled:
		return cli.Mark{Text: "cancelled"}
	case len(p.halted) > 0:
		return on(replay.WordHalted, p.halted)
	case len(p.unknown) > 0:
		return on(replay.WordUnknown, p.unknown)
	case p.total == 0:
		return cli.Mark{Text: "no nodes"}
	case p.done == p.total:
		return cli.Mark{Text: "done", Level: cli.Good}
	case p.done+len(p.skipped) == p.total:
		skipped := on(string(queue.Skipped), p.skipped)
		skipped.Level = cli.Warn
		return skipped
	case p.running > 0 || p.done > 0:
		return cli.Mark{Text: replay.WordReplaying}
	}
	return cli.Mark{Text: waits}
}

// onlyManager refuses a name on a node that is not its own.
func onlyManager(server *local.Server, name string) error {
	if server.IsManager() || name == "" || name == server.Identity.Name {
		return nil
	}
	return fault.Hint(
		fault.New(fault.Failed, "this server is node %s and knows of no other", server.Identity.Name),
		"ask the manager, at %s", server.Identity.Manager.Addr())
}

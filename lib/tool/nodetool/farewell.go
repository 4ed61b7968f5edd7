package nodetool

import (
	"context"
	"fmt"
	"time"

	"iwx/lib/cli"
	"iwx/lib/cluster"
	"iwx/lib/state"
	"iwx/lib/tool/local"
)

// farewell waits until a node that was told to leave has left.
type farewell struct {
	c     *cli.Context
	store *state.Store
	id    string
	name  string

	node cluster.Node // as of the last look
	told string
}

// wait blocks until the node is gone; the error is otherwise that of the
// context, or of the limit.
func (f *farewell) wait(limit time.Duration) error {
	ctx, cancel := context.WithTimeout(f.c, limit)
	defer cancel()
	return f.store.Follow(ctx, func() (gone bool, err error) {
		err = f.look(ctx)
		return !f.node.Membership.Belongs(), err
	})
}

// look reads how far the node is, and tells what it waits for.
func (f *farewell) look(ctx context.Context) error {
	nodes, err := f.store.Nodes(ctx)
	if err != nil {
		return err
	}
	for i := range nodes {
		if nodes[i].ID == f.id {
			f.node = nodes[i]
		}
	}
	what := f.waits()
	if f.node.Word() == cluster.WordUnreachable {
		what = cluster.WordUnreachable // for how long changes all the time
	}
	if what != f.told && f.node.Membership == cluster.Leaving {
		f.told = what
		f.c.Notef("node %s is leaving: %s", f.name, f.waits())
	}
	return nil
}

// waits is what the departure of the node waits for.
func (f *farewell) waits() string { return waits(f.c, &f.node) }

func waits(c *cli.Context, n *cluster.Node) string {
	switch d := n.Status.Leaving; {
	case n.Word() == cluster.WordUnreachable:
		return silence(c, n)
	case d == nil:
		return "it is being notified"
	default:
		return d.Waits
	}
}

// departure is a node that is leaving, in one sentence.
func departure(c *cli.Context, n *cluster.Node) string {
	text := fmt.Sprintf("node %s is leaving, as %s ordered %s: %s", n.Name, n.EndedBy, local.Ago(c, n.EndedAt), waits(c, n))
	if d := n.Status.Leaving; d != nil && d.Failed {
		return c.Paint(cli.Bad, text)
	}
	return text
}

package nodetool

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"iwx/lib/cli"
	"iwx/lib/cluster"
	"iwx/lib/fault"
	"iwx/lib/tool/local"
)

type deleteVerb struct {
	cli.Yes
	Name    string        `arg:"" complete:"node" help:"Name of the node."`
	Force   bool          `help:"Delete it at once, without notifying it."`
	Timeout time.Duration `placeholder:"TIME" default:"5m" help:"Wait no longer than this; the node goes on leaving."`
}

// Examples implements cli.Exampled.
func (*deleteVerb) Examples() string {
	return `iwx-node delete web2
iwx-node delete web2 --force --yes`
}

// Run takes a node out, and waits until it has left. One that is out already is
// no error; one that is leaving is waited for.
func (v *deleteVerb) Run(c *cli.Context) error {
	server, err := local.OpenManager(c, "only the manager deletes nodes")
	if err != nil {
		return err
	}
	defer server.Close()
	node, err := find(c, server, v.Name)
	if err != nil {
		return err
	}
	if !node.Membership.Belongs() {
		c.Notef("%s; nothing changed", ending(c, node))
		return nil
	}
	head, err := server.Store.Head(c)
	if err != nil {
		return err
	}
	at := queuePlace(node, head.Seq)
	if err := v.reachable(c, server, node); err != nil {
		return err
	}
	if node.Membership == cluster.Member || v.Force {
		if err := c.Confirm(v.Yes.Yes, "delete node %s (%s, %s, %s)?", node.Name, node.Address, node.Word(), at); err != nil {
			return err
		}
	}
	if err := revokeOpen(c, server, node.Name); err != nil {
		return err
	}
	if v.Force {
		return v.end(c, server, node, at)
	}
	return v.see(c, server, node, at)
}

// reachable refuses, unless forced, to delete a node that cannot be notified: it
// would go on serving with what it has.
func (v *deleteVerb) reachable(c *cli.Context, server *local.Server, node *cluster.Node) error {
	if v.Force {
		return nil
	}
	hint := fmt.Sprintf("if it is gone for good: iwx-node delete %s --force", node.Name)
	if !server.Queued().Runs() {
		return fault.Hint(fault.New(fault.Busy, "cannot notify node %s that it is deleted: iwx-queued is not running here", node.Name),
			"%s\n%s", server.Queued().Hint(), hint)
	}
	if node.Word() != cluster.WordUnreachable {
		return nil
	}
	return fault.Hint(fault.New(fault.Busy, "cannot notify node %s that it is deleted: %s", node.Name, silence(c, node)), "%s", hint)
}

// silence says since when an unreachable node has been silent.
func silence(c *cli.Context, node *cluster.Node) string {
	switch {
	case node.LastSeen.IsZero():
		return fmt.Sprintf("it joined %s and has not connected since", local.Ago(c, node.JoinedAt))
	case node.SilentSince.IsZero():
		return fmt.Sprintf("it last connected %s and has not reported its state", local.Ago(c, node.LastSeen))
	}
	return fmt.Sprintf("it has been silent for %s", cli.Duration(c.Now().Sub(node.SilentSince)))
}

// revokeOpen makes an invitation to the name void: it was made for this member,
// and would let the server in again.
func revokeOpen(c *cli.Context, server *local.Server, name string) error {
	open, err := openToken(c, server, name)
	if err != nil || open == nil {
		return err
	}
	if err := server.Store.RevokeToken(c, open.ID, c.Now()); err != nil {
		return err
	}
	c.Notef("revoked token %s, for %s", open.ID, open.Name)
	return nil
}

// end ends the membership at once.
func (v *deleteVerb) end(c *cli.Context, server *local.Server, node *cluster.Node, at string) error {
	if err := server.Store.EndMembership(c, node.ID, cluster.Deleted, local.Operator(c), c.Now()); err != nil {
		return err
	}
	server.Poke()
	c.Notef("deleted node %s, %s", node.Name, at)
	c.Notef("hint: it was not notified and keeps its setup; the manager refuses it; to undo its setup, on the node: iwx-cluster-setup reset")
	return nil
}

// see has the node told to leave, and sees it off.
func (v *deleteVerb) see(c *cli.Context, server *local.Server, node *cluster.Node, at string) error {
	if err := server.Store.StartLeaving(c, node.ID, local.Operator(c), c.Now()); err != nil {
		return err
	}
	server.Poke()
	f := &farewell{c: c, store: server.Store, id: node.ID, name: node.Name}
	switch err := f.wait(v.Timeout); {
	case errors.Is(err, context.DeadlineExceeded) && c.Err() == nil:
		return fault.Hint(fault.New(fault.TimedOut, "after %s node %s has not left: %s; it goes on leaving", cli.Duration(v.Timeout), node.Name, f.waits()),
			"wait again: iwx-node delete %[1]s\nor delete it at once: iwx-node delete %[1]s --force", node.Name)
	case err != nil:
		if c.Err() != nil {
			c.Notef("node %[1]s goes on leaving; to wait again: iwx-node delete %[1]s", node.Name)
		}
		return err
	}
	c.Notef("deleted node %s, %s; it has undone its setup and is an independent server again", node.Name, at)
	return nil
}

// ending says how and when a node went.
func ending(c *cli.Context, node *cluster.Node) string {
	if node.Membership == cluster.Left {
		return fmt.Sprintf("node %s left %s, by %s", node.Name, local.Ago(c, node.EndedAt), node.EndedBy)
	}
	return fmt.Sprintf("node %s was deleted %s by %s", node.Name, local.Ago(c, node.EndedAt), node.EndedBy)
}

// queuePlace says how far a node is in the queue that ends at head.
func queuePlace(node *cluster.Node, head uint64) string {
	done := node.Status.Done
	switch {
	case head == 0:
		return "nothing queued"
	case done >= head:
		return fmt.Sprintf("done with all %d entries", head)
	}
	return fmt.Sprintf("at entry %d of %d, %d behind", done, head, head-done)
}

// find returns the node of that name or id: a member, else the one that went
// last.
func find(c *cli.Context, server *local.Server, name string) (*cluster.Node, error) {
	nodes, err := server.Store.Nodes(c)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(nodes, func(n cluster.Node) bool { return n.Name == name || n.ID == name })
	if i < 0 {
		return nil, fault.Hint(fault.New(fault.Failed, "no node is called %q", name), "iwx-node list --all")
	}
	return &nodes[i], nil
}

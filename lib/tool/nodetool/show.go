package nodetool

import (
	"fmt"
	"slices"

	"iwx/lib/cli"
	"iwx/lib/cluster"
	"iwx/lib/fault"
	"iwx/lib/nfs"
	"iwx/lib/tool/local"
	"iwx/lib/tool/nodestatus"
)

type showVerb struct {
	cli.Output
	Name string `arg:"" complete:"node" help:"Name of the node, or its id."`
}

// Run shows one node, a former one as well.
func (v *showVerb) Run(c *cli.Context) error {
	server, err := local.Open(c)
	if err != nil {
		return err
	}
	defer server.Close()
	known, err := look(c, server)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(known.nodes, func(n cluster.Node) bool { return n.Name == v.Name || n.ID == v.Name })
	switch {
	case i < 0 && !server.IsManager():
		return onlyItself(server, v.Name)
	case i < 0:
		return fault.Hint(fault.New(fault.Failed, "no node is called %q", v.Name), "iwx-node list --all")
	}
	node := &known.nodes[i]
	text := verdict(c, node)
	if !server.IsManager() {
		text = ownVerdict(c, server, known)
	}
	return recordTable(true).Show(c, v.Output, text, record{*node, known.head, c.Now()})
}

// verdict is the node in one sentence.
func verdict(c *cli.Context, n *cluster.Node) string {
	word := n.Word()
	b := n.Status.Blocked
	switch {
	case !n.Membership.Belongs():
		return ending(c, n)
	case word == cluster.WordUnreachable:
		return c.Paint(cli.Bad, fmt.Sprintf("node %s is unreachable: %s", n.Name, silence(c, n)))
	case n.Membership == cluster.Leaving:
		return departure(c, n)
	case b != nil:
		return c.Paint(cli.Bad, fmt.Sprintf("node %s is %s at entry %d: %s", n.Name, word, b.Seq, b.Error))
	case word == cluster.WordFetching:
		return c.Paint(nodestatus.Mark(n).Level, fmt.Sprintf("node %s is %s: it %s", n.Name, word, nodestatus.FetchTrouble(n)))
	case n.Displaced:
		return c.Paint(cli.Bad, fmt.Sprintf("node %s is %s, and %s", n.Name, word, nodestatus.AddressTrouble(n)))
	case nodestatus.GraveProfile(n.Profile()):
		return c.Paint(cli.Bad, fmt.Sprintf("node %s is %s, and its profile is not applied", n.Name, word))
	case nfs.Worst(n.Status.Mounts) != nil:
		return c.Paint(cli.Bad, fmt.Sprintf("node %s is %s; %s", n.Name, word, nodestatus.StorageTrouble(n.Status.Mounts)))
	case nodestatus.GraveSites(n):
		return c.Paint(cli.Bad, fmt.Sprintf("node %s is %s; %s", n.Name, word, nodestatus.SitesTrouble(n)))
	case n.Baseline != nil:
		return fmt.Sprintf("node %s is %s: baseline %d of %d", n.Name, word, n.Baseline.Done, n.Baseline.Total)
	}
	return fmt.Sprintf("node %s is %s", n.Name, word)
}

// ownVerdict is a node's verdict on itself. That its manager does not answer, or
// refuses it, comes first.
func ownVerdict(c *cli.Context, server *local.Server, known *knowledge) string {
	manager := server.Identity.Manager.Addr()
	switch contact := known.contact; {
	case contact.Reason != "":
		return c.Paint(cli.Bad, fmt.Sprintf("the manager, at %s, refuses this node: %s", manager, contact.Error))
	case !contact.SilentAt.IsZero():
		return c.Paint(cli.Bad, fmt.Sprintf("the manager, at %s, has not answered for %s: %s", manager, cli.Duration(c.Now().Sub(contact.SilentAt)), contact.Error))
	case contact.HeardAt.IsZero():
		return c.Paint(cli.Warn, fmt.Sprintf("the manager, at %s, has not answered yet", manager))
	}
	return fmt.Sprintf("%s; its manager is at %s", verdict(c, &known.nodes[0]), manager)
}

package nodetool

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"iwx/lib/cli"
	"iwx/lib/cluster"
	"iwx/lib/fault"
	"iwx/lib/lb"
	"iwx/lib/nfs"
	"iwx/lib/profile"
	"iwx/lib/tool/local"
	"iwx/lib/tool/nodestatus"
	"iwx/lib/tool/upkeep"
)

type editVerb struct {
	Name    string        `arg:"" complete:"node" help:"Name of the node."`
	Address string        `placeholder:"IP" required:"" help:"The node's new address."`
	DryRun  bool          `help:"Print what would change, and do nothing."`
	Wait    bool          `help:"Wait until the node has moved."`
	Timeout time.Duration `placeholder:"TIME" help:"Wait no longer than this; the move goes on. Implies --wait."`
}

// Examples implements cli.Exampled.
func (*editVerb) Examples() string {
	return `iwx-node edit web2 --address 192.0.2.22 --dry-run
iwx-node edit web2 --address 192.0.2.22 --wait`
}

// Run changes the address of a node. One transaction records it, and the daemons
// converge to it, even if they are killed meanwhile. Repeating it changes nothing.
func (v *editVerb) Run(c *cli.Context) error {
	server, err := local.OpenManager(c, "only the manager edits nodes")
	if err != nil {
		return err
	}
	defer server.Close()
	node, err := find(c, server, v.Name)
	if err != nil {
		return err
	}
	switch node.Membership {
	case cluster.Member:
	case cluster.Leaving:
		return fault.New(fault.Failed, "%s", departure(c, node))
	default:
		return fault.New(fault.Failed, "%s", ending(c, node))
	}
	to, err := v.address(c, server, node)
	if err != nil {
		return err
	}
	if err := v.move(c, server, node, to); err != nil || v.DryRun || !v.Wait && v.Timeout == 0 {
		return err
	}
	return v.await(c, server, node, to)
}

// address checks the new address of the node.
func (v *editVerb) address(c *cli.Context, server *local.Server, node *cluster.Node) (netip.Addr, error) {
	to, err := netip.ParseAddr(v.Address)
	if err != nil {
		return to, fault.New(fault.Usage, "address %q is not an IP address", v.Address)
	}
	to = to.Unmap()
	is := server.Identity
	switch {
	case to.Zone() != "", to.IsUnspecified(), to.IsMulticast(), to.IsLinkLocalUnicast(), to == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return to, fault.New(fault.Usage, "other servers cannot reach address %s", v.Address)
	case to.IsLoopback() && !is.Manager.Addr().IsLoopback():
		return to, fault.New(fault.Usage, "address %s is a loopback address, which every server has", to)
	case to.Is4() != is.Manager.Addr().Is4():
		return to, fault.New(fault.Usage, "address %s is not of the same IP version as the quorum IP, %s", to, is.Manager.Addr())
	case to == is.Address:
		return to, fault.New(fault.Usage, "address %s is the manager's own", to)
	case slices.ContainsFunc(is.ManagerAddresses(), func(at netip.AddrPort) bool { return at.Addr() == to }):
		return to, fault.New(fault.Usage, "address %s is the quorum IP, where the nodes find the manager", to)
	}
	setup, err := server.Store.Balancing(c)
	if err != nil {
		return to, err
	}
	if slices.ContainsFunc(setup.VIPs, func(vip lb.VIP) bool { return vip.Addr == to }) {
		return to, fault.New(fault.Usage, "address %s is a virtual IP of the cluster", to)
	}
	members, err := server.Store.Members(c)
	for i := range members {
		switch n := &members[i]; {
		case n.ID == node.ID:
		case n.Address == to:
			return to, fault.New(fault.Usage, "address %s is that of node %s", to, n.Name)
		case n.Former == to:
			return to, fault.Hint(fault.New(fault.Usage, "address %s was that of node %s, which has not moved yet", to, n.Name),
				"wait for it: iwx-node edit %s --address %s --wait", n.Name, n.Address)
		}
	}
	return to, err
}

// move records the address, or prints what would follow.
func (v *editVerb) move(c *cli.Context, server *local.Server, node *cluster.Node, to netip.Addr) error {
	if node.Address == to {
		c.Notef("node %s has the address %s already; nothing changed", node.Name, to)
		return nil
	}
	former := node.FormerAddress(to)
	if v.DryRun {
		lines, err := consequences(c, server, node, to, former)
		if err != nil {
			return err
		}
		for _, line := range lines {
			if err := c.Printf("%s\n", line); err != nil {
				return err
			}
		}
		return nil
	}
	if err := server.Store.SetAddress(c, node.ID, to, former); err != nil {
		return err
	}
	server.PokeBalance()
	c.Notef("the address of node %s is now %s; it was %s", node.Name, to, node.Address)
	if node.Connects.IsValid() && node.Connects != to {
		c.Notef("hint: node %s connects from %s; it has moved once it connects from %s: iwx-node edit %s --address %s --wait",
			node.Name, node.Connects, to, node.Name, to)
	}
	server.WarnIdle(c, "the change takes effect once it does")
	return nil
}

// consequences lists what changes with the address, one change a line.
func consequences(c *cli.Context, server *local.Server, node *cluster.Node, to, former netip.Addr) ([]string, error) {
	before, err := upkeep.Look(c, server)
	if err != nil {
		return nil, err
	}
	members := slices.Clone(before.Members)
	for i := range members {
		if members[i].ID == node.ID {
			members[i].Address, members[i].Former = to, former
		}
	}
	after, err := upkeep.Of(c, server, members)
	if err != nil {
		return nil, err
	}
	lines := []string{fmt.Sprintf("node %s: address %s instead of %s", node.Name, to, node.Address)}
	was, err := documents(before, node.ID)
	if err != nil {
		return nil, err
	}
	is, err := documents(after, node.ID)
	if err != nil {
		return nil, err
	}
	for i, where := range []string{"the manager", node.Name} {
		for _, item := range is[i].Items {
			same := func(other profile.Item) bool {
				return other.String() == item.String() && string(other.Spec) == string(item.Spec)
			}
			switch {
			case slices.ContainsFunc(was[i].Items, same):
			case item.Kind == nfs.KindExport && former.IsValid():
				lines = append(lines, fmt.Sprintf("on %s: %s to %s, and to %s until %s has moved", where, item, to, former, node.Name))
			default:
				lines = append(lines, fmt.Sprintf("on %s: %s", where, item))
			}
		}
	}
	for i := range after.Balancing.Policies {
		if p := &after.Balancing.Policies[i]; len(p.Only) == 0 || slices.Contains(p.Only, node.ID) {
			lines = append(lines, fmt.Sprintf("balance %s on %s to %s", p.Name(), p.VIP, to))
		}
	}
	return lines, nil
}

// documents returns the profiles of the manager and of a node.
func documents(known *upkeep.Cluster, id string) (list [2]profile.Document, err error) {
	if list[0], err = known.Manager(); err != nil {
		return list, err
	}
	nodes, err := known.Documents()
	list[1] = nodes[id]
	return list, err
}

// await waits until the node has moved.
func (v *editVerb) await(c *cli.Context, server *local.Server, node *cluster.Node, to netip.Addr) error {
	if !server.Queued().Runs() {
		return fault.Hint(fault.New(fault.Busy, "node %s cannot move: iwx-queued is not running here", node.Name), "%s", server.Queued().Hint())
	}
	ctx := c.Context
	if v.Timeout > 0 {
		var cancel func()
		ctx, cancel = context.WithTimeout(c.Context, v.Timeout)
		defer cancel()
	}
	var waits string
	err := server.Store.Follow(ctx, func() (moved bool, err error) {
		was := waits
		waits, err = moveWaits(c, server, node.ID, to)
		if err == nil && waits != "" && waits != was {
			c.Notef("node %s is moving: %s", node.Name, waits)
		}
		return waits == "", err
	})
	again := fmt.Sprintf("iwx-node edit %s --address %s --wait", node.Name, to)
	switch {
	case err == nil:
		c.Notef("node %s has moved to %s", node.Name, to)
	case errors.Is(err, context.DeadlineExceeded) && c.Err() == nil:
		return fault.Hint(fault.New(fault.TimedOut, "after %s node %s has not moved: %s; it goes on moving", cli.Duration(v.Timeout), node.Name, waits),
			"wait again: %s", again)
	case ctx.Err() != nil:
		c.Notef("node %s goes on moving; to wait again: %s", node.Name, again)
	}
	return err
}

// moveWaits returns what the move of a node's address waits for, or "" once it
// is over.
func moveWaits(c *cli.Context, server *local.Server, id string, to netip.Addr) (string, error) {
	n, err := find(c, server, id)
	if err != nil {
		return "", err
	}
	if n.Membership != cluster.Member || n.Address != to {
		return "", fault.New(fault.Failed, "node %s was changed meanwhile: its address is %s, and it is a %s", n.Name, n.Address, n.Membership)
	}
	own, err := upkeep.Desired(c, server)
	if err != nil {
		return "", err
	}
	saved, err := server.Store.Profile().Load(c)
	if err != nil {
		return "", err
	}
	list := []cluster.Node{*n}
	if err := nodestatus.Desire(c, server, list); err != nil {
		return "", err
	}
	n = &list[0]
	_, here := n.Facts.Find(to) // otherwise its facts are older than the move
	_, still := n.Facts.Find(n.Former)
	switch standing := saved.Standing(); {
	case saved.Desired.Version != own.Version || !standing.Current():
		return "the manager's profile is " + profileWord(standing, own.Version), nil
	case n.Word() == cluster.WordUnreachable:
		return "it is unreachable", nil
	case !n.Connects.IsValid():
		return "it has not connected yet", nil
	case n.Connects != to:
		return fmt.Sprintf("it connects from %s", n.Connects), nil
	case n.Status.Profile != nil && !n.Profile().Current():
		return "its profile is " + n.Profile().Word(), nil
	case nfs.Worst(n.Status.Mounts) != nil:
		return nodestatus.StorageTrouble(n.Status.Mounts), nil
	case n.Former.IsValid() && !(here && still && !n.FactsAt.IsZero()):
		return fmt.Sprintf("the shares are still exported to %s", n.Former), nil
	}
	return "", nil
}

// profileWord returns the status of a profile that should have the version.
func profileWord(s profile.Status, version string) string {
	if s.Desired != version {
		return profile.WordPending
	}
	return s.Word()
}

package queuetool

import (
	"fmt"
	"slices"
	"strings"

	"iwx/lib/cli"
	"iwx/lib/cluster"
	"iwx/lib/fault"
	"iwx/lib/queue"
	"iwx/lib/tool/await"
	"iwx/lib/tool/local"
)

type retryVerb struct {
	Node []string `arg:"" optional:"" complete:"node" help:"The nodes; without one, the only one that is halted."`
	All  bool     `help:"Every node that is halted."`
	await.Flags
}

// Examples implements cli.Exampled.
func (*retryVerb) Examples() string {
	return `iwx-queue retry web2
		iwx-queue retry --all --wait`
}

// Run asks halted nodes to try again at once. One that is away does so when it
// is back.
func (v *retryVerb) Run(c *cli.Context) error {
	server, err := local.OpenManager(c, readOnly)
	if err != nil {
		return err
	}
	defer server.Close()
	nodes, err := server.Store.Standings(c)
	if err != nil {
		return err
	}
	halted, err := v.choose(nodes)
	if err != nil {
		return err
	}
	if halted, err = v.endable(c, halted); err != nil {
		return err
	}
	if len(halted) == 0 {
		c.Notef("no node is halted")
		return nil
	}
	orders := map[string]uint64{}
	for _, n := range halted {
		orders[n.ID] = n.Status.Blocked.Seq
	}
	if err := server.Store.Retry(c, orders, c.Now()); err != nil {
		return err
	}
	server.Poke()
	for i := range halted {
		tellRetry(c, &halted[i])
	}
	for _, n := range halted {
		if err := v.Wait(c, server, n.Status.Blocked.Seq, queue.Nodes(n.ID)); err != nil {
			return err
		}
	}
	return nil
}

func tellRetry(c *cli.Context, n *cluster.Node) {
	when := ""
	switch {
	case n.Word() == cluster.WordUnreachable:
		when = ", when it is back"
	case n.Paused:
		when = ", when it is resumed"
	}
	c.Notef("%s tries entry %d again%s", n.Name, n.Status.Blocked.Seq, when)
}

// choose returns the nodes that are to try again.
func (v *retryVerb) choose(nodes []cluster.Node) ([]cluster.Node, error) {
	if v.All && len(v.Node) > 0 {
		return nil, fault.New(fault.Usage, "either --all or nodes by name")
	}
	if len(v.Node) > 0 {
		return haltedNamed(nodes, v.Node)
	}
	halted := slices.DeleteFunc(slices.Clone(nodes), func(n cluster.Node) bool { return !n.Halted() })
	if len(halted) > 1 && !v.All {
		var names []string
		for _, n := range halted {
			names = append(names, fmt.Sprintf("%s (at %d)", n.Name, n.Status.Blocked.Seq))
		}
		return nil, fault.Hint(fault.New(fault.Usage, "%s are halted: %s", countNodes(len(halted)), strings.Join(names, ", ")),
			"name them, or: iwx-queue retry --all")
	}
	return halted, nil
}

// endable leaves out nodes whose last attempt still runs because nothing can
// end it: they have nothing to retry yet.
func (v *retryVerb) endable(c *cli.Context, halted []cluster.Node) (list []cluster.Node, err error) {
	for _, n := range halted {
		b := n.Status.Blocked
		if b.Hung == nil {
			list = append(list, n)
			continue
		}
		err = fault.Hint(
			fault.New(fault.Busy, "entry %d is still running on %s: %s", b.Seq, n.Name, b.Reason(c.Now())),
			"on %s: free the resource it waits for, or restart the server", n.Name)
		if v.All {
			c.Warnf("%v", err)
		} else {
			return nil, err
		}
	}
	if len(list) == 0 {
		return nil, err
	}
	return list, nil
}

func haltedNamed(nodes []cluster.Node, names []string) ([]cluster.Node, error) {
	found, err := named(nodes, names)
	for i := range found {
		if err == nil {
			err = checkHalted(&found[i])
		}
	}
	return found, err
}

// checkHalted reports why there is nothing to try again, skip or settle.
func checkHalted(n *cluster.Node) error {
	switch b := n.Status.Blocked; {
	case b == nil:
		return fault.Hint(fault.New(fault.Failed, "node %s is not halted: it is %s", n.Name, n.Word()), "iwx-queue status")
	case b.Attempts == 0:
		return fault.Hint(fault.New(fault.Failed, "node %s is not halted by an entry: %s", n.Name, b.Error), "fix that on %s", n.Name)
	}
	return nil
}

package queuetool

import (
	"cmp"
	"fmt"
	"slices"

	"iwx/lib/cli"
	"iwx/lib/cluster"
	"iwx/lib/fault"
	"iwx/lib/queue"
	"iwx/lib/state"
	"iwx/lib/tool/local"
)

type recoverVerb struct {
	cli.Yes
	DryRun bool `help:"Print what would be taken back, and do nothing."`
}

// Examples implements cli.Exampled.
func (*recoverVerb) Examples() string {
	return `iwx-queue recover --dry-run
		iwx-queue recover`
}

// Run puts what the nodes have sent back into the manager's log. Running it
// again finds nothing.
func (v *recoverVerb) Run(c *cli.Context) error {
	server, err := local.OpenManager(c, "lost entries are recovered on the manager")
	if err != nil {
		return err
	}
	defer server.Close()
	nodes, err := server.Store.Standings(c)
	if err != nil {
		return err
	}
	server.WarnIdle(c, idle)
	if err := warnSilent(c, nodes); err != nil {
		return err
	}
	at, who := c.Now().UnixMilli(), local.Operator(c)
	plan, err := server.Store.Recover(c, at, who, true)
	if plan == nil && err == nil {
		c.Notef("nothing to recover: no node that can be reached has entries which the manager lacks")
		return nil
	}
	if plan == nil {
		return err
	}
	if v.DryRun || err != nil {
		return cmp.Or(lostTable().Write(c, cli.Output{}, lostRows(nodes, plan)), err)
	}
	names := nameOf(nodes)
	if err := c.Confirm(v.Yes.Yes, "take back %s from %s?", recordRange(plan.Records), names[plan.Node]); err != nil {
		return err
	}
	done, err := server.Store.Recover(c, at, who, false)
	if err != nil || done == nil {
		return err
	}
	server.Poke()
	tellRecovered(c, done, names)
	return nil
}

// warnSilent reports nodes that may have more than what is known of. The error
// is that of one which has just been asked for what it has.
func warnSilent(c *cli.Context, nodes []cluster.Node) error {
	for i := range nodes {
		n := &nodes[i]
		switch {
		case n.Word() == cluster.WordUnreachable:
			c.Warnf("node %s is unreachable, and may have entries that no other node has", n.Name)
		case n.Diverged() && (n.Tail.First == 0 || n.Tail.Last.Seq < n.Status.Head && !n.Tail.Accepted):
			return notSent(n)
		}
	}
	return nil
}

func notSent(n *cluster.Node) error {
	return fault.Hint(fault.New(fault.Busy, "node %s has not sent all of its entries beyond this manager's log yet", n.Name),
		"try again in a moment; on %s: journalctl -u iwx-queued", n.Name)
}

func nameOf(nodes []cluster.Node) map[string]string {
	names := map[string]string{}
	for _, n := range nodes {
		names[n.ID] = n.Name
	}
	return names
}

// recordRange is "3 records, 41-43".
func recordRange(records []queue.Record) string {
	first, last := records[0].Seq, records[len(records)-1].Seq
	if first == last {
		return fmt.Sprintf("1 record, %d", first)
	}
	return fmt.Sprintf("%d records, %d-%d", len(records), first, last)
}

func tellRecovered(c *cli.Context, r *state.Recovery, names map[string]string) {
	c.Notef("recovered %s, from %s; from here on epoch %d", recordRange(r.Records), names[r.Node], r.Epoch)
	for _, seq := range r.Lost {
		c.Warnf("the text of entry %d is lost: no node that could be asked has it; it counts as cancelled", seq)
	}
	for _, id := range r.Others {
		c.Warnf("node %s has entries other than these, and stays diverged", names[id])
		c.Notef("hint: to give up its entries: iwx-queue accept %s", names[id])
	}
}

// lostEntry is an entry that nodes have and the manager lacks.
type lostEntry struct {
	op      queue.OpID
	kind    queue.Kind
	done    []string // the nodes that are done with it
	command string
}

func lostTable() cli.Table[lostEntry] {
	return cli.Table[lostEntry]{Singular: "record", Plural: "records", Columns: []cli.Column[lostEntry]{
		{Name: "entry", Value: func(a lostEntry) any { return cli.ID(a.op.Seq) }},
		{Name: "epoch", Value: func(a lostEntry) any { return a.op.Epoch }, Spare: true},
		{Name: "kind", Value: func(a lostEntry) any { return a.kind.String() }},
		{Name: "done_on", Value: func(a lostEntry) any { return a.done }},
		{Name: "command", Value: func(a lostEntry) any { return a.command }, Cut: true},
	}}
}

func lostRows(nodes []cluster.Node, plan *state.Recovery) []lostEntry {
	rows := make([]lostEntry, len(plan.Records))
	for i := range plan.Records {
		r := &plan.Records[i]
		rows[i] = newLostEntry(r, nodes)
		if slices.Contains(plan.Lost, r.Seq) {
			rows[i].command = "(lost: no node that could be asked has its text)"
		}
	}
	return rows
}

// newLostEntry describes a record that the nodes have and the manager lacks.
func newLostEntry(r *queue.Record, nodes []cluster.Node) lostEntry {
	row := lostEntry{op: r.OpID, kind: r.Kind, command: recordText(r)}
	targets, err := queue.DecodeTargets(r.Targets)
	for i := range nodes {
		n := &nodes[i]
		sent := n.Tail.First > 0 && n.Tail.First <= r.Seq && r.Seq <= n.Tail.Last.Seq
		if err == nil && r.Kind == queue.KindCommand && sent && n.Status.Beyond >= r.Seq && targets.Include(n.ID, n.Start, r.Seq) {
			row.done = append(row.done, n.Name)
		}
	}
	return row
}

type acceptVerb struct {
	cli.Yes
	DryRun bool     `help:"Print what would be given up, and do nothing."`
	Node   []string `arg:"" optional:"" complete:"node" help:"The nodes; without one, all that are diverged or rewound, or not connected since a restore."`
}

// Examples implements cli.Exampled.
func (*acceptVerb) Examples() string {
	return `iwx-queue accept --dry-run
		iwx-queue accept web1`
}

// Run has the nodes drop what they have beyond the manager's log, and go on
// with it.
func (v *acceptVerb) Run(c *cli.Context) error {
	server, err := local.OpenManager(c, "entries are given up on the manager")
	if err != nil {
		return err
	}
	defer server.Close()
	nodes, err := v.choose(c, server)
	if err != nil {
		return err
	}
	if len(nodes) == 0 {
		c.Notef("nothing to give up: no node has entries which the manager lacks")
		return nil
	}
	server.WarnIdle(c, idle)
	var ids []string
	for i := range nodes {
		if err := printTail(c, server, &nodes[i]); err != nil {
			return err
		}
		ids = append(ids, nodes[i].ID)
	}
	if v.DryRun {
		return nil
	}
	if err := c.Confirm(v.Yes.Yes, "give up the entries of %s beyond this manager's log? Their effects remain", nameList(nodes)); err != nil {
		return err
	}
	if err := server.Store.Accept(c, ids, c.Now().UnixMilli(), local.Operator(c)); err != nil {
		return err
	}
	server.Poke()
	for i := range nodes {
		tellAccepted(c, &nodes[i])
	}
	return nil
}

// choose returns the nodes that are meant and have something to give up.
func (v *acceptVerb) choose(c *cli.Context, server *local.Server) ([]cluster.Node, error) {
	nodes, err := server.Store.Standings(c)
	if err == nil && len(v.Node) > 0 {
		nodes, err = named(nodes, v.Node)
	}
	var chosen []cluster.Node
	for i := range nodes {
		n := &nodes[i]
		switch {
		case n.MayGiveUp():
			chosen = append(chosen, *n)
		case n.Diverged() && n.Tail.Accepted:
			c.Notef("%s is already dropping its entries", n.Name)
		case n.Diverged():
			return nil, notSent(n)
		case len(v.Node) > 0:
			return nil, fault.Hint(fault.New(fault.Failed, "node %s has nothing to give up: it is %s", n.Name, n.Word()), "iwx-queue status")
		}
	}
	return chosen, err
}

// printTail prints what the node would give up.
func printTail(c *cli.Context, server *local.Server, n *cluster.Node) error {
	records, err := server.Store.Tail(c, n.ID)
	if err != nil {
		return err
	}
	if len(records) == 0 {
		return c.Printf("%s has not connected since this manager was restored; it may have entries that the manager lost\n", n.Name)
	}
	rows := make([]lostEntry, len(records))
	for i := range records {
		rows[i] = newLostEntry(&records[i], []cluster.Node{*n})
	}
	if err := c.Printf("%s has %s\n", n.Name, recordRange(records)); err != nil {
		return err
	}
	return lostTable().Write(c, cli.Output{}, rows)
}

func tellAccepted(c *cli.Context, n *cluster.Node) {
	if n.Tail.First == 0 {
		c.Notef("the queue goes on without %s; if it has entries that the manager lost, it is diverged when it connects", n.Name)
		return
	}
	when := ""
	if n.Word() == cluster.WordUnreachable {
		when = ", when it is back"
	}
	c.Notef("%s drops its entries from %d on, and continues from there%s", n.Name, n.Tail.First, when)
}

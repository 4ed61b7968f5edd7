package queuetool

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"iwx/lib/cli"
	"iwx/lib/cluster"
	"iwx/lib/fault"
	"iwx/lib/queue"
	"iwx/lib/state"
	"iwx/lib/tool/await"
	"iwx/lib/tool/local"
)

// passing are the arguments of the verbs that let a node pass an entry.
type passing struct {
	Node   string `arg:"" complete:"node" help:"The node."`
	Entry  string `arg:"" optional:"" complete:"entry" help:"The entry; without it, the one that the node halts at."`
	Reason string `placeholder:"TEXT" empty:"" help:"Why, for the record."`
	cli.Yes
}

type skipVerb struct{ passing }

// Examples implements cli.Exampled.
func (*skipVerb) Examples() string { return `iwx-queue skip web2 --reason "already installed by hand"` }

// Run lets the node pass the entry by: it counts as skipped.
func (v *skipVerb) Run(c *cli.Context) error { return v.pass(c, queue.Skipped, "skip") }

type doneVerb struct{ passing }

// Examples implements cli.Exampled.
func (*doneVerb) Examples() string { return `iwx-queue done web2 42` }

// Run lets the node pass the entry by: it counts as done.
func (v *doneVerb) Run(c *cli.Context) error { return v.pass(c, queue.Completed, "count as done") }

func (v *passing) pass(c *cli.Context, how queue.Disposition, verb string) error {
	server, err := local.OpenManager(c, readOnly)
	if err != nil {
		return err
	}
	defer server.Close()
	nodes, err := server.Store.Standings(c)
	if err != nil {
		return err
	}
	found, err := named(nodes, []string{v.Node})
	if err != nil {
		return err
	}
	n := &found[0]
	r, err := v.find(c, server, n)
	if err != nil {
		return err
	}
	void, err := await.VoidFor(c, server.Store, r.Seq, n.ID)
	if err != nil {
		return err
	}
	if void != nil {
		c.Notef("entry %d is %s on %s already, %s", r.Seq, void.Disposition, n.Name, saidBy(void))
		return nil
	}
	if err := v.ask(c, n, r, verb); err != nil {
		return err
	}
	if err := appendVoid(c, server, r, queue.Nodes(n.ID), how, v.Reason); err != nil {
		return err
	}
	c.Notef("entry %d counts as %s on %s", r.Seq, how, n.Name)
	if b := n.Status.Blocked; b != nil && b.Seq == r.Seq && b.Hung != nil {
		c.Notef("%s goes on once the process that cannot be killed is gone: free the resource it waits for, or restart the server", n.Name)
	}
	return nil
}

// find returns the entry that is meant: one that the node has still to do.
func (v *passing) find(c *cli.Context, server *local.Server, n *cluster.Node) (*queue.Record, error) {
	if v.Entry == "" {
		if err := checkHalted(n); err != nil {
			return nil, err
		}
		return server.Store.Record(c, n.Status.Blocked.Seq)
	}
	name, err := parseEntry(v.Entry)
	if err != nil {
		return nil, err
	}
	if name.held != 0 {
		return nil, fault.Hint(fault.New(fault.Failed, "%s is held: no node has it yet", v.Entry), "iwx-queue cancel %s", v.Entry)
	}
	r, targets, err := findCommand(c, server, name)
	switch {
	case err != nil:
		return nil, err
	case !targets.Include(n.ID, n.Start, r.Seq):
		return nil, fault.New(fault.Failed, "entry %d is not for node %s", r.Seq, n.Name)
	case n.Settled(r.Seq):
		void, err := await.VoidFor(c, server.Store, r.Seq, n.ID)
		if err == nil && void == nil {
			err = fault.Hint(fault.New(fault.Failed, "node %s is done with entry %d already", n.Name, r.Seq), "iwx-queue show %d", r.Seq)
		}
		return r, err
	}
	return r, nil
}

// ask shows what would be passed by, and asks whether that is meant.
func (v *passing) ask(c *cli.Context, n *cluster.Node, r *queue.Record, verb string) error {
	if v.Yes.Yes {
		return nil
	}
	c.Notef("entry %d: %s", r.Seq, text(r.Body))
	if b := n.Status.Blocked; b != nil && b.Seq == r.Seq && b.Hung != nil {
		c.Notef("on %s it does not end: %s", n.Name, b.Reason(c.Now()))
	} else if b != nil && b.Seq == r.Seq {
		c.Notef("on %s it failed %s, the last time with: %s", n.Name, times(b.Attempts), b.Error)
	}
	if n.Status.Running == r.Seq {
		c.Notef("%s is running it now; if it succeeds, that counts", n.Name)
	}
	return c.Confirm(false, "%s entry %d on %s?", verb, r.Seq, n.Name)
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// appendVoid writes a void record and wakes the daemon.
func appendVoid(c *cli.Context, server *local.Server, r *queue.Record, targets queue.Targets, how queue.Disposition, reason string) error {
	void := queue.Void{Seq: r.Seq, Disposition: how, Who: local.Operator(c), Reason: reason, At: c.Now().UnixMilli()}
	_, err := server.Store.Append(c, state.Draft{Kind: queue.KindVoid, Targets: targets, Body: void.Encode()})
	if err == nil {
		server.Poke()
	}
	return err
}

type cancelVerb struct {
	Entry  string `arg:"" complete:"entry" help:"The entry: 42, or a held command: h1."`
	Reason string `placeholder:"TEXT" empty:"" help:"Why, for the record."`
	cli.Yes
}

// Examples implements cli.Exampled.
func (*cancelVerb) Examples() string { return `iwx-queue cancel 42 --reason "wrong package"` }

// Run withdraws the entry from every node that has not done it.
func (v *cancelVerb) Run(c *cli.Context) error {
	server, err := local.OpenManager(c, readOnly)
	if err != nil {
		return err
	}
	defer server.Close()
	name, err := parseEntry(v.Entry)
	if err != nil {
		return err
	}
	if name.held != 0 {
		return cancelHeld(c, server, v, name.held)
	}
	r, targets, err := findCommand(c, server, name)
	if err != nil {
		return err
	}
	voids, err := server.Store.Voids(c, r.Seq, r.Seq)
	if err != nil {
		return err
	}
	for i := range voids {
		if voids[i].Disposition == queue.Cancelled {
			c.Notef("entry %d is cancelled already, %s", r.Seq, saidBy(&voids[i]))
			return nil
		}
	}
	return v.withdraw(c, server, r, targets, voids)
}

// withdraw cancels the entry for the nodes that it is for. They are told with
// the targets of the entry itself, so that a node that joins later and would
// replay it as baseline learns of it too.
func (v *cancelVerb) withdraw(c *cli.Context, server *local.Server, r *queue.Record, targets queue.Targets, voids []state.Void) error {
	nodes, err := server.Store.Standings(c)
	if err != nil {
		return err
	}
	done, open := split(nodes, targets, r.Seq)
	if len(open) == 0 && len(done) > 0 && targets.Scope != queue.ScopeBaseline {
		return fault.Hint(fault.New(fault.Failed, "entry %d has no node left to do it: it is already %s", r.Seq, strings.Join(settled(done, voids), ", ")),
			"to undo it, queue a command that does: iwx-queue add -- COMMAND")
	}
	if err := c.Confirm(v.Yes.Yes, "cancel entry %d (%s)?", r.Seq, text(r.Body)); err != nil {
		return err
	}
	targets.Rolling = 0
	if err := appendVoid(c, server, r, targets, queue.Cancelled, v.Reason); err != nil {
		return err
	}
	c.Notef("cancelled entry %d on %s", r.Seq, cmp.Or(nameList(open), "no node but those that join later"))
	for _, how := range settled(done, voids) {
		c.Notef("already %s", how)
	}
	for i := range open {
		if open[i].Status.Running == r.Seq {
			c.Notef("%s is running it now; if it succeeds, that counts", open[i].Name)
		}
	}
	return nil
}

// settled returns how an entry ended on the nodes that are past it: "done on web1,
// web3", and "skipped on web2", where it did not run to its end.
func settled(past []cluster.Node, voids []state.Void) (list []string) {
	by := map[string][]cluster.Node{}
	for _, n := range past {
		word := "done"
		if void := await.VoidOf(voids, n.ID); void != nil {
			word = string(void.Disposition)
		}
		by[word] = append(by[word], n)
	}
	for _, word := range slices.Sorted(maps.Keys(by)) {
		list = append(list, word+" on "+nameList(by[word]))
	}
	return list
}

// split divides the nodes that an entry is for into those that are done with it
// and those that are not.
func split(nodes []cluster.Node, targets queue.Targets, seq uint64) (done, open []cluster.Node) {
	for _, n := range nodes {
		switch {
		case !targets.Include(n.ID, n.Start, seq):
		case n.Settled(seq):
			done = append(done, n)
		default:
			open = append(open, n)
		}
	}
	return done, open
}

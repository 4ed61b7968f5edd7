// Package await waits until nodes are done with an entry of the queue: the flags
// --wait and --wait-timeout of the tools that queue.
package await

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"iwx/lib/cli"
	"iwx/lib/cluster"
	"iwx/lib/fault"
	"iwx/lib/queue"
	"iwx/lib/replay"
	"iwx/lib/state"
	"iwx/lib/tool/local"
	"iwx/lib/tool/nodestatus"
)

// Flags are those of the verbs that can wait for what they queue.
type Flags struct {
	Asked   bool          `name:"wait" help:"Wait until the nodes have done it."`
	Timeout time.Duration `name:"wait-timeout" placeholder:"TIME" help:"Wait no longer than this; the nodes go on. Implies --wait."`
}

// Wanted reports whether waiting was asked for.
func (w Flags) Wanted() bool { return w.Asked || w.Timeout > 0 }

// Wait blocks until the nodes that are meant are done with entry seq, if that was
// asked for. It fails at once when one of them halts at the entry or before it
// (code Unhealthy), and when the time is over (TimedOut); the nodes go on.
func (w Flags) Wait(c *cli.Context, server *local.Server, seq uint64, targets queue.Targets) error {
	if !w.Wanted() {
		return nil
	}
	ctx := c.Context
	if w.Timeout > 0 {
		var cancel func()
		ctx, cancel = context.WithTimeout(c.Context, w.Timeout)
		defer cancel()
	}
	p := &vigil{c: c, server: server, store: server.Store, seq: seq, targets: targets, progress: c.Progress(), name: nameOf(c, server.Store, seq)}
	defer p.progress.Clear()
	// ctx cuts no look short: what it says of the nodes is known when the time is over.
	err := server.Store.Follow(ctx, func() (bool, error) { return p.look(c) })
	if errors.Is(err, context.DeadlineExceeded) && c.Err() == nil {
		return p.late(w.Timeout)
	}
	if errors.Is(err, context.Canceled) && c.Err() != nil {
		p.progress.Clear()
		c.Notef("the nodes go on; to wait again: iwx-queue wait %d", seq)
	}
	return err
}

// nameOf names a record of the log for messages. A record that is not a command is in
// no list of entries: its name includes what it says, and where to read it.
func nameOf(ctx context.Context, store *state.Store, seq uint64) string {
	name := fmt.Sprintf("entry %d", seq)
	r, err := store.Record(ctx, seq)
	if err != nil {
		return name // an empty queue has no record
	}
	switch r.Kind {
	case queue.KindVoid:
		if void, err := queue.DecodeVoid(r.Body); err == nil {
			return fmt.Sprintf("record %d (entry %d is %s; iwx-queue log)", seq, void.Seq, void.Disposition)
		}
		return fmt.Sprintf("record %d (iwx-queue log)", seq)
	case queue.KindEpoch:
		return fmt.Sprintf("record %d (a new epoch; iwx-queue log)", seq)
	}
	return name
}

// vigil waits for nodes to be done with an entry.
type vigil struct {
	c        *cli.Context
	server   *local.Server
	store    *state.Store
	seq      uint64
	name     string // of seq, for messages: "entry 11"
	targets  queue.Targets
	progress *cli.Progress
	left     []cluster.Node // those that are not, at the last look
}

// look reads how the nodes stand. The error is that one of them will not get
// there by itself.
func (p *vigil) look(ctx context.Context) (done bool, err error) {
	nodes, err := p.store.Unsettled(ctx, p.seq)
	if err != nil {
		return false, err
	}
	p.left = slices.DeleteFunc(nodes, func(n cluster.Node) bool { return !p.targets.Include(n.ID, n.Start, p.seq) })
	if len(p.left) == 0 {
		return true, nil
	}
	for i := range p.left {
		failed, err := p.failed(ctx, &p.left[i])
		if err != nil {
			return false, err
		}
		if failed {
			return false, p.failure(&p.left[i])
		}
	}
	return false, p.show()
}

// failed reports whether the node is halted on the way to the entry. One that
// is trying again, or has been told to, or is to pass the entry by, is not: its
// status is about to change.
func (p *vigil) failed(ctx context.Context, n *cluster.Node) (bool, error) {
	if n.Word() == cluster.WordUnreachable {
		return false, nil
	}
	b := n.Status.Blocked
	if b == nil {
		return nodestatus.Grave(n.Status.Word), nil
	}
	retries := n.Retry > n.Status.RetrySeen && n.RetrySeq == b.Seq && !n.Paused
	if b.Seq > p.seq || n.Status.Running == b.Seq && b.Hung == nil || retries {
		return false, nil
	}
	void, err := VoidFor(ctx, p.store, b.Seq, n.ID)
	return void == nil && err == nil, err
}

// VoidFor returns what a void record says about an entry on a node; nil if none
// does.
func VoidFor(ctx context.Context, store *state.Store, seq uint64, node string) (*state.Void, error) {
	voids, err := store.Voids(ctx, seq, seq)
	return VoidOf(voids, node), err
}

// VoidOf returns the one of an entry's voids that concerns the node.
func VoidOf(voids []state.Void, node string) *state.Void {
	for i := range voids {
		if voids[i].Node == "" || voids[i].Node == node {
			return &voids[i]
		}
	}
	return nil
}

// failure reports why the wait is over before its time.
func (p *vigil) failure(n *cluster.Node) error {
	b := n.Status.Blocked
	if b == nil {
		return fault.Hint(fault.New(fault.Unhealthy, "node %s is %s and cannot reach %s", n.Name, n.Status.Word, p.name), "iwx-queue status")
	}
	if b.Attempts == 0 {
		return fault.Hint(fault.New(fault.Unhealthy, "node %s cannot go on: %s", n.Name, b.Error), "on %s: journalctl -u iwx-queued", n.Name)
	}
	err := fault.New(fault.Unhealthy, "entry %d failed on %s: %s", b.Seq, n.Name, b.Error)
	if b.Hung != nil {
		err = fault.New(fault.Unhealthy, "entry %d does not end on %s: %s", b.Seq, n.Name, b.Reason(p.c.Now()))
	}
	if n.Status.Word == replay.WordUnknown {
		err = fault.New(fault.Unhealthy, "entry %d was cut short on %s, and its outcome is unknown", b.Seq, n.Name)
	}
	if p.targets.Rolling > 0 && b.Seq == p.seq {
		err = fault.New(fault.Unhealthy, "%w; it starts on no further node until that is fixed", err)
	}
	if b.Seq != p.seq {
		err = fault.New(fault.Unhealthy, "node %s cannot reach %s: %w", n.Name, p.name, err)
	}
	return fault.Hint(err, "iwx-queue show %d", b.Seq)
}

// late reports who was not done in time.
func (p *vigil) late(after time.Duration) error {
	if err := nodestatus.Contacts(p.c, p.server, p.left, p.seq); err != nil {
		return err
	}
	var who []string
	for i := range p.left {
		who = append(who, fmt.Sprintf("%s (%s)", p.left[i].Name, cmp.Or(nodestatus.FetchTrouble(&p.left[i]), p.left[i].Word())))
	}
	return fault.Hint(
		fault.New(fault.TimedOut, "after %s %s is not done on %s; the work goes on", cli.Duration(after), p.name, cli.Some(who, 5)),
		"iwx-queue wait %d", p.seq)
}

// show puts the nodes that are waited for on the terminal.
func (p *vigil) show() error {
	if !p.progress.Shown() {
		return nil
	}
	if err := nodestatus.Contacts(p.c, p.server, p.left, p.seq); err != nil {
		return err
	}
	lines := []string{fmt.Sprintf("%s: waiting for %s", p.name, cli.Count(len(p.left), "node", "nodes"))}
	width := 0
	for i := range p.left {
		width = max(width, len(p.left[i].Name))
	}
	for i := range p.left {
		n := &p.left[i]
		lines = append(lines, fmt.Sprintf("  %-*s  %d/%d  %s", width, n.Name, n.Status.Done, p.seq, cmp.Or(nodestatus.FetchTrouble(n), n.Word())))
	}
	p.progress.Show(lines...)
	return nil
}

package queuetool

import (
	"fmt"

	"iwx/lib/cli"
	"iwx/lib/fault"
	"iwx/lib/queue"
	"iwx/lib/state"
	"iwx/lib/tool/await"
	"iwx/lib/tool/local"
)

type releaseVerb struct {
	Held string `arg:"" complete:"held" help:"The held command: h1."`
	await.Flags
}

// Run gives a held command its number.
func (v *releaseVerb) Run(c *cli.Context) error {
	server, err := local.OpenManager(c, readOnly)
	if err != nil {
		return err
	}
	defer server.Close()
	name, err := parseEntry(v.Held)
	if err != nil {
		return err
	}
	if name.held == 0 {
		return fault.Hint(fault.New(fault.Usage, "entry %s is not held: the nodes have it already", v.Held), "iwx-queue show %s", v.Held)
	}
	held, err := idleHeld(c, server, name.held)
	if err != nil {
		return err
	}
	command, err := queue.DecodeCommand(held.Body)
	if err != nil {
		return err
	}
	op, err := server.Store.Release(c, held.ID, command.Sensitive)
	if err != nil {
		return err
	}
	server.Poke()
	c.Notef("released %s as %d: %s", v.Held, op.Seq, command)
	return v.Wait(c, server, op.Seq, held.Targets)
}

// idleHeld returns a held command that is no longer running: while it is, its
// own iwx-queue decides about it.
func idleHeld(c *cli.Context, server *local.Server, id int64) (*state.Held, error) {
	held, err := findHeld(c, server, id)
	switch {
	case err != nil:
		return nil, err
	case attended(held):
		return nil, fault.Hint(
			fault.New(fault.Busy, "%s is still running here, in process %d", heldName(id), held.PID),
			"it is released or cancelled when it ends")
	case lives(held):
		return nil, fault.Hint(
			fault.New(fault.Busy, "%s is still running here, in process %d, and the iwx-queue that ran it was killed", heldName(id), held.ChildPID),
			"when it has ended: iwx-queue release %[1]s cascades it, iwx-queue cancel %[1]s forgets it", heldName(id))
	}
	return held, nil
}

// cancelHeld forgets a held command.
func cancelHeld(c *cli.Context, server *local.Server, v *cancelVerb, id int64) error {
	held, err := idleHeld(c, server, id)
	if err != nil {
		return err
	}
	if err := c.Confirm(v.Yes.Yes, "cancel %s (%s)?", heldName(id), text(held.Body)); err != nil {
		return err
	}
	if err := server.Store.Cancel(c, id); err != nil {
		return err
	}
	c.Notef("cancelled %s: no node has it", heldName(id))
	return nil
}

// heldState is how a held command stands.
func heldState(h *state.Held) cli.Mark {
	if lives(h) {
		return cli.Mark{Text: "running here"}
	}
	return cli.Mark{Text: "held", Level: cli.Warn}
}

// heldHint is the way on from a held command whose run was cut short.
func heldHint(h *state.Held) string {
	return fmt.Sprintf("%s was cut short here: iwx-queue release %s cascades it, iwx-queue cancel %s forgets it",
		heldName(h.ID), heldName(h.ID), heldName(h.ID))
}

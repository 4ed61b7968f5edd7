package setuptool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"iwx/lib/atomicfile"
	"iwx/lib/cli"
	"iwx/lib/cluster"
	"iwx/lib/daemon"
	"iwx/lib/fault"
	"iwx/lib/tool/local"
	"iwx/lib/tool/teardown"
)

// leaveLimit is how long a node tries to tell the manager that it leaves.
const leaveLimit = 10 * time.Second

type resetVerb struct {
	cli.Yes
	Local  bool `help:"Node: do not notify the manager, for a copy of a server that is to stay a node."`
	Force  bool `help:"Also a manager that has nodes."`
	DryRun bool `help:"Print what would be undone, and do nothing."`
}

// Examples implements cli.Exampled.
func (*resetVerb) Examples() string {
	return "iwx-cluster-setup reset\niwx-cluster-setup reset --dry-run"
}

// Run undoes the setup of this server.
func (v *resetVerb) Run(c *cli.Context) error {
	h, err := lookAt(c)
	if err != nil {
		return err
	}
	defer h.Close()
	if !h.Begun {
		return v.nothing(h)
	}
	if err := v.abandons(h); err != nil {
		return err
	}
	if v.DryRun {
		return v.plan(h)
	}
	if err := c.Confirm(v.Yes.Yes, "%s", v.question(h)); err != nil {
		return err
	}
	unlock, err := h.lock()
	if err != nil {
		return err
	}
	defer unlock()
	return v.reset(h)
}

// nothing is what there is to do on a server that is not set up: at most, to
// end what a killed reset has left.
func (v *resetVerb) nothing(h *here) error {
	if !v.DryRun {
		if _, err := teardown.Sweep(h.Paths); err != nil {
			return err
		}
	}
	h.c.Notef("%s; there is nothing to undo", notInState)
	return nil
}

// abandons fails on a manager that has nodes: they would be left alone.
func (v *resetVerb) abandons(h *here) error {
	if h.Identity == nil || h.Identity.Role != cluster.RoleManager || v.Force {
		return nil
	}
	members, err := h.Store.Members(h.c)
	if err != nil || len(members) == 0 {
		return err
	}
	var names []string
	for _, n := range members {
		names = append(names, n.Name)
	}
	return fault.Hint(fault.New(fault.Failed, "this manager has nodes, which would be left without one: %s", cli.Some(names, 12)),
		"take them out first, on each: iwx-cluster-setup reset\nor leave them behind: iwx-cluster-setup reset --force")
}

func (v *resetVerb) question(h *here) string {
	if h.Identity == nil {
		return "undo the unfinished setup of this server?"
	}
	if h.Identity.Role == cluster.RoleManager {
		return fmt.Sprintf("undo the setup of %s, with its CA, queue and history?", h.who())
	}
	return fmt.Sprintf("undo the setup of %s?", h.who())
}

// plan prints what would be undone.
func (v *resetVerb) plan(h *here) error {
	list, err := h.Store.Undos(h.c)
	if err != nil {
		return err
	}
	if v.leaves(h) {
		if err := h.c.Printf("would notify the manager at %s that node %s leaves\n", h.Identity.Manager, h.Identity.Name); err != nil {
			return err
		}
	}
	if err := h.profilePlan(); err != nil {
		return err
	}
	words := map[string]string{teardown.Unit: "stop and disable", teardown.File: "remove", teardown.Directory: "remove"}
	for _, u := range list {
		if err := h.c.Printf("would %s %s\n", words[u.Kind], h.teardown().Target(u)); err != nil {
			return err
		}
	}
	return h.c.Printf("would remove %s\n", h.State)
}

// leaves reports whether the manager is to be told.
func (v *resetVerb) leaves(h *here) bool {
	return h.Identity != nil && h.Identity.Role == cluster.RoleNode && !v.Local
}

func (v *resetVerb) reset(h *here) error {
	release, err := h.stopDaemon()
	if err != nil {
		return err
	}
	defer release.Close()
	if err := h.takeBack(); err != nil {
		return fault.Hint(err, "nothing else is undone yet; fix the cause and run it again: iwx-cluster-setup reset")
	}
	if v.leaves(h) {
		if err := h.leave(); err != nil {
			return err
		}
	}
	running := h.runningEntry()
	kept, err := h.undoAll()
	if err != nil {
		return fault.Hint(err, "fix the cause and run it again: iwx-cluster-setup reset")
	}
	if h.Identity == nil {
		h.c.Notef("the unfinished setup is undone")
	} else {
		h.c.Notef("this server is no longer %s", h.who())
	}
	for _, what := range kept {
		h.c.Notef("left: %s", what)
	}
	if running != 0 {
		h.c.Notef("left: the command of entry %d, which may still be running", running)
	}
	if h.Identity != nil && h.Identity.Role == cluster.RoleNode {
		h.c.Notef("not undone: changes by the cluster's commands, such as packages, users and files")
	}
	return nil
}

// stopDaemon ends the daemon, and holds its place until the release is closed.
// Where it is not systemd's to stop, the operator has to.
func (h *here) stopDaemon() (release io.Closer, err error) {
	if err := h.endUnit(h.c, unit); err != nil {
		return nil, err
	}
	if err := atomicfile.MkdirAll(h.Run, 0o700); err != nil {
		return nil, err
	}
	release, err = daemon.Lock(h.DaemonLock, local.DaemonUnit)
	if fault.CodeOf(err) == fault.Busy {
		err = fault.Hint(err, "stop it first: kill $(cat %s)", h.DaemonLock)
	}
	return release, err
}

// leave tells the manager that this node is no more. A manager that is gone or
// refuses it does not keep the node from leaving.
func (h *here) leave() error {
	ctx, cancel := context.WithTimeout(h.c, leaveLimit)
	defer cancel()
	client, err := h.ManagerClient(ctx, nil, h.c.Now)
	if err == nil {
		defer client.Close()
		err = client.Leave(ctx)
	}
	if r := refusal(err); r != nil && r.Reason == cluster.RefusedDeleted {
		return nil // it knows
	}
	if err != nil && errors.Is(h.c.Err(), context.Canceled) {
		return h.c.Err()
	}
	if err != nil {
		h.c.Warnf("cannot notify the manager: %v; there: iwx-node delete %s", err, h.Identity.Name)
	}
	return nil
}

// runningEntry returns the entry whose command was not at its end when the
// daemon stopped: it is not ended with the daemon. 0 for none.
func (h *here) runningEntry() uint64 {
	if h.Identity == nil || h.Identity.Role != cluster.RoleNode {
		return 0
	}
	saved, err := h.Store.Journal(h.Identity).Load(h.c)
	if err != nil || saved.Open == nil {
		return 0
	}
	return saved.Open.Seq
}

package queuetool

import (
	"slices"

	"iwx/lib/cli"
	"iwx/lib/cluster"
	"iwx/lib/fault"
	"iwx/lib/tool/local"
)

// holdingStill are the arguments of pause and resume.
type holdingStill struct {
	Node []string `arg:"" optional:"" complete:"node" help:"The nodes."`
	All  bool     `help:"Every node."`
}

type pauseVerb struct{ holdingStill }

// Examples implements cli.Exampled.
func (*pauseVerb) Examples() string { return `iwx-queue pause web2` }

// Run holds queues still. A command that is under way is not cut short.
func (v *pauseVerb) Run(c *cli.Context) error { return v.set(c, true) }

type resumeVerb struct{ holdingStill }

// Examples implements cli.Exampled.
func (*resumeVerb) Examples() string { return `iwx-queue resume --all` }

// Run lets queues go on where they were.
func (v *resumeVerb) Run(c *cli.Context) error { return v.set(c, false) }

func (v *holdingStill) set(c *cli.Context, paused bool) error {
	if v.All == (len(v.Node) > 0) {
		return fault.New(fault.Usage, "name the nodes, or all of them with --all")
	}
	server, err := local.OpenManager(c, readOnly)
	if err != nil {
		return err
	}
	defer server.Close()
	nodes, err := server.Store.Standings(c)
	if err == nil && !v.All {
		nodes, err = named(nodes, v.Node)
	}
	if err != nil {
		return err
	}
	word := "resumed"
	if paused {
		word = "paused"
	}
	changes := slices.DeleteFunc(nodes, func(n cluster.Node) bool { return n.Paused == paused })
	if len(changes) == 0 {
		c.Notef("nothing to do: already %s", word)
		return nil
	}
	ids := make([]string, len(changes))
	for i, n := range changes {
		ids[i] = n.ID
	}
	if err := server.Store.Pause(c, ids, paused); err != nil {
		return err
	}
	server.Poke()
	c.Notef("%s %s", word, nameList(changes))
	return nil
}

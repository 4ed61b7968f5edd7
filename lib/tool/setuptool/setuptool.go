// Package setuptool is iwx-cluster-setup: it makes a server the manager of a
// cluster or a node of one, tells what it is, and undoes that again.
//
// Every verb can be run again. What a run of setup makes is a list of steps
// that each look whether they are done, so that a run that was killed is gone
// on with by the next; what they make outside the state file is noted in it
// beforehand, and that is what reset goes by.
package setuptool

import "iwx/lib/cli"

// Tool returns the tool, for cli.Main.
func Tool() cli.Tool {
	return cli.Tool{
		Name:    "iwx-cluster-setup",
		Summary: "make this server the manager or a node of a cluster",
		Grammar: func() any { return new(grammar) },
	}
}

type grammar struct {
}

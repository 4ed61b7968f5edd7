// Package queuetool is iwx-queue(8): it queues commands and files for the
// nodes, shows what has become of them, and lets an operator get a halted queue
// going again.
//
// It writes to the manager's state and reads from it; iwx-queued(8) does the
// rest. On a node it shows the node's own side of the queue and changes
// nothing, apart from install, which the queue itself runs there.
package queuetool

import (
	"fmt"
	"slices"

	"iwx/lib/cli"
	"iwx/lib/queue"
	"iwx/lib/state"
	"iwx/lib/tool/local"
	"iwx/lib/tool/nodestatus"
)

// Tool returns iwx-queue.
func Tool() cli.Tool {
	return cli.Tool{
		Name:     "iwx-queue",
		Summary:  "the command queue of the cluster",
		Grammar:  func() any { return &grammar{} },
		Complete: complete,
	}
}

type grammar struct {
	Run     runVerb     `cmd:"" help:"Run a command here, and on success cascade it to the nodes."`
	Add     addVerb     `cmd:"" help:"Queue a command for the nodes."`
	Push    pushVerb    `cmd:"" help:"Queue files for the nodes, with their owner and mode."`
	List    listVerb    `cmd:"" help:"List the entries of the queue."`
	Show    showVerb    `cmd:"" help:"Show everything about an entry."`
	Status  statusVerb  `cmd:"" help:"Show the state of the nodes' queues."`
	History historyVerb `cmd:"" help:"List the attempts, the newest first."`
	Retry   retryVerb   `cmd:"" help:"Try a halted entry again at once."`
	Skip    skipVerb    `cmd:"" help:"Let a node pass an entry by."`
	Done    doneVerb    `cmd:"" help:"Record that an entry has taken effect on a node."`
	Pause   pauseVerb   `cmd:"" help:"Hold the queues of nodes still."`
	Resume  resumeVerb  `cmd:"" help:"Let paused queues go on."`
	Release releaseVerb `cmd:"" help:"Cascade a held command to the nodes."`
	Cancel  cancelVerb  `cmd:"" help:"Withdraw an entry from the nodes that have not done it."`
	Wait    waitVerb    `cmd:"" help:"Wait until the nodes have done an entry."`
	Log     logVerb     `cmd:"" help:"Print the records of the log."`
	Recover recoverVerb `cmd:"" help:"After a restore: take back lost entries from the nodes."`
	Accept  acceptVerb  `cmd:"" help:"After a restore: give up lost entries of nodes."`
	Install installVerb `cmd:"" hidden:"" help:"Write a file, as push queued it."`
}

// completeEntries is how many of the newest entries the shell offers.
const completeEntries = 20

// complete offers the names of nodes, entries and held commands.
func complete(c *cli.Context, kind string) []cli.Candidate {
	server, err := local.Open(c)
	if err != nil {
		return nil
	}
	defer server.Close()
	switch kind {
	case "node":
		return completeNodes(c, server)
	case "held":
		return completeHeld(c, server)
	case "entry":
		return append(completeHeld(c, server), completeNumbers(c, server)...)
	}
	return nil
}

func completeNodes(c *cli.Context, server *local.Server) (list []cli.Candidate) {
	nodes, _, _ := nodestatus.Nodes(c, server)
	for i := range nodes {
		help := nodes[i].Word()
		if b := nodes[i].Status.Blocked; b != nil {
			help += fmt.Sprintf(" at %d", b.Seq)
		}
		list = append(list, cli.Candidate{Value: nodes[i].Name, Help: help})
	}
	return list
}

func completeHeld(c *cli.Context, server *local.Server) (list []cli.Candidate) {
	helds, _ := server.Store.Helds(c)
	for i := range helds {
		list = append(list, cli.Candidate{Value: heldName(helds[i].ID), Help: text(helds[i].Body)})
	}
	return list
}

func completeNumbers(c *cli.Context, server *local.Server) (list []cli.Candidate) {
	newest := state.EntryFilter{Kind: queue.KindCommand, Newest: true, Limit: completeEntries}
	_ = server.Store.Entries(c, newest, func(r *queue.Record) error {
		list = append(list, cli.Candidate{Value: fmt.Sprint(r.Seq), Help: text(r.Body)})
		return nil
	})
	slices.Reverse(list)
	return list
}

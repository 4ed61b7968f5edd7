// Package nodetool is iwx-node(8): it invites servers to join, shows the nodes
// and how they are doing, and deletes them.
//
// Everything that it tells comes from the state of the server that it runs on.
// On the manager that is what the nodes last reported; on a node it is the node
// itself, and nothing can be changed there. It speaks to no other server:
// iwx-queued(8) does.
package nodetool

import (
	"iwx/lib/cli"
	"iwx/lib/fault"
	"iwx/lib/tool/local"
)

// Tool returns iwx-node.
func Tool() cli.Tool {
	return cli.Tool{
		Name:     "iwx-node",
		Summary:  "the nodes of the cluster",
		Grammar:  func() any { return &grammar{} },
		Complete: complete,
	}
}

type grammar struct {
	Add     addVerb     `cmd:"" help:"Invite a server to join: print a token."`
	Token   tokenVerbs  `cmd:"" help:"The tokens that servers join with."`
	List    listVerb    `cmd:"" help:"List the nodes."`
	Show    showVerb    `cmd:"" help:"Show everything about a node."`
	Status  statusVerb  `cmd:"" help:"Show the state of the nodes."`
	Drain   drainVerb   `cmd:"" help:"Give a node no new connections."`
	Undrain undrainVerb `cmd:"" help:"Give it new connections again."`
	Edit    editVerb    `cmd:"" help:"Give a node another address."`
	Delete  deleteVerb  `cmd:"" help:"Take a node out of the cluster."`
}

// onlyItself refuses to tell on a node about another one.
func onlyItself(server *local.Server, name string) error {
	id := server.Identity
	return fault.Hint(fault.New(fault.Failed, "this server is node %s and knows of no other; not of %q", id.Name, name),
		"ask the manager, at %s: iwx-node show %s", id.Manager.Addr(), name)
}

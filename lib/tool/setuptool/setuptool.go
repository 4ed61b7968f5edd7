// Package setuptool is iwx-cluster-setup(8): it makes a server the manager of a
// cluster or a node of one, tells what it is, and undoes that again.
//
// Every verb can be run again. Setup is a list of steps that each look whether
// they are done, so that a run that was killed is gone on with by the next.
// What a step makes outside the state file is noted in it beforehand, and by
// those notes reset goes.
package setuptool

import "iwx/lib/cli"

// Tool returns iwx-cluster-setup.
func Tool() cli.Tool {
	return cli.Tool{
		Name:     "iwx-cluster-setup",
		Summary:  "make this server the manager or a node of a cluster",
		Grammar:  func() any { return new(grammar) },
		Complete: complete,
	}
}

type grammar struct {
	Manager   managerVerb   `cmd:"" help:"Make this server the manager of a new cluster."`
	Node      nodeVerb      `cmd:"" help:"Make this server a node, with a token from the manager."`
	Preflight preflightVerb `cmd:"" help:"Check whether this server meets the requirements."`
	Status    statusVerb    `cmd:"" help:"Report the setup of this server, and its problems."`
	Profile   profileVerb   `cmd:"" help:"Converge this server to its profile now."`
	QuorumIP  quorumVerb    `cmd:"" name:"quorum-ip" help:"Move the cluster to another address of its manager."`
	Renew     renewVerb     `cmd:"" help:"Renew the certificate of this server now."`
	Backup    backupVerb    `cmd:"" help:"Write an encrypted backup of the manager to a file."`
	Restore   restoreVerb   `cmd:"" help:"Make this server the manager again, from a backup."`
	Reset     resetVerb     `cmd:"" help:"Undo the setup of this server."`
}

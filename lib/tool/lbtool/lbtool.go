// Package lbtool is iwx-lb(8): it says which services are balanced over the
// servers of the cluster and how, shows how that is doing, and takes servers
// out of it for a while.
//
// Its verbs write what is wanted to the manager's state and wake the daemon,
// which makes it so: they speak to no engine, apart from diff and apply.
package lbtool

import (
	"iwx/lib/cli"
)

// Tool returns iwx-lb.
func Tool() cli.Tool {
	return cli.Tool{
		Name:     "iwx-lb",
		Summary:  "load balancing",
		Grammar:  func() any { return &grammar{} },
		Complete: complete,
	}
}

type grammar struct {
	Add       addVerb       `cmd:"" help:"Balance a service."`
	Edit      editVerb      `cmd:"" help:"Change how a service is balanced."`
	Delete    deleteVerb    `cmd:"" help:"Balance a service no longer."`
	List      listVerb      `cmd:"" help:"List the policies."`
	Show      showVerb      `cmd:"" help:"Show everything about a policy."`
	Status    statusVerb    `cmd:"" help:"Show the state of balancing."`
	Drain     drainVerb     `cmd:"" help:"Give a server no new connections."`
	Undrain   undrainVerb   `cmd:"" help:"Give it new connections again."`
	Probe     probeVerb     `cmd:"" help:"Look at the services once, and change nothing."`
	VIP       vipVerbs      `cmd:"" name:"vip" help:"The virtual IPs at which clients ask."`
	Engine    engineVerb    `cmd:"" help:"Show the engine, or change it."`
	Preflight preflightVerb `cmd:"" help:"Check whether services can be balanced here."`
	Start     startVerb     `cmd:"" help:"Balance, now and after every boot."`
	Stop      stopVerb      `cmd:"" help:"Have the manager answer alone."`
	Restart   restartVerb   `cmd:"" help:"Start the daemon anew."`
	Diff      diffVerb      `cmd:"" help:"List where the engine differs from the configuration."`
	Apply     applyVerb     `cmd:"" help:"Apply the configuration to the engine."`
	Daemon    daemonVerb    `cmd:"" help:"Check the servers and configure the engine accordingly; for systemd."`

	External externalVerb `cmd:"" help:"Leave balancing to an external balancer, or take it back."`
	Export   exportVerb   `cmd:"" help:"Write the configuration of an external balancer."`
	Endpoint endpointVerb `cmd:"" help:"Report the services of this server to an external balancer; for systemd."`
}

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
	Add    addVerb    `cmd:"" help:"Balance a service."`
	Edit   editVerb   `cmd:"" help:"Change how a service is balanced."`
	Delete deleteVerb `cmd:"" help:"Balance a service no longer."`
	List   listVerb   `cmd:"" help:"List the policies."`
	Show   showVerb   `cmd:"" help:"Show everything about a policy."`
	VIP    vipVerbs   `cmd:"" name:"vip" help:"The virtual IPs at which clients ask."`
	Engine engineVerb `cmd:"" help:"Show what balances, or have something else do it."`
	Daemon daemonVerb `cmd:"" help:"Check the services and balance them, as iwx-lb.service does."`
}

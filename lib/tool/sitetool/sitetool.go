// Package sitetool is iwx-site(8): site accounts, made on the manager and, by the
// command queue, the same on every node.
package sitetool

import (
	"iwx/lib/cli"
	"iwx/lib/tool/local"
)

// Tool returns iwx-site.
func Tool() cli.Tool {
	return cli.Tool{
		Name:     "iwx-site",
		Summary:  "site accounts",
		Grammar:  func() any { return &grammar{} },
		Complete: complete,
	}
}

type grammar struct {
	Add      addVerb       `cmd:"" help:"Make a site, or many."`
	List     listVerb      `cmd:"" help:"List the sites."`
	Show     showVerb      `cmd:"" help:"Show a site, and how far each node is with it."`
	Edit     editVerb      `cmd:"" help:"Change a site."`
	Suspend  suspendVerb   `cmd:"" help:"Show a page that says so instead of a site, and lock its user out."`
	Resume   resumeVerb    `cmd:"" help:"Take suspend back."`
	Delete   deleteVerb    `cmd:"" help:"Delete sites."`
	Check    checkVerb     `cmd:"" help:"Look whether every server has the sites as they should be."`
	Sync     syncVerb      `cmd:"" help:"Repair the sites of servers."`
	Import   importVerb    `cmd:"" help:"Take over the virtual hosts that are there already."`
	Template templateVerbs `cmd:"" help:"The templates of virtual hosts."`
	DNS      dnsVerbs      `cmd:"" name:"dns" help:"The zones of the sites, and others."`
	Apply    applyVerb     `cmd:"" hidden:"" help:"What the nodes run."`
}

// open opens this server, which has to be the manager. The caller must Close it.
func open(c *cli.Context) (*local.Server, error) {
	return local.OpenManager(c, "sites are made on its manager")
}

// complete offers the sites, zones, templates and servers there are.
func complete(c *cli.Context, kind string) []cli.Candidate {
	server, err := open(c)
	if err != nil {
		return nil
	}
	defer server.Close()
	switch kind {
	case "site":
		return completeSite(c, server)
	case "vhost":
		return completeVHost(server)
	case "zone":
		return completeZone(c, server)
	case "template":
		return completeTemplate(server)
	case "server":
		return completeServer(c, server)
	}
	return nil
}

func completeServer(c *cli.Context, server *local.Server) []cli.Candidate {
	list := []cli.Candidate{{Value: server.Identity.Name, Help: "the manager"}}
	nodes, _ := server.Store.Standings(c)
	for i := range nodes {
		list = append(list, cli.Candidate{Value: nodes[i].Name, Help: nodes[i].Word()})
	}
	return list
}

func completeSite(c *cli.Context, server *local.Server) (list []cli.Candidate) {
	sites, _ := server.Store.Sites(c)
	for i := range sites {
		list = append(list, cli.Candidate{Value: sites[i].Domain, Help: sites[i].User})
	}
	return list
}

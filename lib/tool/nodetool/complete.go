package nodetool

import (
	"iwx/lib/cli"
	"iwx/lib/cluster"
	"iwx/lib/tool/local"
)

// complete offers the members, and the tokens that can still be used.
func complete(c *cli.Context, kind string) []cli.Candidate {
	server, err := local.Open(c)
	if err != nil {
		return nil
	}
	defer server.Close()
	switch {
	case kind == "token" && server.IsManager():
		return completeToken(c, server)
	case kind == "node" && server.IsManager():
		return completeNode(c, server)
	case kind == "node":
		return []cli.Candidate{{Value: server.Identity.Name, Help: "this server"}}
	}
	return nil
}

func completeNode(c *cli.Context, server *local.Server) (list []cli.Candidate) {
	members, err := server.Store.Members(c)
	if err != nil {
		return nil
	}
	for _, n := range members {
		list = append(list, cli.Candidate{Value: n.Name, Help: n.Word()})
	}
	return list
}

func completeToken(c *cli.Context, server *local.Server) (list []cli.Candidate) {
	tokens, err := server.Store.Tokens(c)
	if err != nil {
		return nil
	}
	for _, k := range tokens {
		if k.Word(c.Now()) == cluster.TokenOpen {
			list = append(list, cli.Candidate{Value: k.ID, Help: "for " + k.Name})
		}
	}
	return list
}

package nodetool

import (
	"iwx/lib/cli"
	"iwx/lib/tool/local"
)

type listVerb struct {
	cli.Output
	All bool `help:"Those that left or were deleted, too."`
}

// Run lists the members; on a node, that node.
func (v *listVerb) Run(c *cli.Context) error {
	server, err := local.Open(c)
	if err != nil {
		return err
	}
	defer server.Close()
	known, err := look(c, server)
	if err != nil {
		return err
	}
	var rows []record
	for _, n := range known.nodes {
		if v.All || n.Membership.Belongs() {
			rows = append(rows, record{n, known.head, c.Now()})
		}
	}
	if !server.IsManager() && v.Human() {
		c.Notef("this is a node; the manager, at %s, knows them all", server.Identity.Manager.Addr())
	}
	return recordTable(v.All).Write(c, v.Output, rows)
}

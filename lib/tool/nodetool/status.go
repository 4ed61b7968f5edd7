package nodetool

import (
	"slices"

	"iwx/lib/cli"
	"iwx/lib/fault"
	"iwx/lib/tool/local"
	"iwx/lib/tool/nodestatus"
)

type statusVerb struct {
	cli.Output
	Names []string `arg:"" name:"name" optional:"" complete:"node" help:"Only these nodes."`
}

// Run shows the node status page. The exit code is 3 when a node, or the daemon
// of this server, is not as it should be.
func (v *statusVerb) Run(c *cli.Context) error {
	server, err := local.Open(c)
	if err != nil {
		return err
	}
	defer server.Close()
	rows, err := nodestatus.Collect(c, server)
	if err != nil {
		return err
	}
	if rows, err = v.choose(server, rows); err != nil {
		return err
	}
	return nodestatus.Show(c, server, v.Output, rows)
}

// choose keeps the rows of the nodes that were named.
func (v *statusVerb) choose(server *local.Server, rows []nodestatus.Row) ([]nodestatus.Row, error) {
	if len(v.Names) == 0 {
		return rows, nil
	}
	for _, name := range v.Names {
		known := slices.ContainsFunc(rows, func(r nodestatus.Row) bool { return r.Name == name })
		switch {
		case !known && !server.IsManager():
			return nil, onlyItself(server, name)
		case !known:
			return nil, fault.Hint(fault.New(fault.Failed, "no node is called %q", name), "iwx-node list")
		}
	}
	return slices.DeleteFunc(rows, func(r nodestatus.Row) bool { return !slices.Contains(v.Names, r.Name) }), nil
}

package queuetool

import (
	"iwx/lib/cli"
	"iwx/lib/tool/local"
	"iwx/lib/tool/nodestatus"
)

type statusVerb struct{ cli.Output }

// Examples implements cli.Exampled.
func (*statusVerb) Examples() string {
	return `iwx-queue status
		iwx-queue status -H -o node,state,lag`
}

// Run prints how the nodes' queues stand; exit code 3 when one, or the
// daemon of this server, is not as it should be.
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
	return nodestatus.Show(c, server, v.Output, rows)
}

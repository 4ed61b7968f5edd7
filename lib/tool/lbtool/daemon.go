package lbtool

import (
	"iwx/lib/cli"
	"iwx/lib/tool/lbdaemon"
	"iwx/lib/tool/local"
)

type daemonVerb struct{}

// Run checks and balances until it is ended.
func (*daemonVerb) Run(c *cli.Context) error {
	s, err := local.OpenManager(c, "the load is balanced by the manager")
	if err != nil {
		return err
	}
	defer s.Close()
	return lbdaemon.Run(c, s)
}

package lbtool

import (
	"iwx/lib/cli"
	"iwx/lib/tool/lbdaemon"
)

type daemonVerb struct{}

// Run is the daemon, until a signal ends it. What balances goes on.
func (*daemonVerb) Run(c *cli.Context) error {
	m, err := open(c)
	if err != nil {
		return err
	}
	defer m.Close()
	return lbdaemon.Run(c, m.Server)
}

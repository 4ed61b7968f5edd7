package lbtool

import (
	"iwx/lib/cli"
	"iwx/lib/daemon"
	"iwx/lib/host"
	"iwx/lib/tool/lbdaemon"
	"iwx/lib/tool/local"
)

type daemonVerb struct{}

// Run is the daemon, until a signal ends it. What balances goes on. On a manager
// that another has taken the place of, it is the daemon that says so: its exit code
// keeps it from being started again.
func (*daemonVerb) Run(c *cli.Context) error {
	if err := local.MakeRun(host.At(c.Root)); err != nil {
		return err
	}
	s, err := local.Open(c)
	if err != nil {
		return daemon.Startable(err)
	}
	defer s.Close()
	if err := s.CheckManager("the load is balanced by the manager"); err != nil {
		return err
	}
	return lbdaemon.Run(c, s)
}

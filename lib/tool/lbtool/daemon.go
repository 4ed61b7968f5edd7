package lbtool

import (
	"iwx/lib/cli"
	"iwx/lib/daemon"
	"iwx/lib/host"
	"iwx/lib/tool/lbdaemon"
	"iwx/lib/tool/local"
)

type daemonVerb struct{}

// Daemon implements cli.Daemon.
func (*daemonVerb) Daemon() {}

// Run runs the daemon until a signal ends it; balancing goes on. On a manager that
// was replaced by another, the daemon itself reports that: its exit code prevents a
// restart.
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

package local

import (
	"strings"

	"iwx/lib/cli"
	"iwx/lib/daemon"
	"iwx/lib/host"
)

// The daemons' units, under systemd.
const (
	DaemonUnit  = "iwx-queued.service"
	BalanceUnit = "iwx-lb.service"
)

// Daemon is a daemon of iwx on this server, for those who need it to run.
type Daemon struct {
	dir   string // its run directory
	name  string // "iwx-lb daemon"
	Start string // the command that starts it
}

// Queued returns iwx-queued on the server of paths.
func Queued(paths host.Paths) Daemon {
	return newDaemon(paths, paths.Run, "iwx-queued", "systemctl start iwx-queued")
}

// Balancer returns iwx-lb daemon on the server of paths.
func Balancer(paths host.Paths) Daemon {
	return newDaemon(paths, paths.Balance, "iwx-lb daemon", "iwx-lb start")
}

// newDaemon returns the daemon of that name. booted starts it under systemd.
func newDaemon(paths host.Paths, dir, name, booted string) Daemon {
	d := Daemon{dir: dir, name: name, Start: name}
	if program, args, _ := strings.Cut(name, " "); paths.Own() {
		d.Start = strings.TrimSpace(program + " --root " + paths.Root + " " + args)
	} else if host.Booted() {
		d.Start = booted
	}
	return d
}

// Runs reports whether the daemon runs.
func (d Daemon) Runs() bool { return daemon.Alive(d.dir) }

// Hint is how to start the daemon.
func (d Daemon) Hint() string { return "start it: " + d.Start }

// WarnIdle warns if the daemon does not run, with what follows from that. It reports
// whether it does not run.
func (d Daemon) WarnIdle(c *cli.Context, so string) bool {
	if d.Runs() {
		return false
	}
	c.Warnf("%s is not running here: %s", d.name, so)
	c.Notef("hint: %s", d.Hint())
	return true
}

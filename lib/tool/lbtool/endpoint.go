package lbtool

import (
	"log/slog"
	"time"

	"iwx/lib/api"
	"iwx/lib/cli"
	"iwx/lib/daemon"
	"iwx/lib/endpoint"
	"iwx/lib/health"
	"iwx/lib/host"
)

// endpointStuck is the longest time between two reads of the endpoint's files,
// which normally is a second.
const endpointStuck = 20 * time.Second

type endpointVerb struct{}

// Daemon implements cli.Daemon.
func (*endpointVerb) Daemon() {}

// Run answers until it is told to stop. It reads neither the state nor the
// settings, which only root can read, and writes no files: its panics are logged, and
// not counted.
func (*endpointVerb) Run(c *cli.Context) error {
	log := daemon.NewLogger(c.Stderr, slog.LevelInfo, c.Getenv)
	dog := daemon.NewWatchdog(log, c.Now)
	prober := &health.Prober{Now: c.Now}
	server := &endpoint.Server{
		Files: endpoint.Files(host.At(c.Root).Health), Probe: prober.Probe, Limit: api.LimitListener,
		Now: c.Now, Log: log, Ready: daemon.Ready, Alive: dog.Worker("endpoint", endpointStuck).Alive,
	}
	return daemon.Run(c, log, dog.Member(), daemon.Member{Name: "endpoint", Run: server.Run})
}

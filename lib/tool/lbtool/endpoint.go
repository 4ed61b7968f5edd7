package lbtool

import (
	"log/slog"

	"iwx/lib/api"
	"iwx/lib/cli"
	"iwx/lib/daemon"
	"iwx/lib/endpoint"
	"iwx/lib/health"
	"iwx/lib/host"
)

type endpointVerb struct{}

// Run answers until it is told to stop. It reads neither the state nor the
// settings, which are for root alone.
func (*endpointVerb) Run(c *cli.Context) error {
	log := daemon.NewLogger(c.Stderr, slog.LevelInfo, c.Getenv)
	prober := &health.Prober{Now: c.Now}
	server := &endpoint.Server{
		Files: endpoint.Files(host.At(c.Root).Health), Probe: prober.Probe, Limit: api.LimitListener,
		Now: c.Now, Log: log, Ready: daemon.Ready,
	}
	return server.Run(c)
}

package queuedtool

import (
	"context"
	"time"

	"iwx/lib/atomicfile"
	"iwx/lib/backoff"
	"iwx/lib/daemon"
	"iwx/lib/state"
	"iwx/lib/tool/upkeep"
)

// reloads reloads the programs of this server as tools request it. The profile reports
// which reloads have failed.
func (d *server) reloads(ctx context.Context) error {
	if err := atomicfile.MkdirAll(d.Reloads, 0o700); err != nil {
		return err
	}
	requests, err := daemon.Listen(d.Reloads) // from here on, the tools leave reloads to this loop
	if err != nil {
		return err
	}
	defer requests.Close()
	failed := map[string]bool{}
	tries := backoff.Tries{Waits: retryWaits()}
	for {
		took := backoff.Clock()
		var next time.Duration
		err := d.try(ctx, "cannot reload what was requested", func(ctx context.Context) (err error) {
			next, err = d.limiter().ReloadDue(ctx, func(r state.Reload) {
				if r.Error != "" {
					d.log.Error("a reload failed", "program", r.Name, "error", r.Error)
				} else {
					d.log.Info("reloaded", "program", r.Name)
				}
				if now := r.Error != ""; now != failed[r.Name] {
					failed[r.Name] = now
					d.keeper.Retry()
				}
			})
			return err
		})
		if next = backoff.Pace(next, took()); err != nil {
			next = tries.Failed(took())
		} else {
			tries.Reset()
		}
		timer := time.NewTimer(next)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-requests.C:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// limiter returns what reloads programs, by the settings in force.
func (d *server) limiter() upkeep.ReloadLimiter {
	here := *d.Server
	here.Config = *d.config.Load()
	return upkeep.ReloadLimiter{Server: &here, Now: d.c.Now}
}

package queuedtool

import (
	"context"
	"time"

	"iwx/lib/endpoint"
	"iwx/lib/nfs"
	"iwx/lib/tool/upkeep"
)

// standingEvery is how often it is looked whether this server may take traffic.
const standingEvery = time.Second

// standing tells the health endpoint, if there is one, whether this server may
// take traffic. mounts is how they are doing, and settled whether the baseline
// was replayed; both may be nil.
func (d *server) standing(ctx context.Context, mounts func() []nfs.Health, settled func() bool) error {
	files := endpoint.Files(d.Health)
	for told := ""; ; {
		if _, err := files.Spec(); err == nil {
			text := d.unready(mounts, settled)
			if err := files.WriteStanding(endpoint.Standing{Unready: text}); err != nil {
				d.log.Error("the health endpoint could not be told how this server stands", "error", err)
			} else if text != told {
				d.log.Info("the health endpoint was told how this server stands", "unready", text)
				told = text
			}
		}
		if !sleep(ctx, standingEvery) {
			return nil
		}
	}
}

// unready tells why this server may not take traffic, "" if it may.
func (d *server) unready(mounts func() []nfs.Health, settled func() bool) string {
	var health []nfs.Health
	if mounts != nil {
		health = mounts()
	}
	if settled != nil && !settled() {
		return "it has not replayed the baseline yet"
	}
	return upkeep.Unready(d.keeper.Status(), health)
}

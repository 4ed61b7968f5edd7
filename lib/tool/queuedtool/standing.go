package queuedtool

import (
	"context"
	"time"

	"iwx/lib/backoff"
	"iwx/lib/cluster"
	"iwx/lib/endpoint"
	"iwx/lib/nfs"
	"iwx/lib/panics"
	"iwx/lib/tool/upkeep"
	"iwx/lib/wait"
)

// standingEvery is how often it is looked whether this server may take traffic.
const standingEvery = time.Second

// standing reports to the health endpoint, if there is one, whether this server may
// take traffic. mounts returns their health, and settled whether the baseline was
// replayed; nil on the manager.
func (d *server) standing(ctx context.Context, mounts func() []nfs.Health, settled func() bool) error {
	last := ""
	for {
		began := d.c.Now()
		var is endpoint.Standing
		err := panics.Try(d.log, "readiness of this server", func() (err error) { is, err = d.stand(mounts, settled); return err })
		took := d.c.Now().Sub(began)
		switch {
		case err != nil && err.Error() != last:
			last = err.Error()
			d.log.Error("cannot update the health endpoint", "error", err)
		case err == nil && is.Unready != last:
			last = is.Unready
			d.log.Info("updated the health endpoint", "unready", last)
		}
		if wait.Sleep(ctx, backoff.Pace(standingEvery, took)) != nil {
			return nil
		}
	}
}

// stand saves the readiness of this server, where there is an endpoint.
func (d *server) stand(mounts func() []nfs.Health, settled func() bool) (is endpoint.Standing, err error) {
	files := endpoint.Files(d.Health)
	if !files.Wanted() {
		return is, nil
	}
	was, err := files.Standing()
	if err != nil {
		return is, err
	}
	var baseline *cluster.Progress
	if settled != nil && !settled() {
		baseline = &cluster.Progress{}
	}
	status := d.keeper.Status()
	now := upkeep.Eligible(d.keeper.Desired(), &status, mounts(), baseline)
	is = was.Next(now.Unready, now.Unfit)
	return is, files.WriteStanding(is)
}

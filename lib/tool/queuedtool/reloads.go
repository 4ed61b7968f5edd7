package queuedtool

import (
	"context"
	"time"

	"iwx/lib/backoff"
	"iwx/lib/tool/upkeep"
	"iwx/lib/wait"
)

// overdueEvery is the interval of checks for a pending reload of the web server.
const overdueEvery = time.Second

// reloads has the profile looked at when a reload of the web server is overdue: its
// item of kind web does it, and reports the result. One that fails is tried again
// at the profile's own pace.
func (d *server) reloads(ctx context.Context) error {
	var seen time.Time
	tries := backoff.Tries{Waits: retryWaits()}
	for {
		began := d.c.Now()
		err := d.try(ctx, "cannot read the pending reload of the web server", func(ctx context.Context) error {
			since, err := d.overdue(ctx)
			if err == nil && !since.IsZero() && !since.Equal(seen) {
				seen = since
				d.keeper.Look()
			}
			return err
		})
		took := d.c.Now().Sub(began)
		pause := backoff.Pace(overdueEvery, took)
		if err != nil {
			pause = tries.Failed(took)
		} else {
			tries.Reset()
		}
		if wait.Sleep(ctx, pause) != nil {
			return nil
		}
	}
}

// lastReload does the reload that was left to the daemon, where none stays to do it:
// it blocks until the interval is over.
func (d *server) lastReload(ctx context.Context) error {
	reloads, err := upkeep.NewReloads(ctx, d.Server, d.c.Now)
	if err != nil {
		return err
	}
	return reloads.Await(ctx, d.c.Now())
}

// overdue returns since when a reload is overdue, by the settings in force; zero
// for none.
func (d *server) overdue(ctx context.Context) (since time.Time, err error) {
	is, err := d.Store.Reload(ctx)
	if err != nil || is.Owed.IsZero() {
		return time.Time{}, err
	}
	here := *d.Server
	here.Config = *d.config.Load()
	reloads, err := upkeep.NewReloads(ctx, &here, d.c.Now)
	if err != nil {
		return time.Time{}, err
	}
	is, err = reloads.Overdue(ctx)
	return is.Owed, err
}

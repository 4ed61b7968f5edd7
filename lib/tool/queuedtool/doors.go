package queuedtool

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"sync"

	"iwx/lib/api"
	"iwx/lib/panics"
)

// doors are the addresses at which the manager serves its API: one, and two
// while the quorum IP moves.
type doors struct {
	server *api.Server
	log    *slog.Logger
	failed chan error // of a door that does not serve any more
	open   map[netip.AddrPort]context.CancelFunc
	served sync.WaitGroup
}

func newDoors(server *api.Server, log *slog.Logger) *doors {
	return &doors{server: server, log: log, failed: make(chan error, 1), open: map[netip.AddrPort]context.CancelFunc{}}
}

// set opens and closes doors until those wanted are open. It is called by one
// goroutine at a time. Whoever was let in by a door that is closed is cut off,
// and comes back by another.
func (d *doors) set(ctx context.Context, wanted []netip.AddrPort) error {
	for _, at := range wanted {
		if d.open[at] != nil {
			continue
		}
		if err := d.begin(ctx, at); err != nil {
			return err
		}
	}
	for at, end := range d.open {
		if !slices.Contains(wanted, at) {
			end()
			delete(d.open, at)
			d.log.Info("no longer serving at an address", "address", at)
		}
	}
	return nil
}

func (d *doors) begin(ctx context.Context, at netip.AddrPort) error {
	listener, err := listen(ctx, at)
	if err != nil {
		return err
	}
	if len(d.open) > 0 {
		d.log.Info("serving at another address too", "address", at)
	}
	// Its life is its own, so that what is under way at the daemon's end is
	// ended by close.
	own, end := context.WithCancel(context.WithoutCancel(ctx))
	d.open[at] = end
	d.served.Go(func() {
		err := panics.Try(d.log, "serving at "+at.String(), func() error { return d.server.Serve(own, listener) })
		if err != nil {
			select {
			case d.failed <- err:
			default: // one is enough to end the daemon
			}
		}
	})
	return nil
}

// run is the member that ends the daemon when a door fails.
func (d *doors) run(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-d.failed:
		return err
	}
}

// close closes every door, and waits until that is done.
func (d *doors) close() {
	for _, end := range d.open {
		end()
	}
	d.served.Wait()
}

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

// listeners serve the API of the manager at one address, and at two while the
// quorum IP moves.
type listeners struct {
	server *api.Server
	log    *slog.Logger
	failed chan error // of a listener that has failed
	open   map[netip.AddrPort]context.CancelFunc
	served sync.WaitGroup
}

func newListeners(server *api.Server, log *slog.Logger) *listeners {
	return &listeners{server: server, log: log, failed: make(chan error, 1), open: map[netip.AddrPort]context.CancelFunc{}}
}

// set opens and closes listeners until those wanted are open. It is called by one
// goroutine at a time. Connections to a listener that is closed are cut, and the
// clients connect to another.
func (l *listeners) set(ctx context.Context, wanted []netip.AddrPort) error {
	for _, at := range wanted {
		if l.open[at] != nil {
			continue
		}
		if err := l.begin(ctx, at); err != nil {
			return err
		}
	}
	for at, end := range l.open {
		if !slices.Contains(wanted, at) {
			end()
			delete(l.open, at)
			l.log.Info("no longer serving at an address", "address", at)
		}
	}
	return nil
}

func (l *listeners) begin(ctx context.Context, at netip.AddrPort) error {
	listener, err := listen(ctx, at)
	if err != nil {
		return err
	}
	if len(l.open) > 0 {
		l.log.Info("serving at another address too", "address", at)
	}
	// It has a context of its own, so that close ends the requests under way when
	// the daemon ends.
	own, end := context.WithCancel(context.WithoutCancel(ctx))
	l.open[at] = end
	l.served.Go(func() {
		err := panics.Try(l.log, "serving at "+at.String(), func() error { return l.server.Serve(own, listener) })
		if err != nil {
			select {
			case l.failed <- err:
			default: // one is enough to end the daemon
			}
		}
	})
	return nil
}

// run is the member that ends the daemon when a listener fails.
func (l *listeners) run(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-l.failed:
		return err
	}
}

// close closes every listener, and waits until that is done.
func (l *listeners) close() {
	for _, end := range l.open {
		end()
	}
	l.served.Wait()
}

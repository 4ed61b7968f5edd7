package queuedtool

import (
	"context"
	"log/slog"
	"net/netip"
	"reflect"
	"sync"
	"time"

	"iwx/lib/host"
)

// factsEvery is how often a node looks whether it has become another server: an
// address, the host name or the release of its system has changed.
const factsEvery = 10 * time.Second

// facts is what this node is; it implements replay.Facts.
type facts struct {
	root  string
	given []netip.Addr // see host.Read
	log   *slog.Logger

	changed chan struct{}
	mu      sync.Mutex
	latest  *host.Facts
	failed  string // why it could not be read, as last logged
}

// newFacts reads the facts for the first time. own is the address that this
// server was given at setup, if it was.
func newFacts(root string, own netip.Addr, log *slog.Logger) *facts {
	f := &facts{root: root, log: log, changed: make(chan struct{}, 1)}
	if own.IsValid() {
		f.given = []netip.Addr{own}
	}
	f.look()
	return f
}

// Facts implements replay.Facts.
func (f *facts) Facts() *host.Facts {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.latest
}

// Changed implements replay.Facts.
func (f *facts) Changed() <-chan struct{} { return f.changed }

// look reads the facts. Users are for joining, and are not reported again.
func (f *facts) look() {
	read, err := host.Read(f.root, f.given...)
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil {
		if err.Error() != f.failed {
			f.failed = err.Error()
			f.log.Warn("what this server is cannot be read", "error", err)
		}
		return
	}
	f.failed = ""
	read.Users, read.Services = nil, nil
	if f.latest != nil && reflect.DeepEqual(*f.latest, read) {
		return
	}
	f.latest = &read
	select {
	case f.changed <- struct{}{}:
	default:
	}
}

// run looks now and then, until ctx is done.
func (f *facts) run(ctx context.Context) error {
	for sleep(ctx, factsEvery) {
		f.look()
	}
	return nil
}

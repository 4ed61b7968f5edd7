package queuedtool

import (
	"context"
	"log/slog"
	"net/netip"
	"reflect"
	"sync"
	"time"

	"iwx/lib/host"
	"iwx/lib/wait"
)

// factsEvery is the interval at which a node checks for changes of its
// addresses, host name and release of the system.
const factsEvery = 10 * time.Second

// facts holds the facts about this node; it implements replay.Facts.
type facts struct {
	root  string
	given []netip.Addr // see host.Read
	log   *slog.Logger

	changed wait.Signal
	mu      sync.Mutex
	latest  *host.Facts
	failed  string // the last logged error
}

// newFacts reads the facts for the first time. own is the address given to this
// server at setup, if any.
func newFacts(root string, own netip.Addr, log *slog.Logger) *facts {
	f := &facts{root: root, log: log, changed: wait.NewSignal()}
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

// look reads the facts. Users are only needed for joining, and are not reported
// again.
func (f *facts) look() {
	read, err := host.Read(f.root, f.given...)
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil {
		if err.Error() != f.failed {
			f.failed = err.Error()
			f.log.Warn("cannot read the facts about this server", "error", err)
		}
		return
	}
	f.failed = ""
	read.Users, read.Services = nil, nil
	if f.latest != nil && reflect.DeepEqual(*f.latest, read) {
		return
	}
	f.latest = &read
	f.changed.Set()
}

// run calls look at intervals until ctx is done.
func (f *facts) run(ctx context.Context) error {
	for wait.Sleep(ctx, factsEvery) == nil {
		f.look()
	}
	return nil
}

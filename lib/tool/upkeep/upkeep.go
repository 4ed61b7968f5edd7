// Package upkeep is how a server is kept as its cluster needs it: the documents
// that a manager makes for its nodes and for itself, and what applies them. The
// daemon uses it all the time, iwx-cluster-setup once: to converge now, and to
// take everything back.
//
// The rules are in package profile; here is which kinds there are.
package upkeep

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"iwx/lib/atomicfile"
	"iwx/lib/backup"
	"iwx/lib/endpoint"
	"iwx/lib/fault"
	"iwx/lib/profile"
	"iwx/lib/tool/local"
	"iwx/lib/vip"
)

// Converger returns what converges this server.
func Converger(s *local.Server, now func() time.Time, log *slog.Logger) *profile.Converger {
	return &profile.Converger{
		Appliers: appliers(s, now), Journal: s.Store.Profile(),
		Lock:   func(ctx context.Context) (func(), error) { return lock(ctx, s.ProfileLock) },
		Limits: map[string]time.Duration{backup.CopyKind: copyLimit},
		Now:    now, Log: log,
	}
}

// copyLimit is for a backup of some gigabytes over a slow line.
const copyLimit = 10 * time.Minute

// appliers are what this server knows to apply, by kind.
func appliers(s *local.Server, now func() time.Time) map[string]profile.Applier {
	list := map[string]profile.Applier{}
	if !s.Own() {
		maps.Copy(list, storage(s, NewProber(now)))
		list[vip.Kind] = holder(s)
	}
	list[endpoint.Kind] = endpointer(s)
	if !s.IsManager() {
		list[KindManager] = &finder{server: s, now: now}
		list[KindWatch] = watcher{}
		list[backup.CopyKind] = copier(s, now)
	}
	return list
}

// How long, and how often, the lock is tried: the daemon and a tool may
// converge at the same time, and each has items that take a while.
const (
	lockWait  = 2 * time.Minute
	lockEvery = 50 * time.Millisecond
)

// lock keeps the convergers of this server apart: it waits for flock(2) on
// path, which the kernel gives back however the process ends.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	if err := atomicfile.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	if err := wait(ctx, f); err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil
}

// wait tries until it has the lock. A blocking flock could not be ended.
func wait(ctx context.Context, f *os.File) error {
	tick, end := time.NewTicker(lockEvery), time.NewTimer(lockWait)
	defer tick.Stop()
	defer end.Stop()
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-end.C:
			return fault.New(fault.Busy, "another process has been applying this server's profile for %s", lockWait)
		case <-tick.C:
		}
	}
}

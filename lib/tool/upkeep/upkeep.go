// Package upkeep is how a server is kept as its cluster needs it: the documents
// that a manager makes for its nodes and for itself, and what applies them. The
// daemon uses it all the time, iwx-cluster-setup once: to converge now, and to
// take everything back.
//
// The rules are in package profile; here is which kinds there are.
package upkeep

import (
	"context"
	"log/slog"
	"maps"
	"time"

	"iwx/lib/backup"
	"iwx/lib/daemon"
	"iwx/lib/endpoint"
	"iwx/lib/profile"
	"iwx/lib/realip"
	"iwx/lib/tool/local"
	"iwx/lib/vip"
)

// Converger returns what converges this server.
func Converger(s *local.Server, now func() time.Time, log *slog.Logger) *profile.Converger {
	return &profile.Converger{
		Appliers: appliers(s, now), Journal: s.Store.Profile(),
		Lock: func(ctx context.Context) (func(), error) {
			return lock(ctx, s.ProfileLock)
		},
		Limits: map[string]time.Duration{backup.CopyKind: copyLimit},
		Now:    now, Log: log,
	}
}

// copyLimit allows a backup of a gigabyte over 1 Mbit/s; the manager cuts off a
// transfer without progress long before.
const copyLimit = 2 * time.Hour

// appliers are what this server knows to apply, by kind.
func appliers(s *local.Server, now func() time.Time) map[string]profile.Applier {
	list := map[string]profile.Applier{}
	if !s.Own() {
		maps.Copy(list, storage(s, NewProber(now)))
		list[vip.Kind] = holder(s)
	}
	list[endpoint.Kind] = endpointer(s)
	list[KindWeb] = ReloadLimiter{Server: s, Now: now}
	list[realip.Kind] = clientTeller(s, now)
	list[KindDNS] = &primary{server: s, now: now}
	if !s.IsManager() {
		list[KindDNS] = &secondary{server: s, now: now}
		list[KindManager] = &finder{server: s, now: now}
		list[KindWatch] = watcher{}
		list[backup.CopyKind] = copier(s, now)
	}
	return list
}

// lockWait is how long the lock is tried: the daemon and a tool may converge at
// the same time, and each has items that take a while.
const lockWait = 2 * time.Minute

// lock keeps the convergers of this server apart.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	f, err := daemon.WaitLock(ctx, path, lockWait, "applying this server's profile")
	if err != nil {
		return nil, err
	}
	return func() { f.Close() }, nil
}

package nfs

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"iwx/lib/backoff"
	"iwx/lib/panics"
	"iwx/lib/profile"
	"iwx/lib/wait"
)

// Times that a watcher goes by: a look costs a process for each mount.
const lookEvery = 10 * time.Second

// againWaits are the waits before the next check while a mount is not healthy.
func againWaits() backoff.Waits { return backoff.Waits{First: 2 * time.Second, Most: lookEvery} }

// MountsOf returns the mounts that a profile wants, in its order. Items that
// cannot be read are left out; their results tell of them.
func MountsOf(doc profile.Document) []Mount {
	var list []Mount
	for _, item := range doc.Items {
		var spec mountSpec
		if item.Kind == KindMount && item.Decode(&spec) == nil {
			list = append(list, Mount{Path: item.Name, Source: spec.Source})
		}
	}
	return list
}

// Worst returns the first mount that is hung, else the first that is missing;
// nil if all are healthy.
func Worst(list []Health) *Health {
	for _, word := range []string{Hung, Missing} {
		if i := slices.IndexFunc(list, func(h Health) bool { return h.Word == word }); i >= 0 {
			return &list[i]
		}
	}
	return nil
}

// Watcher looks how a server's mounts are doing for as long as its daemon runs.
type Watcher struct {
	prober  *Prober
	mounts  func(ctx context.Context) ([]Mount, error)
	log     *slog.Logger
	changed wait.Signal

	tries backoff.Tries // checks that found an unhealthy mount

	mu     sync.Mutex
	health []Health
}

// NewWatcher returns a watcher of what mounts returns at every look.
func NewWatcher(prober *Prober, mounts func(ctx context.Context) ([]Mount, error), log *slog.Logger) *Watcher {
	return &Watcher{prober: prober, mounts: mounts, log: log, changed: wait.NewSignal(), tries: backoff.Tries{Waits: againWaits()}}
}

// Health returns how the mounts are doing, in the order of the profile.
func (w *Watcher) Health() []Health {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.health)
}

// Changed receives when Health has changed.
func (w *Watcher) Changed() <-chan struct{} { return w.changed }

// Run looks until ctx is done.
func (w *Watcher) Run(ctx context.Context) error {
	for wait.Sleep(ctx, w.Once(ctx)) == nil {
	}
	return nil
}

// Once checks once, and returns when to check again. It is not safe for concurrent
// use.
func (w *Watcher) Once(ctx context.Context) time.Duration {
	var mounts []Mount
	err := panics.Try(w.log, "list of the mounts", func() (err error) { mounts, err = w.mounts(ctx); return err })
	if err != nil {
		if ctx.Err() == nil {
			w.log.Error("cannot check the mounts", "error", err)
		}
		return lookEvery
	}
	began := w.prober.Now()
	var found []Health
	if panics.Try(w.log, "look at the mounts", func() error { found = w.prober.Look(ctx, mounts); return nil }) != nil {
		return lookEvery
	}
	if ctx.Err() != nil {
		return lookEvery // the probes were ended, and tell nothing
	}
	if w.set(found) {
		w.tries.Reset() // it may soon be otherwise again
	}
	took := w.prober.Now().Sub(began)
	if Worst(found) != nil {
		return w.tries.Failed(took)
	}
	w.tries.Reset()
	return backoff.Pace(lookEvery, took)
}

// set takes the findings, logs what is new, and reports whether anything is.
func (w *Watcher) set(found []Health) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if slices.Equal(found, w.health) {
		return false
	}
	for _, h := range found {
		if slices.Contains(w.health, h) {
			continue
		}
		if h.Word == Healthy {
			w.log.Info("a mount is healthy", "path", h.Path)
		} else {
			w.log.Warn("a mount is not healthy", "path", h.Path, "word", h.Word, "error", h.Error)
		}
	}
	w.health = found
	w.changed.Set()
	return true
}

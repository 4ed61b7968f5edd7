package upkeep

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"iwx/lib/daemon"
	"iwx/lib/fault"
	"iwx/lib/profile"
	"iwx/lib/state"
	"iwx/lib/tool/local"
	"iwx/lib/vhost"
	"iwx/lib/wait"
)

// ReloadLimiter reloads programs of this server, each at most once in the interval of its
// kind. A tool requests a reload together with the change that the program is to load;
// iwx-queued reloads the program, and records the result for those who wait. Where no
// daemon does this, a tool that waits does it in the same way. A request is in the state
// before its change is made, so none is lost when a process is killed.
type ReloadLimiter struct {
	Server *local.Server // with the settings in force
	Now    func() time.Time
}

// Change requests a reload of the web server of that name, makes the change, and returns
// the number of the request. Meanwhile nothing is reloaded. An urgent request does not
// wait for the interval.
func (l ReloadLimiter) Change(ctx context.Context, web string, urgent bool, change func() error) (request uint64, err error) {
	unlock, err := l.lock(ctx)
	if err != nil {
		return 0, err
	}
	defer unlock()
	if request, err = l.Server.Store.RequestReload(ctx, KindWeb, web, urgent); err != nil {
		return 0, err
	}
	defer daemon.Poke(l.Server.Reloads)
	return request, change()
}

// lock keeps reloads, and changes to what programs load, apart. The caller may hold
// SiteLock, but must not take it afterwards.
func (l ReloadLimiter) lock(ctx context.Context) (unlock func(), err error) {
	f, err := daemon.WaitLock(ctx, l.Server.ReloadLock, lockWait, "changing or reloading a program")
	if err != nil {
		return nil, err
	}
	return func() { f.Close() }, nil
}

// Times between looks at a reload that is waited for: the daemon is about to do it, or
// the interval is not over.
const (
	soonLook = 20 * time.Millisecond
	lateLook = time.Second
)

// Wait blocks until the web server has loaded what was requested, and returns the error
// of the reload. With patient false it does not wait for the interval: the daemon reloads
// when that is over. Request 0 is none.
func (l ReloadLimiter) Wait(ctx context.Context, web string, request uint64, patient bool) error {
	pause := soonLook
	return wait.Until(ctx, func(time.Duration) time.Duration { return pause }, func() (done bool, err error) {
		r, err := l.Server.Store.Reload(ctx, KindWeb, web)
		switch {
		case err != nil || r.Loaded >= request:
			return true, err
		case r.Tried >= request:
			return true, fault.New(fault.Failed, "%s", r.Error)
		}
		left, err := l.left(ctx, &r)
		if err != nil || left > 0 && !patient {
			return true, err
		}
		pause = min(max(left, soonLook), lateLook)
		if left > 0 || daemon.Alive(l.Server.Reloads) {
			return false, nil
		}
		_, err = l.reload(ctx, &r)
		return false, err
	})
}

// ReloadDue reloads the programs whose reload is due, and returns how long it is until
// the next one is; the daemon calls it. tried gets each result.
func (l ReloadLimiter) ReloadDue(ctx context.Context, tried func(state.Reload)) (next time.Duration, err error) {
	list, err := l.Server.Store.Reloads(ctx)
	next = lateLook
	for i := range list {
		r := &list[i]
		if !r.Pending() {
			continue
		}
		left, failed := l.left(ctx, r)
		if failed == nil && left == 0 {
			var did bool
			if did, failed = l.reload(ctx, r); did && failed == nil {
				tried(*r)
			}
		}
		next, err = min(next, max(left, soonLook)), errors.Join(err, failed)
	}
	return next, err
}

// left returns how long the reload has to wait.
func (l ReloadLimiter) left(ctx context.Context, r *state.Reload) (time.Duration, error) {
	interval, err := l.interval(ctx)
	return r.Left(interval, l.Now()), err
}

// interval is the manager's site.reload_interval, which nodes have in their profile.
func (l ReloadLimiter) interval(ctx context.Context) (time.Duration, error) {
	if l.Server.IsManager() {
		return l.Server.Config.Site.ReloadInterval, nil
	}
	saved, err := l.Server.Store.Profile().Load(ctx)
	if err != nil {
		return 0, err
	}
	spec := webSpec{Interval: l.Server.Config.Site.ReloadInterval}
	for _, item := range saved.Desired.Items {
		if item.Kind == KindWeb && len(item.Spec) > 0 { // the first site's entry comes before the item
			err = item.Decode(&spec)
		}
	}
	return spec.Interval, err
}

// reload reloads the program if its reload is due, and records the result, which is in r
// then; the error is that this cannot be done.
func (l ReloadLimiter) reload(ctx context.Context, r *state.Reload) (did bool, err error) {
	unlock, err := l.lock(ctx)
	if err != nil {
		return false, err
	}
	defer unlock()

	// Another process may have reloaded it meanwhile.
	if *r, err = l.Server.Store.Reload(ctx, r.Kind, r.Name); err != nil {
		return false, err
	}
	if left, err := l.left(ctx, r); err != nil || left > 0 {
		return false, err
	}

	err = l.load(ctx, r)
	if ctx.Err() != nil {
		return false, ctx.Err() // it stays requested
	}
	r.Tried, r.Last, r.Error = r.Requested, l.Now(), ""
	if err != nil {
		r.Error = fault.Plain(err)
	} else {
		r.Loaded = r.Requested
	}
	return true, l.Server.Store.SaveReload(ctx, r)
}

// load has the program load its configuration. One that is not installed any more has
// nothing to load.
func (l ReloadLimiter) load(ctx context.Context, r *state.Reload) error {
	if r.Kind != KindWeb {
		return fault.New(fault.Failed, "this version of iwx cannot reload a program of kind %q", r.Kind)
	}
	for _, web := range vhost.Find(l.Server.Root) {
		if web.Name == r.Name {
			return web.Reload(ctx)
		}
	}
	return nil
}

// Finish blocks until all programs have loaded what was requested, and tries reloads that
// have failed once more. An urgent call does not wait for the interval.
func (l ReloadLimiter) Finish(ctx context.Context, urgent bool) error {
	list, err := l.Server.Store.Reloads(ctx)
	for i := range list {
		if !list[i].Pending() {
			continue
		}
		request, failed := l.Change(ctx, list[i].Name, urgent, func() error { return nil })
		if failed == nil {
			failed = l.Wait(ctx, list[i].Name, request, true)
		}
		err = errors.Join(err, failed)
	}
	return err
}

// KindWeb is the kind of web servers among the programs that are reloaded, and of the
// profile's item that gives a server the interval of their reloads.
const KindWeb = "web"

// webSpec is the spec of the item.
type webSpec struct {
	Interval time.Duration `json:"interval"` // site.reload_interval, in nanoseconds
}

// web gives a server the interval, once there are sites.
func (c *Cluster) web() ([]profile.Item, error) {
	if !c.Sites {
		return nil, nil
	}
	spec, err := json.Marshal(webSpec{Interval: c.Config.Site.ReloadInterval})
	return []profile.Item{{Kind: KindWeb, Name: "sites", Spec: spec}}, err
}

// Check implements profile.Applier for KindWeb: the item fails while a reload does.
func (l ReloadLimiter) Check(ctx context.Context, _ profile.Item) (change string, err error) {
	list, err := l.Server.Store.Reloads(ctx)
	for _, r := range list {
		if r.Pending() && r.Error != "" {
			err = errors.Join(err, fault.New(0, "the reload of %s failed: %s", r.Name, r.Error))
		}
	}
	return "", err
}

// Apply implements profile.Applier; Check has it do nothing.
func (l ReloadLimiter) Apply(context.Context, profile.Item) error { return nil }

// Remove implements profile.Applier: with the last site, no reload stays pending.
func (l ReloadLimiter) Remove(ctx context.Context, _ profile.Item) error { return l.Finish(ctx, true) }

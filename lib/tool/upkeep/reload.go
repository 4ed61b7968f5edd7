package upkeep

import (
	"context"
	"time"

	"iwx/lib/daemon"
	"iwx/lib/flock"
	"iwx/lib/profile"
	"iwx/lib/site"
	"iwx/lib/tool/local"
	"iwx/lib/vhost"
	"iwx/lib/wait"
)

// Reloads has this server's web server take what was changed of the sites, no more
// often than site.reload_interval asks for. A reload is owed before the change and
// paid after it, so that none is lost when a process is killed: the daemon pays
// what nobody else does.
//
// Whoever calls Owe and Pay holds local.Server's SiteLock: what has not been tested
// yet is not to be loaded.
type Reloads struct {
	Server   *local.Server
	Interval time.Duration
	Now      func() time.Time
}

// NewReloads returns those of a server by the manager's settings, which nodes have
// in their profile.
func NewReloads(ctx context.Context, s *local.Server, now func() time.Time) (Reloads, error) {
	r := Reloads{Server: s, Interval: s.Config.Site.ReloadInterval, Now: now}
	if s.IsManager() {
		return r, nil
	}
	saved, err := s.Store.Profile().Load(ctx)
	if err != nil {
		return r, err
	}
	for _, item := range saved.Desired.Items {
		if item.Kind == KindWeb {
			return r.as(item)
		}
	}
	return r, nil // the first site's entry is here before the profile
}

// as returns them with the interval that the item says. One that was made by a
// manager of the version before this one says none.
func (r Reloads) as(item profile.Item) (Reloads, error) {
	if len(item.Spec) == 0 {
		return r, nil
	}
	var spec webSpec
	err := item.Decode(&spec)
	r.Interval = spec.Interval
	return r, err
}

// Owe notes that the web server of that name is to be told of a change that is
// about to be made. Repeating it is safe.
func (r Reloads) Owe(ctx context.Context, web string) error {
	return r.Server.Store.OweReload(ctx, web, r.Now())
}

// Pay does the reload that is owed, whenever the last one was; without one it does
// nothing.
func (r Reloads) Pay(ctx context.Context) error {
	is, err := r.Server.Store.Reload(ctx)
	if err != nil || is.Owed.IsZero() {
		return err
	}
	web, err := vhost.Named(r.Server.Root, is.WebServer)
	if err == nil {
		err = web.Reload(ctx)
	}
	if err != nil {
		return err
	}
	return r.Server.Store.Reloaded(ctx, r.Now())
}

// PayDue is Pay, unless the last reload was less than the interval ago: then it
// stays owed.
func (r Reloads) PayDue(ctx context.Context) error {
	_, left, err := r.look(ctx)
	if err != nil || left > 0 {
		return err
	}
	return r.Pay(ctx)
}

// PayInTime is Pay when the interval is over; it blocks until then.
func (r Reloads) PayInTime(ctx context.Context) error {
	is, left, err := r.look(ctx)
	if err != nil || is.Owed.IsZero() {
		return err
	}
	if err := wait.Sleep(ctx, left); err != nil {
		return err
	}
	return r.Pay(ctx)
}

// Await blocks until the web server has taken a change that was made before that
// time, and takes SiteLock to pay the reload itself where nobody else does.
func (r Reloads) Await(ctx context.Context, made time.Time) error {
	for {
		is, left, err := r.look(ctx)
		if err != nil || is.Owed.IsZero() || !is.Last.Before(made) {
			return err
		}
		if left > 0 {
			err = wait.Sleep(ctx, left)
		} else {
			err = r.locked(ctx, r.PayDue)
		}
		if err != nil {
			return err
		}
	}
}

// locked calls pay for who does not hold SiteLock.
func (r Reloads) locked(ctx context.Context, pay func(context.Context) error) error {
	lock, err := daemon.WaitLock(ctx, r.Server.SiteLock, lockWait, "changing sites")
	if err != nil {
		return err
	}
	defer lock.Close()
	return pay(ctx)
}

// Overdue returns the reload that is owed, if nobody has come to do it in its time;
// else a zero one. One that is owed within the interval is due at its end. One that
// could have been done at once was left to others: to who is changing sites now,
// however long that takes, or to the last of the entries that come one after the
// other.
func (r Reloads) Overdue(ctx context.Context) (site.Reload, error) {
	is, pause, err := r.look(ctx)
	if err != nil || pause > 0 || is.Owed.IsZero() {
		return site.Reload{}, err
	}
	left := !is.Owed.Before(is.Last.Add(r.Interval))
	if left && r.Now().Sub(is.Owed) < leftFor {
		return site.Reload{}, nil
	}
	if busy, err := flock.Held(r.Server.SiteLock); busy || err != nil {
		return site.Reload{}, err
	}
	return is, nil
}

// leftFor is how long a reload is left to others.
const leftFor = 10 * time.Second

// look returns how the web server stands, and how long a reload is to wait.
func (r Reloads) look(ctx context.Context) (is site.Reload, wait time.Duration, err error) {
	is, err = r.Server.Store.Reload(ctx)
	return is, is.Wait(r.Interval, r.Now()), err
}

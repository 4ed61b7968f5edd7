package upkeep

import (
	"context"
	"time"

	"iwx/lib/daemon"
	"iwx/lib/fault"
	"iwx/lib/profile"
	"iwx/lib/tool/local"
	"iwx/lib/vhost"
)

// KindWeb is the kind of the item that has a server's web server take what was
// applied of the sites, where the entry of the queue that was to see to it never
// came: it was skipped, or the node's queue is held.
const KindWeb = "web"

// owedAfter is how long a reload may be owed: entries that come one after the
// other leave it to the last of them.
const owedAfter = 10 * time.Second

// web has a server look after its web server, once there are sites.
func (c *Cluster) web() ([]profile.Item, error) {
	if !c.Sites {
		return nil, nil
	}
	return []profile.Item{{Kind: KindWeb, Name: "sites"}}, nil
}

// reloader is the applier of KindWeb.
type reloader struct {
	server *local.Server
	now    func() time.Time
}

// Check implements profile.Applier.
func (r reloader) Check(ctx context.Context, _ profile.Item) (change string, err error) {
	name, since, err := r.server.Store.ReloadOwed(ctx)
	if err != nil || since.IsZero() || r.now().Sub(since) < owedAfter {
		return "", err
	}
	return "reload " + name, nil
}

// Apply implements profile.Applier. While sites are being applied it waits: what
// has not been tested yet is not to be loaded.
func (r reloader) Apply(ctx context.Context, _ profile.Item) error {
	busy, err := daemon.WaitLock(ctx, r.server.SiteLock, lockWait, "changing sites")
	if err != nil {
		return err
	}
	defer busy.Close()
	name, since, err := r.server.Store.ReloadOwed(ctx)
	if err != nil || since.IsZero() {
		return err
	}
	if name != "" {
		web, err := vhost.Named(r.server.Root, name)
		if err == nil {
			err = web.Reload(ctx)
		}
		if err != nil {
			return fault.New(0, "the reload that is owed: %w", err)
		}
	}
	return r.server.Store.Reloaded(ctx)
}

// Remove implements profile.Applier: with the last site nothing is owed any more.
func (r reloader) Remove(ctx context.Context, item profile.Item) error { return r.Apply(ctx, item) }

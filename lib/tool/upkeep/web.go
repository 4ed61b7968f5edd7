package upkeep

import (
	"context"
	"encoding/json"
	"time"

	"iwx/lib/fault"
	"iwx/lib/profile"
)

// KindWeb is the kind of the item that has a server's web server take what was
// changed of the sites, where nobody else did: the reload was not to be done yet,
// or who was to do it was killed, or skipped.
const KindWeb = "web"

// webSpec is what the item says.
type webSpec struct {
	Interval time.Duration `json:"interval"` // site.reload_interval, in nanoseconds
}

// web has a server look after its web server, once there are sites.
func (c *Cluster) web() ([]profile.Item, error) {
	if !c.Sites {
		return nil, nil
	}
	spec, err := json.Marshal(webSpec{Interval: c.Config.Site.ReloadInterval})
	return []profile.Item{{Kind: KindWeb, Name: "sites", Spec: spec}}, err
}

// reloader is the applier of KindWeb.
type reloader struct{ Reloads }

// Check implements profile.Applier.
func (r reloader) Check(ctx context.Context, item profile.Item) (change string, err error) {
	own, err := r.as(item)
	if err != nil {
		return "", err
	}
	is, err := own.Overdue(ctx)
	if err != nil || is.Owed.IsZero() {
		return "", err
	}
	return "reload " + is.WebServer, nil
}

// Apply implements profile.Applier. While sites are being changed it waits.
func (r reloader) Apply(ctx context.Context, item profile.Item) error {
	own, err := r.as(item)
	if err == nil {
		err = own.locked(ctx, own.PayDue)
	}
	if err != nil {
		return fault.New(0, "the pending reload of the web server: %w", err)
	}
	return nil
}

// Remove implements profile.Applier: with the last site nothing is owed any more.
func (r reloader) Remove(ctx context.Context, _ profile.Item) error {
	return r.locked(ctx, r.Pay)
}

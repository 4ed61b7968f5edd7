package realip

import (
	"context"

	"iwx/lib/vhost"
)

// web is a web server, for HTTP in the clear.
type web struct{ *vhost.Server }

func (w web) String() string { return w.Name }

func (w web) differs(_ context.Context, spec Spec) (bool, error) {
	c := w.Forwarded(spec.Balancers)
	return w.Differs(c.Domain, c.Text) != "", nil
}

func (w web) put(ctx context.Context, spec Spec) (changed bool, err error) {
	err = w.Put(ctx, []vhost.Change{w.Forwarded(spec.Balancers)})
	return err == nil, err
}

func (w web) drop(ctx context.Context) error {
	return w.Put(ctx, []vhost.Change{w.Forwarded(nil)})
}

func (w web) reload(ctx context.Context) error { return w.Reload(ctx) }

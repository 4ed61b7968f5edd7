package realip

import (
	"context"
	"net/netip"

	"iwx/lib/vhost"
)

// secure is a web server, for HTTPS that is passed through.
type secure struct{ *vhost.Server }

func (w secure) String() string { return w.Name }

// differs looks at the virtual hosts too, if one was changed: each has to be at
// both ports.
func (w secure) differs(_ context.Context, spec Spec) (bool, error) {
	c, idle := w.Proxied(spec.Listen, spec.Balancers), w.Unproxied()
	as := w.Differs(c.Domain, c.Text) == "" || w.Differs(idle.Domain, idle.Text) == ""
	return !as || w.Unlooked(), nil
}

// put has the server listen, unless a client could find another site at that
// port: then it ceases to.
func (w secure) put(ctx context.Context, spec Spec) (changed bool, err error) {
	some, err := w.Covered(ctx, spec.Listen.Port())
	if err != nil {
		changed = w.Listens()
		if w.drop(ctx) != nil { // it is the configuration that is bad: what runs is left alone
			return false, err
		}
		return changed, err
	}
	c := w.Unproxied()
	if some {
		c = w.Proxied(spec.Listen, spec.Balancers)
		if !w.Listens() {
			err = vacant(ctx, spec.Listen, "http_port_t", 0)
		}
	}
	if changed = w.Differs(c.Domain, c.Text) != ""; err == nil {
		err = w.Put(ctx, []vhost.Change{c})
	}
	if err != nil {
		return false, err
	}
	return changed, w.Looked()
}

func (w secure) drop(ctx context.Context) error {
	return w.Put(ctx, []vhost.Change{w.Proxied(netip.AddrPort{}, nil)})
}

func (w secure) reload(ctx context.Context) error { return w.Reload(ctx) }

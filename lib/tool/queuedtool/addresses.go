package queuedtool

import (
	"context"
	"net/netip"

	"iwx/lib/vip"
)

// addresses returns what has the profile looked at when one of its virtual
// addresses is taken away.
func (d *server) addresses() *vip.Watcher {
	return &vip.Watcher{Log: d.log, Look: d.keeper.Look, Wanted: func(ctx context.Context) ([]netip.Addr, error) {
		saved, err := d.Store.Profile().Load(ctx)
		if err != nil {
			return nil, err
		}
		return vip.Of(saved.Desired.Document), nil
	}}
}

package upkeep

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"iwx/lib/daemon"
	"iwx/lib/profile"
	"iwx/lib/realip"
	"iwx/lib/tool/local"
)

// clients has a server know the addresses of its clients where a proxy balances:
// one that is reached at own.
func (c *Cluster) clients(id string, own netip.Addr) (items []profile.Item, err error) {
	spec := realip.Spec{Balancers: c.balancers()}
	if len(spec.Balancers) == 0 {
		return nil, nil
	}
	for _, service := range c.Balancing.Told(id) {
		spec.Listen = netip.AddrPort{}
		if port := service.ProxyPort(); port != 0 {
			if !own.IsValid() {
				continue
			}
			spec.Listen = netip.AddrPortFrom(own, port)
		}
		item, err := realip.Item(service.Name, spec)
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, nil
}

// balancers are where a proxy that balances connects from; none if nobody is to
// be believed about clients.
func (c *Cluster) balancers() []netip.Prefix {
	switch {
	case c.Balancing.External:
		return c.Config.LB.Told()
	case !c.Config.LB.ClientAddress:
		return nil
	}
	return c.ownAddresses()
}

// ownAddresses are those that the manager's connections to servers come from. To
// a loopback address that is the first one, as for a whole cluster on one machine.
func (c *Cluster) ownAddresses() (list []netip.Prefix) {
	for _, addr := range []netip.Addr{c.Identity.Address, c.Identity.Manager.Addr()} {
		if !addr.IsValid() {
			continue
		}
		if addr.Is4() && addr.IsLoopback() {
			addr = netip.AddrFrom4([4]byte{127, 0, 0, 1})
		}
		list = append(list, netip.PrefixFrom(addr, addr.BitLen()))
	}
	slices.SortFunc(list, netip.Prefix.Compare)
	return slices.Compact(list)
}

// clientTeller is the applier of realip.Kind. Nothing is reloaded while it changes a
// program, nor are sites changed: what has not been tested yet must not be loaded.
func clientTeller(s *local.Server, now func() time.Time) *realip.Applier {
	return &realip.Applier{Root: s.Root, Notes: s.Clients, Lock: func(ctx context.Context) (func(), error) {
		sites, err := daemon.WaitLock(ctx, s.SiteLock, lockWait, "changing sites")
		if err != nil {
			return nil, err
		}
		unlock, err := ReloadLimiter{Server: s, Now: now}.lock(ctx)
		if err != nil {
			sites.Close()
			return nil, err
		}
		return func() { unlock(); sites.Close() }, nil
	}}
}

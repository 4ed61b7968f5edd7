package upkeep

import (
	"context"
	"net/netip"
	"slices"

	"iwx/lib/endpoint"
	"iwx/lib/lb"
	"iwx/lib/nfs"
	"iwx/lib/profile"
	"iwx/lib/tool/local"
)

// endpoint has a server tell an external balancer of its services, at its own
// address.
func (c *Cluster) endpoint(id string, addr netip.Addr) ([]profile.Item, error) {
	if !c.Balancing.External || !addr.IsValid() {
		return nil, nil
	}
	view := lb.View{Setup: c.Balancing, Servers: []lb.Server{{ID: id, Addrs: []netip.Addr{addr}}}}
	_, services := view.Desired()
	spec := endpoint.Spec{Listen: netip.AddrPortFrom(addr, uint16(c.Config.LB.EndpointPort)), Allow: c.askers()}
	for i := range services {
		for _, m := range services[i].Members {
			s := endpoint.Service{Name: services[i].Policy.Name(), Addr: m.Addr, Check: services[i].Policy.Check, Drained: m.Draining}
			if m.Addr.IsValid() && !slices.Contains(spec.Services, s) {
				spec.Services = append(spec.Services, s)
			}
		}
	}
	item, err := endpoint.Item(spec)
	return []profile.Item{item}, err
}

// askers are those who may ask: who is named in the settings, and the manager.
func (c *Cluster) askers() []netip.Prefix {
	list := slices.Clone(c.Config.LB.Allowed())
	for _, addr := range []netip.Addr{c.Identity.Address, c.Identity.Manager.Addr()} {
		if addr.IsValid() {
			list = append(list, netip.PrefixFrom(addr, addr.BitLen()))
		}
	}
	slices.SortFunc(list, netip.Prefix.Compare)
	return slices.Compact(list)
}

// endpointer is the applier of endpoint.Kind. Below a root directory the
// endpoint is run by hand.
func endpointer(s *local.Server) *endpoint.Applier {
	a := &endpoint.Applier{Files: endpoint.Files(s.Health)}
	if !s.Own() {
		a.Systemd = func(ctx context.Context, use func(endpoint.Units) error) error {
			return withUnits(ctx, func(units nfs.Units) error { return use(units) })
		}
	}
	return a
}

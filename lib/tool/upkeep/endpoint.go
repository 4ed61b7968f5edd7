package upkeep

import (
	"context"
	"net/netip"
	"slices"

	"iwx/lib/backup"
	"iwx/lib/endpoint"
	"iwx/lib/lb"
	"iwx/lib/nfs"
	"iwx/lib/profile"
	"iwx/lib/realip"
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

// Matters reports whether clients of a server's services notice that an item of
// this kind is not applied there. Copies of backups are of no account to them, those
// who ask for names have other servers, to what a server exports it needs no export
// itself, and where it is not told who its clients are it serves them all the same.
func Matters(kind string) bool {
	return kind != backup.CopyKind && kind != KindDNS && kind != nfs.KindExport && kind != realip.Kind
}

// Unready tells why a server may not be given traffic, "" if it may: its profile
// is not applied.
func Unready(status profile.Status) string {
	if status.Error != "" {
		return "its profile is not applied: " + status.Error
	}
	for i := range status.Items {
		r := &status.Items[i]
		if r.Word != profile.WordApplied && Matters(r.Kind) && !r.Removal {
			return "its profile is not applied: " + r.String() + " is " + r.Word
		}
	}
	return ""
}

// Unfit tells why a server may not go on to have traffic, "" if it may: a mount
// is not healthy.
func Unfit(mounts []nfs.Health) string {
	if bad := nfs.Worst(mounts); bad != nil {
		return bad.Path + " is " + bad.Word
	}
	return ""
}

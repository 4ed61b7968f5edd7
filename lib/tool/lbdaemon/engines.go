package lbdaemon

import (
	"context"
	"net/netip"

	"iwx/lib/haproxy"
	"iwx/lib/ipvs"
	"iwx/lib/lb"
	"iwx/lib/tool/local"
)

// Engines returns the engines that can be used on this server, by name. Making
// one does nothing; what it needs may be missing. Below a root directory of its
// own there is none of the kernel's.
func Engines(s *local.Server) map[string]lb.Engine {
	engines := map[string]lb.Engine{"haproxy": haproxy.New(s.Paths)}
	if !s.Own() {
		engines["ipvs"] = ipvs.New(vips(s))
	}
	return engines
}

// vips returns what tells the virtual addresses.
func vips(s *local.Server) func(context.Context) ([]netip.Addr, error) {
	return func(ctx context.Context) ([]netip.Addr, error) {
		setup, err := s.Store.Balancing(ctx)
		var list []netip.Addr
		for _, v := range setup.VIPs {
			list = append(list, v.Addr)
		}
		return list, err
	}
}

package upkeep

import (
	"slices"

	"iwx/lib/host"
	"iwx/lib/lb"
	"iwx/lib/preflight"
	"iwx/lib/profile"
	"iwx/lib/tool/local"
	"iwx/lib/vip"
)

// announced are the items of the manager, which holds all virtual addresses;
// none while an external balancer does.
func (c *Cluster) announced() (items []profile.Item, err error) {
	if c.Own || c.Balancing.External {
		return nil, nil
	}
	for _, v := range c.Balancing.VIPs {
		spec := vip.Spec{Role: vip.Announced}
		spec.Direct = c.has(func(p *lb.Policy) bool { return p.VIP == v.Addr && holdsVIP(&c.Balancing, p) })
		spec.Pass = c.has(func(p *lb.Policy) bool { return p.VIP == v.Addr && p.Forwarding == lb.NAT })
		item, err := vip.Item(v.Addr, spec)
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, nil
}

// silent are the items of a node, which holds the addresses of the policies that
// reach it by direct routing or through a tunnel; of an external balancer's too.
func (c *Cluster) silent(id string) (items []profile.Item, err error) {
	if c.Own {
		return nil, nil
	}
	for _, addr := range WatchOf(&c.Balancing, id).VIPs {
		item, err := vip.Item(addr, vip.Spec{Role: vip.Silent, Tunnel: c.has(func(p *lb.Policy) bool {
			return p.VIP == addr && p.Forwarding == lb.Tunnel && (len(p.Only) == 0 || slices.Contains(p.Only, id))
		})})
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, nil
}

// has reports whether there is such a policy.
func (c *Cluster) has(such func(*lb.Policy) bool) bool {
	for i := range c.Balancing.Policies {
		if such(&c.Balancing.Policies[i]) {
			return true
		}
	}
	return false
}

// holder holds a server's virtual addresses.
func holder(s *local.Server) *vip.Applier {
	return &vip.Applier{Notes: s.Addresses, Sys: "/proc/sys", Holder: host.Holder, Announce: host.Announce, Command: preflight.Command}
}

package lb

import (
	"net/netip"
	"slices"

	"iwx/lib/health"
)

// TargetID is the name under which a server's service is checked, and its
// verdict kept. A server that moves to another address begins anew.
func TargetID(policy netip.AddrPort, server string, addr netip.AddrPort) string {
	return policy.String() + " " + server + " " + addr.String()
}

// Targets returns all that is to be checked: every service on every server that
// its policy has, in the order of the policies. A server without an address
// that the policy can use is left out.
func Targets(setup Setup, servers []Server) []health.Target {
	var list []health.Target
	ability, _ := AbilityOf(setup.Engine) // without an engine, nothing crosses families
	for i := range setup.Policies {
		p := &setup.Policies[i]
		for _, s := range p.members(servers) {
			for _, w := range s.ways(p, ability.forwarding(p)) {
				list = append(list, health.Target{
					ID: TargetID(p.Key(), s.ID, w.addr), Host: s.ID, Name: s.Name + " " + p.Name(), Addr: w.addr, Check: w.check(p),
					Service: p.Key().String() + " " + s.ID,
				})
			}
		}
	}
	return list
}

// way is how a policy reaches a server.
type way struct {
	addr  netip.AddrPort
	proxy bool // at the service's ProxyPort
}

// ways returns how the policy can reach the server, the one to be preferred
// first; none if the server has no address that the policy can use.
func (s *Server) ways(p *Policy, f Forwarding) []way {
	addr, reachable := s.addr(p, f)
	if !reachable {
		return nil
	}
	plain := way{addr: addr}
	if f != Proxy || p.Check.Proxy || !slices.Contains(s.Proxied, p.Service) {
		return []way{plain}
	}
	service, _ := Lookup(p.Service)
	if p.ServerPort != service.Port || service.ProxyPort() == 0 {
		return []way{plain}
	}
	return []way{{netip.AddrPortFrom(addr.Addr(), service.ProxyPort()), true}, plain}
}

// check is the policy's check, as it is made by this way.
func (w way) check(p *Policy) health.Check {
	c := p.Check
	c.Proxy = c.Proxy || w.proxy
	return c
}

// members returns the servers that the policy may use.
func (p *Policy) members(servers []Server) []*Server {
	var list []*Server
	for i := range servers {
		if len(p.Only) == 0 || slices.Contains(p.Only, servers[i].ID) {
			list = append(list, &servers[i])
		}
	}
	return list
}

// addr returns where the policy reaches the server: at an address of the
// family that its clients use, unless the forwarding can cross.
func (s *Server) addr(p *Policy, f Forwarding) (netip.AddrPort, bool) {
	for _, a := range s.Addrs {
		if a.Is4() == p.VIP.Is4() {
			return netip.AddrPortFrom(a, p.ServerPort), true
		}
	}
	if f.Crosses() && len(s.Addrs) > 0 {
		return netip.AddrPortFrom(s.Addrs[0], p.ServerPort), true
	}
	return netip.AddrPortFrom(netip.Addr{}, p.ServerPort), false
}

// weight returns the server's weight under the policy, before any slow start.
func (p *Policy) weight(server string) int {
	if w, given := p.Weights[server]; given {
		return w
	}
	return DefaultWeight
}

// drains reports whether a server is to get no new connection of the policy.
func (s *Setup) drains(p *Policy, server string) bool {
	return slices.ContainsFunc(s.Drains, func(d Drain) bool {
		return d.Server == server && (d.Service == "" || d.Service == p.Name())
	})
}

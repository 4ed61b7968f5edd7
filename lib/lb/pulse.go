package lb

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"iwx/lib/health"
)

// Heard is what is new in a server's pulse.
type Heard struct {
	Lost    map[string]health.Result // by TargetID: nothing listens there any more; for health.Checker.Tell
	Stalled []string                 // TargetIDs: what listens there accepts nothing, new or not; for health.Checker.Stall
	Doubt   bool                     // something else is new: its services are to be asked now
}

// Hear compares a server's pulse with the one before, nil for none. It is a pure
// function.
//
// Only a listener that was there and is gone counts as refused: one that was
// never seen may be none of the server's own, such as a container's behind a
// translated address, and what its clients get is for the probes to find out.
func Hear(setup Setup, s Server, was, is *health.Pulse, now time.Time) Heard {
	heard := Heard{Lost: map[string]health.Result{}}
	for _, at := range setup.listeners(&s) {
		had, has := was != nil && was.Hears(at.Addr(), at.Port()), is.Hears(at.Addr(), at.Port())
		switch {
		case had && !has:
			heard.Lost[at.target] = health.Result{Word: health.Refused, Reason: fmt.Sprintf("nothing listens on port %d", at.Port()), At: now}
		case had != has, was == nil:
			heard.Doubt = true
		}
		if has && slices.Contains(is.Stalled, at.Port()) {
			heard.Stalled = append(heard.Stalled, at.target)
		}
	}
	return heard
}

// listener is where a server is to listen for one policy.
type listener struct {
	netip.AddrPort
	target string // TargetID
}

// listeners returns where the server is to listen: with direct routing and tunnels
// at the virtual address, else at its own.
func (s *Setup) listeners(server *Server) []listener {
	var list []listener
	ability, _ := AbilityOf(s.Engine)
	for i := range s.Policies {
		p := &s.Policies[i]
		f := ability.forwarding(p)
		if len(p.members([]Server{*server})) == 0 {
			continue
		}
		for _, w := range server.ways(p, f) {
			at := listener{w.addr, TargetID(p.Key(), server.ID, w.addr)}
			if f.keepsVIP() {
				at.AddrPort = netip.AddrPortFrom(p.VIP, p.ServerPort)
			}
			list = append(list, at)
		}
	}
	return list
}

// Watched returns what a server is to tell of in its pulse, by its id: the ports
// at which its services answer, and the virtual addresses that it is to hold.
func (s *Setup) Watched(id string) (ports []uint16, vips []netip.Addr) {
	ability, _ := AbilityOf(s.Engine)
	for i := range s.Policies {
		p := &s.Policies[i]
		if len(p.Only) > 0 && !slices.Contains(p.Only, id) {
			continue
		}
		ports = append(ports, p.ServerPort)
		if ability.forwarding(p).keepsVIP() && id != ManagerID {
			vips = append(vips, p.VIP)
		}
	}
	for _, service := range s.Told(id) {
		if port := service.ProxyPort(); port != 0 && !s.External {
			ports = append(ports, port)
		}
	}
	slices.Sort(ports)
	slices.SortFunc(vips, netip.Addr.Compare)
	return slices.Compact(ports), slices.Compact(vips)
}

// KeepsVIP reports whether the policy's real servers get packets for the virtual
// address itself, and so have to hold it.
func (s *Setup) KeepsVIP(p *Policy) bool {
	ability, _ := AbilityOf(s.Engine)
	return ability.forwarding(p).keepsVIP()
}

// keepsVIP reports whether packets reach the server with the virtual address in
// them.
func (f Forwarding) keepsVIP() bool { return f == Direct || f == Tunnel }

// MissingVIP says why a server cannot take packets for the virtual addresses, by
// its pulse: it does not hold one, or would answer for it on the link and draw
// the manager's clients to itself. "" if it can, or need not, as the manager.
// It is for Server.Unfit.
func (s *Setup) MissingVIP(server *Server, pulse *health.Pulse) string {
	ability, _ := AbilityOf(s.Engine)
	for i := range s.Policies {
		p := &s.Policies[i]
		if server.Manager || !ability.forwarding(p).keepsVIP() || len(p.members([]Server{*server})) == 0 {
			continue
		}
		switch {
		case slices.Contains(pulse.Noisy, p.VIP):
			return fmt.Sprintf("it answers for %s on the link", p.VIP)
		case !slices.Contains(pulse.Held, p.VIP):
			return fmt.Sprintf("it does not hold %s", p.VIP)
		}
	}
	return ""
}

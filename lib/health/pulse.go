package health

import "net/netip"

// Pulse is what a node sees of itself, without a packet to its services: told
// when it changes, and every few seconds.
type Pulse struct {
	Listening []netip.AddrPort `json:"listening"`         // TCP sockets, of the ports it was asked to watch; an unspecified address for all of its family
	Stalled   []uint16         `json:"stalled,omitempty"` // the ports among them at which connections wait, and none was accepted for a while
	Held      []netip.Addr     `json:"held,omitempty"`    // virtual addresses that are on lo
	Noisy     []netip.Addr     `json:"noisy,omitempty"`   // virtual addresses for which it would answer ARP or ND
}

// Hears reports whether something listens at a port for connections to addr.
func (p *Pulse) Hears(addr netip.Addr, port uint16) bool {
	for _, at := range p.Listening {
		if at.Port() != port {
			continue
		}
		if at.Addr() == addr || at.Addr().IsUnspecified() && at.Addr().Is4() == addr.Is4() {
			return true
		}
	}
	return false
}

// Package pulse is what a server sees of its own services without a packet to
// them: which TCP sockets listen, and whether the connections that wait there are
// accepted (sock_diag(7)), and for direct routing whether
// the virtual addresses are held on lo and kept quiet (arp_ignore, the kernel's
// Documentation/networking/ip-sysctl.rst).
//
// It asks no service anything and judges nothing: what follows from a pulse is
// for package lb to say.
package pulse

import (
	"cmp"
	"net/netip"
	"slices"

	"iwx/lib/health"
)

// Watch is what to look at.
type Watch struct {
	Ports []uint16     `json:"ports"`          // TCP ports at which services are to listen
	VIPs  []netip.Addr `json:"vips,omitempty"` // virtual addresses that are to be held on lo and quiet
}

// Empty reports whether there is nothing to look at.
func (w *Watch) Empty() bool { return len(w.Ports) == 0 && len(w.VIPs) == 0 }

// Eye looks at the network namespace of the thread that made it. The zero Eye
// is ready; it is for one goroutine, and Close ends it.
type Eye struct {
	sockets *sockets
	queues  queues
}

// Close gives back what the eye holds. It can be used again.
func (e *Eye) Close() {
	if e.sockets != nil {
		e.sockets.close()
		e.sockets = nil
	}
	e.queues = nil
}

// Look returns what there is of the watch now, sorted, so that two pulses can
// be compared; what it says of a service that accepts nothing goes by the looks
// before. It does not block, and needs no privilege.
func (e *Eye) Look(w Watch) (health.Pulse, error) {
	heard, err := e.listening(w.Ports)
	if err != nil {
		return health.Pulse{}, err
	}
	p := health.Pulse{Listening: heard, Stalled: e.queues.stalled()}
	if len(w.VIPs) > 0 {
		p.Held, p.Noisy, err = addresses(w.VIPs)
	}
	return p, err
}

// listening returns the sockets that listen at one of the ports. A socket that
// could not be used is not used again.
func (e *Eye) listening(ports []uint16) (list []netip.AddrPort, err error) {
	if len(ports) == 0 {
		e.queues = nil
		return nil, nil
	}
	if e.sockets == nil {
		if e.sockets, err = openSockets(); err != nil {
			return nil, err
		}
	}
	queued := map[uint16]bool{}
	err = e.sockets.listening(func(at netip.AddrPort, queue uint32) {
		if slices.Contains(ports, at.Port()) {
			list = append(list, at)
			queued[at.Port()] = queued[at.Port()] || queue > 0
		}
	})
	if err == nil {
		err = e.queues.look(queued, e.sockets.waiting)
	}
	if err != nil {
		e.Close()
		return nil, err
	}
	slices.SortFunc(list, func(a, b netip.AddrPort) int {
		return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Port(), b.Port()))
	})
	return slices.Compact(list), nil // SO_REUSEPORT: a socket for each worker
}

// Equal reports whether both say the same.
func Equal(a, b *health.Pulse) bool {
	return slices.Equal(a.Listening, b.Listening) && slices.Equal(a.Stalled, b.Stalled) && slices.Equal(a.Held, b.Held) && slices.Equal(a.Noisy, b.Noisy)
}

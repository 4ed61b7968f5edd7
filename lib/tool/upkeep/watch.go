package upkeep

import (
	"context"
	"net/netip"
	"slices"

	"iwx/lib/lb"
	"iwx/lib/profile"
	"iwx/lib/pulse"
)

// KindWatch is the kind of the item that tells a node which of its own ports and
// virtual addresses the manager wants to hear of.
const KindWatch = "watch"

// watch has a server tell of the services that it is balanced for. Nobody asks
// while an external balancer does it.
func (c *Cluster) watch(id string) ([]profile.Item, error) {
	w := WatchOf(&c.Balancing, id)
	if w.Empty() || c.Balancing.External {
		return nil, nil
	}
	item, err := profile.Make(KindWatch, "services", w)
	return []profile.Item{item}, err
}

// WatchOf returns what there is to be looked at on a server, a node's id or
// lb.ManagerID: the ports at which its services answer, and the virtual
// addresses that direct routing and tunnels want on it.
func WatchOf(setup *lb.Setup, id string) pulse.Watch {
	var w pulse.Watch
	for i := range setup.Policies {
		p := &setup.Policies[i]
		if len(p.Only) > 0 && !slices.Contains(p.Only, id) {
			continue
		}
		w.Ports = append(w.Ports, serverPort(p))
		if holdsVIP(setup, p) && id != lb.ManagerID {
			w.VIPs = append(w.VIPs, p.VIP)
		}
	}
	slices.Sort(w.Ports)
	slices.SortFunc(w.VIPs, netip.Addr.Compare)
	w.Ports, w.VIPs = slices.Compact(w.Ports), slices.Compact(w.VIPs)
	return w
}

// serverPort is where the policy's real servers answer.
func serverPort(p *lb.Policy) uint16 {
	if p.ServerPort != 0 {
		return p.ServerPort
	}
	return p.Port
}

// holdsVIP reports whether the real servers of a policy get packets for the
// virtual address itself.
func holdsVIP(setup *lb.Setup, p *lb.Policy) bool {
	switch p.Forwarding {
	case lb.Direct, lb.Tunnel:
		return true
	case "":
		return setup.Engine == "ipvs" // whose own is direct routing
	}
	return false
}

// Watched returns what a profile wants to be told of.
func Watched(doc profile.Document) (w pulse.Watch, err error) {
	for _, item := range doc.Items {
		if item.Kind == KindWatch {
			return w, item.Decode(&w)
		}
	}
	return w, nil
}

// watcher is the applier of KindWatch: the daemon reads the document itself, so
// that there is nothing to apply.
type watcher struct{}

// Check implements profile.Applier.
func (watcher) Check(_ context.Context, item profile.Item) (string, error) {
	return "", item.Decode(&pulse.Watch{})
}

// Apply implements profile.Applier.
func (watcher) Apply(context.Context, profile.Item) error { return nil }

// Remove implements profile.Applier.
func (watcher) Remove(context.Context, profile.Item) error { return nil }

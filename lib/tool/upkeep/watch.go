package upkeep

import (
	"context"

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
// lb.ManagerID.
func WatchOf(setup *lb.Setup, id string) (w pulse.Watch) {
	w.Ports, w.VIPs = setup.Watched(id)
	return w
}

// holdsVIP reports whether the policy's real servers hold its virtual address.
func holdsVIP(setup *lb.Setup, p *lb.Policy) bool { return setup.KeepsVIP(p) }

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

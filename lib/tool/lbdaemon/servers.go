package lbdaemon

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"iwx/lib/cluster"
	"iwx/lib/lb"
	"iwx/lib/nfs"
	"iwx/lib/profile"
	"iwx/lib/realip"
	"iwx/lib/tool/local"
	"iwx/lib/tool/upkeep"
)

// Servers returns the servers that can be members of policies, with what keeps
// them from it: the manager first, then its nodes by name. mounts is how those of
// the manager are doing; a node tells of its own.
func Servers(ctx context.Context, s *local.Server, mounts []nfs.Health) ([]lb.Server, error) {
	nodes, err := s.Store.Members(ctx)
	if err != nil {
		return nil, err
	}
	cluster, err := upkeep.Look(ctx, s)
	if err != nil {
		return nil, err
	}
	saved, err := s.Store.Profile().Load(ctx)
	if err != nil {
		return nil, err
	}
	self, err := manager(cluster, saved, mounts)
	if err != nil {
		return nil, err
	}
	documents, err := cluster.Documents()
	if err != nil {
		return nil, err
	}
	list := []lb.Server{self}
	for i := range nodes {
		n := &nodes[i]
		server, err := member(ctx, s, n, documents[n.ID])
		if err != nil {
			return nil, err
		}
		if server != nil {
			list = append(list, *server)
		}
	}
	if cluster.Balancing.External { // it goes by the ports that it was given
		for i := range list {
			list[i].Proxied = nil
		}
	}
	return list, nil
}

// Look is Servers for a tool, which looks itself how the manager's mounts are
// doing, and takes a second for it where one is hung.
func Look(ctx context.Context, s *local.Server, now func() time.Time) ([]lb.Server, error) {
	saved, err := s.Store.Profile().Load(ctx)
	if err != nil {
		return nil, err
	}
	return Servers(ctx, s, upkeep.Health(ctx, saved.Desired.Document, now))
}

// manager is this server as balancing sees it, by the same rules as a node. What
// it exports is a directory of its own; where the storage is outside the cluster, it
// mounts it as the nodes do.
func manager(c *upkeep.Cluster, saved *profile.Saved, mounts []nfs.Health) (lb.Server, error) {
	id := c.Identity
	self := lb.Server{ID: lb.ManagerID, Name: id.Name, Addrs: []netip.Addr{id.Address}, Manager: true, Unfit: unfit(mounts)}
	doc, err := c.Manager()
	if err == nil && needs(doc) {
		standing := saved.Standing()
		self.Unready = unapplied(&standing, doc.Version())
	}
	self.Proxied = proxied(doc, &saved.Status)
	return self, err
}

// needs reports whether there is anything in a document that clients would notice.
func needs(doc profile.Document) bool {
	return slices.ContainsFunc(doc.Items, func(i profile.Item) bool { return upkeep.Matters(i.Kind) })
}

// member is a node as balancing sees it; nil if it is leaving.
func member(ctx context.Context, s *local.Server, n *cluster.Node, doc profile.Document) (*lb.Server, error) {
	if n.Membership != cluster.Member {
		return nil, nil
	}
	if n.Status.Done+1 < n.Start {
		p, err := s.Store.Baseline(ctx, n)
		if err != nil {
			return nil, err
		}
		n.Baseline = &p
	}
	return &lb.Server{
		ID: n.ID, Name: n.Name, Addrs: []netip.Addr{n.Address},
		Unready: unready(n, doc.Version()), Unfit: unfit(n.Status.Mounts), Proxied: proxied(doc, n.Status.Profile),
	}, nil
}

// proxied returns the services that a server is to expect the PROXY protocol for,
// and does, as far as it has told. It may have applied that of an older profile:
// whether it works is for the checks to find out.
func proxied(doc profile.Document, s *profile.Status) (services []string) {
	for _, item := range doc.Items {
		if s != nil && item.Kind == realip.Kind && slices.ContainsFunc(s.Items, func(r profile.Result) bool {
			return r.String() == item.String() && r.Word == profile.WordApplied && !r.Removal
		}) {
			services = append(services, item.Name)
		}
	}
	return services
}

// unready tells why a node may not be added: it is not yet what the manager
// wants it to be. A queue that halts is no part of that.
func unready(n *cluster.Node, version string) string {
	if n.Status.Profile == nil {
		return "it has not told of its profile yet"
	}
	if why := unapplied(n.Status.Profile, version); why != "" {
		return why
	}
	if p := n.Baseline; p != nil && p.Done < p.Total {
		return fmt.Sprintf("it is new, and has replayed %d of %d entries of the baseline", p.Done, p.Total)
	}
	return ""
}

// unapplied tells what of a profile in this version is not applied, as far as that
// matters.
func unapplied(s *profile.Status, version string) string {
	switch {
	case s.Error != "":
		return "its profile is not applied: " + s.Error
	case s.Desired != version:
		return "it has not received its newest profile yet"
	}
	for i := range s.Items {
		r := &s.Items[i]
		if r.Word == profile.WordApplied || !upkeep.Matters(r.Kind) || r.Removal {
			continue
		}
		if r.Error != "" {
			return fmt.Sprintf("its profile is not applied: %s: %s", r, r.Error)
		}
		return fmt.Sprintf("its profile is not applied: %s is %s", r, r.Word)
	}
	return ""
}

// unfit tells why a server is not to take traffic: its sites are not there.
func unfit(mounts []nfs.Health) string {
	for _, m := range mounts {
		switch {
		case m.Word == nfs.Healthy:
		case m.Error != "":
			return fmt.Sprintf("%s is %s: %s", m.Path, m.Word, m.Error)
		default:
			return fmt.Sprintf("%s is %s", m.Path, m.Word)
		}
	}
	return ""
}

package lbdaemon

import (
	"context"
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

// Servers returns the servers that can be members of policies, each with whether it is
// eligible: the manager first, then its nodes by name. mounts is how those of the
// manager are doing; a node reports its own. It is called at every commit, so it reads
// no more than it needs.
func Servers(ctx context.Context, s *local.Server, mounts []nfs.Health) ([]lb.Server, error) {
	nodes, err := s.Store.Present(ctx)
	if err != nil {
		return nil, err
	}
	known, err := upkeep.Traffic(ctx, s, nodes)
	if err != nil {
		return nil, err
	}
	own, err := known.Manager()
	if err != nil {
		return nil, err
	}
	documents, err := known.Documents()
	if err != nil {
		return nil, err
	}
	saved, err := s.Store.Profile().Load(ctx)
	if err != nil {
		return nil, err
	}
	list := []lb.Server{manager(s.Identity, own, &saved.Status, mounts)}
	for i := range nodes {
		n := &nodes[i]
		if n.Membership != cluster.Member {
			continue
		}
		server, err := member(ctx, s, n, documents[n.ID])
		if err != nil {
			return nil, err
		}
		list = append(list, server)
	}
	if known.Balancing.External { // it goes by the ports that it was given
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

// manager is this server as balancing sees it, by the same rules as a node.
func manager(id *cluster.Identity, doc profile.Document, status *profile.Status, mounts []nfs.Health) lb.Server {
	is := upkeep.Eligible(doc.Items, status, mounts, nil)
	return lb.Server{
		ID: lb.ManagerID, Name: id.Name, Addrs: []netip.Addr{id.Address}, Manager: true,
		Unready: is.Unready, Unfit: is.Unfit, Proxied: proxied(doc, status),
	}
}

// member is a node as balancing sees it.
func member(ctx context.Context, s *local.Server, n *cluster.Node, doc profile.Document) (lb.Server, error) {
	if n.Status.Done+1 < n.Start {
		p, err := s.Store.Baseline(ctx, n)
		if err != nil {
			return lb.Server{}, err
		}
		if p.Done < p.Total {
			n.Baseline = &p
		}
	}
	is := upkeep.Eligible(doc.Items, n.Status.Profile, n.Status.Mounts, n.Baseline)
	return lb.Server{
		ID: n.ID, Name: n.Name, Addrs: []netip.Addr{n.Address},
		Unready: is.Unready, Unfit: is.Unfit, Proxied: proxied(doc, n.Status.Profile),
	}, nil
}

// proxied returns the services that a server is to expect the PROXY protocol for,
// and does, as far as it has reported. It may have applied that of an older profile:
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

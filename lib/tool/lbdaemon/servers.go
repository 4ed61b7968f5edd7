package lbdaemon

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"time"

	"iwx/lib/cluster"
	"iwx/lib/lb"
	"iwx/lib/nfs"
	"iwx/lib/profile"
	"iwx/lib/realip"
	"iwx/lib/tool/local"
	"iwx/lib/tool/nodestatus"
	"iwx/lib/tool/upkeep"
)

// Servers returns the servers that can be members of policies, each with whether it is
// eligible: the manager first, then its nodes by name. mounts is how those of the
// manager are doing; a node reports its own. It is called at every commit, so it reads
// no more than it needs.
func Servers(ctx context.Context, s *local.Server, mounts []nfs.Health) (list []lb.Server, err error) {
	nodes, err := s.Store.Present(ctx)
	if err == nil {
		err = nodestatus.Baselines(ctx, s, nodes)
	}
	if err != nil {
		return nil, err
	}
	known, err := upkeep.Traffic(ctx, s, nodes)
	if err != nil {
		return nil, err
	}
	own, err1 := known.Manager()
	documents, err2 := known.Documents()
	saved, err3 := s.Store.Profile().Load(ctx)
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}

	add := func(server lb.Server, doc profile.Document, status *profile.Status, mounts []nfs.Health, baseline *cluster.Progress) {
		is := upkeep.Eligible(doc.Items, status, mounts, baseline)
		server.Unready, server.Unfit = is.Unready, is.Unfit
		if !known.Balancing.External { // which goes by the ports that it was given
			server.Proxied = proxied(doc, status)
		}
		list = append(list, server)
	}
	id := s.Identity
	add(lb.Server{ID: lb.ManagerID, Name: id.Name, Addrs: []netip.Addr{id.Address}, Manager: true}, own, &saved.Status, mounts, nil)
	for i := range nodes {
		if n := &nodes[i]; n.Membership == cluster.Member {
			add(lb.Server{ID: n.ID, Name: n.Name, Addrs: []netip.Addr{n.Address}}, documents[n.ID], n.Status.Profile, n.Status.Mounts, n.Baseline)
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

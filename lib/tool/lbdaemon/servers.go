package lbdaemon

import (
	"context"
	"fmt"
	"net/netip"

	"iwx/lib/backup"
	"iwx/lib/cluster"
	"iwx/lib/lb"
	"iwx/lib/nfs"
	"iwx/lib/profile"
	"iwx/lib/tool/local"
	"iwx/lib/tool/upkeep"
)

// Servers returns the servers that can be members of policies, with what keeps
// them from it: the manager first, then its nodes by name.
func Servers(ctx context.Context, s *local.Server) ([]lb.Server, error) {
	id := s.Identity
	list := []lb.Server{{ID: lb.ManagerID, Name: id.Name, Addrs: []netip.Addr{id.Address}, Manager: true}}
	nodes, err := s.Store.Members(ctx)
	if err != nil || len(nodes) == 0 {
		return list, err
	}
	cluster, err := upkeep.Look(ctx, s)
	if err != nil {
		return nil, err
	}
	documents, err := cluster.Documents()
	if err != nil {
		return nil, err
	}
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
	return list, nil
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
		Unready: unready(n, doc.Version()), Unfit: unfit(n),
	}, nil
}

// unready tells why a node may not be added: it is not yet what the manager
// wants it to be. Copies of backups and name servers are no part of that, and neither is
// a queue that halts.
func unready(n *cluster.Node, version string) string {
	s := n.Status.Profile
	switch {
	case s == nil:
		return "it has not told of its profile yet"
	case s.Error != "":
		return "its profile is not applied: " + s.Error
	case s.Desired != version:
		return "it has not received its newest profile yet"
	}
	for i := range s.Items {
		r := &s.Items[i]
		if r.Word == profile.WordApplied || r.Kind == backup.CopyKind || r.Kind == upkeep.KindDNS || r.Removal {
			continue
		}
		if r.Error != "" {
			return fmt.Sprintf("its profile is not applied: %s: %s", r, r.Error)
		}
		return fmt.Sprintf("its profile is not applied: %s is %s", r, r.Word)
	}
	if p := n.Baseline; p != nil && p.Done < p.Total {
		return fmt.Sprintf("it is new, and has replayed %d of %d entries of the baseline", p.Done, p.Total)
	}
	return ""
}

// unfit tells why a node is not to take traffic: its sites are not there.
func unfit(n *cluster.Node) string {
	for _, m := range n.Status.Mounts {
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

package upkeep

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"iwx/lib/cluster"
	"iwx/lib/fault"
	"iwx/lib/profile"
	"iwx/lib/tool/local"
)

// Look returns what the documents are made from, on the manager, by the settings
// that s has and the state.
func Look(ctx context.Context, s *local.Server) (*Cluster, error) {
	rosters, err := s.Store.Rosters(ctx)
	if err != nil {
		return nil, err
	}
	rosters = slices.DeleteFunc(rosters, func(n cluster.Roster) bool { return !n.Membership.Belongs() })
	slices.SortFunc(rosters, func(a, b cluster.Roster) int { return cmp.Compare(a.Name, b.Name) })
	return Of(ctx, s, rosters)
}

// Of is Look for who knows the nodes that belong to the cluster, by name.
func Of(ctx context.Context, s *local.Server, members []cluster.Roster) (*Cluster, error) {
	c, err := load(ctx, s, members)
	if err != nil {
		return nil, err
	}
	if c.Backup, err = lastBackup(ctx, s); err != nil {
		return nil, err
	}
	c.DNS, err = loadDNS(ctx, s)
	return c, err
}

// Traffic is Look for whether servers may take traffic, which neither copies of backups
// nor zones are part of: none are read, and the documents lack their items. nodes are
// those that belong to the cluster, by name.
func Traffic(ctx context.Context, s *local.Server, nodes []cluster.Node) (*Cluster, error) {
	var members []cluster.Roster
	for i := range nodes {
		n := &nodes[i]
		members = append(members, cluster.Roster{ID: n.ID, Name: n.Name, Membership: n.Membership, Address: n.Address, Former: n.Former})
	}
	return load(ctx, s, members)
}

// load reads what all documents are made from, but for backups and DNS.
func load(ctx context.Context, s *local.Server, members []cluster.Roster) (*Cluster, error) {
	balancing, err := s.Store.Balancing(ctx)
	if err != nil {
		return nil, err
	}
	sites, err := s.Store.HasSites(ctx)
	return &Cluster{Identity: s.Identity, Config: s.Config, Members: members, Balancing: balancing, Sites: sites, Own: s.Own()}, err
}

// Desired returns the document that this server is to converge to: a manager
// makes its own, a node has received it; its version is "" if it has not.
func Desired(ctx context.Context, s *local.Server) (profile.Revision, error) {
	if !s.IsManager() {
		saved, err := s.Store.Profile().Load(ctx)
		if err != nil {
			return profile.Revision{}, err
		}
		return saved.Desired, nil
	}
	c, err := Look(ctx, s)
	if err != nil {
		return profile.Revision{}, err
	}
	doc, err := c.Manager()
	return doc.Revision(), err
}

// TakeBack takes back all that was ever applied of this server's profile. The
// error names what would not go; repeating it goes on with that. Nothing else
// may converge the server afterwards: the daemon would apply it all again.
func TakeBack(ctx context.Context, s *local.Server, now func() time.Time) error {
	saved, err := s.Store.Profile().Load(ctx)
	if err != nil || len(saved.Begun) == 0 {
		return err
	}
	status, err := Converger(s, now, slog.New(slog.DiscardHandler)).Converge(ctx, profile.Document{}.Revision())
	if err != nil {
		return err
	}
	return Faults(status)
}

// Faults is an error of one line for each item that is not as it should be,
// exit code 3; nil if all are. What keeps them all from being looked at is told
// first.
func Faults(s profile.Status) error {
	var list []error
	if s.Error != "" {
		list = append(list, errors.New(s.Error))
	}
	for i := range s.Items {
		r := &s.Items[i]
		switch {
		case r.Word == profile.WordApplied:
		case r.Removal:
			list = append(list, fmt.Errorf("%s cannot be taken back: %s", r, r.Error))
		default:
			list = append(list, fmt.Errorf("%s: %s: %s", r, r.Word, r.Error))
		}
	}
	return fault.WithCode(errors.Join(list...), fault.Unhealthy)
}

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
	last, err := lastBackup(ctx, s)
	if err != nil {
		return nil, err
	}
	balancing, err := s.Store.Balancing(ctx)
	if err != nil {
		return nil, err
	}
	c := &Cluster{Identity: s.Identity, Config: s.Config, Members: members, Backup: last, Balancing: balancing, Own: s.Own()}
	if c.Sites, err = s.Store.HasSites(ctx); err != nil {
		return nil, err
	}
	return c, c.lookDNS(ctx, s)
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

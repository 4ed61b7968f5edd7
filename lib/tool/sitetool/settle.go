package sitetool

import (
	"context"

	"iwx/lib/site"
	"iwx/lib/state"
)

// settle ends what a run before has begun and left: what the state says of a
// site is what this server gets, and what it does not know goes. Sites that are
// being deleted, and that the nodes have let go of meanwhile, go here too.
// Repeating it is safe.
func (m *manager) settle(ctx context.Context) error {
	if err := m.settleIntent(ctx); err != nil {
		return err
	}
	rows, err := m.Store.Sites(ctx)
	if err != nil {
		return err
	}
	var left []state.SiteRow
	for i := range rows {
		if !rows[i].Gone {
			continue
		}
		nodes, err := m.Store.Unsettled(ctx, rows[i].Seq)
		if err != nil {
			return err
		}
		if len(nodes) == 0 {
			left = append(left, rows[i])
		}
	}
	return m.letGo(ctx, left)
}

func (m *manager) settleIntent(ctx context.Context) error {
	intent, err := m.Store.SiteIntent(ctx)
	if err != nil || intent == nil {
		return err
	}
	specs, strays, err := m.wanted(ctx, intent)
	if err != nil {
		return err
	}
	own := m.applierFor(intent)
	if err := own.apply(ctx, specs); err != nil {
		return err
	}
	for i := range strays {
		if err := m.removeHome(ctx, &strays[i].Site); err != nil {
			return err
		}
	}
	if err := own.reload(ctx, false); err != nil {
		return err
	}
	if err := m.Store.EndSites(ctx); err != nil {
		return err
	}
	return m.prune(ctx)
}

// wanted is what this server is to have of the sites of an intent, and of those
// that are to go the ones whose homes the run has made.
func (m *manager) wanted(ctx context.Context, intent *site.Intent) (specs, strays []site.Spec, err error) {
	for _, begun := range intent.Begun {
		row, err := m.Store.SiteNamed(ctx, begun.Spec.Domain)
		if err != nil {
			return nil, nil, err
		}
		spec := begun.Spec
		switch {
		case row != nil && row.Domain == spec.Domain:
			spec = row.Spec
			spec.Gone = false // until the nodes have let go
		default:
			spec.Gone = true
			if begun.NewHome {
				strays = append(strays, spec)
			}
		}
		specs = append(specs, spec)
	}
	return specs, strays, nil
}

// letGo takes sites off this server, the last to have them, and forgets them.
func (m *manager) letGo(ctx context.Context, rows []state.SiteRow) error {
	if len(rows) == 0 {
		return nil
	}
	var specs []site.Spec
	var domains []string
	for i := range rows {
		specs, domains = append(specs, rows[i].Spec), append(domains, rows[i].Domain)
	}
	if err := m.apply(ctx, specs); err != nil {
		return err
	}
	for i := range rows {
		if !rows[i].Purge {
			continue
		}
		if err := m.removeHome(ctx, &rows[i].Site); err != nil {
			return err
		}
	}
	if _, err := m.Store.ChangeSites(ctx, &state.SiteChange{Ended: domains}); err != nil {
		return err
	}
	return m.prune(ctx)
}

// prune removes the certificates here that no site has any more.
func (m *manager) prune(ctx context.Context) error {
	rows, err := m.Store.Sites(ctx)
	if err != nil {
		return err
	}
	specs := make([]site.Spec, len(rows))
	for i := range rows {
		specs[i] = rows[i].Spec
	}
	return m.dropCertificates(specs)
}

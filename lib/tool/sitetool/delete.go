package sitetool

import (
	"fmt"
	"time"

	"iwx/lib/cli"
	"iwx/lib/fault"
	"iwx/lib/site"
	"iwx/lib/state"
	"iwx/lib/tool/await"
)

type deleteVerb struct {
	cli.Yes
	Purge   bool          `help:"Delete the homes too, with all that is in them."`
	Timeout time.Duration `default:"5m" placeholder:"TIME" help:"Wait no longer than this for the nodes."`
	Domains []string      `arg:"" name:"domain" complete:"site" help:"The sites."`
}

// Examples implements cli.Exampled.
func (*deleteVerb) Examples() string {
	return `iwx-site delete example.org
		iwx-site delete old.example --purge --yes`
}

// Run deletes the sites: the nodes let go of them first, then this server does.
// A run that is cut short is ended by the next.
func (v *deleteVerb) Run(c *cli.Context) error {
	m, err := openManager(c, v.Domains...)
	if err != nil {
		return err
	}
	defer m.Close()
	rows, err := m.chosen(c, v.Domains)
	if err != nil {
		return err
	}
	if err := c.Confirm(v.Yes.Yes, "delete %s%s?", phrase(rows), v.homes()); err != nil {
		return err
	}
	rows, err = m.startDeleting(c, rows, v.Purge)
	if err != nil {
		return err
	}
	if err := m.awaitNodes(c, rows, v.Timeout); err != nil {
		return fault.Hint(fault.New(0, "%s: %w", phrase(rows), err), "the site is kept here until the nodes have let go; then the next run of iwx-site that changes sites deletes it")
	}
	if err := m.letGo(c, rows); err != nil {
		return err
	}
	c.Notef("deleted %s%s", phrase(rows), v.homes())
	return nil
}

// homes says what becomes of them.
func (v *deleteVerb) homes() string {
	if v.Purge {
		return " and the home"
	}
	return ", and keep the home"
}

// phrase is "site example.org", or how many they are.
func phrase(rows []state.SiteRow) string {
	if len(rows) == 1 {
		return fmt.Sprintf("site %s", rows[0].Domain)
	}
	return fmt.Sprintf("%d sites", len(rows))
}

// startDeleting has the nodes told, in one entry, of those that are not being
// deleted already. It returns the sites as they are then.
func (m *manager) startDeleting(c *cli.Context, rows []state.SiteRow, purge bool) ([]state.SiteRow, error) {
	ch := state.SiteChange{Purge: purge}
	var domains []string
	for i := range rows {
		domains = append(domains, rows[i].Domain)
		if rows[i].Gone && rows[i].Purge == purge {
			continue
		}
		spec := rows[i].Spec
		spec.Gone = true
		ch.Specs = append(ch.Specs, spec)
	}
	if len(ch.Specs) == 0 {
		return rows, nil
	}
	var err error
	if ch.Draft, err = m.draft(c, &site.Order{Specs: ch.Specs}, baseline()); err != nil {
		return nil, err
	}
	if _, err := m.Store.ChangeSites(c, &ch); err != nil {
		return nil, err
	}
	m.Poke()
	return m.chosen(c, domains)
}

// awaitNodes blocks until no node has the sites any more.
func (m *manager) awaitNodes(c *cli.Context, rows []state.SiteRow, limit time.Duration) error {
	last := uint64(0)
	for i := range rows {
		last = max(last, rows[i].Seq)
	}
	nodes, err := m.Store.Unsettled(c, last)
	if err != nil || len(nodes) == 0 {
		return err
	}
	m.WarnIdle(c, "no node deletes anything until it does")
	return await.Flags{Asked: true, Timeout: limit}.Wait(c, m.Server, last, baseline())
}

// chosen returns the sites of those names, each once.
func (m *manager) chosen(c *cli.Context, names []string) ([]state.SiteRow, error) {
	var rows []state.SiteRow
	seen := map[string]bool{}
	for _, name := range names {
		row, err := find(c, m.Server, name)
		if err != nil {
			return nil, err
		}
		if !seen[row.Domain] {
			rows = append(rows, *row)
		}
		seen[row.Domain] = true
	}
	return rows, nil
}

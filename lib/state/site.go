package state

import (
	"context"
	"database/sql"
	"encoding/json"

	"iwx/lib/site"
)

// SiteRow is a site as the manager keeps it.
type SiteRow struct {
	site.Spec
	Seq   uint64 // the last entry of the queue about it
	Purge bool   // of one that is being deleted (Gone): its home goes too
}

// Sites returns the sites, by domain, with those that are being deleted.
func (s *Store) Sites(ctx context.Context) (list []SiteRow, err error) {
	err = s.view(ctx, func(t *tx) error {
		list, err = t.sites(``)
		return err
	})
	return list, err
}

// SiteNamed returns the site that answers to a name, its domain or an alias; nil
// if none does.
func (s *Store) SiteNamed(ctx context.Context, name string) (row *SiteRow, err error) {
	err = s.view(ctx, func(t *tx) error {
		list, err := t.sites(`WHERE domain IN (SELECT domain FROM site_name WHERE name = ?)`, name)
		if len(list) > 0 {
			row = &list[0]
		}
		return err
	})
	return row, err
}

func (t *tx) sites(where string, args ...any) (list []SiteRow, err error) {
	err = t.each(`SELECT spec, seq, purge FROM site `+where+` ORDER BY domain`, args, func(r *sql.Rows) error {
		var row SiteRow
		var text string
		if err := r.Scan(&text, &row.Seq, &row.Purge); err != nil {
			return err
		}
		err := json.Unmarshal([]byte(text), &row.Spec)
		list = append(list, row)
		return err
	})
	return list, err
}

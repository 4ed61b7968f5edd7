package state

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"iwx/lib/queue"
	"iwx/lib/site"
)

// SiteHere is what this server has of one site, as it was applied last.
type SiteHere struct {
	site.Spec
	WebServer string // as in site.Order
}

// SitesHere returns what this server has of the sites, by domain.
func (s *Store) SitesHere(ctx context.Context) (list []SiteHere, err error) {
	err = s.view(ctx, func(t *tx) error {
		return t.each(`SELECT server, spec FROM site_here ORDER BY domain`, nil, func(r *sql.Rows) error {
			var here SiteHere
			var text string
			if err := r.Scan(&here.WebServer, &text); err != nil {
				return err
			}
			err := json.Unmarshal([]byte(text), &here.Spec)
			list = append(list, here)
			return err
		})
	})
	return list, err
}

// putHere records what this server has got; of one that is Gone, that it has it
// no more.
func (t *tx) putHere(specs []site.Spec, server string) error {
	for i := range specs {
		spec := &specs[i]
		if spec.Gone {
			if _, err := t.exec(`DELETE FROM site_here WHERE domain = ?`, spec.Domain); err != nil {
				return err
			}
			continue
		}
		text, err := json.Marshal(spec)
		if err != nil {
			return err
		}
		if _, err := t.exec(`INSERT INTO site_here (domain, server, spec) VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET server = ?2, spec = ?3`,
			spec.Domain, server, string(text)); err != nil {
			return err
		}
	}
	return nil
}

// SiteOp is an order that this server has carried out.
type SiteOp struct {
	Op        queue.OpID
	Digest    queue.Hash  // of the order
	WebServer string      // as in the order
	Specs     []site.Spec // what it has now; those that are Gone, no more
	At        time.Time
}

// SitesApplied records an order that has been carried out. Repeating it is safe.
func (s *Store) SitesApplied(ctx context.Context, o *SiteOp) error {
	return s.update(ctx, func(t *tx) error {
		if err := t.putHere(o.Specs, o.WebServer); err != nil {
			return err
		}
		_, err := t.exec(`INSERT OR IGNORE INTO op (op, digest, at) VALUES (?, ?, ?)`, o.Op.String(), o.Digest[:], millis(o.At))
		return err
	})
}

package state

import (
	"context"
	"database/sql"
	"encoding/json"

	"iwx/lib/dns"
)

// Zones returns the zones that the administrator has changed or made, by name.
func (s *Store) Zones(ctx context.Context) (list []dns.Zone, err error) {
	err = s.view(ctx, func(t *tx) error {
		return t.each(`SELECT zone FROM zone ORDER BY name`, nil, func(r *sql.Rows) error {
			var text string
			if err := r.Scan(&text); err != nil {
				return err
			}
			var z dns.Zone
			err := json.Unmarshal([]byte(text), &z)
			list = append(list, z)
			return err
		})
	})
	return list, err
}

// PutZone keeps a zone, in place of the one of that name. Repeating it is nothing.
func (s *Store) PutZone(ctx context.Context, z *dns.Zone) error {
	text, err := json.Marshal(z)
	if err != nil {
		return err
	}
	return s.set(ctx, `INSERT INTO zone (name, zone) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET zone = ?2`, z.Name, string(text))
}

// DeleteZone forgets what the administrator has of a zone. Repeating it is nothing.
func (s *Store) DeleteZone(ctx context.Context, name string) error {
	return s.set(ctx, `DELETE FROM zone WHERE name = ?`, name)
}

// ZonesRevision returns a number that is raised in each transaction that changes which
// zones there are or what is in them, as far as that is in the state: Zones,
// AdoptedZones and SiteNames. some reports whether there is a zone to serve.
func (s *Store) ZonesRevision(ctx context.Context) (revision uint64, some bool, err error) {
	err = s.view(ctx, func(t *tx) error {
		return t.row(`SELECT revision, EXISTS (SELECT 1 FROM adopted_zone)
			OR EXISTS (SELECT 1 FROM site_name JOIN site USING (domain) WHERE `+notGone+`)
			OR EXISTS (SELECT 1 FROM zone WHERE json_extract(zone, '$.alone')) FROM zones_revision`, nil, []any{&revision, &some})
	})
	return revision, some, err
}

// endZones forgets what was changed of the zones of a site that goes.
func (t *tx) endZones(domain string) error {
	_, err := t.exec(`DELETE FROM zone WHERE name IN (SELECT name FROM site_name WHERE domain = ?) AND coalesce(json_extract(zone, '$.alone'), 0) = 0`, domain)
	return err
}

package state

import (
	"context"
	"database/sql"
)

// TransferKey returns the key that signs the transfers of zones, in base64: the one
// that was there before, or from now on the fresh one.
func (s *Store) TransferKey(ctx context.Context, fresh func() string) (key string, err error) {
	read := func(t *tx) error {
		return t.row(`SELECT coalesce(max(secret), '') FROM transfer_key`, nil, []any{&key})
	}
	if err := s.view(ctx, read); err != nil || key != "" {
		return key, err
	}
	err = s.update(ctx, func(t *tx) error {
		if _, err := t.exec(`INSERT INTO transfer_key (id, secret) VALUES (1, ?) ON CONFLICT DO NOTHING`, fresh()); err != nil {
			return err
		}
		return read(t)
	})
	return key, err
}

// AdoptedZones returns the zones that the administrator keeps by hand and the nodes
// are to have too, by name.
func (s *Store) AdoptedZones(ctx context.Context) (zones []string, err error) {
	err = s.view(ctx, func(t *tx) error {
		return t.each(`SELECT zone FROM adopted_zone ORDER BY zone`, nil, func(r *sql.Rows) error {
			var zone string
			err := r.Scan(&zone)
			zones = append(zones, zone)
			return err
		})
	})
	return zones, err
}

// AdoptZone has the nodes have a zone that is kept by hand. Repeating it is nothing.
func (s *Store) AdoptZone(ctx context.Context, zone string) error {
	return s.set(ctx, `INSERT INTO adopted_zone (zone) VALUES (?) ON CONFLICT DO NOTHING`, zone)
}

// ReleaseZone undoes AdoptZone, and reports whether there was something to undo.
func (s *Store) ReleaseZone(ctx context.Context, zone string) (was bool, err error) {
	err = s.update(ctx, func(t *tx) error {
		result, err := t.exec(`DELETE FROM adopted_zone WHERE zone = ?`, zone)
		if err != nil {
			return err
		}
		n, err := result.RowsAffected()
		was = n > 0
		return err
	})
	return was, err
}

package state

import (
	"context"
	"database/sql"
	"errors"

	"iwx/lib/cluster"
)

// Fence returns how this manager knows that another has taken its place, nil if
// it does not.
func (s *Store) Fence(ctx context.Context) (*cluster.Fence, error) {
	f := &cluster.Fence{}
	var at int64
	err := s.view(ctx, func(t *tx) error {
		return t.row(`SELECT own, epoch, node, at FROM fence`, nil, []any{&f.Own, &f.Epoch, &f.Node, &at})
	})
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	f.At = instant(at)
	return f, err
}

// SaveFence records that another manager has taken this one's place. The first
// proof of it stays, unless one of a later epoch comes.
func (s *Store) SaveFence(ctx context.Context, f cluster.Fence) error {
	return s.set(ctx, `INSERT INTO fence (id, own, epoch, node, at) VALUES (1, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET own = excluded.own, epoch = excluded.epoch, node = excluded.node, at = excluded.at WHERE excluded.epoch > epoch`,
		f.Own, f.Epoch, f.Node, millis(f.At))
}

// liftFence ends the fence of a state that is restored, and returns the epoch
// that the new one has to be above.
func (t *tx) liftFence() (epoch uint64, err error) {
	if err := t.row(`SELECT coalesce(max(epoch), 0) FROM fence`, nil, []any{&epoch}); err != nil {
		return 0, err
	}
	_, err = t.exec(`DELETE FROM fence`)
	return epoch, err
}

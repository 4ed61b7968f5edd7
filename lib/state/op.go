package state

import (
	"context"
	"time"

	"iwx/lib/queue"
)

// OpDone reports whether one of our own tools has done the work with this
// digest (of its arguments and standard input) under the op id.
func (s *Store) OpDone(ctx context.Context, op queue.OpID, digest queue.Hash) (done bool, err error) {
	err = s.view(ctx, func(t *tx) error {
		return t.row(`SELECT EXISTS (SELECT 1 FROM op WHERE op = ? AND digest = ?)`, []any{op.String(), digest[:]}, []any{&done})
	})
	return done, err
}

// RecordOp notes that the work is done. Noting it twice is nothing.
func (s *Store) RecordOp(ctx context.Context, op queue.OpID, digest queue.Hash, at time.Time) error {
	return s.set(ctx, `INSERT OR IGNORE INTO op (op, digest, at) VALUES (?, ?, ?)`, op.String(), digest[:], millis(at))
}

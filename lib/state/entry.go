package state

import (
	"context"
	"database/sql"

	"iwx/lib/queue"
)

// EntryFilter says which records of the log are wanted. Zero fields ask for
// all of them.
type EntryFilter struct {
	Kind    queue.Kind
	After   uint64 // only those with a higher number
	Newest  bool   // begin at the end of the log
	Limit   int
	Matches func(*queue.Record) bool // decides before it counts towards Limit
}

// Entries calls each with the records of the log, in their order, or from the
// end backwards. A record is gone when each returns: only one body is held in
// memory, however large they are. An error of each ends it.
func (s *Store) Entries(ctx context.Context, f EntryFilter, each func(*queue.Record) error) error {
	order := "ASC"
	if f.Newest {
		order = "DESC"
	}
	left := f.Limit
	return s.view(ctx, func(t *tx) error {
		return t.each(`SELECT `+recordColumns+` FROM log WHERE seq > ? AND (? = 0 OR kind = ?) ORDER BY seq `+order,
			[]any{f.After, f.Kind, f.Kind}, func(r *sql.Rows) error {
				rec, err := scanRecord(r)
				if err != nil || f.Matches != nil && !f.Matches(&rec) {
					return err
				}
				if err := each(&rec); err != nil {
					return err
				}
				if left--; left == 0 {
					return errEnough
				}
				return nil
			})
	})
}

// CountEntries returns the number of records that Entries would pass to each
// without a limit. Matches gets records without their bodies.
func (s *Store) CountEntries(ctx context.Context, f EntryFilter) (n int, err error) {
	const where = ` FROM log WHERE seq > ? AND (? = 0 OR kind = ?)`
	args := []any{f.After, f.Kind, f.Kind}
	err = s.view(ctx, func(t *tx) error {
		if f.Matches == nil {
			return t.row(`SELECT count(*)`+where, args, []any{&n})
		}
		return t.each(`SELECT seq, epoch, kind, targets`+where, args, func(r *sql.Rows) error {
			var rec queue.Record
			err := r.Scan(&rec.Seq, &rec.Epoch, &rec.Kind, &rec.Targets)
			if err == nil && f.Matches(&rec) {
				n++
			}
			return err
		})
	})
	return n, err
}

// LastAttempts returns the last attempt of every node at an entry, without an
// order.
func (s *Store) LastAttempts(ctx context.Context, op queue.OpID) ([]Attempt, error) {
	var list []Attempt
	err := s.view(ctx, func(t *tx) error {
		return t.each(`SELECT `+attemptColumns+` FROM attempt
			WHERE id IN (SELECT max(id) FROM attempt WHERE seq = ? AND epoch = ? GROUP BY node)`, []any{op.Seq, op.Epoch}, func(r *sql.Rows) error {
			a, err := scanAttempt(r)
			list = append(list, a)
			return err
		})
	})
	return list, err
}

package state

import (
	"context"
	"database/sql"
	"time"

	"iwx/lib/cluster"
	"iwx/lib/queue"
)

// forgetAtOnce bounds how many texts one call of Forget erases.
const forgetAtOnce = 10000

// Forget erases the texts of entries that were queued before the given time and
// that everyone is done with: every member on the manager, this server on a
// node. It returns how many.
//
// The records themselves stay, some 200 bytes each, so that the chain of hashes
// holds from the first one on, for whoever joins and however long a node was
// away. The baseline is kept whole: nodes that join later replay it.
func (s *Store) Forget(ctx context.Context, before time.Time) (n int64, err error) {
	err = s.update(ctx, func(t *tx) error {
		settled, err := t.settledByAll()
		if err != nil {
			return err
		}
		old, err := t.forgettable(settled)
		for _, seq := range old {
			if err != nil {
				return err
			}
			var young bool
			if young, err = t.queuedSince(seq, before); err != nil || young {
				return err
			}
			n++
			err = t.erase(seq)
		}
		return err
	})
	return n, err
}

// settledByAll returns the last entry that everyone is done with.
func (t *tx) settledByAll() (uint64, error) {
	id, err := t.identity()
	if err != nil {
		return 0, err
	}
	query := `SELECT done FROM journal`
	if id.Role == cluster.RoleManager {
		query = `SELECT coalesce(min(coalesce(json_extract(status, '$.done'), 0)), (SELECT max(seq) FROM log), 0) FROM node WHERE ` + belongs
	}
	var seq uint64
	err = t.row(query, nil, []any{&seq})
	return seq, err
}

// forgettable returns the commands up to seq that have a text and are not kept
// for nodes that join later, in order.
func (t *tx) forgettable(seq uint64) ([]uint64, error) {
	var list []uint64
	err := t.each(`SELECT seq, targets FROM log WHERE kind = ? AND erased = 0 AND body IS NOT NULL AND seq <= ? ORDER BY seq`, []any{queue.KindCommand, seq}, func(r *sql.Rows) error {
		var seq uint64
		var encoded []byte
		if err := r.Scan(&seq, &encoded); err != nil {
			return err
		}
		targets, err := queue.DecodeTargets(encoded)
		if err == nil && targets.Scope != queue.ScopeBaseline {
			list = append(list, seq)
		}
		if len(list) == forgetAtOnce {
			return errEnough
		}
		return nil // what a newer iwx wrote stays
	})
	return list, err
}

// queuedSince reports whether the command was queued at or after the time. One
// that cannot be read counts as young.
func (t *tx) queuedSince(seq uint64, at time.Time) (bool, error) {
	var body []byte
	if err := t.row(`SELECT body FROM log WHERE seq = ?`, []any{seq}, []any{&body}); err != nil {
		return false, err
	}
	c, err := queue.DecodeCommand(body)
	return err != nil || !c.QueuedAt.Before(at), nil
}

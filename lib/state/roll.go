package state

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"

	"iwx/lib/cluster"
	"iwx/lib/queue"
)

// openRoll notes that an entry goes to some nodes at a time.
func (t *tx) openRoll(seq uint64) error {
	_, err := t.exec(`INSERT INTO roll (seq) VALUES (?)`, seq)
	return err
}

// Rolls returns the entries that go to some nodes at a time and are not over,
// in order, with who passes them over by the log up to head. Mostly there is
// none, which costs next to nothing.
func (s *Store) Rolls(ctx context.Context, head uint64) ([]cluster.Roll, error) {
	var list []cluster.Roll
	err := s.view(ctx, func(t *tx) error {
		err := t.each(`SELECT seq, targets FROM roll JOIN log USING (seq) ORDER BY seq`, nil, func(r *sql.Rows) error {
			var roll cluster.Roll
			var targets []byte
			err := r.Scan(&roll.Seq, &targets)
			if err == nil {
				roll.Targets, err = queue.DecodeTargets(targets)
			}
			list = append(list, roll)
			return err
		})
		for i := range list {
			if err == nil {
				list[i].Turns, err = t.turns(list[i].Seq)
			}
			if err == nil {
				list[i].Passed, err = t.texts(`SELECT node FROM void WHERE seq = ? AND record <= ? ORDER BY node`, list[i].Seq, head)
			}
		}
		return err
	})
	return list, err
}

// Turns returns the turns at entry seq, while it goes to some nodes at a time.
func (s *Store) Turns(ctx context.Context, seq uint64) (list []cluster.Turn, err error) {
	err = s.view(ctx, func(t *tx) error {
		list, err = t.turns(seq)
		return err
	})
	return list, err
}

func (t *tx) turns(seq uint64) (list []cluster.Turn, err error) {
	err = t.each(`SELECT node, stage, since, drained, pools, left FROM turn WHERE seq = ? ORDER BY node`, []any{seq}, func(r *sql.Rows) error {
		var turn cluster.Turn
		var since int64
		var pools, left []byte
		err := r.Scan(&turn.Node, &turn.Stage, &since, &turn.Drained, &pools, &left)
		turn.Since = instant(since)
		if err == nil {
			err = errors.Join(json.Unmarshal(pools, &turn.Pools), json.Unmarshal(left, &turn.Left))
		}
		list = append(list, turn)
		return err
	})
	return list, err
}

// SaveRoll writes down the turns at entry seq that have changed, or that it is
// over, with which its drains end. Repeating it changes nothing.
func (s *Store) SaveRoll(ctx context.Context, seq uint64, turns []cluster.Turn, over bool) error {
	return s.update(ctx, func(t *tx) error {
		if over {
			_, err := t.exec(`DELETE FROM roll WHERE seq = ?`, seq)
			return err
		}
		for i := range turns {
			if err := t.saveTurn(seq, &turns[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

func (t *tx) saveTurn(seq uint64, turn *cluster.Turn) error {
	pools, err := json.Marshal(turn.Pools)
	if err != nil {
		return err
	}
	left, err := json.Marshal(turn.Left)
	if err == nil {
		_, err = t.exec(`INSERT OR REPLACE INTO turn (seq, node, stage, since, drained, pools, left) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			seq, turn.Node, string(turn.Stage), millis(turn.Since), turn.Drained, string(pools), string(left))
	}
	return err
}

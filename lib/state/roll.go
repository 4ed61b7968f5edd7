package state

import (
	"context"
	"database/sql"

	"iwx/lib/cluster"
	"iwx/lib/queue"
)

// openRoll notes that an entry goes to some nodes at a time.
func (t *tx) openRoll(seq uint64) error {
	_, err := t.exec(`INSERT INTO roll (seq) VALUES (?)`, seq)
	return err
}

// Rolls returns the entries that go to some nodes at a time and are not over,
// in order. Mostly there is none, which costs next to nothing.
func (s *Store) Rolls(ctx context.Context) ([]cluster.Roll, error) {
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
				list[i].Turns, err = t.texts(`SELECT node FROM turn WHERE seq = ? ORDER BY node`, list[i].Seq)
			}
			if err == nil {
				list[i].Passed, err = t.texts(`SELECT node FROM void WHERE seq = ? ORDER BY node`, list[i].Seq)
			}
		}
		return err
	})
	return list, err
}

// SaveRoll writes down whose turn it is at entry seq, or that it is over. Giving
// a node its turn twice changes nothing.
func (s *Store) SaveRoll(ctx context.Context, seq uint64, turns []string, over bool) error {
	return s.update(ctx, func(t *tx) error {
		if over {
			_, err := t.exec(`DELETE FROM roll WHERE seq = ?`, seq)
			return err
		}
		for _, node := range turns {
			if _, err := t.exec(`INSERT OR IGNORE INTO turn (seq, node) VALUES (?, ?)`, seq, node); err != nil {
				return err
			}
		}
		return nil
	})
}

package state

import (
	"context"
	"database/sql"
	"encoding/json"

	"iwx/lib/cluster"
	"iwx/lib/queue"
	"iwx/lib/replay"
)

// Epochs returns where each epoch of a manager's log begins, in order; the last
// one is in force.
func (s *Store) Epochs(ctx context.Context) ([]cluster.Epoch, error) {
	var list []cluster.Epoch
	err := s.view(ctx, func(t *tx) error {
		return t.each(`SELECT epoch, since FROM epoch ORDER BY epoch`, nil, func(r *sql.Rows) error {
			var e cluster.Epoch
			err := r.Scan(&e.Number, &e.Since)
			list = append(list, e)
			return err
		})
	})
	return list, err
}

// Withdrawn returns the records of epochs that Recover has taken back.
func (s *Store) Withdrawn(ctx context.Context) ([]queue.Position, error) {
	var list []queue.Position
	err := s.view(ctx, func(t *tx) error {
		return t.each(`SELECT epoch, seq, hash FROM withdrawn`, nil, func(r *sql.Rows) error {
			var p queue.Position
			var hash []byte
			err := r.Scan(&p.Epoch, &p.Seq, &hash)
			copy(p.Hash[:], hash)
			list = append(list, p)
			return err
		})
	})
	return list, err
}

// SaveTail adds records to what the manager has of a node's tail; a page that
// begins with the tail's first record begins it anew.
func (s *Store) SaveTail(ctx context.Context, node string, tail cluster.Tail, records []queue.Record) error {
	return s.update(ctx, func(t *tx) error {
		if records[0].Seq == tail.First {
			if _, err := t.exec(`DELETE FROM tail WHERE node = ?`, node); err != nil {
				return err
			}
		}
		for i := range records {
			r := &records[i]
			_, err := t.exec(`INSERT OR REPLACE INTO tail (node, seq, epoch, kind, targets, digest, hash, body, erased) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
				node, r.Seq, r.Epoch, r.Kind, r.Targets, r.Digest[:], r.Hash[:], r.Body, r.Erased)
			if err != nil {
				return err
			}
		}
		if _, err := t.exec(`UPDATE node SET awaited = ? WHERE id = ? AND awaited > 0`, tail.First, node); err != nil {
			return err
		}
		return t.setTail(node, tail)
	})
}

func (t *tx) setTail(node string, tail cluster.Tail) error {
	text, err := json.Marshal(tail)
	if err == nil {
		_, err = t.exec(`UPDATE node SET tail = ? WHERE id = ?`, string(text), node)
	}
	return err
}

// decodeTail reads what setTail wrote. Nearly always there is none.
func decodeTail(text string, tail *cluster.Tail) error {
	if text == "{}" {
		return nil
	}
	return json.Unmarshal([]byte(text), tail)
}

// Tail returns what a node has sent of its tail, in order.
func (s *Store) Tail(ctx context.Context, node string) (list []queue.Record, err error) {
	err = s.view(ctx, func(t *tx) error {
		list, err = t.tail(node)
		return err
	})
	return list, err
}

func (t *tx) tail(node string) ([]queue.Record, error) {
	var list []queue.Record
	err := t.each(`SELECT `+recordColumns+` FROM tail WHERE node = ? ORDER BY seq`, []any{node}, func(r *sql.Rows) error {
		rec, err := scanRecord(r)
		list = append(list, rec)
		return err
	})
	return list, err
}

// forgetTail drops what a node has sent of its tail, texts and all, and leaves
// of it what tail says.
func (t *tx) forgetTail(node string, tail cluster.Tail) error {
	if _, err := t.exec(`DELETE FROM tail WHERE node = ?`, node); err != nil {
		return err
	}
	return t.setTail(node, tail)
}

// Signed implements replay.Journal.
func (j *Journal) Signed(ctx context.Context, first uint64) (*queue.Page, error) {
	page := &queue.Page{}
	err := j.store.view(ctx, func(t *tx) error {
		return t.each(`SELECT `+recordColumns+`, sig FROM log
			WHERE seq BETWEEN ?1 AND (SELECT min(seq) FROM log WHERE seq >= ?1 AND sig IS NOT NULL) ORDER BY seq`, []any{first}, func(r *sql.Rows) error {
			rec, err := scanRecord(r, &page.Sig)
			page.Records = append(page.Records, rec)
			return err
		})
	})
	return page, err
}

// Before implements replay.Journal.
func (j *Journal) Before(ctx context.Context, first uint64) (id int64, err error) {
	err = j.store.view(ctx, func(t *tx) error {
		return t.row(`SELECT coalesce((SELECT min(id) - 1 FROM attempt WHERE seq >= ?), (SELECT max(id) FROM attempt), 0)`, []any{first}, []any{&id})
	})
	return id, err
}

// Cut implements replay.Journal.
func (j *Journal) Cut(ctx context.Context, first uint64) (*replay.Saved, error) {
	var saved *replay.Saved
	err := j.store.update(ctx, func(t *tx) error {
		var busy bool
		err := t.row(`SELECT EXISTS (SELECT 1 FROM attempt WHERE seq >= ? AND ended IS NULL)`, []any{first}, []any{&busy})
		if err != nil || busy {
			return err
		}
		if err := t.cut(first); err != nil {
			return err
		}
		saved, err = t.load(j.node)
		return err
	})
	return saved, err
}

func (t *tx) cut(first uint64) error {
	for _, q := range []string{
		`DELETE FROM log WHERE seq >= ?1`, `DELETE FROM void WHERE record >= ?1`,
		`UPDATE journal SET done = min(done, ?1 - 1), retry_at = 0`,
	} {
		if _, err := t.exec(q, first); err != nil {
			return err
		}
	}
	return t.giveUpAttempts(first, "")
}

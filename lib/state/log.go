package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"iwx/lib/fault"
	"iwx/lib/queue"
)

// Draft is an entry that has no number yet.
type Draft struct {
	Kind      queue.Kind
	Targets   queue.Targets
	Body      []byte
	Sensitive bool
}

// Append adds entries to the manager's log, all of them or none, and returns
// the number of the first; the others follow it. It fails as MayAppend does.
func (s *Store) Append(ctx context.Context, drafts ...Draft) (first queue.OpID, err error) {
	err = s.update(ctx, func(t *tx) error {
		first, err = t.appendNew(drafts)
		return err
	})
	return first, err
}

// appendNew is append for new entries, which must wait while MayAppend fails.
func (t *tx) appendNew(drafts []Draft) (first queue.OpID, err error) {
	if err := t.mayAppend(); err != nil {
		return first, err
	}
	return t.append(drafts)
}

func (t *tx) append(drafts []Draft) (first queue.OpID, err error) {
	head, err := t.head()
	if err != nil {
		return first, err
	}
	epoch, err := t.epoch()
	if err != nil {
		return first, err
	}
	first = queue.OpID{Epoch: epoch, Seq: head.Seq + 1}
	for i := range drafts {
		d := &drafts[i]
		r := queue.Next(head, epoch, d.Kind, d.Targets, d.Body)
		if err := t.insertRecord(&r, d.Sensitive, nil); err != nil {
			return first, err
		}
		if d.Targets.Rolling > 0 {
			if err := t.openRoll(r.Seq); err != nil {
				return first, err
			}
		}
		head = r.Position()
	}
	return first, nil
}

// insertRecord stores a record, and what a void record says.
func (t *tx) insertRecord(r *queue.Record, sensitive bool, sig []byte) error {
	body := r.Body
	if r.Erased {
		body = r.Stub
	}
	_, err := t.exec(`INSERT INTO log (seq, epoch, kind, targets, digest, hash, body, erased, sensitive, sig) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		r.Seq, r.Epoch, r.Kind, r.Targets, r.Digest[:], r.Hash[:], body, r.Erased, sensitive, sig)
	if err != nil || r.Kind != queue.KindVoid || r.Body == nil {
		return err
	}
	return t.applyVoid(r)
}

// applyVoid notes which entry a void record names, for which nodes. One that
// cannot be read is left for the replay to halt at.
func (t *tx) applyVoid(r *queue.Record) error {
	v, err := queue.DecodeVoid(r.Body)
	if err != nil {
		return nil
	}
	targets, err := queue.DecodeTargets(r.Targets)
	if err != nil {
		return nil
	}
	nodes := targets.Nodes
	if targets.Scope != queue.ScopeNodes {
		nodes = []string{""}
	}
	for _, node := range nodes {
		_, err := t.exec(`INSERT OR IGNORE INTO void (seq, node, disposition, who, reason, at, record) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			v.Seq, node, string(v.Disposition), v.Who, v.Reason, v.At, r.Seq)
		if err != nil {
			return err
		}
	}
	return nil
}

// Head returns the position of the log's last record; the zero Position for an
// empty log.
func (s *Store) Head(ctx context.Context) (p queue.Position, err error) {
	err = s.view(ctx, func(t *tx) error {
		p, err = t.head()
		return err
	})
	return p, err
}

func (t *tx) head() (queue.Position, error) {
	return t.position(`SELECT epoch, seq, hash FROM log ORDER BY seq DESC LIMIT 1`)
}

// PositionAt returns the position of record seq; the zero Position when it is
// not in the log.
func (s *Store) PositionAt(ctx context.Context, seq uint64) (p queue.Position, err error) {
	err = s.view(ctx, func(t *tx) error {
		p, err = t.position(`SELECT epoch, seq, hash FROM log WHERE seq = ?`, seq)
		return err
	})
	return p, err
}

func (t *tx) position(query string, args ...any) (queue.Position, error) {
	var p queue.Position
	var hash []byte
	err := t.row(query, args, []any{&p.Epoch, &p.Seq, &hash})
	if errors.Is(err, sql.ErrNoRows) {
		return queue.Position{}, nil
	}
	copy(p.Hash[:], hash)
	return p, err
}

func (t *tx) epoch() (epoch uint64, err error) {
	err = t.row(`SELECT max(epoch) FROM epoch`, nil, []any{&epoch})
	return epoch, err
}

// Epoch returns the epoch in force on a manager.
func (s *Store) Epoch(ctx context.Context) (epoch uint64, err error) {
	err = s.view(ctx, func(t *tx) error {
		epoch, err = t.epoch()
		return err
	})
	return epoch, err
}

// RaiseEpoch begins a new epoch after a restore: its record names the position
// that the restored log ends at. The epoch is also above floor, the one in force
// in the state that the restored one takes the place of: epochs are never used
// twice. Afterwards no member counts as connected. at is in unix milliseconds.
func (s *Store) RaiseEpoch(ctx context.Context, floor uint64, reason string, at int64) (epoch uint64, err error) {
	err = s.update(ctx, func(t *tx) error {
		head, err := t.head()
		if err != nil {
			return err
		}
		if epoch, err = t.raiseEpoch(floor, reason, at); err != nil {
			return err
		}
		return t.awaitMembers(head.Seq+1, at)
	})
	return epoch, err
}

func (t *tx) raiseEpoch(floor uint64, reason string, at int64) (epoch uint64, err error) {
	head, err := t.head()
	if err != nil {
		return 0, err
	}
	if epoch, err = t.epoch(); err != nil {
		return 0, err
	}
	fenced, err := t.liftFence()
	if err != nil {
		return 0, err
	}
	epoch = max(epoch, floor, fenced) + 1
	if _, err := t.exec(`INSERT INTO epoch (epoch, since) VALUES (?, ?)`, epoch, head.Seq+1); err != nil {
		return 0, err
	}
	record := queue.Epoch{Parent: head, Reason: reason, At: at}
	_, err = t.append([]Draft{{Kind: queue.KindEpoch, Targets: queue.Targets{Scope: queue.ScopeBaseline}, Body: record.Encode()}})
	return epoch, err
}

const recordColumns = `seq, epoch, kind, targets, digest, hash, body, erased`

// scanRecord reads recordColumns, and whatever columns come after them.
func scanRecord(r *sql.Rows, more ...any) (queue.Record, error) {
	var rec queue.Record
	var digest, hash []byte
	err := r.Scan(append([]any{&rec.Seq, &rec.Epoch, &rec.Kind, &rec.Targets, &digest, &hash, &rec.Body, &rec.Erased}, more...)...)
	copy(rec.Digest[:], digest)
	copy(rec.Hash[:], hash)
	if rec.Erased {
		rec.Stub, rec.Body = rec.Body, nil
	}
	return rec, err
}

// Records returns up to limit records after seq, in order, whose bodies take
// up to sizeBytes together; at least one, if there is one.
func (s *Store) Records(ctx context.Context, after uint64, limit, sizeBytes int) ([]queue.Record, error) {
	var list []queue.Record
	size := 0
	err := s.view(ctx, func(t *tx) error {
		return t.each(`SELECT `+recordColumns+` FROM log WHERE seq > ? ORDER BY seq LIMIT ?`, []any{after, limit}, func(r *sql.Rows) error {
			rec, err := scanRecord(r)
			if err != nil {
				return err
			}
			if size += len(rec.Body) + len(rec.Targets); size > sizeBytes && len(list) > 0 {
				return errEnough
			}
			list = append(list, rec)
			return nil
		})
	})
	return list, err
}

// Record returns record seq.
func (s *Store) Record(ctx context.Context, seq uint64) (*queue.Record, error) {
	var found *queue.Record
	err := s.view(ctx, func(t *tx) error {
		return t.each(`SELECT `+recordColumns+` FROM log WHERE seq = ?`, []any{seq}, func(r *sql.Rows) error {
			rec, err := scanRecord(r)
			found = &rec
			return err
		})
	})
	if err == nil && found == nil {
		err = fault.Hint(fault.New(fault.Failed, "there is no entry %d in the queue", seq), "iwx-queue list --all")
	}
	return found, err
}

// Void is an entry's exception, as a void record made it.
type Void struct {
	queue.Void
	Node   string // a node's id, or "" for every node
	Record uint64 // the void record's own number
}

// Voids returns the exceptions of entries from first to last.
func (s *Store) Voids(ctx context.Context, first, last uint64) ([]Void, error) {
	var list []Void
	err := s.view(ctx, func(t *tx) error {
		return t.each(`SELECT seq, node, disposition, who, reason, at, record FROM void WHERE seq BETWEEN ? AND ? ORDER BY seq, record`, []any{first, last}, func(r *sql.Rows) error {
			var v Void
			err := r.Scan(&v.Seq, &v.Node, &v.Disposition, &v.Who, &v.Reason, &v.At, &v.Record)
			list = append(list, v)
			return err
		})
	})
	return list, err
}

// eraseSensitive erases the bodies of sensitive entries up to seq, and returns
// how many there were.
func (t *tx) eraseSensitive(seq uint64) (int64, error) {
	var due []uint64
	err := t.each(`SELECT seq FROM log WHERE sensitive = 1 AND erased = 0 AND seq <= ?`, []any{seq}, func(r *sql.Rows) error {
		var seq uint64
		err := r.Scan(&seq)
		due = append(due, seq)
		return err
	})
	for _, seq := range due {
		if err == nil {
			err = t.erase(seq)
		}
	}
	return int64(len(due)), err
}

// erase replaces the body of an entry by a stub. A body that cannot be decoded
// leaves no stub.
func (t *tx) erase(seq uint64) error {
	var body, stub []byte
	if err := t.row(`SELECT body FROM log WHERE seq = ?`, []any{seq}, []any{&body}); err != nil {
		return err
	}
	if c, err := queue.DecodeCommand(body); err == nil && body != nil {
		if stub, err = c.Stub(); err != nil {
			return err
		}
	}
	_, err := t.exec(`UPDATE log SET body = ?, erased = 1 WHERE seq = ?`, stub, seq)
	return err
}

// forgetWait is how long to wait for readers before the write-ahead log is left
// as it is; the next checkpoint then overwrites it.
const forgetWait = 200 * time.Millisecond

// forget moves the write-ahead log into the file and empties it, so that what
// was erased is not left there to be read.
func (s *Store) forget(ctx context.Context) error {
	c, err := s.connect(ctx)
	if err != nil {
		return s.explain(err)
	}
	defer c.raw.Close()
	for _, pragma := range []string{
		fmt.Sprintf("PRAGMA busy_timeout = %d", forgetWait.Milliseconds()),
		"PRAGMA wal_checkpoint(TRUNCATE)",
		fmt.Sprintf("PRAGMA busy_timeout = %d", busyWait.Milliseconds()),
	} {
		if _, err := c.raw.ExecContext(ctx, pragma); err != nil {
			return s.explain(err)
		}
	}
	return nil
}

package state

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"iwx/lib/cluster"
	"iwx/lib/queue"
	"iwx/lib/replay"
)

// Journal is a node's side of the state: what it received, how far it is, and
// what it is running. It implements replay.Journal.
type Journal struct {
	store *Store
	node  string
	start uint64
}

var _ replay.Journal = (*Journal)(nil)

// Journal returns the journal of the node that this server is.
func (s *Store) Journal(id *cluster.Identity) *Journal {
	return &Journal{store: s, node: id.NodeID, start: id.Start}
}

// Load returns what the journal holds.
func (j *Journal) Load(ctx context.Context) (*replay.Saved, error) {
	var saved *replay.Saved
	err := j.store.view(ctx, func(t *tx) (err error) {
		saved, err = t.load(j.node)
		return err
	})
	return saved, err
}

func (t *tx) load(node string) (*replay.Saved, error) {
	saved := &replay.Saved{}
	var retryAt, heard int64
	var orders string
	st := &saved.State
	err := t.row(`SELECT done, retry_at, retry_seen, reported, orders, epoch, heard_at FROM journal, contact`, nil,
		[]any{&st.Done, &retryAt, &st.RetrySeen, &saved.Reported, &orders, &saved.Epoch, &heard})
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal([]byte(orders), &saved.Orders); err != nil {
		return nil, err
	}
	st.RetryAt, saved.HeardAt = instant(retryAt), instant(heard)
	st.Paused, st.Hold, st.Trouble = saved.Orders.Paused, saved.Orders.Hold, replay.Trouble(saved.Orders.Trouble)
	if saved.Position, err = t.head(); err != nil {
		return nil, err
	}
	st.Head = saved.Position.Seq
	return saved, t.loadTried(node, saved)
}

// loadTried fills in what was tried of the entry that is not settled.
func (t *tx) loadTried(node string, saved *replay.Saved) error {
	var tried []Attempt
	var boot string
	err := t.each(`SELECT `+attemptColumns+`, boot FROM attempt WHERE node = ? AND seq > ? AND attempt > 0 ORDER BY id`, []any{node, saved.State.Done}, func(r *sql.Rows) error {
		a, err := scanAttempt(r, &boot)
		tried = append(tried, a)
		return err
	})
	if err != nil || len(tried) == 0 {
		return err
	}
	last := &tried[len(tried)-1]
	st := &saved.State
	st.Attempt = last.Attempt.Attempt
	switch {
	case last.Ended == 0:
		st.Phase = replay.Running
		saved.Open = &replay.Open{Attempt: last.Attempt, Boot: boot}
	case last.Outcome == cluster.OutcomeUnknown:
		st.Phase = replay.Cut
	default:
		st.Phase = replay.Waiting
	}
	ended := slices.DeleteFunc(tried, func(a Attempt) bool { return a.Ended == 0 })
	if n := len(ended); n > 0 {
		saved.Blocked = replay.Block(nil, &ended[0].Attempt, st.RetryAt) // the entry was already blocked by the first failure
		if n > 1 {
			saved.Blocked = replay.Block(saved.Blocked, &ended[n-1].Attempt, st.RetryAt)
		}
	}
	return nil
}

// Ahead returns the records that are not settled, in order, up to limit, and
// fewer when their texts are large; at least one, if there is one.
func (j *Journal) Ahead(ctx context.Context, limit int) ([]replay.Pending, error) {
	var list []replay.Pending
	size := 0
	err := j.store.view(ctx, func(t *tx) error {
		return t.each(`SELECT log.seq, epoch, kind, targets, digest, hash, body, erased, coalesce(max(void.disposition), '')
			FROM log LEFT JOIN void ON void.seq = log.seq AND void.node IN ('', ?)
			WHERE log.seq > (SELECT done FROM journal) GROUP BY log.seq ORDER BY log.seq LIMIT ?`, []any{j.node, limit}, func(r *sql.Rows) error {
			var void queue.Disposition
			rec, err := scanRecord(r, &void)
			if err != nil {
				return err
			}
			if size += len(rec.Body); size > queue.MaxPage && len(list) > 0 {
				return errEnough
			}
			list = append(list, replay.Describe(&rec, j.node, j.start, void))
			return nil
		})
	})
	return list, err
}

// Command returns the text of an entry.
func (j *Journal) Command(ctx context.Context, seq uint64) (*queue.Command, error) {
	r, err := j.store.Record(ctx, seq)
	if err != nil {
		return nil, err
	}
	return queue.DecodeCommand(r.Body)
}

// Commit writes the changes of one step in one transaction.
func (j *Journal) Commit(ctx context.Context, c *replay.Changes) error {
	var erased int64
	err := j.store.update(ctx, func(t *tx) (err error) {
		if err := t.receive(c); err != nil {
			return err
		}
		if err := t.attempts(j.node, c); err != nil {
			return err
		}
		if c.Settled != 0 {
			if erased, err = t.eraseSensitive(c.Settled); err != nil {
				return err
			}
		}
		return t.move(c)
	})
	if err == nil && erased > 0 {
		err = j.store.forget(ctx)
	}
	return err
}

// receive stores the records of a page, and its signature with the last.
func (t *tx) receive(c *replay.Changes) error {
	for i := range c.Records {
		r := &c.Records[i]
		var sig []byte
		if i == len(c.Records)-1 {
			sig = c.Sig
		}
		if err := t.insertRecord(r, isSensitive(r), sig); err != nil {
			return err
		}
	}
	return nil
}

func isSensitive(r *queue.Record) bool {
	if r.Kind != queue.KindCommand || r.Body == nil {
		return false
	}
	c, err := queue.DecodeCommand(r.Body)
	return err == nil && c.Sensitive
}

func (t *tx) attempts(node string, c *replay.Changes) error {
	if c.Ended != nil {
		if err := t.saveAttempt(node, "", c.Ended); err != nil {
			return err
		}
	}
	if a := c.NotBegun; a != nil {
		if _, err := t.exec(`DELETE FROM attempt WHERE node = ? AND epoch = ? AND seq = ? AND attempt = ?`, node, a.Epoch, a.Seq, a.Attempt); err != nil {
			return err
		}
	}
	if c.Begun == nil {
		return nil
	}
	return t.saveAttempt(node, c.Begun.Boot, &c.Begun.Attempt)
}

// move updates the node's place in the log.
func (t *tx) move(c *replay.Changes) error {
	if c.Settled == 0 && c.Heeded == 0 && c.Reported == 0 && c.Ended == nil && c.Begun == nil {
		return nil
	}
	_, err := t.exec(`UPDATE journal SET done = max(done, ?), retry_seen = max(retry_seen, ?), reported = max(reported, ?), retry_at = ?`,
		c.Settled, c.Heeded, c.Reported, millis(c.RetryAt))
	return err
}

// Unreported returns up to limit attempts that ended after row number after,
// in order, with the number of the last one; fewer when their output is more
// than reportOutput, and at least one, if there is one.
func (j *Journal) Unreported(ctx context.Context, after int64, limit int) (list []cluster.Attempt, last int64, err error) {
	last = after
	size := 0
	err = j.store.view(ctx, func(t *tx) error {
		return t.each(`SELECT `+attemptColumns+`, id FROM attempt WHERE id > ? AND ended IS NOT NULL AND node = ? ORDER BY id LIMIT ?`, []any{after, j.node, limit}, func(r *sql.Rows) error {
			var id int64
			a, err := scanAttempt(r, &id)
			if err != nil {
				return err
			}
			if size += outputSize(&a.Attempt); size > reportOutput && len(list) > 0 {
				return errEnough
			}
			list, last = append(list, a.Attempt), id
			return nil
		})
	})
	return list, last, err
}

// reportOutput is the limit for the output in a report, in bytes, unless one
// attempt has more. The status comes with the report, and must not wait long:
// two or three seconds at 1 Mbit/s.
const reportOutput = 256 << 10

// outputSize returns the stored size of an attempt's output, in bytes.
func outputSize(a *cluster.Attempt) int {
	return len(a.Stdout.Head) + len(a.Stdout.Tail) + len(a.Stderr.Head) + len(a.Stderr.Tail)
}

// Contact is how a node stands with its manager.
type Contact struct {
	HeardAt  time.Time // the last answer; zero: never
	SilentAt time.Time // when the requests began to fail; zero: they do not
	Reason   string    // cluster.Refused…, or "" when the manager was not reached
	Error    string
	Hint     string
	Head     uint64 // of the manager's log
	Orders   cluster.Orders
}

// Contact returns how this node stands with its manager.
func (s *Store) Contact(ctx context.Context) (*Contact, error) {
	c := &Contact{}
	var heard, silent int64
	var orders string
	err := s.view(ctx, func(t *tx) error {
		return t.row(`SELECT heard_at, silent_at, reason, error, hint, head, orders FROM contact`, nil,
			[]any{&heard, &silent, &c.Reason, &c.Error, &c.Hint, &c.Head, &orders})
	})
	if errors.Is(err, sql.ErrNoRows) {
		return c, nil
	}
	if err == nil {
		err = json.Unmarshal([]byte(orders), &c.Orders)
	}
	c.HeardAt, c.SilentAt = instant(heard), instant(silent)
	return c, err
}

// SaveHeard records an answer of the manager.
func (s *Store) SaveHeard(ctx context.Context, at time.Time, epoch, head uint64, orders cluster.Orders) error {
	text, err := json.Marshal(orders)
	if err != nil {
		return err
	}
	return s.set(ctx, `UPDATE contact SET heard_at = ?, silent_at = 0, reason = '', error = '', hint = '', epoch = max(epoch, ?), head = ?, orders = ?`, millis(at), epoch, head, string(text))
}

// SaveSilent records that a request failed or was refused. The time is kept
// when they failed before.
func (s *Store) SaveSilent(ctx context.Context, at time.Time, reason, text, hint string) error {
	return s.set(ctx, `UPDATE contact SET silent_at = CASE silent_at WHEN 0 THEN ? ELSE silent_at END, reason = ?, error = ?, hint = ?`, millis(at), reason, text, hint)
}

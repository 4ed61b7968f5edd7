package state

import (
	"context"
	"database/sql"
	"math"
	"strings"
	"time"

	"iwx/lib/cluster"
)

// Attempt is an attempt with the node that made it.
type Attempt struct {
	cluster.Attempt
	Node string // id
}

// AttemptFilter narrows a question for attempts. Zero fields do not.
type AttemptFilter struct {
	Node   string // id
	Seq    uint64
	Epoch  uint64
	Failed bool // only those that did not succeed
	Since  time.Time
	Limit  int
	Brief  bool // leaves out the outputs of attempts that succeeded or still run
}

const attemptColumns = attemptFacts + `,
	out_head, out_tail, out_size, err_head, err_tail, err_size`

const attemptFacts = `node, epoch, seq, attempt, started, coalesce(ended, 0), duration, limit_ms, outcome, code, signal, error, note`

// briefColumns are attemptColumns for AttemptFilter.Brief.
const briefColumns = attemptFacts + `,
	iif(` + failed + `, out_head, NULL), iif(` + failed + `, out_tail, NULL), out_size,
	iif(` + failed + `, err_head, NULL), iif(` + failed + `, err_tail, NULL), err_size`

// failed is SQL for an attempt that has ended and did not succeed.
const failed = `outcome NOT IN ('', '` + cluster.OutcomeDone + `')`

// scanAttempt reads attemptColumns, and whatever columns come after them.
func scanAttempt(r *sql.Rows, more ...any) (Attempt, error) {
	var a Attempt
	err := r.Scan(append([]any{&a.Node, &a.Epoch, &a.Seq, &a.Attempt.Attempt, &a.Started, &a.Ended, &a.Duration, &a.Limit, &a.Outcome, &a.Code, &a.Signal, &a.Error, &a.Note,
		&a.Stdout.Head, &a.Stdout.Tail, &a.Stdout.Size, &a.Stderr.Head, &a.Stderr.Tail, &a.Stderr.Size}, more...)...)
	return a, err
}

// Attempts returns attempts, the newest first. They may take up 256 KiB each, see
// EachAttempt.
func (s *Store) Attempts(ctx context.Context, f AttemptFilter) (list []Attempt, err error) {
	err = s.EachAttempt(ctx, f, func(a Attempt) error {
		list = append(list, a)
		return nil
	})
	return list, err
}

// attemptPage is the number of attempts that are read at a time: some MiB with outputs.
const attemptPage = 64

// EachAttempt calls do with attempts, the newest first, until it fails, and returns its
// error. It reads them in pages: nothing is locked while do runs, and the outputs of no
// more than a page are in memory.
func (s *Store) EachAttempt(ctx context.Context, f AttemptFilter, do func(Attempt) error) error {
	before := int64(math.MaxInt64)
	for left := f.Limit; f.Limit == 0 || left > 0; left -= attemptPage {
		size := attemptPage
		if f.Limit > 0 {
			size = min(size, left)
		}
		page, last, err := s.attemptsBefore(ctx, &f, before, size)
		if err != nil {
			return err
		}
		for _, a := range page {
			if err := do(a); err != nil {
				return err
			}
		}
		if len(page) < size {
			return nil
		}
		before = last
	}
	return nil
}

// attemptsBefore returns the newest attempts whose id is below before, and the id of
// the last one.
func (s *Store) attemptsBefore(ctx context.Context, f *AttemptFilter, before int64, limit int) (list []Attempt, id int64, err error) {
	columns := attemptColumns
	if f.Brief {
		columns = briefColumns
	}
	where, args := f.where()
	err = s.view(ctx, func(t *tx) error {
		return t.each(`SELECT `+columns+`, id FROM attempt WHERE `+where+` AND id < ? ORDER BY id DESC LIMIT ?`, append(args, before, limit), func(r *sql.Rows) error {
			a, err := scanAttempt(r, &id)
			list = append(list, a)
			return err
		})
	})
	return list, id, err
}

// CountAttempts returns the number of attempts; it ignores the filter's limit.
func (s *Store) CountAttempts(ctx context.Context, f AttemptFilter) (n int, err error) {
	where, args := f.where()
	err = s.view(ctx, func(t *tx) error {
		return t.row(`SELECT count(*) FROM attempt WHERE `+where, args, []any{&n})
	})
	return n, err
}

// where returns the filter as SQL, with its arguments.
func (f *AttemptFilter) where() (string, []any) {
	terms := []string{"TRUE"}
	var args []any
	add := func(term string, arg any) {
		terms = append(terms, term)
		args = append(args, arg)
	}
	if f.Node != "" {
		add("node = ?", f.Node)
	}
	if f.Seq != 0 {
		add("seq = ?", f.Seq)
	}
	if f.Epoch != 0 {
		add("epoch = ?", f.Epoch)
	}
	if f.Failed {
		terms = append(terms, failed)
	}
	if !f.Since.IsZero() {
		add("started >= ?", millis(f.Since))
	}
	return strings.Join(terms, " AND "), args
}

// SaveReport stores a node's report: how it is doing and what came of
// attempts. Storing one twice changes nothing. What is sensitive and done with
// on every node is erased.
func (s *Store) SaveReport(ctx context.Context, node string, seen time.Time, status cluster.Status, attempts []cluster.Attempt) error {
	var erased int64
	err := s.update(ctx, func(t *tx) (err error) {
		done := status.Done
		for i := range attempts {
			first, err := t.saveReported(node, &attempts[i])
			if err != nil {
				return err
			}
			if !first {
				done = min(done, attempts[i].Seq-1)
			}
		}
		if err := t.compareDone(node, done, &status, seen); err != nil {
			return err
		}
		if err := t.saveStatus(node, seen, status); err != nil {
			return err
		}
		erased, err = t.eraseSettled()
		return err
	})
	if err == nil && erased > 0 {
		err = s.forget(ctx)
	}
	return err
}

// saveReported stores an attempt that a node reported. If an attempt with this
// number exists and began at another time, the node was restored to an older
// state: the new attempt gets the next free number of its sign, so that the record
// of the first run stays. first is false in that case.
func (t *tx) saveReported(node string, a *cluster.Attempt) (first bool, err error) {
	number, taken := 0, false
	err = t.each(`SELECT attempt, started FROM attempt WHERE seq = ? AND node = ? AND epoch = ?`, []any{a.Seq, node, a.Epoch}, func(r *sql.Rows) error {
		var is int
		var started int64
		err := r.Scan(&is, &started)
		switch {
		case started == a.Started && (is > 0) == (a.Attempt > 0):
			number = is
		case is == a.Attempt:
			taken = true
		}
		return err
	})
	if err != nil {
		return false, err
	}
	kept := *a
	switch {
	case number != 0:
		kept.Attempt = number
	case taken:
		if kept.Attempt, err = t.freeAttempt(node, a.Epoch, a.Seq, a.Attempt); err != nil {
			return false, err
		}
	}
	return number != 0 || !taken, t.saveAttempt(node, "", &kept)
}

// freeAttempt returns number if no attempt at the entry has it, else the next free
// number of the same sign: an attempt below 0 is at an entry that was given up.
func (t *tx) freeAttempt(node string, epoch, seq uint64, number int) (free int, err error) {
	var taken bool
	var lowest, highest int
	err = t.row(`SELECT coalesce(max(attempt = ?4), 0), min(0, coalesce(min(attempt), 0)), max(0, coalesce(max(attempt), 0))
		FROM attempt WHERE seq = ?1 AND node = ?2 AND epoch = ?3`, []any{seq, node, epoch, number}, []any{&taken, &lowest, &highest})
	switch {
	case err != nil || !taken:
		return number, err
	case number < 0:
		return lowest - 1, nil
	}
	return highest + 1, nil
}

// giveUpAttempts makes the attempts at entries from first on those of entries that
// were given up: they no longer take the numbers of attempts at the entries that get
// these places in the log. node is "" for every node.
func (t *tx) giveUpAttempts(first uint64, node string) error {
	type attempt struct {
		id         int64
		node       string
		epoch, seq uint64
		number     int
	}
	var list []attempt
	err := t.each(`SELECT id, node, epoch, seq, attempt FROM attempt WHERE seq >= ?1 AND attempt > 0 AND ?2 IN ('', node) ORDER BY id`, []any{first, node}, func(r *sql.Rows) error {
		var a attempt
		err := r.Scan(&a.id, &a.node, &a.epoch, &a.seq, &a.number)
		list = append(list, a)
		return err
	})
	if err != nil {
		return err
	}
	for _, a := range list {
		number, err := t.freeAttempt(a.node, a.epoch, a.seq, -a.number)
		if err != nil {
			return err
		}
		if _, err := t.exec(`UPDATE attempt SET attempt = ? WHERE id = ?`, number, a.id); err != nil {
			return err
		}
	}
	return nil
}

// compareDone records whether the node is back at an older state than it last
// reported. Its progress in another log does not count.
func (t *tx) compareDone(node string, done uint64, status *cluster.Status, at time.Time) error {
	nodes, err := t.standings(`id = ?`, node)
	if err != nil || len(nodes) == 0 || status.Word == cluster.TroubleDiverged || status.Word == cluster.TroubleRewound {
		return err
	}
	_, err = t.noteWentBack(&nodes[0], done, at)
	return err
}

// saveAttempt stores an attempt, over what was known of it.
func (t *tx) saveAttempt(node, boot string, a *cluster.Attempt) error {
	var ended any
	if a.Ended != 0 {
		ended = a.Ended
	}
	_, err := t.exec(`INSERT INTO attempt (node, epoch, seq, attempt, boot, started, ended, duration, limit_ms, outcome, code, signal, error, note,
			out_head, out_tail, out_size, err_head, err_tail, err_size)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (seq, node, epoch, attempt) DO UPDATE SET boot = excluded.boot, started = excluded.started, ended = excluded.ended,
			duration = excluded.duration, limit_ms = excluded.limit_ms, outcome = excluded.outcome, code = excluded.code, signal = excluded.signal, error = excluded.error, note = excluded.note,
			out_head = excluded.out_head, out_tail = excluded.out_tail, out_size = excluded.out_size,
			err_head = excluded.err_head, err_tail = excluded.err_tail, err_size = excluded.err_size`,
		node, a.Epoch, a.Seq, a.Attempt, boot, a.Started, ended, a.Duration, a.Limit, a.Outcome, a.Code, a.Signal, a.Error, a.Note,
		a.Stdout.Head, a.Stdout.Tail, a.Stdout.Size, a.Stderr.Head, a.Stderr.Tail, a.Stderr.Size)
	return err
}

// eraseSettled erases sensitive bodies that every member is done with.
func (t *tx) eraseSettled() (int64, error) {
	var oldest sql.NullInt64
	if err := t.row(`SELECT min(seq) FROM log WHERE sensitive = 1 AND erased = 0`, nil, []any{&oldest}); err != nil || !oldest.Valid {
		return 0, err
	}
	var settled sql.NullInt64
	err := t.row(`SELECT min(coalesce(json_extract(status, '$.done'), 0)) FROM node WHERE membership = 'member'`, nil, []any{&settled})
	if err != nil || !settled.Valid || settled.Int64 < oldest.Int64 {
		return 0, err
	}
	return t.eraseSensitive(uint64(settled.Int64))
}

// Prune deletes attempts that ended before the given time, and of every node
// all but the newest keep ones. What belongs to an entry that a node has not
// settled stays.
func (s *Store) Prune(ctx context.Context, before time.Time, keep int) (pruned int64, err error) {
	err = s.update(ctx, func(t *tx) error {
		pruned, err = t.prune(`ended < ?`, millis(before))
		if err != nil {
			return err
		}
		nodes, err := t.texts(`SELECT DISTINCT node FROM attempt`)
		if err != nil {
			return err
		}
		for _, node := range nodes {
			n, err := t.prune(`node = ?1 AND id <= (SELECT id FROM attempt WHERE node = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)`, node, keep)
			if err != nil {
				return err
			}
			pruned += n
		}
		return nil
	})
	return pruned, err
}

// prune deletes the ended attempts that where names. The newest row stays, so
// that row ids are never given twice: reports go by them.
func (t *tx) prune(where string, args ...any) (int64, error) {
	res, err := t.exec(`DELETE FROM attempt WHERE ended IS NOT NULL AND id <> (SELECT max(id) FROM attempt)
		AND NOT EXISTS (SELECT 1 FROM node WHERE node.id = attempt.node AND json_extract(node.status, '$.blocked.seq') = attempt.seq)
		AND NOT EXISTS (SELECT 1 FROM journal WHERE attempt.seq > journal.done OR attempt.id > journal.reported)
		AND `+where, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// texts returns the one column of a query.
func (t *tx) texts(query string, args ...any) ([]string, error) {
	var list []string
	err := t.each(query, args, func(r *sql.Rows) error {
		var s string
		err := r.Scan(&s)
		list = append(list, s)
		return err
	})
	return list, err
}

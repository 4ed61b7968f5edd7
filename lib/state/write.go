package state

import (
	"context"
	"errors"

	"iwx/lib/panics"
)

// write is a transaction that waits to be committed.
type write struct {
	ctx  context.Context
	fn   func(*tx) error
	err  error
	done chan struct{} // closed when err is final
	lead chan struct{} // closed when this writer is to commit for the others
}

// update runs fn in a transaction that writes, and returns when it is on the
// disk. Writers that come while another one commits are committed together:
// one of them leads, the others wait for it. An error of one undoes that one
// alone, and so does a panic, which then continues in the goroutine of its caller.
func (s *Store) update(ctx context.Context, fn func(*tx) error) error {
	w := &write{ctx: ctx, fn: fn, done: make(chan struct{}), lead: make(chan struct{})}
	s.mu.Lock()
	s.pending = append(s.pending, w)
	if !s.leading {
		s.leading = true
		close(w.lead)
	}
	s.mu.Unlock()
	select {
	case <-w.done:
	case <-w.lead:
		s.commitPending()
	}
	if caught := (*panics.Panic)(nil); errors.As(w.err, &caught) {
		panic(caught)
	}
	return s.explain(w.err)
}

// commitPending commits every writer that is waiting, the caller among them,
// and hands the lead on to one that came meanwhile.
func (s *Store) commitPending() {
	ctx := context.Background() // it is for all of them, whoever gives up
	err := s.turn.enter(ctx)
	s.mu.Lock()
	batch := s.pending
	s.pending = nil
	s.mu.Unlock()
	if err == nil {
		err = s.commit(ctx, batch)
		s.turn.leave()
	}
	for _, w := range batch {
		if err != nil {
			w.err = err
		}
		close(w.done)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.pending) == 0 {
		s.leading = false
		return
	}
	close(s.pending[0].lead)
}

// commit runs the batch in one transaction, each writer in a savepoint of its
// own. The error is that of the transaction as a whole.
func (s *Store) commit(ctx context.Context, batch []*write) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	if err := s.Check(); err != nil {
		return err
	}
	t := &tx{ctx: ctx, caller: ctx, conn: s.writer}
	if _, err := t.exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	run := t.run
	if len(batch) == 1 {
		run = t.runAlone
	}
	for _, w := range batch {
		if err := run(w); err != nil {
			_, _ = t.exec("ROLLBACK") // the error in hand is the one to tell
			return err
		}
	}
	if _, err := t.exec("COMMIT"); err != nil {
		_, _ = t.exec("ROLLBACK")
		return err
	}
	return s.Check() // a commit to a file without a name is not durable
}

// runAlone runs the only writer of a transaction, which needs no savepoint.
func (t *tx) runAlone(w *write) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	return panics.Catch(func() error { return w.fn(t) })
}

// run runs one writer; its own failure is its own, the error returned is for
// all.
func (t *tx) run(w *write) error {
	if w.err = w.ctx.Err(); w.err != nil {
		return nil
	}
	if _, err := t.exec("SAVEPOINT one"); err != nil {
		return err
	}
	if w.err = panics.Catch(func() error { return w.fn(t) }); w.err != nil {
		if _, err := t.exec("ROLLBACK TO one"); err != nil {
			return w.err // the disk is full, say: SQLite has undone everything
		}
	}
	_, err := t.exec("RELEASE one")
	return err
}

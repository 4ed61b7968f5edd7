package state

import (
	"context"
	"database/sql"
	"time"

	"iwx/lib/fault"
	"iwx/lib/queue"
)

// Held is a command of iwx-queue run that has no number yet: it is running on
// the manager, or its run was cut short.
type Held struct {
	ID      int64
	Targets queue.Targets
	Body    []byte
	PID     int    // of the iwx-queue that runs it
	Boot    string // boot id under which it ran, and what else tells its process apart
	At      time.Time

	ChildPID int    // of the command, while it runs
	Child    string // as Boot, for the command
}

// Hold records a command that is about to run here.
func (s *Store) Hold(ctx context.Context, h Held) (id int64, err error) {
	err = s.update(ctx, func(t *tx) error {
		res, err := t.exec(`INSERT INTO held (targets, body, pid, boot, at) VALUES (?, ?, ?, ?, ?)`, h.Targets.Encode(), h.Body, h.PID, h.Boot, millis(h.At))
		if err == nil {
			id, err = res.LastInsertId()
		}
		return err
	})
	return id, err
}

// Started records the process of a held command that runs. It ignores an entry
// that is no longer held.
func (s *Store) Started(ctx context.Context, id int64, pid int, child string) error {
	return s.set(ctx, `UPDATE held SET child_pid = ?, child = ? WHERE id = ?`, pid, child, id)
}

// Helds returns the held commands, the oldest first.
func (s *Store) Helds(ctx context.Context) ([]Held, error) {
	var list []Held
	err := s.view(ctx, func(t *tx) (err error) {
		list, err = t.helds(`SELECT id, targets, body, pid, boot, at, child_pid, child FROM held ORDER BY id`)
		return err
	})
	return list, err
}

func (t *tx) helds(query string, args ...any) ([]Held, error) {
	var list []Held
	err := t.each(query, args, func(r *sql.Rows) error {
		var h Held
		var targets []byte
		var at int64
		err := r.Scan(&h.ID, &targets, &h.Body, &h.PID, &h.Boot, &at, &h.ChildPID, &h.Child)
		if err == nil {
			h.Targets, err = queue.DecodeTargets(targets)
		}
		h.At = instant(at)
		list = append(list, h)
		return err
	})
	return list, err
}

// Release gives a held command its number: from now on the nodes replay it.
func (s *Store) Release(ctx context.Context, id int64, sensitive bool) (op queue.OpID, err error) {
	err = s.update(ctx, func(t *tx) error {
		h, err := t.takeHeld(id)
		if err != nil {
			return err
		}
		op, err = t.appendNew([]Draft{{Kind: queue.KindCommand, Targets: h.Targets, Body: h.Body, Sensitive: sensitive}})
		return err
	})
	return op, err
}

// Cancel forgets a held command.
func (s *Store) Cancel(ctx context.Context, id int64) error {
	return s.update(ctx, func(t *tx) error {
		_, err := t.takeHeld(id)
		return err
	})
}

func (t *tx) takeHeld(id int64) (*Held, error) {
	list, err := t.helds(`SELECT id, targets, body, pid, boot, at, child_pid, child FROM held WHERE id = ?`, id)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, fault.Hint(fault.New(fault.Failed, "there is no held command h%d", id), "iwx-queue list")
	}
	_, err = t.exec(`DELETE FROM held WHERE id = ?`, id)
	return &list[0], err
}

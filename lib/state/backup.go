package state

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// Backup is the daily backup that the manager made last.
type Backup struct {
	Name   string // of the file
	Size   int64  // bytes
	SHA256 string // hexadecimal
	At     time.Time
}

// SetBackup notes the backup that was made last, when it is on the disk.
func (s *Store) SetBackup(ctx context.Context, b Backup) error {
	return s.set(ctx, `INSERT INTO backup (id, name, size, sha256, at) VALUES (1, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET name = excluded.name, size = excluded.size, sha256 = excluded.sha256, at = excluded.at`,
		b.Name, b.Size, b.SHA256, millis(b.At))
}

// LastBackup returns the backup that was noted last, nil if there is none. The
// file may be gone, also because this state is itself of a backup.
func (s *Store) LastBackup(ctx context.Context) (*Backup, error) {
	var b Backup
	var at int64
	err := s.view(ctx, func(t *tx) error {
		return t.row(`SELECT name, size, sha256, at FROM backup`, nil, []any{&b.Name, &b.Size, &b.SHA256, &at})
	})
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	b.At = instant(at)
	return &b, err
}

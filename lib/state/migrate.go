package state

import (
	"context"
	"embed"
	"fmt"
	"os"

	"iwx/lib/fault"
)

// Migrations are numbered files, applied in order, each in one transaction.
// PRAGMA user_version counts those that have been.
//
//go:embed migration/*.sql
var migrations embed.FS

// schemaVersion is the number of the last migration.
const schemaVersion = 6

// migrate brings the schema up to date. It reads alone when there is nothing
// to do, which is nearly always.
func (s *Store) migrate(ctx context.Context) error {
	version, err := s.version(ctx)
	if err != nil {
		return err
	}
	if version > schemaVersion {
		return fault.Hint(
			fault.New(fault.Failed, "%s was written by a newer iwx (schema %d; this version knows %d)", s.path, version, schemaVersion),
			"upgrade iwx on this server")
	}
	if version == schemaVersion {
		return nil
	}
	for version < schemaVersion {
		if version, err = s.step(ctx); err != nil {
			return err
		}
	}
	return s.checkpoint(ctx)
}

// checkpoint writes the WAL back, so that the file's header alone tells its
// version: the packages' scripts read it there before an older iwx is installed.
// Where readers keep it from the end, the last one to close the file does it.
func (s *Store) checkpoint(ctx context.Context) error {
	_, err := s.pool.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)")
	return s.explain(err)
}

// Checkpoint copies the WAL into the database file, as far as readers allow
// without waiting, so that a copy of the file alone is nearly current. It does
// nothing if nothing was committed since the last time.
func (s *Store) Checkpoint(ctx context.Context) error {
	if err := s.Check(); err != nil {
		return err
	}
	c, err := s.connect(ctx)
	if err != nil {
		return s.explain(err)
	}
	defer c.close()
	_, err = c.raw.ExecContext(ctx, "PRAGMA wal_checkpoint(PASSIVE)")
	return s.explain(err)
}

// version returns how many migrations the file has seen. It is what first opens
// the file: of processes that find it empty, one at a time may give it its
// form, or SQLite refuses all but one.
func (s *Store) version(ctx context.Context) (version int, err error) {
	if info, err := os.Stat(s.path); err == nil && info.Size() == 0 {
		if err := s.turn.enter(ctx); err != nil {
			return 0, err
		}
		defer s.turn.leave()
	}
	if s.writer, err = s.connect(ctx); err != nil {
		return 0, s.explain(err)
	}
	_, err = read(ctx, s.writer, func(t *tx) error { return t.row("PRAGMA user_version", nil, []any{&version}) })
	return version, s.explain(err)
}

// step applies the next migration, unless another process was faster, and
// returns the version that the file has now.
func (s *Store) step(ctx context.Context) (version int, err error) {
	err = s.update(ctx, func(t *tx) error {
		if err := t.row("PRAGMA user_version", nil, []any{&version}); err != nil || version >= schemaVersion {
			return err
		}
		version++
		script, err := migrations.ReadFile(fmt.Sprintf("migration/%03d.sql", version))
		if err != nil {
			return err
		}
		// A script is many statements, which cannot be prepared as one.
		_, err = t.conn.raw.ExecContext(t.ctx, fmt.Sprintf("%s;\nPRAGMA user_version = %d", script, version))
		return err
	})
	return version, err
}

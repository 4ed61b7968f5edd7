package state

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"iwx/lib/cluster"
	"iwx/lib/panics"
	"iwx/lib/queue"
	"iwx/lib/testenv"
)

// newManager returns the state of a manager, until the test ends.
func newManager(t *testing.T) *Store {
	t.Helper()
	s, err := Create(t.Context(), filepath.Join(t.TempDir(), "state.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if err := s.SetIdentity(t.Context(), &cluster.Identity{Role: cluster.RoleManager}); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestGroupCommit holds the turn until several writers wait, so that they are
// committed together, and has one of them fail after it has written.
func TestGroupCommit(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	s, err := Create(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.SetIdentity(t.Context(), &cluster.Identity{Role: cluster.RoleManager}); err != nil {
		t.Fatal(err)
	}
	other, err := openTurnstile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer other.close()
	if err := other.enter(t.Context()); err != nil {
		t.Fatal(err)
	}

	const writers = 20
	errNo := errors.New("no")
	errs := make([]error, writers)
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			errs[i] = s.update(t.Context(), func(tx *tx) error {
				_, err := tx.append([]Draft{{Kind: queue.KindCommand, Targets: queue.Members(), Body: []byte(fmt.Sprint(i))}})
				if i == 7 {
					return errNo
				}
				return err
			})
		})
	}
	awaitPending(t, s, writers)
	other.leave()
	wg.Wait()

	for i, err := range errs {
		if i == 7 && !errors.Is(err, errNo) || i != 7 && err != nil {
			t.Errorf("writer %d: %v", i, err)
		}
	}
	records, err := s.Records(t.Context(), 0, 100, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	page := queue.Page{Records: records}
	if err := page.Verify(queue.Position{}); err != nil || len(records) != writers-1 {
		t.Errorf("%d records, want %d; %v", len(records), writers-1, err)
	}
	for i := range records {
		if string(records[i].Body) == "7" {
			t.Error("the writer that failed is in the log")
		}
	}
}

// TestWriterThatPanics: its own writes are undone; the writers of the same commit,
// all later ones and other processes still write.
func TestWriterThatPanics(t *testing.T) {
	t.Parallel()
	s := newManager(t)
	other, err := openTurnstile(s.Path())
	if err != nil {
		t.Fatal(err)
	}
	defer other.close()
	write := func(fails bool) error {
		return panics.Catch(func() error {
			return s.update(t.Context(), func(tx *tx) error {
				_, err := tx.append([]Draft{{Kind: queue.KindCommand, Targets: queue.Members(), Body: []byte("x")}})
				if fails {
					panic("no such entry")
				}
				return err
			})
		})
	}
	for _, writers := range []int{1, 8} { // alone, and in a group
		if err := other.enter(t.Context()); err != nil {
			t.Fatal(err)
		}
		errs := make([]error, writers)
		var wg sync.WaitGroup
		for i := range writers {
			wg.Go(func() { errs[i] = write(i == 0) })
		}
		awaitPending(t, s, writers)
		other.leave()
		wg.Wait()
		for i, err := range errs {
			if caught := (*panics.Panic)(nil); errors.As(err, &caught) != (i == 0) || i > 0 && err != nil {
				t.Errorf("writer %d of %d: %v", i, writers, err)
			}
		}
	}
	if err := write(false); err != nil {
		t.Error(err)
	}
	if err := other.enter(t.Context()); err != nil {
		t.Error(err)
	}
	other.leave()
	if records, err := s.Records(t.Context(), 0, 100, 1<<20); err != nil || len(records) != 8 {
		t.Errorf("%d records, want 8; %v", len(records), err)
	}
}

// TestReaderThatPanics: its transaction ends, and its connection is still
// usable.
func TestReaderThatPanics(t *testing.T) {
	t.Parallel()
	s := newManager(t)
	for range 3 * maxReaders {
		err := panics.Catch(func() error {
			return s.view(t.Context(), func(tx *tx) error {
				var n int
				if err := tx.row("SELECT count(*) FROM log", nil, []any{&n}); err != nil {
					return err
				}
				panic("no such row")
			})
		})
		if err == nil || err.Error() != "internal error: panic: no such row" {
			t.Fatal(err)
		}
	}
	if _, err := s.Head(t.Context()); err != nil {
		t.Error(err)
	}
	if err := s.update(t.Context(), func(tx *tx) error { return nil }); err != nil {
		t.Error(err)
	}
	if err := s.checkpoint(t.Context()); err != nil {
		t.Error(err)
	}
}

// awaitPending waits until n writers wait for a commit.
func awaitPending(t *testing.T, s *Store, n int) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.After(testenv.Wait())
	for {
		s.mu.Lock()
		waiting := len(s.pending)
		s.mu.Unlock()
		if waiting == n {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%d writers wait, want %d", waiting, n)
		}
	}
}

// TestMigrationsAreCounted: a migration that is added has to be counted too.
func TestMigrationsAreCounted(t *testing.T) {
	t.Parallel()
	files, err := migrations.ReadDir("migration")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != schemaVersion {
		t.Errorf("there are %d migrations, and the schema's version is %d", len(files), schemaVersion)
	}
	for i, f := range files {
		if want := fmt.Sprintf("%03d.sql", i+1); f.Name() != want {
			t.Errorf("migration %d is %s, want %s", i+1, f.Name(), want)
		}
	}
}

// TestMigrateReload: a reload that was pending before migration 006 is pending after it,
// and one that was done is not.
func TestMigrateReload(t *testing.T) {
	t.Parallel()
	for row, want := range map[string]Reload{
		`(1, 'apache2', 5000, 2000)`: {Kind: "web", Name: "apache2", Requested: 1, Last: time.UnixMilli(2000)},
		`(1, 'nginx', 0, 3000)`:      {Kind: "web", Name: "nginx", Requested: 1, Tried: 1, Loaded: 1, Last: time.UnixMilli(3000)},
	} {
		s := newManager(t)
		script, err := migrations.ReadFile("migration/006.sql")
		if err != nil {
			t.Fatal(err)
		}
		for _, query := range []string{
			`DROP TABLE reload`,
			`CREATE TABLE reload (id INTEGER PRIMARY KEY CHECK (id = 1), server TEXT NOT NULL, owed INTEGER NOT NULL, last INTEGER NOT NULL) STRICT`,
			`INSERT INTO reload VALUES ` + row,
			string(script),
		} {
			if err := s.update(t.Context(), func(t *tx) error { _, err := t.conn.raw.ExecContext(t.ctx, query); return err }); err != nil {
				t.Fatal(err)
			}
		}
		got, err := s.Reload(t.Context(), want.Kind, want.Name)
		if got.Last.Equal(want.Last) {
			got.Last = want.Last
		}
		if err != nil || got != want {
			t.Errorf("%+v, %v; want %+v", got, err, want)
		}
	}
}

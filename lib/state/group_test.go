package state

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"iwx/lib/cluster"
	"iwx/lib/queue"
	"iwx/lib/testenv"
)

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

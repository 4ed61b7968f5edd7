package upkeep_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"iwx/lib/backup"
	"iwx/lib/cluster"
	"iwx/lib/fault"
	"iwx/lib/host"
	"iwx/lib/profile"
	"iwx/lib/state"
	"iwx/lib/testenv"
	"iwx/lib/tool/local"
	"iwx/lib/tool/upkeep"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// newNode returns a node below a root directory of its own.
func newNode(t *testing.T) *local.Server {
	t.Helper()
	paths := host.At(t.TempDir())
	must(t, os.MkdirAll(paths.Lib, 0o700))
	store, err := state.Create(t.Context(), paths.State)
	must(t, err)
	t.Cleanup(func() { store.Close() })
	id := &cluster.Identity{Role: cluster.RoleNode, ClusterName: "shop", NodeID: "n1", Name: "web1"}
	must(t, store.SetIdentity(t.Context(), id))
	return &local.Server{Paths: paths, Store: store, Identity: id}
}

// keepsCopies has the node begun with copies of backups, of which it has one.
func keepsCopies(t *testing.T, s *local.Server) {
	t.Helper()
	item, err := backup.Copy{Keep: 7}.Item()
	must(t, err)
	must(t, s.Store.Profile().Receive(t.Context(), profile.Document{Items: []profile.Item{item}}.Revision()))
	must(t, s.Store.Profile().Begin(t.Context(), item))
	must(t, os.Mkdir(s.Backups, 0o700))
	must(t, os.WriteFile(filepath.Join(s.Backups, "iwx-shop-20261123T000000Z.backup"), nil, 0o600))
}

func begun(t *testing.T, s *local.Server) int {
	t.Helper()
	saved, err := s.Store.Profile().Load(t.Context())
	must(t, err)
	return len(saved.Begun)
}

func TestTakeBack(t *testing.T) {
	s := newNode(t)
	must(t, upkeep.TakeBack(t.Context(), s, time.Now)) // of nothing
	keepsCopies(t, s)
	must(t, upkeep.TakeBack(t.Context(), s, time.Now))
	if _, err := os.Lstat(s.Backups); !errors.Is(err, os.ErrNotExist) || begun(t, s) > 0 {
		t.Errorf("the copies are still there: %v, %d begun", err, begun(t, s))
	}
}

// TestTakeBackFails holds that what cannot be taken back is named and not
// forgotten.
func TestTakeBackFails(t *testing.T) {
	s := newNode(t)
	keepsCopies(t, s)
	must(t, os.Rename(s.Backups, s.Backups+".old"))
	must(t, os.WriteFile(s.Backups, nil, 0o600))
	err := upkeep.TakeBack(t.Context(), s, time.Now)
	want := "backup daily cannot be taken back: " + s.Backups + ": not a directory"
	if err == nil || err.Error() != want || fault.CodeOf(err) != fault.Unhealthy || begun(t, s) != 1 {
		t.Errorf("got %v, %d begun", err, begun(t, s))
	}
	must(t, os.Remove(s.Backups))
	must(t, upkeep.TakeBack(t.Context(), s, time.Now))
}

// TestTurns holds that two convergers of a server, as the daemon and a tool
// are, do not work at the same time.
func TestTurns(t *testing.T) {
	s := newNode(t)
	daemon := upkeep.Converger(s, time.Now, slog.New(slog.DiscardHandler))
	tool := upkeep.Converger(s, time.Now, slog.New(slog.DiscardHandler))
	unlock, err := daemon.Lock(t.Context())
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := tool.Converge(ctx, profile.Document{}.Revision()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("beside another: %v", err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := tool.Converge(t.Context(), profile.Document{}.Revision())
		done <- err
	}()
	unlock()
	select {
	case err := <-done:
		must(t, err)
	case <-time.After(testenv.Wait()):
		t.Error("its turn does not come")
	}
}

// TestDesired: a node goes by what it received.
func TestDesired(t *testing.T) {
	s := newNode(t)
	if rev, err := upkeep.Desired(t.Context(), s); err != nil || rev.Version != "" {
		t.Errorf("%+v, %v", rev, err)
	}
	keepsCopies(t, s)
	rev, err := upkeep.Desired(t.Context(), s)
	if err != nil || len(rev.Items) != 1 || rev.Version != rev.Document.Version() {
		t.Errorf("%+v, %v", rev, err)
	}
}

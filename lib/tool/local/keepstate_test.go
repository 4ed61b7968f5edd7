package local_test

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"iwx/lib/cluster"
	"iwx/lib/state"
	"iwx/lib/tool/local"
)

// TestKeepStateRescues: both daemons of a manager end when the state has lost its name,
// and one of them saves it.
func TestKeepStateRescues(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	open := func(by func() (*state.Store, error)) *local.Server {
		s, err := by()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return &local.Server{Store: s}
	}
	queued := open(func() (*state.Store, error) { return state.Create(t.Context(), path) })
	if err := queued.Store.SetIdentity(t.Context(), &cluster.Identity{Role: cluster.RoleManager, ClusterID: "00c1"}); err != nil {
		t.Fatal(err)
	}
	balancing := open(func() (*state.Store, error) { return state.Open(t.Context(), path) })
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	for i, daemon := range []*local.Server{queued, balancing} {
		var log bytes.Buffer
		err := daemon.KeepState(t.Context(), slog.New(slog.NewTextHandler(&log, nil)), func() time.Time { return time.Unix(0, 0) }, i == 0)
		if err == nil || !strings.Contains(err.Error(), "state.db was removed") {
			t.Errorf("it ends with %v", err)
		}
		if saved := strings.Contains(log.String(), "saved a copy of the lost state"); saved != (i == 0) || strings.Contains(log.String(), "level=ERROR") {
			t.Errorf("daemon %d: %s", i, log.String())
		}
	}
	saved, err := state.Open(t.Context(), path+".lost-19700101T000000Z")
	if err != nil {
		t.Fatal(err)
	}
	defer saved.Close()
	if id, err := saved.Identity(t.Context()); err != nil || id.ClusterID != "00c1" {
		t.Errorf("saved: %+v, %v", id, err)
	}
}

package nfs

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"iwx/lib/testenv"
)

const oneMount = "91 90 0:41 / /srv/iwx rw - nfs4 192.0.2.10:/srv/iwx rw\n"

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestHealth(t *testing.T) {
	mount := Mount{Path: "/srv/iwx", Source: "192.0.2.10:/srv/iwx"}
	tests := []struct {
		name, info string
		probe      func(context.Context, string) error
		word, text string
	}{
		{"answers", oneMount, func(context.Context, string) error { return nil }, Healthy, ""},
		{"does not answer", oneMount, func(ctx context.Context, _ string) error { <-ctx.Done(); return ctx.Err() }, Hung, ""},
		{"stale", oneMount, func(context.Context, string) error { return errors.New("Stale file handle") }, Missing, "Stale file handle"},
		{"not mounted", "", nil, Missing, "it is not mounted"},
		{"automount alone", "90 1 0:40 / /srv/iwx rw - autofs systemd-1 rw\n", nil, Missing, "it is not mounted"},
		{"another", "91 1 0:41 / /srv/iwx rw - nfs4 other:/a rw\n", nil, Missing, "other:/a is mounted instead"},
	}
	for _, tt := range tests {
		p := &Prober{Mountinfo: write(t, "mountinfo", tt.info), Probe: tt.probe, Limit: 20 * time.Millisecond, Now: func() time.Time { return time.UnixMilli(7) }}
		got := p.Look(t.Context(), []Mount{mount})
		if len(got) != 1 || got[0] != (Health{Path: "/srv/iwx", Word: tt.word, Error: tt.text, Since: 7}) {
			t.Errorf("%s: %+v", tt.name, got)
		}
	}
}

// TestUnkillable holds that a probe which cannot be killed is not followed by
// another one of the same mount, and that the mount is healthy when it is over.
func TestUnkillable(t *testing.T) {
	release := make(chan struct{})
	var started atomic.Int32
	now := time.UnixMilli(1)
	p := &Prober{
		Mountinfo: write(t, "mountinfo", oneMount), Limit: 10 * time.Millisecond, Now: func() time.Time { return now },
		Probe: func(context.Context, string) error { started.Add(1); <-release; return nil },
	}
	mounts := []Mount{{Path: "/srv/iwx", Source: "192.0.2.10:/srv/iwx"}}
	for i := range 3 {
		now = time.UnixMilli(int64(10 + i))
		if got := p.Look(t.Context(), mounts); got[0].Word != Hung || got[0].Since != 10 {
			t.Errorf("got %+v", got)
		}
	}
	if started.Load() != 1 {
		t.Errorf("%d probes", started.Load())
	}
	close(release)
	testenv.Until(t, "healthy again", func() bool { return p.Look(t.Context(), mounts)[0].Word == Healthy })
}

func TestStatfs(t *testing.T) {
	if err := Statfs(t.Context(), t.TempDir()); err != nil {
		t.Error(err)
	}
	if err := Statfs(t.Context(), filepath.Join(t.TempDir(), "none")); err == nil || errors.As(err, new(*os.PathError)) {
		t.Errorf("a path that is not there: %v", err)
	}
}

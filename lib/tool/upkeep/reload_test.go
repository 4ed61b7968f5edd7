package upkeep

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"iwx/lib/cluster"
	"iwx/lib/host"
	"iwx/lib/state"
	"iwx/lib/tool/local"
)

// reloads are those of a manager whose web server does not run: it takes what there
// is when it starts.
func reloads(t *testing.T, interval time.Duration) Reloads {
	t.Helper()
	paths := host.At(t.TempDir())
	for _, dir := range []string{paths.Lib, filepath.Join(paths.Root, "etc/apache2")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(paths.Root, "etc/apache2/apache2.conf"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	store, err := state.Create(t.Context(), paths.State)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	s := &local.Server{Paths: paths, Store: store, Identity: &cluster.Identity{Role: cluster.RoleManager}}
	s.Config.Site.ReloadInterval = interval
	r, err := NewReloads(t.Context(), s, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// change makes a change, and reports whether PayDue has paid for it.
func (r Reloads) change(t *testing.T) (paid bool) {
	t.Helper()
	if err := errors.Join(r.Owe(t.Context(), "apache2"), r.PayDue(t.Context())); err != nil {
		t.Fatal(err)
	}
	return !r.owes(t)
}

func (r Reloads) owes(t *testing.T) bool {
	t.Helper()
	is, err := r.Server.Store.Reload(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return !is.Owed.IsZero()
}

// TestReloadsKeepApart holds that a change is taken at once after a quiet time, and
// one within the interval at its end, by whoever waits for it.
func TestReloadsKeepApart(t *testing.T) {
	for name, wait := range map[string]func(Reloads, context.Context, time.Time) error{
		"with the lock":    func(r Reloads, ctx context.Context, _ time.Time) error { return r.PayInTime(ctx) },
		"without the lock": func(r Reloads, ctx context.Context, made time.Time) error { return r.Await(ctx, made) },
	} {
		t.Run(name, func(t *testing.T) {
			r := reloads(t, time.Hour)
			if !r.change(t) {
				t.Fatal("the first change was not taken at once")
			}
			made := time.Now()
			if r.change(t) {
				t.Fatal("the second change was taken within the interval")
			}
			limited, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
			defer cancel()
			if err := wait(r, limited, made); !errors.Is(err, context.DeadlineExceeded) || !r.owes(t) {
				t.Fatalf("%v: it did not wait", err)
			}
			is, err := r.Server.Store.Reload(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			r.Interval = time.Since(is.Last) + 50*time.Millisecond
			if err := wait(r, t.Context(), made); err != nil || r.owes(t) {
				t.Fatalf("%v: it is owed still", err)
			}
			if since := time.Since(is.Last); since < r.Interval {
				t.Errorf("reloaded after %s of %s", since, r.Interval)
			}
			if err := wait(r, t.Context(), made); err != nil { // nothing is owed
				t.Error(err)
			}
		})
	}
}

// TestAwaitOfOthers holds that who waits is done when others have had the web
// server take the change, and does not wait for what came after it.
func TestAwaitOfOthers(t *testing.T) {
	r := reloads(t, time.Hour)
	made := time.Now().Add(-time.Second)
	if !r.change(t) || r.change(t) {
		t.Fatal("not as it was to begin with")
	}
	if err := r.Await(t.Context(), made); err != nil || !r.owes(t) {
		t.Errorf("%v", err)
	}
}

// TestPay holds that what cannot wait does not, and that it counts for the interval.
func TestPay(t *testing.T) {
	r := reloads(t, time.Hour)
	if r.change(t); r.change(t) {
		t.Fatal("not as it was to begin with")
	}
	if err := r.Pay(t.Context()); err != nil || r.owes(t) {
		t.Errorf("%v", err)
	}
	if r.change(t) {
		t.Error("the reload does not count")
	}
	r.Interval = 0
	if !r.change(t) {
		t.Error("without an interval it was not taken at once")
	}
}

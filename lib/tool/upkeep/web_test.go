package upkeep

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"iwx/lib/daemon"
	"iwx/lib/host"
	"iwx/lib/profile"
	"iwx/lib/state"
	"iwx/lib/tool/local"
)

// TestOwedReload holds that a reload that nobody comes to do is done, once, and
// not before its time: when others have had theirs, and the interval is over that
// the manager says.
func TestOwedReload(t *testing.T) {
	paths := host.At(t.TempDir())
	for _, dir := range []string{paths.Lib, filepath.Join(paths.Root, "etc/apache2"), filepath.Join(paths.Root, "run/apache2")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	store, err := state.Create(t.Context(), paths.State)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	web := exec.Command("sleep", "60") // what a signal ends
	if err := web.Start(); err != nil {
		t.Fatal(err)
	}
	defer web.Process.Kill()
	for name, text := range map[string]string{"etc/apache2/apache2.conf": "", "run/apache2/apache2.pid": strconv.Itoa(web.Process.Pid)} {
		if err := os.WriteFile(filepath.Join(paths.Root, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	now := time.UnixMilli(1000)
	r := reloader{Reloads{Server: &local.Server{Paths: paths, Store: store}, Now: func() time.Time { return now }}}
	const interval = time.Minute
	item := profile.Item{Kind: KindWeb, Name: "sites", Spec: []byte(`{"interval":60000000000}`)}
	checks := func(want string) {
		t.Helper()
		if change, err := r.Check(t.Context(), item); change != want || err != nil {
			t.Fatalf("%q, %v; want %q", change, err, want)
		}
	}
	owes := func() {
		t.Helper()
		if err := r.Owe(t.Context(), "apache2"); err != nil {
			t.Fatal(err)
		}
	}
	checks("")
	owes()
	now = now.Add(leftFor - time.Millisecond)
	checks("")
	now = now.Add(time.Millisecond)
	busy, err := daemon.WaitLock(t.Context(), paths.SiteLock, time.Minute, "changing sites")
	if err != nil {
		t.Fatal(err)
	}
	checks("") // who changes sites does it, or leaves it when he is done
	busy.Close()
	checks("reload apache2")
	if err := store.Reloaded(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	owes()
	now = now.Add(interval - time.Millisecond)
	checks("")
	if err := r.Apply(t.Context(), item); err != nil {
		t.Fatal(err)
	}
	if is, err := store.Reload(t.Context()); err != nil || is.Owed.IsZero() {
		t.Fatalf("reloaded within the interval: %+v, %v", is, err)
	}
	now = now.Add(time.Millisecond)
	checks("reload apache2")
	for range 2 { // the second time is nothing
		if err := r.Apply(t.Context(), item); err != nil {
			t.Fatal(err)
		}
		checks("")
	}
	var exit *exec.ExitError
	if err := web.Wait(); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGUSR1 {
		t.Errorf("the web server was not told: %v", err)
	}
}

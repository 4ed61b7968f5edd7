package upkeep

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"iwx/lib/cluster"
	"iwx/lib/daemon"
	"iwx/lib/host"
	"iwx/lib/profile"
	"iwx/lib/state"
	"iwx/lib/testenv"
	"iwx/lib/tool/local"
)

// limited is the limiter of a manager whose web server does not run: it loads what there
// is when it starts. Its reloads succeed until fail is called.
type limited struct {
	*testing.T
	ReloadLimiter
}

func newLimited(t *testing.T, interval time.Duration) *limited {
	t.Helper()
	paths := host.At(t.TempDir())
	for _, dir := range []string{paths.Lib, paths.Reloads, filepath.Join(paths.Root, "etc/apache2"), filepath.Join(paths.Root, "run/apache2")} {
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
	return &limited{t, ReloadLimiter{Server: s, Now: time.Now}}
}

// fail has reloads fail from now on, or no more.
func (l *limited) fail(fail bool) {
	l.Helper()
	text := ""
	if fail {
		text = "no process id"
	}
	if err := os.WriteFile(filepath.Join(l.Server.Root, "run/apache2/apache2.pid"), []byte(text), 0o600); err != nil {
		l.Fatal(err)
	}
}

// change requests a reload, and returns the number of the request.
func (l *limited) change(urgent bool) uint64 {
	l.Helper()
	request, err := l.Change(l.Context(), "apache2", urgent, func() error { return nil })
	if err != nil {
		l.Fatal(err)
	}
	return request
}

// waits waits for a request, and reports how the reload stands then.
func (l *limited) waits(request uint64, patient bool) *state.Reload {
	l.Helper()
	ctx, cancel := context.WithTimeout(l.Context(), testenv.Wait())
	defer cancel()
	if err := l.Wait(ctx, "apache2", request, patient); err != nil {
		l.Fatal(err)
	}
	return l.is()
}

func (l *limited) is() *state.Reload {
	l.Helper()
	is, err := l.Server.Store.Reload(l.Context(), KindWeb, "apache2")
	if err != nil {
		l.Fatal(err)
	}
	return &is
}

// due does what the daemon does.
func (l *limited) due() (tried []state.Reload) {
	l.Helper()
	if _, err := l.ReloadDue(l.Context(), func(r state.Reload) { tried = append(tried, r) }); err != nil {
		l.Fatal(err)
	}
	return tried
}

// TestReloadsKeepApart: without a daemon, a change is loaded at once after a quiet time,
// and one within the interval at its end, by the tool that waits for it. An urgent one is
// loaded at once.
func TestReloadsKeepApart(t *testing.T) {
	l := newLimited(t, time.Hour)
	first := l.change(false)
	if is := l.waits(first, false); is.Loaded != first {
		t.Fatalf("the first change was not loaded at once: %+v", is)
	}
	second := l.change(false)
	if is := l.waits(second, false); is.Loaded != first {
		t.Fatalf("the second change was loaded within the interval: %+v", is)
	}
	short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := l.Wait(short, "apache2", second, true); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("%v: it did not wait", err)
	}
	if is := l.waits(first, true); is.Loaded != first {
		t.Fatalf("waited for the change of somebody else: %+v", is)
	}
	before := l.is()
	l.Server.Config.Site.ReloadInterval = time.Since(before.Last) + 50*time.Millisecond
	if is := l.waits(second, true); is.Loaded != second || is.Last.Sub(before.Last) < l.Server.Config.Site.ReloadInterval.Truncate(time.Millisecond) {
		t.Errorf("reloaded at %s, after %s: %+v", is.Last, before.Last, is)
	}
	l.Server.Config.Site.ReloadInterval = time.Hour
	urgent := l.change(true)
	if is := l.waits(urgent, false); is.Loaded != urgent {
		t.Errorf("an urgent change was not loaded at once: %+v", is)
	}
	if is := l.waits(l.change(false), false); is.Loaded != urgent {
		t.Errorf("what follows an urgent change was urgent too: %+v", is)
	}
	l.Server.Config.Site.ReloadInterval = 0
	if is := l.waits(l.change(false), false); is.Pending() {
		t.Errorf("without an interval it was not loaded at once: %+v", is)
	}
}

// TestDaemonReloads: where the daemon listens, it alone reloads, not before its time, and
// once for all requests. What a tool that was killed has requested is reloaded too.
func TestDaemonReloads(t *testing.T) {
	l := newLimited(t, time.Hour)
	now := time.UnixMilli(1000)
	l.Now = func() time.Time { return now }
	waker, err := daemon.Listen(l.Server.Reloads)
	if err != nil {
		t.Fatal(err)
	}
	defer waker.Close()
	if tried := l.due(); tried != nil {
		t.Fatalf("reloaded without a request: %+v", tried)
	}
	request := l.change(false)
	select {
	case <-waker.C:
	case <-time.After(testenv.Wait()):
		t.Fatal("the daemon was not woken")
	}
	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := l.Wait(short, "apache2", request, false); !errors.Is(err, context.DeadlineExceeded) || l.is().Tried != 0 {
		t.Fatalf("the tool did not leave the reload to the daemon: %v", err)
	}
	last := l.change(false)
	if tried := l.due(); len(tried) != 1 || tried[0].Loaded != last {
		t.Fatalf("%+v", tried)
	}
	if is := l.waits(request, true); is.Loaded != last {
		t.Errorf("%+v", is)
	}
	for range 2 { // another process did it between this one's look and its lock
		stale := state.Reload{Kind: KindWeb, Name: "apache2", Requested: last}
		if did, err := l.reload(t.Context(), &stale); did || err != nil || stale.Last.IsZero() {
			t.Errorf("reloaded again: %+v, %v", stale, err)
		}
		l.change(false)
	}
	now = now.Add(time.Hour - time.Millisecond)
	if tried := l.due(); tried != nil {
		t.Errorf("reloaded within the interval: %+v", tried)
	}
	now = now.Add(time.Millisecond)
	if tried := l.due(); len(tried) != 1 || tried[0].Pending() {
		t.Errorf("not reloaded at the end of the interval: %+v", tried)
	}
	if tried := l.due(); tried != nil {
		t.Errorf("reloaded twice: %+v", tried)
	}

	// The program is gone, and another one has its place.
	if _, err := l.Server.Store.RequestReload(t.Context(), KindWeb, "nginx", false); err != nil {
		t.Fatal(err)
	}
	if tried := l.due(); len(tried) != 1 || tried[0].Name != "nginx" || tried[0].Pending() {
		t.Errorf("%+v", tried)
	}
}

// TestReloadThatFails: who waits gets the error, the profile reports it, and the reload
// is tried again, when it is requested or after a while.
func TestReloadThatFails(t *testing.T) {
	l := newLimited(t, time.Second)
	now := time.UnixMilli(1000)
	l.Now = func() time.Time { return now }
	l.fail(true)
	request := l.change(false)
	const text = `holds "no process id" instead of a process id`
	for range 2 { // it is not tried again for who comes later
		if err := l.Wait(t.Context(), "apache2", request, true); err == nil || !strings.Contains(err.Error(), text) {
			t.Fatalf("%v", err)
		}
	}
	check := func(want string) {
		t.Helper()
		if change, err := l.Check(t.Context(), profile.Item{}); change != "" || (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q, %v; want %q", change, err, want)
		}
	}
	check(text)
	now = now.Add(10 * time.Second)
	if tried := l.due(); tried != nil {
		t.Errorf("tried again at once: %+v", tried)
	}
	now = now.Add(20 * time.Second)
	if tried := l.due(); len(tried) != 1 || !tried[0].Pending() {
		t.Errorf("not tried again: %+v", tried)
	}
	now = now.Add(time.Second)
	l.fail(false)
	l.waits(l.change(false), true)
	check("")
}

// TestFinish: nothing stays pending, whether it waits for the interval or not, and what
// has failed is tried again.
func TestFinish(t *testing.T) {
	l := newLimited(t, time.Hour)
	if err := l.Finish(t.Context(), true); err != nil || l.is().Requested != 0 {
		t.Errorf("%v, %+v", err, l.is())
	}
	l.fail(true)
	if err := l.Wait(t.Context(), "apache2", l.change(false), true); err == nil {
		t.Error("the reload did not fail")
	}
	if err := l.Remove(t.Context(), profile.Item{}); err == nil {
		t.Error("the reload did not fail again")
	}
	l.fail(false)
	if err := l.Remove(t.Context(), profile.Item{}); err != nil || l.is().Pending() {
		t.Errorf("%v, %+v", err, l.is())
	}
	l.change(false)
	l.Server.Config.Site.ReloadInterval = 10 * time.Millisecond
	if err := l.Finish(t.Context(), false); err != nil || l.is().Pending() {
		t.Errorf("%v, %+v", err, l.is())
	}
}

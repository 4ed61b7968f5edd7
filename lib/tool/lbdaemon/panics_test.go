package lbdaemon

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"iwx/lib/atomicfile"
	"iwx/lib/cli"
	"iwx/lib/cluster"
	"iwx/lib/conf"
	"iwx/lib/control"
	"iwx/lib/daemon"
	"iwx/lib/fault"
	"iwx/lib/health"
	"iwx/lib/host"
	"iwx/lib/lb"
	"iwx/lib/panics"
	"iwx/lib/state"
	"iwx/lib/tool/local"
)

// server returns the server of a manager that balances a service of its own, and
// the context of its daemon, which ends with the returned function.
func server(t *testing.T, log *bytes.Buffer) (*cli.Context, *local.Server, context.CancelFunc) {
	t.Helper()
	root, err := os.MkdirTemp("", "lb") // the name of a socket must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	paths := host.At(root)
	if err := atomicfile.MkdirAll(paths.Lib, 0o700); err != nil {
		t.Fatal(err)
	}
	store, err := state.Create(t.Context(), paths.State)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	id := &cluster.Identity{Role: cluster.RoleManager, ClusterName: "shop", Name: "mgr", Address: netip.MustParseAddr("127.0.0.2"), Manager: netip.MustParseAddrPort("127.0.0.1:2480")}
	if err := store.SetIdentity(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	c := &cli.Context{Context: ctx, Tool: "iwx-lb", Root: root, Stderr: log, Now: time.Now, Getenv: func(string) string { return "" }}
	return c, &local.Server{Paths: paths, Config: conf.Default(), Store: store, Identity: id}, cancel
}

// TestDaemonOutlivesPanics: after a panic in any work the daemon goes on and has
// counted it, and its file keeps the count after its end.
func TestDaemonOutlivesPanics(t *testing.T) {
	var log bytes.Buffer
	c, s, cancel := server(t, &log)
	defer cancel()
	b, err := begin(c, s)
	if err != nil {
		t.Fatal(err)
	}
	b.wanted.Store(&wanted{})
	asked := make(chan struct{}, 100)
	b.checker.Probe = func(context.Context, health.Target) health.Result {
		asked <- struct{}{}
		panic("no such answer")
	}
	b.checker.Set([]health.Target{{ID: "a", Host: "web1", Name: "web1 http", Addr: netip.MustParseAddrPort("192.0.2.1:80"), Check: health.Defaults(health.HTTP)}}, nil)
	b.reconciler = lb.NewReconciler(nil, func() lb.View { panic("no such view") }, c.Now, b.log)
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- daemon.Run(c, b.log,
			daemon.Member{Name: "check", Run: b.checker.Run},
			daemon.Member{Name: "reconcile", Run: b.reconcile},
			daemon.Member{Name: "control", Run: func(ctx context.Context) error {
				return control.Serve(ctx, s.Balance, b, b.log, func() { close(ready) })
			}},
		)
	}()
	<-ready
	for range 3 {
		select {
		case <-asked:
		case <-time.After(30 * time.Second):
			t.Fatal("it probes no more")
		}
	}
	if _, err := control.Status(c, s.Balance); err == nil {
		t.Error("it answers")
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	b.end()
	list, err := panics.Read(s.Panics)
	if err != nil || len(list) != 1 || list[0].Daemon != "iwx-lb" || list[0].Panics < 5 {
		t.Errorf("counted %+v, %v", list, err)
	}
	// The request panicked at the same place as the pass, and is counted alone.
	for _, work := range []string{`work="probe of web1 http"`, `work="pass of the engine"`} {
		if !strings.Contains(log.String(), work) {
			t.Errorf("%s is not in the log:\n%s", work, log.String())
		}
	}
}

// TestFencedDaemon: on a manager that was replaced by another, the daemon ends from
// its first moment on with the code that prevents a restart.
func TestFencedDaemon(t *testing.T) {
	var log bytes.Buffer
	c, s, cancel := server(t, &log)
	defer cancel()
	if err := s.Store.SaveFence(c, cluster.Fence{Own: 1, Epoch: 2, Node: "web1", At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if err := Run(c, s); fault.CodeOf(err) != fault.Unhealthy {
		t.Errorf("%v, code %d", err, fault.CodeOf(err))
	}
}

// TestStartThatPanics: the daemon ends as after any failure; the stack is in the
// log, and the panic is counted.
func TestStartThatPanics(t *testing.T) {
	var log bytes.Buffer
	c, s, cancel := server(t, &log)
	defer cancel()
	s.Store.Close()
	s.Store = nil // the first thing that the daemon needs
	err := Run(c, s)
	if caught := (*panics.Panic)(nil); !errors.As(err, &caught) || fault.CodeOf(err) != fault.Failed {
		t.Errorf("%v, code %d", err, fault.CodeOf(err))
	}
	if list, err := panics.Read(s.Panics); err != nil || len(list) != 1 || list[0].Panics != 1 {
		t.Errorf("counted %+v, %v", list, err)
	}
}

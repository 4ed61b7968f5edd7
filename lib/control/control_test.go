package control

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"iwx/lib/fault"
	"iwx/lib/health"
	"iwx/lib/lb"
)

// notes is a daemon that writes down what it is told.
type notes struct {
	report lb.Report
	heard  chan Pulse
}

func (n *notes) Report(context.Context) lb.Report { return n.report }
func (n *notes) Hear(server string, p health.Pulse) {
	n.heard <- Pulse{server, p}
}

// serve has the notes answer in dir until the returned function is called.
func serve(t *testing.T, dir string, n *notes) (end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- Serve(ctx, dir, n, slog.New(slog.DiscardHandler), func() { close(ready) }) }()
	select {
	case <-ready:
	case err := <-done:
		t.Fatal(err)
	}
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestControl(t *testing.T) {
	long := filepath.Join(t.TempDir(), strings.Repeat("d", 100))
	for _, dir := range []string{t.TempDir(), long} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		n := &notes{heard: make(chan Pulse, 1), report: lb.Report{
			Engine: "ipvs", At: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Error: "no memory", Pending: []string{"add"},
			Services: []lb.ServiceReport{{
				Policy:  lb.NewPolicy(lb.Services()[0], netip.MustParseAddr("192.0.2.10")),
				Members: []lb.MemberReport{{Server: "id", Addr: netip.MustParseAddrPort("10.0.0.1:80"), In: true, Active: 3}},
			}},
		}}
		end := serve(t, dir, n)
		if info, err := os.Stat(filepath.Join(dir, socketName)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v %v", info, err)
		}
		if got, err := Status(t.Context(), dir); err != nil || !reflect.DeepEqual(got, n.report) {
			t.Errorf("got %+v, %v", got, err)
		}
		said := Pulse{"id", health.Pulse{Listening: []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:80")}}}
		if err := Tell(t.Context(), dir, said); err != nil {
			t.Fatal(err)
		}
		if got := <-n.heard; !reflect.DeepEqual(got, said) {
			t.Errorf("received %+v", got)
		}
		end()
		if _, err := Status(t.Context(), dir); fault.CodeOf(err) != fault.Busy || err.Error() != "ask iwx-lb daemon: it does not run" {
			t.Errorf("after its end: %v", err)
		}
		serve(t, dir, n)()
	}
	if err := Tell(t.Context(), filepath.Join(long, "none"), Pulse{}); fault.CodeOf(err) != fault.Busy {
		t.Error(err)
	}
}

func TestBadRequests(t *testing.T) {
	dir := t.TempDir()
	defer serve(t, dir, &notes{})()
	if _, err := ask(t.Context(), dir, "POST", pathPulse, []byte(`{"server": 7}`)); err == nil || !strings.HasPrefix(err.Error(), "pulse: json:") {
		t.Error(err)
	}
	if _, err := ask(t.Context(), dir, "GET", "/", nil); err == nil || err.Error() != "404 page not found" {
		t.Error(err)
	}
	if _, err := ask(t.Context(), dir, "POST", pathPulse, []byte(strings.Repeat(" ", mostBody+1))); err == nil || !strings.Contains(err.Error(), "too large") {
		t.Error(err)
	}
}

// A daemon that accepts and does not answer is one that runs.
func TestSilentDaemon(t *testing.T) {
	dir := t.TempDir()
	l, err := net.Listen("unix", filepath.Join(dir, socketName))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := Status(ctx, dir); err == nil || fault.CodeOf(err) == fault.Busy {
		t.Error(err)
	}
}

// broken is a daemon whose verbs panic.
type broken struct{}

func (broken) Report(context.Context) lb.Report { panic("no such report") }
func (broken) Hear(string, health.Pulse)        { panic("no such server") }

// TestVerbThatPanics: the client gets an error, the log has the stack, and the
// socket goes on.
func TestVerbThatPanics(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	ready, done := make(chan struct{}), make(chan error, 1)
	var log bytes.Buffer
	go func() {
		done <- Serve(ctx, dir, broken{}, slog.New(slog.NewTextHandler(&log, nil)), func() { close(ready) })
	}()
	<-ready
	for range 2 {
		if report, err := Status(ctx, dir); err == nil {
			t.Errorf("it answers %+v", report)
		}
		if err := Tell(ctx, dir, Pulse{Server: "id"}); err == nil {
			t.Error("it was told")
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	for _, part := range []string{`work="request GET \"/status\""`, "no such report", `work="request POST \"/pulse\""`, "no such server", "control.broken.Hear ("} {
		if !strings.Contains(log.String(), part) {
			t.Errorf("%q is missing in %s", part, log.String())
		}
	}
}

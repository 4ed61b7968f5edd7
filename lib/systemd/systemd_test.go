package systemd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/coreos/go-systemd/v22/dbus"
	godbus "github.com/godbus/dbus/v5"

	"iwx/lib/fault"
	"iwx/lib/host"
)

// recorder stands in for systemd: it notes the calls and answers every job with
// the result set for its unit, "done" if there is none, never for "hang".
type recorder struct {
	manager
	calls   []string
	results map[string]string
	refuse  string // the call to refuse
}

var errRefused = errors.New("access denied")

func (r *recorder) note(call string, units ...string) error {
	r.calls = append(r.calls, strings.TrimSpace(call+" "+strings.Join(units, " ")))
	if call == r.refuse {
		return errRefused
	}
	return nil
}

func (r *recorder) job(call, unit string, ch chan<- string) (int, error) {
	if err := r.note(call, unit); err != nil {
		return 0, err
	}
	switch result := r.results[unit]; result {
	case "hang":
	case "":
		ch <- "done"
	default:
		ch <- result
	}
	return 1, nil
}

func (r *recorder) EnableUnitFilesContext(_ context.Context, files []string, _, _ bool) (bool, []dbus.EnableUnitFileChange, error) {
	return true, nil, r.note("enable", files...)
}

func (r *recorder) DisableUnitFilesContext(_ context.Context, files []string, _ bool) ([]dbus.DisableUnitFileChange, error) {
	return nil, r.note("disable", files...)
}

func (r *recorder) ReloadContext(context.Context) error { return r.note("daemon-reload") }

func (r *recorder) StartUnitContext(_ context.Context, unit, _ string, ch chan<- string) (int, error) {
	return r.job("start", unit, ch)
}

func (r *recorder) StopUnitContext(_ context.Context, unit, _ string, ch chan<- string) (int, error) {
	return r.job("stop", unit, ch)
}

func (r *recorder) RestartUnitContext(_ context.Context, unit, _ string, ch chan<- string) (int, error) {
	return r.job("restart", unit, ch)
}

func (r *recorder) GetUnitPropertyContext(_ context.Context, unit, property string) (*dbus.Property, error) {
	value := "loaded"
	if strings.HasPrefix(unit, "no-") {
		value = "not-found"
	}
	p := dbus.PropDescription(value)
	return &p, r.note("get "+property, unit)
}

func (r *recorder) GetServicePropertyContext(_ context.Context, unit, property string) (*dbus.Property, error) {
	pid := uint32(42)
	if strings.HasPrefix(unit, "no-") {
		pid = 0
	}
	return &dbus.Property{Name: property, Value: godbus.MakeVariant(pid)}, r.note("get "+property, unit)
}

func (r *recorder) KillUnitWithTarget(_ context.Context, unit string, target dbus.Who, signal int32) error {
	return r.note(fmt.Sprintf("kill %s of %d", target, signal), unit)
}

// TestMainPID: a service without a process has none, which is not process 0.
func TestMainPID(t *testing.T) {
	c := &Conn{bus: &recorder{}}
	if pid, err := c.MainPID(t.Context(), "a.service"); pid != 42 || err != nil {
		t.Errorf("%d, %v", pid, err)
	}
	if pid, err := c.MainPID(t.Context(), "no-a.service"); err == nil {
		t.Errorf("%d", pid)
	}
}

func TestCalls(t *testing.T) {
	enable := func(c *Conn) error { return c.EnableNow(t.Context(), "a.service", "b.service") }
	disable := func(c *Conn) error { return c.DisableNow(t.Context(), "a.service", "no-b.service", "c.service") }
	tests := []struct {
		name    string
		do      func(*Conn) error
		results map[string]string
		refuse  string
		calls   []string
		want    string // in the error
	}{
		{"enable", enable, nil, "", []string{"enable a.service b.service", "daemon-reload", "start a.service", "start b.service"}, ""},
		{"enable, first fails", enable, map[string]string{"a.service": "failed"}, "",
			[]string{"enable a.service b.service", "daemon-reload", "start a.service"}, "start a.service: job failed"},
		{"enable refused", enable, nil, "enable", []string{"enable a.service b.service"}, "access denied"},
		{"start refused", enable, nil, "start", []string{"enable a.service b.service", "daemon-reload", "start a.service"}, "access denied"},
		{"start skipped by a condition", enable, map[string]string{"a.service": "skipped"}, "",
			[]string{"enable a.service b.service", "daemon-reload", "start a.service", "start b.service"}, ""},
		{"disable", disable, nil, "", []string{"get LoadState a.service", "stop a.service", "get LoadState no-b.service",
			"get LoadState c.service", "stop c.service", "disable a.service c.service", "daemon-reload"}, ""},
		{"disable goes on", disable, map[string]string{"a.service": "timeout"}, "", []string{"get LoadState a.service", "stop a.service",
			"get LoadState no-b.service", "get LoadState c.service", "stop c.service", "disable a.service c.service", "daemon-reload"},
			"stop a.service: job timeout"},
		{"enable, first cancelled", enable, map[string]string{"a.service": "canceled"}, "",
			[]string{"enable a.service b.service", "daemon-reload", "start a.service"}, "start a.service: job canceled"},
		{"restart", func(c *Conn) error { return c.Restart(t.Context(), "a.service") }, nil, "", []string{"restart a.service"}, ""},
		{"restart fails", func(c *Conn) error { return c.Restart(t.Context(), "a.service") }, map[string]string{"a.service": "failed"}, "",
			[]string{"restart a.service"}, "restart a.service: job failed"},
		{"kill", func(c *Conn) error { return c.Kill(t.Context(), "a.service") }, nil, "", []string{"kill all of 9 a.service"}, ""},
		{"kill what is not there", func(c *Conn) error { return c.Kill(t.Context(), "a.service") }, nil, "kill all of 9",
			[]string{"kill all of 9 a.service"}, "kill a.service: "},
		{"disable nothing", func(c *Conn) error { return c.DisableNow(t.Context(), "no-a.service") }, nil, "",
			[]string{"get LoadState no-a.service"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := &recorder{results: tt.results, refuse: tt.refuse}
			err := tt.do(&Conn{bus: r})
			if !slices.Equal(r.calls, tt.calls) {
				t.Errorf("calls %q, want %q", r.calls, tt.calls)
			}
			if (tt.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want …%s…", err, tt.want)
			}
		})
	}
}

func TestFailedJobPointsToTheJournal(t *testing.T) {
	c := &Conn{bus: &recorder{results: map[string]string{"a.service": "failed"}}}
	if hint := fault.HintOf(c.EnableNow(t.Context(), "a.service")); hint != "journalctl -u a.service" {
		t.Errorf("hint %q", hint)
	}
}

func TestJobHasADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &Conn{bus: &recorder{results: map[string]string{"a.service": "hang"}}}
		err := c.EnableNow(t.Context(), "a.service")
		if fault.CodeOf(err) != fault.TimedOut || !strings.Contains(err.Error(), "goes on") {
			t.Errorf("%v", err)
		}
	})
}

// TestConnect: where systemd is not PID 1 the error says so; where it is, a unit
// that every system has is active.
func TestConnect(t *testing.T) {
	c, err := Connect(t.Context())
	if !host.Booted() {
		if c != nil || err == nil || err.Error() != "systemd is not running here" || fault.HintOf(err) == "" {
			t.Errorf("%v, %v", c, err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if state, err := c.ActiveState(t.Context(), "-.mount"); state != "active" {
		t.Errorf("state of -.mount: %q, %v", state, err)
	}
	if state, err := c.ActiveState(t.Context(), "iwx-no-such.service"); state != "inactive" {
		t.Errorf("state of a unit that is not there: %q, %v", state, err)
	}
}

package systemd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coreos/go-systemd/v22/dbus"
	godbus "github.com/godbus/dbus/v5"

	"iwx/lib/fault"
	"iwx/lib/host"
	"iwx/lib/testenv"
)

// bus stands in for systemd's half of transient services.
type bus struct {
	calls  []string
	start  error
	state  string
	job    uint32
	kill   error
	closed bool
}

func (b *bus) StartTransientUnitContext(_ context.Context, name, mode string, _ []dbus.Property, _ chan<- string) (int, error) {
	b.calls = append(b.calls, "start "+name+" "+mode)
	return 1, b.start
}

func (b *bus) ResetFailedUnitContext(_ context.Context, name string) error {
	b.calls = append(b.calls, "reset "+name)
	return nil
}

func (b *bus) KillUnitWithTarget(_ context.Context, name string, target dbus.Who, signal int32) error {
	b.calls = append(b.calls, fmt.Sprintf("kill %s %s %d", name, target, signal))
	return b.kill
}

func (b *bus) GetUnitPropertyContext(_ context.Context, unit, name string) (*dbus.Property, error) {
	b.calls = append(b.calls, "get "+name)
	value := godbus.MakeVariant(b.state)
	if name == "Job" {
		value = godbus.MakeVariantWithSignature([]any{b.job, godbus.ObjectPath("/")}, godbus.ParseSignatureMust("(uo)"))
	}
	return &dbus.Property{Name: name, Value: value}, nil
}

func (b *bus) Connected() bool { return !b.closed }
func (b *bus) Close()          { b.closed = true }

// over returns a Transient that connects to the buses one after the other.
func over(buses ...*bus) *Transient {
	return &Transient{dial: func(context.Context) (transientBus, error) {
		if len(buses) == 0 {
			return nil, errors.New("connection refused")
		}
		b := buses[0]
		buses = buses[1:]
		return b, nil
	}}
}

func dbusError(name string) error { return godbus.Error{Name: name, Body: []any{"because"}} }

func TestTransientStart(t *testing.T) {
	exists := dbusError("org.freedesktop.systemd1.UnitExists")
	tests := []struct {
		name    string
		err     error
		started bool
		calls   string
		want    string // in the error
		busy    bool
		closed  bool
	}{
		{"started", nil, true, "start a.service fail", "", false, false},
		{"exists", exists, false, "start a.service fail, reset a.service", "", false, false},
		{"refused", dbusError("org.freedesktop.DBus.Error.AccessDenied"), false, "start a.service fail", "start a.service: because", false, false},
		{"the server goes down", dbusError("org.freedesktop.systemd1.TransactionIsDestructive"), false, "start a.service fail", "start a.service: because", true, false},
		{"systemd is away", dbusError("org.freedesktop.DBus.Error.NoReply"), false, "start a.service fail", "start a.service: because", true, true},
		{"connection lost", godbus.ErrClosed, false, "start a.service fail", "start a.service: dbus: connection closed", true, true},
		{"no answer", context.DeadlineExceeded, false, "start a.service fail", "start a.service: systemd does not answer", true, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := &bus{start: tt.err}
			started, err := over(b).Start(t.Context(), "a.service", "it", []string{"/bin/true"})
			if started != tt.started || strings.Join(b.calls, ", ") != tt.calls || b.closed != tt.closed {
				t.Errorf("started %t, calls %q, closed %t", started, b.calls, b.closed)
			}
			if (tt.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want …%s…", err, tt.want)
			}
			if err != nil && (fault.CodeOf(err) == fault.Busy) != tt.busy {
				t.Errorf("code %v", fault.CodeOf(err))
			}
		})
	}
}

func TestTransientConnectsAgain(t *testing.T) {
	first, second := &bus{start: godbus.ErrClosed}, &bus{}
	tr := over(first, second)
	if _, err := tr.Start(t.Context(), "a.service", "", []string{"/bin/true"}); err == nil {
		t.Error("a lost connection was not told")
	}
	if started, err := tr.Start(t.Context(), "a.service", "", []string{"/bin/true"}); !started || err != nil {
		t.Errorf("second connection: %t, %v", started, err)
	}
	second.closed = true // the bus went away while nothing was asked
	_, err := tr.Start(t.Context(), "a.service", "", []string{"/bin/true"})
	if fault.CodeOf(err) != fault.Busy || !strings.Contains(err.Error(), "connect to systemd: connection refused") {
		t.Errorf("no third connection: %v", err)
	}
}

func TestTransientEnded(t *testing.T) {
	for _, tt := range []struct {
		state string
		job   uint32
		want  bool
	}{{"active", 0, false}, {"deactivating", 0, false}, {"inactive", 7, false}, {"inactive", 0, true}, {"failed", 0, true}} {
		if ended, err := over(&bus{state: tt.state, job: tt.job}).Ended(t.Context(), "a.service"); ended != tt.want || err != nil {
			t.Errorf("%s, job %d: %t, %v", tt.state, tt.job, ended, err)
		}
	}
}

func TestTransientKill(t *testing.T) {
	b := &bus{state: "inactive", kill: dbusError("org.freedesktop.systemd1.NoSuchUnit")}
	if err := over(b).Kill(t.Context(), "a.service"); err != nil || b.calls[0] != "kill a.service all 9" {
		t.Errorf("%v, calls %q", err, b.calls)
	}
	refused := &bus{kill: dbusError("org.freedesktop.DBus.Error.AccessDenied")}
	if err := over(refused).Kill(t.Context(), "a.service"); err == nil || err.Error() != "kill a.service: because" {
		t.Errorf("%v", err)
	}
}

// TestTransient runs services under the systemd of this machine: each property
// is one that it accepts, a name is given once, and all that is left of a killed
// service goes.
func TestTransient(t *testing.T) {
	if !host.Booted() || os.Geteuid() != 0 {
		if err := over().Kill(t.Context(), "a.service"); fault.CodeOf(err) != fault.Busy {
			t.Errorf("without systemd: %v", err)
		}
		return
	}
	tr := NewTransient()
	defer tr.Close()
	name := fmt.Sprintf("iwx-test-%d.service", os.Getpid())
	file := filepath.Join(t.TempDir(), "up")
	argv := []string{"/bin/sh", "-c", "setsid sleep 1000 & echo up >" + file + "; wait"}
	if started, err := tr.Start(t.Context(), name, "a test of iwx", argv); !started || err != nil {
		t.Fatalf("%t, %v", started, err)
	}
	if started, err := tr.Start(t.Context(), name, "a test of iwx", argv); started || err != nil {
		t.Errorf("second start: %t, %v", started, err)
	}
	testenv.Until(t, "the service runs", func() bool { _, err := os.Stat(file); return err == nil })
	if ended, err := tr.Ended(t.Context(), name); ended || err != nil {
		t.Errorf("running, and ended: %t, %v", ended, err)
	}
	if err := tr.Kill(t.Context(), name); err != nil {
		t.Error(err)
	}
	for range 2 {
		if ended, err := tr.Ended(t.Context(), name); !ended || err != nil {
			t.Errorf("killed, and ended: %t, %v", ended, err)
		}
	}
	if started, err := tr.Start(t.Context(), name, "a test of iwx", []string{"/bin/true"}); !started || err != nil {
		t.Errorf("a start after the end: %t, %v", started, err)
	}
}

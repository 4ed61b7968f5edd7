package systemd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/dbus"
	godbus "github.com/godbus/dbus/v5"

	"iwx/lib/backoff"
	"iwx/lib/fault"
	"iwx/lib/wait"
)

// stopLimit is how long a service's processes have between SIGTERM and SIGKILL
// when the service is stopped, by systemctl(1) or at shutdown.
const stopLimit = 10 * time.Second

// goneLimit is how long killed processes may take to be gone; what takes longer
// hangs in the kernel.
const goneLimit = 5 * time.Second

// Transient starts services that have no unit file and are forgotten when they
// end, each to run one program once. It connects when it is first used, and
// again when the connection was lost: systemd and the bus may start anew at any
// time, and the services go on. Its methods may be called by several goroutines.
type Transient struct {
	dial func(context.Context) (transientBus, error)
	mu   sync.Mutex
	bus  transientBus // nil: not connected
}

// transientBus is the part of go-systemd's connection that is used here.
type transientBus interface {
	StartTransientUnitContext(ctx context.Context, name, mode string, properties []dbus.Property, ch chan<- string) (int, error)
	ResetFailedUnitContext(ctx context.Context, name string) error
	KillUnitWithTarget(ctx context.Context, name string, target dbus.Who, signal int32) error
	GetUnitPropertyContext(ctx context.Context, unit, property string) (*dbus.Property, error)
	Connected() bool
	Close()
}

// NewTransient returns a Transient that is not connected yet.
func NewTransient() *Transient {
	return &Transient{dial: dialTransient}
}

// dialTransient connects before ctx ends; the connection outlives it. Nothing
// subscribes to signals on it: those of every unit would come.
func dialTransient(ctx context.Context) (transientBus, error) {
	lasting, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, cancel)
	bus, err := dbus.NewWithContext(lasting)
	if err != nil {
		return nil, err
	}
	if !stop() { // too late: bus is closed, or is being so
		bus.Close()
		return nil, ctx.Err()
	}
	return bus, nil
}

// Close ends the connection. The services go on.
func (t *Transient) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.bus != nil {
		t.bus.Close()
		t.bus = nil
	}
	return nil
}

// Start starts a service that runs argv once, without waiting until it runs. It
// returns false, and has done nothing, if there is a service of that name which
// has not ended; one that has failed is forgotten, so that the next call starts
// it. argv is not to hold '$', which systemd expands, nor what others may not
// see. The error is of code fault.Busy if systemd is shutting the server down,
// could not be asked, or did not answer: the service may have been started or not.
func (t *Transient) Start(ctx context.Context, name, description string, argv []string) (bool, error) {
	started := false
	err := t.call(ctx, func(ctx context.Context, bus transientBus) error {
		_, err := bus.StartTransientUnitContext(ctx, name, "fail", properties(description, argv), nil)
		if started = err == nil; errorName(err) != "org.freedesktop.systemd1.UnitExists" {
			return err
		}
		// An error means that it has not failed.
		_ = bus.ResetFailedUnitContext(ctx, name)
		return nil
	})
	if goingDown(err) {
		err = fault.WithCode(err, fault.Busy)
	}
	if err != nil {
		return false, fmt.Errorf("start %s: %w", name, err)
	}
	return started, nil
}

// goingDown reports whether systemd starts nothing because the server is about
// to be shut down. The daemon will be stopped in a moment, or the shutdown is
// called off.
func goingDown(err error) bool {
	name := errorName(err)
	return name == "org.freedesktop.systemd1.TransactionIsDestructive" || name == "org.freedesktop.systemd1.ShuttingDown"
}

// properties are the settings of a service that runs one command of the queue;
// see systemd.exec(5), systemd.service(5) and systemd.kill(5). Left as they are
// by default: no restart, all processes of the service are killed with it,
// standard input and output are /dev/null, and shutdown ends it.
func properties(description string, argv []string) []dbus.Property {
	return []dbus.Property{
		dbus.PropDescription(description),
		dbus.PropExecStart(argv, false),
		dbus.PropType("exec"),
		property("Environment", []string{"GOGC=off", "GOMEMLIMIT=64MiB", "GOMAXPROCS=1"}), // the shim needs hardly any CPU
		property("CollectMode", "inactive-or-failed"),                                     // the attempt's file records failures
		property("TimeoutStopUSec", uint64(stopLimit/time.Microsecond)),
		property("OOMPolicy", "continue"),     // the process that was killed may not be the command
		property("IgnoreSIGPIPE", false),      // or the shim has to start itself again, with a clean table
		property("StandardOutput", "null"),    // the shim writes files
		property("LogLevelMax", int32(5)),     // notice: no lines for every start and end
		dbus.PropBefore("iwx-queued.service"), // at shutdown the daemon goes first, and takes no result of a command cut short by it
	}
}

func property(name string, value any) dbus.Property {
	return dbus.Property{Name: name, Value: godbus.MakeVariant(value)}
}

// Ended reports whether there is no service of that name, or one that has ended
// and is not about to be started.
func (t *Transient) Ended(ctx context.Context, name string) (bool, error) {
	ended := false
	err := t.call(ctx, func(ctx context.Context, bus transientBus) (err error) {
		ended, err = hasEnded(ctx, bus, name)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("state of %s: %w", name, err)
	}
	return ended, nil
}

func hasEnded(ctx context.Context, bus transientBus, name string) (bool, error) {
	job, err := bus.GetUnitPropertyContext(ctx, name, "Job")
	if err != nil {
		return false, err
	}
	if id, ok := job.Value.Value().([]any); ok && len(id) > 0 && id[0] != uint32(0) {
		return false, nil
	}
	state, err := bus.GetUnitPropertyContext(ctx, name, "ActiveState")
	if err != nil {
		return false, err
	}
	return state.Value.Value() == "inactive" || state.Value.Value() == "failed", nil
}

// Kill sends SIGKILL to all processes of a service and waits, for a short time,
// until it has ended. A service that is not there is success.
func (t *Transient) Kill(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, goneLimit)
	defer cancel()
	err := t.call(ctx, func(ctx context.Context, bus transientBus) error {
		err := bus.KillUnitWithTarget(ctx, name, dbus.All, 9)
		if errorName(err) == "org.freedesktop.systemd1.NoSuchUnit" {
			return nil
		}
		return err
	})
	if err == nil {
		tries := backoff.Tries{Waits: backoff.Waits{First: time.Millisecond, Most: time.Second}}
		err = wait.Until(ctx, tries.Failed, func() (bool, error) { return t.Ended(ctx, name) })
	}
	if err != nil {
		return fmt.Errorf("kill %s: %w", name, err)
	}
	return nil
}

// call makes one call, or a few that belong together, over a connection that
// was made before or is made now.
func (t *Transient) call(ctx context.Context, do func(context.Context, transientBus) error) error {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	bus, err := t.connection(ctx)
	if err != nil {
		return fault.New(fault.Busy, "connect to systemd: %w", err)
	}
	if err = do(ctx, bus); err == nil || refusal(err) {
		return err
	}
	t.forget(bus)
	if errors.Is(err, context.DeadlineExceeded) {
		err = errors.New("systemd does not answer")
	}
	return fault.WithCode(err, fault.Busy)
}

func (t *Transient) connection(ctx context.Context) (transientBus, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.bus != nil && t.bus.Connected() {
		return t.bus, nil
	}
	if t.bus != nil {
		t.bus.Close()
		t.bus = nil
	}
	bus, err := t.dial(ctx)
	if err == nil {
		t.bus = bus
	}
	return bus, err
}

// forget closes a connection over which a call was not answered, so that the
// next call makes another.
func (t *Transient) forget(bus transientBus) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.bus == bus {
		t.bus = nil
	}
	bus.Close()
}

// refusal reports whether an error is systemd's own answer. Those of the bus
// are not: it speaks for a systemd that is starting itself again.
func refusal(err error) bool {
	name := errorName(err)
	switch strings.TrimPrefix(name, "org.freedesktop.DBus.Error.") {
	case "", "NoReply", "Timeout", "TimedOut", "ServiceUnknown", "NameHasNoOwner", "Disconnected", "NoServer", "LimitsExceeded":
		return false
	}
	return true
}

// errorName returns the name of a D-Bus error, "" if err is none.
func errorName(err error) string {
	if e := (godbus.Error{}); errors.As(err, &e) {
		return e.Name
	}
	if e := (*godbus.Error)(nil); errors.As(err, &e) {
		return e.Name
	}
	return ""
}

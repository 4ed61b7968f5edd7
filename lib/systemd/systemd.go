// Package systemd enables, starts, stops and reloads units, and runs commands in
// transient ones, through systemd's D-Bus interface, org.freedesktop.systemd1(5),
// as systemctl(1) and systemd-run(1) do.
//
// It is no abstraction over init systems: where systemd is not PID 1, Connect
// says so and there is nothing else to call. It is the only package that imports
// go-systemd's D-Bus half.
package systemd

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/dbus"

	"iwx/lib/fault"
	"iwx/lib/host"
)

// Limits on a single call. To read all units anew takes systemd half a minute on a
// slow server, and systemctl(1) waits three for it; a job may take as long as the
// unit's own time limit, 90 s unless set otherwise (DefaultTimeoutStartSec=,
// systemd-system.conf(5)).
const (
	callLimit   = 15 * time.Second
	reloadLimit = 3 * time.Minute
	jobLimit    = 100 * time.Second
)

// manager is the part of go-systemd's connection that is used here.
type manager interface {
	EnableUnitFilesContext(ctx context.Context, files []string, runtime, force bool) (bool, []dbus.EnableUnitFileChange, error)
	DisableUnitFilesContext(ctx context.Context, files []string, runtime bool) ([]dbus.DisableUnitFileChange, error)
	ReloadContext(ctx context.Context) error
	StartUnitContext(ctx context.Context, name, mode string, ch chan<- string) (int, error)
	StopUnitContext(ctx context.Context, name, mode string, ch chan<- string) (int, error)
	RestartUnitContext(ctx context.Context, name, mode string, ch chan<- string) (int, error)
	GetUnitPropertyContext(ctx context.Context, unit, property string) (*dbus.Property, error)
	GetServicePropertyContext(ctx context.Context, service, property string) (*dbus.Property, error)
	KillUnitWithTarget(ctx context.Context, name string, target dbus.Who, signal int32) error
	Close()
}

// Conn is a connection to systemd. Its methods may be called by several
// goroutines; each blocks until systemd has done the work, its limit has passed
// or ctx ends, and each is safe to repeat.
type Conn struct{ bus manager }

// Connect connects to systemd over the system bus, or as root directly. The
// connection lives until Close or the end of ctx, whichever is first: do not
// pass a context that is cancelled once Connect has returned.
func Connect(ctx context.Context) (*Conn, error) {
	if !host.Booted() {
		err := fault.New(fault.Failed, "systemd is not running here")
		return nil, fault.Hint(err, "start the daemon by the means of this system: iwx-queued")
	}
	bus, err := dbus.NewWithContext(ctx)
	if err != nil {
		return nil, fault.New(fault.Busy, "connect to systemd: %w", err)
	}
	// Without a subscriber systemd sends no JobRemoved, and every job would
	// seem to hang.
	if err := bus.Subscribe(); err != nil {
		bus.Close()
		return nil, fault.New(fault.Busy, "subscribe to systemd: %w", err)
	}
	return &Conn{bus: bus}, nil
}

// Close ends the connection.
func (c *Conn) Close() { c.bus.Close() }

// EnableNow lets units start at boot and starts them, in order, until one fails.
func (c *Conn) EnableNow(ctx context.Context, units ...string) error {
	err := c.files(ctx, func(ctx context.Context) error {
		_, _, err := c.bus.EnableUnitFilesContext(ctx, units, false, false)
		return err
	})
	if err != nil {
		return fmt.Errorf("enable %v: %w", units, err)
	}
	for _, unit := range units {
		if err := c.job(ctx, "start", unit, c.bus.StartUnitContext); err != nil {
			return err
		}
	}
	return nil
}

// Restart ends a unit and starts it again; one that does not run is started.
func (c *Conn) Restart(ctx context.Context, unit string) error {
	return c.job(ctx, "restart", unit, c.bus.RestartUnitContext)
}

// Kill sends SIGKILL to all processes of a unit. Its Restart= setting decides what
// follows.
func (c *Conn) Kill(ctx context.Context, unit string) error {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	if err := c.bus.KillUnitWithTarget(ctx, unit, dbus.All, int32(syscall.SIGKILL)); err != nil {
		return fmt.Errorf("kill %s: %w", unit, err)
	}
	return nil
}

// MainPID returns the main process of a service, or an error if there is none.
func (c *Conn) MainPID(ctx context.Context, unit string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	p, err := c.bus.GetServicePropertyContext(ctx, unit, "MainPID")
	if err != nil {
		return 0, fmt.Errorf("MainPID of %s: %w", unit, err)
	}
	if pid, ok := p.Value.Value().(uint32); ok && pid > 0 {
		return int(pid), nil
	}
	return 0, fmt.Errorf("%s has no main process", unit)
}

// DisableNow stops units and no longer starts them at boot. All are tried, also
// after a failure; units that are not there are passed over.
func (c *Conn) DisableNow(ctx context.Context, units ...string) error {
	var failed []error
	var present []string
	for _, unit := range units {
		state, err := c.property(ctx, unit, "LoadState")
		if err != nil {
			failed = append(failed, err)
			continue
		}
		if state == "not-found" {
			continue
		}
		present = append(present, unit)
		failed = append(failed, c.job(ctx, "stop", unit, c.bus.StopUnitContext))
	}
	if present == nil {
		return errors.Join(failed...)
	}
	err := c.files(ctx, func(ctx context.Context) error {
		_, err := c.bus.DisableUnitFilesContext(ctx, present, false)
		return err
	})
	if err != nil {
		failed = append(failed, fmt.Errorf("disable %v: %w", present, err))
	}
	return errors.Join(failed...)
}

// ActiveState returns "active", "reloading", "inactive", "failed", "activating"
// or "deactivating"; a unit that does not exist is "inactive".
func (c *Conn) ActiveState(ctx context.Context, unit string) (string, error) {
	return c.property(ctx, unit, "ActiveState")
}

func (c *Conn) property(ctx context.Context, unit, name string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	p, err := c.bus.GetUnitPropertyContext(ctx, unit, name)
	if err != nil {
		return "", fmt.Errorf("%s of %s: %w", name, unit, err)
	}
	value, ok := p.Value.Value().(string)
	if !ok {
		return "", fmt.Errorf("%s of %s: %s is not a string", name, unit, p.Value)
	}
	return value, nil
}

// files changes the links of unit files and makes systemd look at them.
func (c *Conn) files(ctx context.Context, change func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, reloadLimit)
	defer cancel()
	if err := change(ctx); err != nil {
		return err
	}
	return c.bus.ReloadContext(ctx)
}

// job queues a job for a unit, replacing one that conflicts with it, and waits
// for its result.
func (c *Conn) job(ctx context.Context, verb, unit string,
	queue func(ctx context.Context, name, mode string, ch chan<- string) (int, error)) error {
	ctx, cancel := context.WithTimeout(ctx, jobLimit)
	defer cancel()
	// Buffered: the connection handles nothing else until the result is taken,
	// and after the limit nobody takes it.
	result := make(chan string, 1)
	if _, err := queue(ctx, unit, "replace", result); err != nil {
		return fmt.Errorf("%s %s: %w", verb, unit, err)
	}
	select {
	case r := <-result:
		return outcome(verb, unit, r)
	case <-ctx.Done():
		err := fault.New(fault.TimedOut, "%s %s: no result within %s, the job goes on", verb, unit, jobLimit)
		return fault.Hint(err, "systemctl status %s", unit)
	}
}

// outcome turns the result of a job (JobRemoved, org.freedesktop.systemd1(5))
// into an error.
func outcome(verb, unit, result string) error {
	if result == "done" || result == "skipped" {
		return nil
	}
	err := fault.New(fault.Failed, "%s %s: job %s", verb, unit, result)
	return fault.Hint(err, "journalctl -u %s", unit)
}

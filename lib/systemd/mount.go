package systemd

import (
	"context"
	"fmt"
)

// Reload makes systemd read the unit files again.
func (c *Conn) Reload(ctx context.Context) error {
	return c.files(ctx, func(context.Context) error { return nil })
}

// Enable lets units start at boot, without starting them.
func (c *Conn) Enable(ctx context.Context, units ...string) error {
	err := c.files(ctx, func(ctx context.Context) error {
		_, _, err := c.bus.EnableUnitFilesContext(ctx, units, false, false)
		return err
	})
	if err != nil {
		return fmt.Errorf("enable %v: %w", units, err)
	}
	return nil
}

// Disable no longer lets units start at boot, without stopping them.
func (c *Conn) Disable(ctx context.Context, units ...string) error {
	err := c.files(ctx, func(ctx context.Context) error {
		_, err := c.bus.DisableUnitFilesContext(ctx, units, false)
		return err
	})
	if err != nil {
		return fmt.Errorf("disable %v: %w", units, err)
	}
	return nil
}

// Start starts a unit.
func (c *Conn) Start(ctx context.Context, unit string) error {
	return c.job(ctx, "start", unit, c.bus.StartUnitContext)
}

// Stop stops a unit; one that is not there is stopped.
func (c *Conn) Stop(ctx context.Context, unit string) error {
	state, err := c.property(ctx, unit, "LoadState")
	if err != nil || state == "not-found" {
		return err
	}
	return c.job(ctx, "stop", unit, c.bus.StopUnitContext)
}

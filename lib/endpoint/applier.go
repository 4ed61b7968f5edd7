package endpoint

import (
	"context"
	"fmt"
	"reflect"

	"iwx/lib/profile"
)

// Unit is the endpoint's own, under systemd.
const Unit = "iwx-health.service"

// Units is what of systemd the applier uses.
type Units interface {
	Start(ctx context.Context, unit string) error
	Stop(ctx context.Context, unit string) error
	ActiveState(ctx context.Context, unit string) (string, error)
}

// Applier has a server answer as its profile says. It is the profile.Applier of
// Kind.
type Applier struct {
	Files   Files
	Systemd func(ctx context.Context, use func(Units) error) error // nil: the endpoint is somebody else's to run
}

// Check implements profile.Applier.
func (a *Applier) Check(ctx context.Context, item profile.Item) (change string, err error) {
	var want Spec
	if err := item.Decode(&want); err != nil {
		return "", err
	}
	text := fmt.Sprintf("answer the external balancer's health checks at %s", want.Listen)
	if have, err := a.Files.Spec(); err != nil || !reflect.DeepEqual(have, want) {
		return text, nil
	}
	if active, err := a.active(ctx); err != nil || !active {
		return text, err
	}
	return "", nil
}

func (a *Applier) active(ctx context.Context) (active bool, err error) {
	if a.Systemd == nil {
		return true, nil
	}
	err = a.Systemd(ctx, func(units Units) error {
		state, err := units.ActiveState(ctx, Unit)
		active = state == "active"
		return err
	})
	return active, err
}

// Apply implements profile.Applier. The endpoint reads the file again by itself.
func (a *Applier) Apply(ctx context.Context, item profile.Item) error {
	var want Spec
	if err := item.Decode(&want); err != nil {
		return err
	}
	if err := a.Files.WriteSpec(want); err != nil || a.Systemd == nil {
		return err
	}
	return a.Systemd(ctx, func(units Units) error { return units.Start(ctx, Unit) })
}

// Remove implements profile.Applier.
func (a *Applier) Remove(ctx context.Context, _ profile.Item) error {
	if a.Systemd != nil {
		if err := a.Systemd(ctx, func(units Units) error { return units.Stop(ctx, Unit) }); err != nil {
			return err
		}
	}
	return a.Files.Remove()
}

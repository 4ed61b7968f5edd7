package setuptool

import (
	"context"

	"iwx/lib/systemd"
	"iwx/lib/tool/teardown"
)

// teardown is this server as it is taken down.
func (h *here) teardown() *teardown.Server {
	return &teardown.Server{Paths: h.Paths, Store: h.Store, EndUnit: h.endUnit}
}

// endUnit stops a unit and no longer starts it at boot, where units are ours.
func (h *here) endUnit(_ context.Context, name string) error {
	if !h.systemd() {
		return nil
	}
	return h.withSystemd(func(ctx context.Context, bus *systemd.Conn) error { return bus.DisableNow(ctx, name) })
}

// undoAll takes back what was noted, and the state itself; see teardown.Server.
func (h *here) undoAll() (kept []string, err error) {
	server := h.teardown()
	kept, err = server.All(h.c)
	h.Store = server.Store
	return kept, err
}

package queuedtool

import (
	"context"
	"time"

	"iwx/lib/cluster"
	"iwx/lib/control"
	"iwx/lib/fault"
	"iwx/lib/health"
	"iwx/lib/pulse"
	"iwx/lib/tool/upkeep"
)

// newPulse returns what tells the manager of this node's own services.
func (n *node) newPulse(instance string) *pulse.Watcher {
	w := &watched{node: n}
	return &pulse.Watcher{
		Watch: w.read, Now: n.c.Now, Log: n.log, Alive: n.dog.Worker("pulse", stuckAfter).Alive,
		Tell: func(ctx context.Context, p health.Pulse) error {
			return n.client.Pulse(ctx, &cluster.PulseRequest{Instance: instance, Pulse: p})
		},
	}
}

// watched is what the profile wants to be told of, read again when there is
// another profile.
type watched struct {
	node    *node
	version string
	watch   pulse.Watch
}

func (w *watched) read(ctx context.Context) (pulse.Watch, error) {
	if w.version != "" && w.version == w.node.keeper.Version() {
		return w.watch, nil
	}
	saved, err := w.node.Store.Profile().Load(ctx)
	if err != nil {
		return pulse.Watch{}, err
	}
	watch, err := upkeep.Watched(saved.Desired.Document)
	if err != nil {
		return pulse.Watch{}, err
	}
	// The journal may be a moment behind the keeper, and is then read again.
	w.version, w.watch = saved.Desired.Version, watch
	return watch, nil
}

// handLimit is how long handing a pulse on may hold up the node that sent it.
const handLimit = time.Second

// handOn gives what a node sees of its services to iwx-lb daemon, if it runs. One
// that is lost is told again in seconds.
func (m *manager) handOn(ctx context.Context, id string, p health.Pulse) {
	ctx, cancel := context.WithTimeout(ctx, handLimit)
	defer cancel()
	err := control.Tell(ctx, m.Balance, control.Pulse{Server: id, Pulse: p})
	if err != nil && fault.CodeOf(err) != fault.Busy {
		m.log.Warn("cannot pass on a node's report of its listening sockets", "node", id, "error", err)
	}
}

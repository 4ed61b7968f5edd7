package lbdaemon

import (
	"cmp"
	"context"
	"slices"
	"time"

	"iwx/lib/health"
	"iwx/lib/lb"
	"iwx/lib/pulse"
)

// staleAfter is how long a pulse counts: more than three times the interval
// between two of them. Of a node that sends none, only the checks count.
const staleAfter = 20 * time.Second

// timedPulse is a pulse with its time of arrival.
type timedPulse struct {
	pulse health.Pulse
	at    time.Time
}

// Hear implements control.Daemon: what stopped to listen since the last pulse
// is out at once, what accepts nothing is given less time to answer, and what else
// is new is probed at once.
func (b *balancer) Hear(server string, p health.Pulse) {
	w := b.wanted.Load()
	i := slices.IndexFunc(w.servers, func(s lb.Server) bool { return s.ID == server })
	if i < 0 {
		return
	}
	was := b.note(server, p)
	news := lb.Hear(w.setup, w.servers[i], was, &p, b.c.Now())
	for id, result := range news.Lost {
		b.checker.Tell(id, result)
	}
	b.checker.Stall(server, news.Stalled, b.c.Now().Add(staleAfter))
	if news.Doubt {
		b.checker.Doubt(server)
	}
	if was == nil || !pulse.Equal(was, &p) {
		b.reconciler.Look()
	}
}

// note keeps the pulse, and returns the one before; nil for none that counts.
func (b *balancer) note(server string, p health.Pulse) *health.Pulse {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.c.Now()
	was, known := b.pulses[server]
	b.pulses[server] = timedPulse{pulse: p, at: now}
	if !known || now.Sub(was.at) >= staleAfter {
		return nil
	}
	return &was.pulse
}

// hearing returns the servers, each marked unfit if its last pulse says so.
func (b *balancer) hearing(w *wanted) []lb.Server {
	b.mu.Lock()
	defer b.mu.Unlock()
	servers := slices.Clone(w.servers)
	for i := range servers {
		s := &servers[i]
		h, known := b.pulses[s.ID]
		if known && b.c.Now().Sub(h.at) < staleAfter {
			s.Unfit = cmp.Or(s.Unfit, w.setup.MissingVIP(s, &h.pulse))
		}
	}
	return servers
}

// ownPulse has the manager's own services looked at as a node's are.
func (b *balancer) ownPulse(ctx context.Context) error {
	w := pulse.Watcher{
		Watch: func(context.Context) (pulse.Watch, error) {
			ports, vips := b.wanted.Load().setup.Watched(lb.ManagerID)
			return pulse.Watch{Ports: ports, VIPs: vips}, nil
		},
		Tell: func(_ context.Context, p health.Pulse) error {
			b.Hear(lb.ManagerID, p)
			return nil
		},
		Alive: b.dog.Worker("pulse", stuckAfter).Alive, Now: b.c.Now, Log: b.log,
	}
	return w.Run(ctx)
}

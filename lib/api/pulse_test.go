package api_test

import (
	"context"
	"net/netip"
	"slices"
	"testing"

	"iwx/lib/cluster"
	"iwx/lib/health"
)

// TestPulse: what a node sees of itself is handed on under the name in its
// certificate, and only while it is a member.
func TestPulse(t *testing.T) {
	t.Parallel()
	l := serve(t)
	m := l.join("web1")
	req := &cluster.PulseRequest{Instance: m.instance, Pulse: health.Pulse{
		Listening: []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:80"), netip.MustParseAddrPort("[::]:80")},
		Held:      []netip.Addr{netip.MustParseAddr("192.0.2.80")},
		Noisy:     []netip.Addr{netip.MustParseAddr("192.0.2.80")},
	}}
	check(t, m.Pulse(t.Context(), req)) // and nobody balances

	type heard struct {
		id    string
		pulse health.Pulse
	}
	got := make(chan heard, 1)
	l.Manager.Pulse = func(_ context.Context, id string, p health.Pulse) { got <- heard{id, p} }
	check(t, m.Pulse(t.Context(), req))
	h := <-got
	if h.id != m.answer.NodeID || !slices.Equal(h.pulse.Listening, req.Pulse.Listening) || !slices.Equal(h.pulse.Held, req.Pulse.Held) ||
		!slices.Equal(h.pulse.Noisy, req.Pulse.Noisy) {
		t.Errorf("handed on: %+v", h)
	}
	check(t, m.Leave(t.Context()))
	if err := m.Pulse(t.Context(), req); err == nil || len(got) > 0 {
		t.Errorf("of a node that has left: %v, %d handed on", err, len(got))
	}
}

package state_test

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"iwx/lib/cluster"
	"iwx/lib/health"
	"iwx/lib/lb"
	"iwx/lib/state"
)

// web is a setup with something of everything, in the order it is read in.
func web() lb.Setup {
	four, six := netip.MustParseAddr("192.0.2.80"), netip.MustParseAddr("2001:db8::80")
	return lb.Setup{
		Engine: "ipvs", External: true, Stopped: true,
		VIPs: []lb.VIP{{Addr: four, AddedAt: at(1)}, {Addr: six, AddedAt: at(2)}},
		Policies: []lb.Policy{
			{Service: "http", VIP: four, Port: 80, Scheduler: "wlc", Weights: map[string]int{"n1": 7}, Only: []string{"n1"}, Fallback: lb.ToAll, Check: health.Check{Kind: health.HTTP, Interval: time.Second}},
			{Service: "tcp", VIP: four, Port: 8080, Persistence: time.Hour},
			{Service: "http", VIP: six, Port: 80},
		},
		Drains: []lb.Drain{{Server: "n1", Since: at(3), Who: "root"}, {Server: "n2", Service: "http", Since: at(4), Who: "ann"}},
	}
}

func balancing(t *testing.T, s *state.Store) lb.Setup {
	t.Helper()
	setup, err := s.Balancing(t.Context())
	must(t, err)
	return setup
}

func TestBalancing(t *testing.T) {
	t.Parallel()
	s := newManager(t)
	equal(t, "before anything", balancing(t, s), lb.Setup{})
	for range 2 { // the second time is nothing
		must(t, s.ChangeBalancing(t.Context(), func(lb.Setup) (lb.Setup, error) { return web(), nil }))
		equal(t, "the setup", balancing(t, s), web())
	}
	wrong := errors.New("no")
	err := s.ChangeBalancing(t.Context(), func(was lb.Setup) (lb.Setup, error) {
		equal(t, "what is to be changed", was, web())
		return lb.Setup{}, wrong
	})
	if !errors.Is(err, wrong) {
		t.Errorf("error %v, want that of the change", err)
	}
	err = s.ChangeBalancing(t.Context(), func(was lb.Setup) (lb.Setup, error) {
		was.VIPs = nil
		return was, nil
	})
	if err == nil {
		t.Error("policies on no virtual IP were taken")
	}
	equal(t, "after what failed", balancing(t, s), web())
}

// TestDrainEndsWithMembership holds that a drain is not left for a node that is
// gone.
func TestDrainEndsWithMembership(t *testing.T) {
	t.Parallel()
	s := newManager(t)
	admit(t, s, member("n1", "web1"))
	must(t, s.ChangeBalancing(t.Context(), func(lb.Setup) (lb.Setup, error) { return web(), nil }))
	must(t, s.EndMembership(t.Context(), "n1", cluster.Deleted, "root", at(9)))
	equal(t, "drains", balancing(t, s).Drains, web().Drains[1:])
}

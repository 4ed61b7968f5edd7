package lb

import (
	"net/netip"
	"slices"
	"testing"

	"iwx/lib/health"
)

// sees is a pulse of listeners, as "address:port".
func sees(listeners ...string) *health.Pulse {
	p := &health.Pulse{}
	for _, l := range listeners {
		p.Listening = append(p.Listening, netip.MustParseAddrPort(l))
	}
	return p
}

func TestHear(t *testing.T) {
	direct, proxy := scene(1), scene(1)
	proxy.Setup.Engine = "haproxy"
	tests := []struct {
		name    string
		view    *View
		was, is *health.Pulse
		lost    bool
		doubt   bool
	}{
		{"first, and it listens", direct, nil, sees("0.0.0.0:80"), false, true},
		{"first, and it does not", direct, nil, sees(), false, true},
		{"as before", direct, sees("0.0.0.0:80"), sees("0.0.0.0:80"), false, false},
		{"gone", direct, sees("0.0.0.0:80"), sees("0.0.0.0:443"), true, false},
		{"the other family is not enough", direct, sees("0.0.0.0:80"), sees("[::]:80"), true, false},
		{"back", direct, sees(), sees("0.0.0.0:80"), false, true},
		{"never there", direct, sees(), sees(), false, false},
		{"at the virtual address alone", direct, sees("192.0.2.10:80"), sees("10.0.0.2:80"), true, false},
		{"at its own address alone", proxy, sees("10.0.0.2:80"), sees("192.0.2.10:80"), true, false},
	}
	for _, tt := range tests {
		got := Hear(tt.view.Setup, tt.view.Servers[1], tt.was, tt.is, epoch)
		id := TargetID(netip.AddrPortFrom(vip, 80), "id1", netip.MustParseAddrPort("10.0.0.2:80"))
		result, lost := got.Lost[id]
		if lost != tt.lost || got.Doubt != tt.doubt || len(got.Lost) > 1 {
			t.Errorf("%s: %+v", tt.name, got)
		}
		if lost && (result.Word != health.Refused || result.Reason != "nothing listens on port 80" || result.At != epoch) {
			t.Errorf("%s: %+v", tt.name, result)
		}
	}
}

// TestHearTellsOfStalls as long as they last, new or not, and of those that listen
// alone.
func TestHearTellsOfStalls(t *testing.T) {
	v := scene(2)
	id := TargetID(netip.AddrPortFrom(vip, 80), "id1", netip.MustParseAddrPort("10.0.0.2:80"))
	stalled, deaf := sees("0.0.0.0:80", "0.0.0.0:25"), sees("0.0.0.0:25")
	stalled.Stalled, deaf.Stalled = []uint16{25, 80}, []uint16{25, 80}
	for _, tt := range []struct {
		name    string
		was, is *health.Pulse
		want    []string
	}{
		{"first", nil, stalled, []string{id}},
		{"new", sees("0.0.0.0:80"), stalled, []string{id}},
		{"still", stalled, stalled, []string{id}},
		{"no more", stalled, sees("0.0.0.0:80"), nil},
		{"gone", stalled, deaf, nil},
	} {
		if got := Hear(v.Setup, v.Servers[1], tt.was, tt.is, epoch); !slices.Equal(got.Stalled, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got.Stalled, tt.want)
		}
	}
}

// TestHearTellsOfTargets: what is lost is known to the checker by that name.
func TestHearTellsOfTargets(t *testing.T) {
	v := scene(2)
	imap, _ := Lookup("imap")
	more := NewPolicy(imap, vip)
	more.Only = []string{"id1"}
	v.Setup.Policies = append(v.Setup.Policies, more)
	want := map[string][]string{}
	for _, target := range Targets(v.Setup, v.Servers) {
		want[target.Host] = append(want[target.Host], target.ID)
	}
	for _, s := range v.Servers {
		lost := Hear(v.Setup, s, sees("0.0.0.0:80", "0.0.0.0:143"), sees(), epoch).Lost
		for _, id := range want[s.ID] {
			if _, is := lost[id]; !is {
				t.Errorf("%s: %q is not lost", s.Name, id)
			}
		}
		if len(lost) != len(want[s.ID]) {
			t.Errorf("%s: %v, want %q", s.Name, lost, want[s.ID])
		}
	}
}

func TestMissingVIP(t *testing.T) {
	held, noisy := &health.Pulse{Held: []netip.Addr{vip}}, &health.Pulse{Held: []netip.Addr{vip}, Noisy: []netip.Addr{vip}}
	v := scene(1)
	tests := []struct {
		pulse *health.Pulse
		node  string
	}{
		{held, ""}, {noisy, "it answers for 192.0.2.10 on the link"}, {&health.Pulse{}, "it does not hold 192.0.2.10"},
	}
	for _, tt := range tests {
		if got := v.Setup.MissingVIP(&v.Servers[1], tt.pulse); got != tt.node {
			t.Errorf("%+v: %q, want %q", tt.pulse, got, tt.node)
		}
		if got := v.Setup.MissingVIP(&v.Servers[0], tt.pulse); got != "" {
			t.Errorf("%+v: the manager: %q", tt.pulse, got)
		}
	}
	v.Setup.Policies[0].Forwarding = NAT
	if got := v.Setup.MissingVIP(&v.Servers[1], &health.Pulse{}); got != "" {
		t.Errorf("with nat: %q", got)
	}
	v.Setup.Policies[0].Forwarding, v.Setup.Policies[0].Only = Tunnel, []string{"another"}
	if got := v.Setup.MissingVIP(&v.Servers[1], &health.Pulse{}); got != "" {
		t.Errorf("no member: %q", got)
	}
}

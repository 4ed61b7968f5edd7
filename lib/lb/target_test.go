package lb

import (
	"net/netip"
	"slices"
	"testing"

	"iwx/lib/health"
)

// TestWays holds by which port a server is reached that has a service at one for
// the PROXY protocol too: that one if it works, and the plain one if it does not.
func TestWays(t *testing.T) {
	https, _ := Lookup("https")
	plain, proxied := netip.MustParseAddrPort("10.0.0.2:443"), netip.MustParseAddrPort("10.0.0.2:10443")
	up, down, unknown := health.Verdict{State: health.Up}, health.Verdict{State: health.Down, Hard: true}, health.Verdict{}
	for _, tt := range []struct {
		name           string
		plain, proxied health.Verdict
		has            []netip.AddrPort
		want           []netip.AddrPort
	}{
		{"the other one is not known yet", up, unknown, []netip.AddrPort{plain}, []netip.AddrPort{plain}},
		{"it works", up, up, []netip.AddrPort{plain}, []netip.AddrPort{proxied}},
		{"it alone works", down, up, nil, []netip.AddrPort{proxied}},
		{"it does not, as behind a firewall", up, down, []netip.AddrPort{proxied}, []netip.AddrPort{plain}},
		{"nothing is known, and it is in use", unknown, unknown, []netip.AddrPort{proxied}, []netip.AddrPort{proxied}},
		{"nothing works", down, down, []netip.AddrPort{proxied}, nil},
	} {
		v := scene(1)
		v.Setup.Engine, v.Setup.Policies = "haproxy", []Policy{NewPolicy(https, vip)}
		p := &v.Setup.Policies[0]
		p.Only, p.Fallback = []string{"id1"}, ToNone
		v.Servers[1].Proxied = []string{"https"}
		v.Verdicts[TargetID(p.Key(), "id1", plain)], v.Verdicts[TargetID(p.Key(), "id1", proxied)] = tt.plain, tt.proxied
		v.Actual[p.Key()] = Virtual{Servers: map[netip.AddrPort]Real{}}
		for _, addr := range tt.has {
			v.Actual[p.Key()].Servers[addr] = Real{Weight: 100}
		}
		table, reports := v.Desired()
		is := table[p.Key()].Servers
		if got := sorted(is); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
		for addr, real := range is {
			if real.Proxy != (addr == proxied) {
				t.Errorf("%s: %v: %+v", tt.name, addr, real)
			}
		}
		if addrs := reports[0].Members[0].addrs(); len(addrs) != 2 {
			t.Errorf("%s: it is reached at %v", tt.name, addrs)
		}
	}
}

// TestWaysOf holds who has a second way at all, and how both are checked.
func TestWaysOf(t *testing.T) {
	https, _ := Lookup("https")
	http, _ := Lookup("http")
	for _, tt := range []struct {
		name    string
		engine  string
		service Service
		change  func(*Policy)
		want    int
	}{
		{"a proxy", "haproxy", https, nil, 2},
		{"the kernel, which keeps addresses", "ipvs", https, nil, 1},
		{"HTTP, which tells them itself", "haproxy", http, nil, 1},
		{"another port", "haproxy", https, func(p *Policy) { p.ServerPort = 8443 }, 1},
		{"the administrator's own", "haproxy", https, func(p *Policy) { p.Check.Proxy = true }, 1},
	} {
		v := scene(1)
		p := NewPolicy(tt.service, vip)
		if tt.change != nil {
			tt.change(&p)
		}
		p.Only = []string{"id1"}
		v.Setup.Engine, v.Setup.Policies = tt.engine, []Policy{p}
		v.Servers[1].Proxied = []string{"http", "https"}
		targets := Targets(v.Setup, v.Servers)
		if len(targets) != tt.want {
			t.Errorf("%s: %v", tt.name, targets)
			continue
		}
		if tt.want < 2 {
			continue
		}
		first, second := targets[0], targets[1]
		if !first.Check.Proxy || second.Check.Proxy || first.Check.Interval != second.Check.Interval || first.Service != second.Service || first.Service == "" {
			t.Errorf("%s: %+v, %+v", tt.name, first, second)
		}
		if n := len(v.Setup.listeners(&v.Servers[1])); n != 2 {
			t.Errorf("%s: %d listeners", tt.name, n)
		}
		if ports, _ := v.Setup.Watched("id1"); !slices.Equal(ports, []uint16{443, 10443}) {
			t.Errorf("%s: it looks at %v", tt.name, ports)
		}
	}
}

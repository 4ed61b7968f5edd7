package preflight

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"iwx/lib/lb"
)

// TestNetwork has what follows from what came through the network.
func TestNetwork(t *testing.T) {
	vip := []netip.Addr{netip.MustParseAddr("192.0.2.80"), netip.MustParseAddr("2001:db8::80")}
	all := Crossed{Node: "web1", Sent: vip, Out: vip, In: vip, OwnOut: true, OwnIn: true}
	with := func(change func(*Crossed)) Crossed { c := all; change(&c); return c }
	nat := func(b *Balance) { b.Setup.Policies[0].Forwarding = lb.NAT }
	none := func(b *Balance) { b.Setup.Policies = nil }
	for _, tt := range []struct {
		name   string
		found  Crossed
		change func(*Balance)
		want   Result
	}{
		{"all comes", all, nil, Result{OK, "packets with 192.0.2.80, 2001:db8::80 pass, to web1 and from it", ""}},
		{"foreign sources are dropped", with(func(c *Crossed) { c.Out = vip[1:] }), nil,
			Result{Fail, "packets of web1 with the source 192.0.2.80 do not come: the network filters foreign sources", "--forwarding nat"}},
		{"before there is a policy", with(func(c *Crossed) { c.Out = nil }), none, Result{Fail, "192.0.2.80, 2001:db8::80 do not come", "iwx-lb engine haproxy"}},
		{"and no policy minds", with(func(c *Crossed) { c.Out = nil }), nat, Result{Warn, "; no policy needs it", ""}},
		{"what is passed on is dropped", with(func(c *Crossed) { c.In = nil }), nil,
			Result{Fail, "packets that the manager passes on to web1 for 192.0.2.80, 2001:db8::80 do not come", "--forwarding tun"}},
		{"both ways: what no tunnel helps against", with(func(c *Crossed) { c.Out, c.In = nil, nil }), nil, Result{Fail, "foreign sources", "--forwarding nat"}},
		{"nothing of the node's comes", with(func(c *Crossed) { c.Out, c.OwnOut = nil, false }), nil, Result{Warn, "no packet of web1 comes", "UDP port 9"}},
		{"nothing comes to the node", with(func(c *Crossed) { c.In, c.OwnIn = nil, false }), nil, Result{Warn, "no packet to web1 comes", "UDP port 9"}},
		{"the node took no part", Crossed{Node: "web1", Unknown: "it is not reached", Remedy: "iwx-node show web1"}, nil,
			Result{Warn, "cannot try it: it is not reached", "iwx-node show web1"}},
		{"the node is gone", Crossed{Node: "web2"}, nil, Result{Skip, "web1 is no member any more", ""}},
	} {
		b := balanced(t, "ipvs")
		b.Nodes = []string{"web1"}
		b.Cross = func(context.Context) ([]Crossed, error) { return []Crossed{tt.found}, nil }
		if tt.change != nil {
			tt.change(&b)
		}
		got := b.find(t, NameNetwork+" web1")
		if got.Status != tt.want.Status || !strings.Contains(got.Detail, tt.want.Detail) || !strings.Contains(got.Remedy, tt.want.Remedy) || (got.Remedy == "") != (tt.want.Remedy == "") {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

// TestNetworkIsTriedOnce for all nodes, and not where nothing depends on it.
func TestNetworkIsTriedOnce(t *testing.T) {
	tried := 0
	b := balanced(t, "ipvs")
	b.Nodes = []string{"web1", "web2"}
	b.Cross = func(context.Context) ([]Crossed, error) { tried++; return nil, errors.New("no such interface") }
	probes := slices.DeleteFunc(b.Probes(), func(p Probe) bool { return !strings.HasPrefix(p.Name, NameNetwork) })
	for _, p := range probes {
		if got := p.Run(t.Context()); got.Status != Warn || got.Detail != "cannot try it: no such interface" {
			t.Errorf("%s: %+v", p.Name, got)
		}
	}
	if len(probes) != 2 || tried != 1 {
		t.Errorf("%d probes, tried %d times", len(probes), tried)
	}
	for name, change := range map[string]func(*Balance){
		"haproxy":    func(b *Balance) { b.Setup.Engine = "haproxy" },
		"external":   func(b *Balance) { b.Setup.External = true },
		"no nodes":   func(b *Balance) { b.Nodes = nil },
		"no address": func(b *Balance) { b.Setup.VIPs = nil },
	} {
		other := b
		change(&other)
		if got := other.find(t, NameNetwork); got.Status != Skip {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

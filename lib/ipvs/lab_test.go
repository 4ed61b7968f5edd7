//go:build lab

package ipvs

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"iwx/lib/lb"
	"iwx/lib/testenv"
)

// These tests change the table of the kernel that they run on: the lab runs them
// on a server of its own.

// TestKernel gives the kernel every scheduler and way of forwarding of both
// families, and reads them back.
func TestKernel(t *testing.T) {
	for _, net := range []struct{ vip, real string }{{"192.0.2.10", "192.0.2.1"}, {"2001:db8::10", "2001:db8::1"}} {
		vip, real := netip.MustParseAddr(net.vip), netip.AddrPortFrom(netip.MustParseAddr(net.real), 80)
		e := New(func(context.Context) ([]netip.Addr, error) { return []netip.Addr{vip}, nil })
		want := lb.Table{}
		for i, scheduler := range e.Schedulers() {
			for j, forwarding := range e.Forwardings() {
				key := netip.AddrPortFrom(vip, uint16(1000+10*i+j))
				v := lb.Virtual{Scheduler: scheduler, Forwarding: forwarding, Persistence: time.Duration(j) * time.Minute,
					Servers: map[netip.AddrPort]lb.Real{real: {Weight: 10 * i}}}
				op := lb.Operation{Verb: lb.AddService, Key: key, Virtual: v}
				apply(t, e, op, op)
				want[key] = v
			}
		}
		has(t, e, want)
		for key, v := range want {
			v.Scheduler, v.Forwarding, v.Persistence = "wrr", lb.Direct, 0
			v.Servers = map[netip.AddrPort]lb.Real{real: {Weight: 255}}
			apply(t, e, lb.Operation{Verb: lb.EditService, Key: key, Virtual: v},
				lb.Operation{Verb: lb.EditServer, Key: key, Virtual: v, Addr: real, Real: lb.Real{Weight: 255}})
			want[key] = v
		}
		has(t, e, want)
		has(t, New(func(context.Context) ([]netip.Addr, error) { return nil, nil }), lb.Table{})
		for key := range want {
			op := lb.Operation{Verb: lb.DeleteServer, Key: key, Addr: real}
			apply(t, e, op, op)
			op.Verb = lb.DeleteService
			apply(t, e, op, op)
		}
		has(t, e, lb.Table{})
	}
}

// TestLimits are weights at their ends, and the refusal of a real scheduler.
func TestLimits(t *testing.T) {
	vip := netip.MustParseAddr("192.0.2.10")
	e := New(func(context.Context) ([]netip.Addr, error) { return []netip.Addr{vip}, nil })
	err := e.Apply(t.Context(), []lb.Operation{{Verb: lb.AddService, Key: web, Virtual: virtual("nosuch")}})
	if fmt.Sprint(err) != `add service 192.0.2.10:80: this kernel has no scheduler "nosuch"` {
		t.Error(err)
	}
	if err := Available(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestThousandChanges drains, takes out and puts back one server after another of
// the service on port 80 of the virtual address VIP in the environment, which
// clients ask meanwhile; without one, of a service of its own.
func TestThousandChanges(t *testing.T) {
	vip := netip.MustParseAddr(cmp.Or(os.Getenv("VIP"), "192.0.2.10"))
	key := netip.AddrPortFrom(vip, 80)
	e := New(func(context.Context) ([]netip.Addr, error) { return []netip.Addr{vip}, nil })
	before, err := e.Observe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if vip == web.Addr() {
		before = lb.Table{key: virtual("wlc", lb.Real{Weight: 1}, lb.Real{Weight: 100})}
		apply(t, e, lb.Diff(before, lb.Table{})...)
		defer apply(t, e, lb.Operation{Verb: lb.DeleteService, Key: key})
	}
	changes := 0
	for changes < 1000 {
		for addr, real := range before[key].Servers {
			weight := func(n int) lb.Operation {
				return lb.Operation{Verb: lb.EditServer, Key: key, Virtual: before[key], Addr: addr, Real: lb.Real{Weight: n}}
			}
			apply(t, e, weight(7))
			apply(t, e, weight(0))
			quiet(t, e, addr)
			apply(t, e, lb.Operation{Verb: lb.DeleteServer, Key: key, Virtual: before[key], Addr: addr})
			apply(t, e, lb.Operation{Verb: lb.AddServer, Key: key, Virtual: before[key], Addr: addr, Real: real})
			changes += 4
		}
	}
	has(t, e, before)
}

// quiet waits until a server has no connection in use.
func quiet(t *testing.T, e *Engine, addr netip.AddrPort) {
	t.Helper()
	for deadline := time.Now().Add(testenv.Wait()); ; {
		list, err := e.Sessions(t.Context())
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("%s still has connections: %v, %v", addr, list, err)
		}
		if slices.ContainsFunc(list, func(s lb.Sessions) bool { return s.Addr == addr && s.Active == 0 }) {
			return
		}
	}
}

// BenchmarkWeight is one change of a weight, from the call to its end.
func BenchmarkWeight(b *testing.B) {
	vip := netip.MustParseAddr("192.0.2.10")
	e := New(func(context.Context) ([]netip.Addr, error) { return []netip.Addr{vip}, nil })
	v := virtual("wlc", lb.Real{Weight: 1})
	if err := e.Apply(b.Context(), []lb.Operation{{Verb: lb.AddService, Key: web, Virtual: v}}); err != nil {
		b.Fatal(err)
	}
	defer e.Apply(context.WithoutCancel(b.Context()), []lb.Operation{{Verb: lb.DeleteService, Key: web}})
	for i := range b.N {
		op := lb.Operation{Verb: lb.EditServer, Key: web, Virtual: v, Addr: web1, Real: lb.Real{Weight: i % 255}}
		if err := e.Apply(b.Context(), []lb.Operation{op}); err != nil {
			b.Fatal(err)
		}
	}
}

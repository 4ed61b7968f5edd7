//go:build !lab

package haproxy

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"iwx/lib/health"
	"iwx/lib/lb"
)

// watched is an engine that tells when it has been given something.
type watched struct {
	*Engine
	applied chan []lb.Operation
}

func (w *watched) Apply(ctx context.Context, ops []lb.Operation) error {
	err := w.Engine.Apply(ctx, ops)
	if err == nil {
		w.applied <- ops
	}
	return err
}

// BenchmarkVerdict is from the verdict on a service of a node until HAProxy has it,
// and its configuration: nine services, of which one at a time goes on a node, and
// is back.
func BenchmarkVerdict(b *testing.B) {
	for _, nodes := range []int{3, 50} {
		b.Run(fmt.Sprintf("nodes=%d", nodes), func(b *testing.B) { verdicts(b, nodes) })
	}
}

func verdicts(b *testing.B, nodes int) {
	vip := netip.MustParseAddr("127.0.0.9")
	setup := lb.Setup{Engine: "haproxy", VIPs: []lb.VIP{{Addr: vip}}}
	for range 9 {
		at := freePort(b, vip.String())
		setup.Policies = append(setup.Policies, lb.Policy{
			Service: "tcp", VIP: vip, Port: at.Port(), ServerPort: at.Port(), Scheduler: "leastconn", Check: health.Check{Slow: -1}.Filled(),
		})
	}
	var servers []lb.Server
	up := map[string]health.Verdict{}
	for n := range nodes {
		s := lb.Server{ID: fmt.Sprint("id", n), Name: fmt.Sprint("web", n), Addrs: []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 1, byte(1 + n)})}}
		servers = append(servers, s)
		for _, p := range setup.Policies {
			up[lb.TargetID(p.Key(), s.ID, netip.AddrPortFrom(s.Addrs[0], p.ServerPort))] = health.Verdict{State: health.Up}
		}
	}
	ids := slices.Sorted(maps.Keys(up))
	var mu sync.Mutex
	view := func() lb.View {
		mu.Lock()
		defer mu.Unlock()
		return lb.View{Setup: setup, Servers: servers, Verdicts: maps.Clone(up)}
	}
	e := &watched{newEngine(b), make(chan []lb.Operation, 1)}
	r := lb.NewReconciler(map[string]lb.Engine{"haproxy": e}, view, time.Now, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx, func() {}) }()
	<-e.applied
	var took []time.Duration
	for n := 0; b.Loop(); n++ {
		id, state := ids[n/2*7%len(ids)], health.Down
		if n%2 == 1 {
			state = health.Up
		}
		time.Sleep(20 * time.Millisecond) // what follows from the one before is done
		begun := time.Now()
		mu.Lock()
		up[id] = health.Verdict{State: state, Hard: state == health.Down}
		mu.Unlock()
		r.Look()
		if ops := <-e.applied; len(ops) != 1 {
			b.Fatalf("%s is %s: %v", id, state, ops)
		}
		took = append(took, time.Since(begun))
	}
	cancel()
	if err := <-ended; err != nil {
		b.Error(err)
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}

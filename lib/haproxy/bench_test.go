//go:build !lab

package haproxy

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"iwx/lib/health"
	"iwx/lib/lb"
	"iwx/lib/testenv"
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

// relay passes an engine's commands on to HAProxy, and tells when one that takes a
// server out of the balancing, or into it, was answered.
type relay struct {
	to  socket
	set chan time.Time
}

// newRelay stands between the engine and HAProxy, which runs, until the benchmark
// ends.
func newRelay(b *testing.B, e *Engine) *relay {
	r := &relay{to: e.stats, set: make(chan time.Time, 16)}
	path := filepath.Join(b.TempDir(), "relay")
	l, err := net.Listen("unix", path)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	e.stats = socket(path)
	go func() {
		for conn, err := l.Accept(); err == nil; conn, err = l.Accept() {
			go r.pass(b.Context(), conn)
		}
	}()
	return r
}

// pass passes the commands of one connection on.
func (r *relay) pass(ctx context.Context, conn net.Conn) {
	defer conn.Close()
	command, err := io.ReadAll(conn)
	if err != nil {
		return
	}
	answer, err := r.to.ask(ctx, strings.TrimSpace(string(command)))
	if err != nil {
		return
	}
	if text := string(command); strings.Contains(text, " state maint") || strings.Contains(text, " state ready") {
		r.set <- time.Now()
	}
	_, _ = io.WriteString(conn, answer)
}

// BenchmarkVerdict is from the verdict on a service of a node until HAProxy goes by
// it, and until its configuration does as well, for the next start: nine services, of
// which one at a time goes on a node, and is back.
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
	first := view()
	desired, _ := first.Desired()
	if err := e.Engine.Apply(b.Context(), lb.Diff(desired, nil)); err != nil {
		b.Fatal(err)
	}
	told := newRelay(b, e.Engine)
	r := lb.NewReconciler(map[string]lb.Engine{"haproxy": e}, view, time.Now, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx, func() {}) }()
	var out, in, saved []time.Duration
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
		select {
		case ops := <-e.applied:
			if len(ops) != 1 {
				b.Fatalf("%s is %s: %v", id, state, ops)
			}
		case <-time.After(testenv.Wait()):
			b.Fatalf("%s is %s: HAProxy does not have it", id, state)
		}
		saved = append(saved, time.Since(begun))
		if took := (<-told.set).Sub(begun); state == health.Down {
			out = append(out, took)
		} else {
			in = append(in, took)
		}
		for len(told.set) > 0 {
			<-told.set
		}
	}
	cancel()
	if err := <-ended; err != nil {
		b.Error(err)
	}
	for unit, list := range map[string][]time.Duration{"out-ms": out, "in-ms": in, "saved-ms": saved} {
		slices.Sort(list)
		b.ReportMetric(float64(list[len(list)/2].Microseconds())/1000, "p50-"+unit)
		b.ReportMetric(float64(list[len(list)*99/100].Microseconds())/1000, "p99-"+unit)
	}
}

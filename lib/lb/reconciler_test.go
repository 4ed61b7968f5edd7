package lb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"iwx/lib/health"
)

// memory is an engine that balances nothing.
type memory struct {
	mu     sync.Mutex
	table  Table
	broken error          // of all but End
	panics bool           // Apply does
	refuse netip.AddrPort // the virtual service that it cannot have
	full   error          // of Apply, which has done all the same what it was to
	calls  int            // of Apply
	looked int            // calls of Observe
	ended  []string
}

func (m *memory) Name() string              { return "memory" }
func (m *memory) Schedulers() []string      { return []string{"wlc"} }
func (m *memory) Forwardings() []Forwarding { return []Forwarding{Direct} }

func (m *memory) Observe(context.Context) (Table, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.looked++
	if m.broken != nil {
		return nil, m.broken
	}
	return m.table.Clone(), nil
}

func (m *memory) Apply(_ context.Context, ops []Operation) (err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls++
	if m.panics {
		panic("no such table")
	}
	defer func() {
		if err == nil {
			err = m.full
		}
	}()
	for _, op := range ops {
		if m.broken != nil {
			return m.broken
		}
		if op.Key == m.refuse {
			return fmt.Errorf("%s cannot be had", op.Key)
		}
		m.table.Apply(op)
	}
	return nil
}

func (m *memory) Sessions(context.Context) (list []Sessions, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key, v := range m.table {
		for addr := range v.Servers {
			list = append(list, Sessions{Key: key, Addr: addr, Active: 7, Other: 1})
		}
	}
	return list, m.broken
}

func (m *memory) End(_ context.Context, dead netip.AddrPort) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ended = append(m.ended, dead.String())
	return nil
}

// servers is who serves the one policy of a scene: "manager=100 web1=100".
func (m *memory) servers(v *View) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var words []string
	for addr, r := range m.table[v.Setup.Policies[0].Key()].Servers {
		words = append(words, fmt.Sprintf("%s=%d", addr.Addr(), r.Weight))
	}
	slices.Sort(words)
	return strings.Join(words, " ")
}

func (m *memory) set(change func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change()
}

// counts is how often it was looked at, and changed.
func (m *memory) counts() (looked, calls int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.looked, m.calls
}

// rig is a reconciler at work, in the virtual time of a synctest bubble.
type rig struct {
	t      *testing.T
	mu     sync.Mutex
	scene  *View
	engine *memory
	other  *memory
	log    strings.Builder
	*Reconciler
}

func newRig(t *testing.T, scene *View) *rig {
	r := &rig{t: t, scene: scene, engine: &memory{table: Table{}}, other: &memory{table: Table{}}}
	view := func() View {
		r.mu.Lock()
		defer r.mu.Unlock()
		return View{Setup: r.scene.Setup, Servers: r.scene.Servers, Verdicts: maps.Clone(r.scene.Verdicts)}
	}
	engines := map[string]Engine{"ipvs": r.engine, "haproxy": r.other}
	r.Reconciler = NewReconciler(engines, view, time.Now, slog.New(slog.NewTextHandler(&r.log, nil)))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := r.Run(ctx, func() {}); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	synctest.Wait()
	return r
}

// change changes the scene and waits until the reconciler has settled.
func (r *rig) change(fn func(*View)) {
	r.mu.Lock()
	fn(r.scene)
	r.mu.Unlock()
	r.Look()
	synctest.Wait()
}

func (r *rig) expect(want string) {
	r.t.Helper()
	if got := r.engine.servers(r.scene); got != want {
		r.t.Errorf("got  %s\nwant %s", got, want)
	}
}

// verdict changes the verdict of a server.
func verdict(server int, is health.Verdict) func(*View) {
	return func(v *View) {
		p := &v.Setup.Policies[0]
		addr, _ := v.Servers[server].addr(p, Direct)
		v.Verdicts[TargetID(p.Key(), v.Servers[server].ID, addr)] = is
	}
}

func refused() health.Verdict {
	return health.Verdict{State: health.Down, Hard: true, Last: health.Result{Word: health.Refused, Reason: "refused"}}
}

func TestReconcilerFollowsVerdictsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, scene(2).tell("uuu"))
		r.expect("10.0.0.1=100 10.0.0.2=100 10.0.0.3=100")
		began := time.Now()
		r.change(verdict(1, refused()))
		r.expect("10.0.0.1=100 10.0.0.3=100")
		if took := time.Since(began); took != 0 {
			t.Errorf("it took %v", took)
		}
		if !slices.Equal(r.engine.ended, []string{"10.0.0.2:80"}) {
			t.Errorf("ended %v", r.engine.ended)
		}
		r.change(verdict(2, health.Verdict{State: health.Down, Last: health.Result{Word: health.Wrong}}))
		r.expect("10.0.0.1=100")
		r.change(verdict(1, health.Verdict{State: health.Up}))
		r.expect("10.0.0.1=100 10.0.0.2=100")
		r.change(verdict(1, refused()))
		if len(r.engine.ended) != 2 {
			t.Errorf("ended %v: a server that answers wrongly keeps what it has", r.engine.ended)
		}
		if !strings.Contains(r.log.String(), `msg="delete server" service="http on 192.0.2.10" server=web1 addr=10.0.0.2:80 weight=100 why=refused`) {
			t.Error(r.log.String())
		}
	})
}

func TestReconcilerDoesNothingWithoutCause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, scene(2).tell("uuu"))
		time.Sleep(time.Minute)
		if r.engine.calls != 1 {
			t.Errorf("%d calls of Apply", r.engine.calls)
		}
	})
}

// What the engine has is looked at every few seconds however often something
// changes, and never while a change waits for it.
func TestReconcilerChangesComeFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, scene(2).tell("uuu"))
		states := []health.Verdict{refused(), {State: health.Up}}
		const step = 710 * time.Millisecond // no time at which it is looked is one of a change
		for n := range 40 {
			time.Sleep(step)
			synctest.Wait()
			before, _ := r.engine.counts()
			r.change(verdict(1, states[n%2]))
			if looked, _ := r.engine.counts(); looked != before {
				t.Errorf("change %d waited for what the engine has", n)
			}
		}
		looked, calls := r.engine.counts()
		if looked < 8 || looked > 11 {
			t.Errorf("looked %d times in %v", looked, 40*step)
		}
		if calls != 41 {
			t.Errorf("%d calls of Apply", calls)
		}
	})
}

func TestReconcilerSlowStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, scene(1).tell("uh"))
		r.expect("10.0.0.1=100")
		r.change(verdict(1, health.Verdict{State: health.Starting, Since: time.Now()}))
		r.expect("10.0.0.1=100 10.0.0.2=10")
		slow := r.scene.Setup.Policies[0].Check.Slow
		time.Sleep(slow/2 + risingEvery)
		r.expect("10.0.0.1=100 10.0.0.2=50")
		r.change(verdict(1, health.Verdict{State: health.Up, Since: time.Now()}))
		r.expect("10.0.0.1=100 10.0.0.2=100")
	})
}

// A watcher that is restarted adopts what it finds, and what meddles with the
// engine is undone.
func TestReconcilerAdoptsAndMends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := scene(2).tell("uuu")
		r := newRig(t, v)
		table := r.engine.table.Clone()
		key := v.Setup.Policies[0].Key()
		again := newRig(t, scene(2))
		again.engine.set(func() { again.engine.table = table })
		again.change(func(*View) {})
		time.Sleep(observeEvery)
		synctest.Wait()
		again.expect("10.0.0.1=100 10.0.0.2=100 10.0.0.3=100")
		again.engine.set(func() { clear(again.engine.table[key].Servers) })
		for n := range 3 {
			again.change(verdict(n, health.Verdict{State: health.Up}))
		}
		time.Sleep(observeEvery)
		synctest.Wait()
		again.expect("10.0.0.1=100 10.0.0.2=100 10.0.0.3=100")
	})
}

func TestReconcilerTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, scene(1).tell("uu"))
		r.engine.set(func() { r.engine.broken = errors.New("no memory") })
		r.change(verdict(1, refused()))
		r.expect("10.0.0.1=100 10.0.0.2=100")
		report := r.Report(t.Context())
		if report.Error != "no memory" {
			t.Errorf("%+v", report)
		}
		time.Sleep(time.Minute)
		if n := strings.Count(r.log.String(), "the engine does not match the configuration"); n != 1 {
			t.Errorf("logged %d times", n)
		}
		// It is tried again less and less often, but at once when something changes.
		before, _ := r.engine.counts()
		time.Sleep(10 * time.Minute)
		if after, _ := r.engine.counts(); after-before > 38 || after-before < 24 {
			t.Errorf("tried %d times in 10 min", after-before)
		}
		before, _ = r.engine.counts()
		r.change(verdict(1, refused()))
		if after, _ := r.engine.counts(); after != before+1 {
			t.Errorf("a change had it tried %d times", after-before)
		}
		r.engine.set(func() { r.engine.broken = nil })
		time.Sleep(25 * time.Second)
		synctest.Wait()
		r.expect("10.0.0.1=100")
		if report := r.Report(t.Context()); report.Error != "" || len(report.Pending) != 0 {
			t.Errorf("%+v", report)
		}
	})
}

// An engine that panics has failed, and is tried again.
func TestReconcilerEngineThatPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, scene(1).tell("uu"))
		r.engine.set(func() { r.engine.panics = true })
		r.change(verdict(1, refused()))
		if report := r.Report(t.Context()); report.Error != "internal error: panic: no such table" {
			t.Errorf("%+v", report)
		}
		if text := r.log.String(); !strings.Contains(text, `work="pass of the engine"`) || !strings.Contains(text, "(*memory).Apply (") {
			t.Errorf("logged %s", text)
		}
		r.engine.set(func() { r.engine.panics = false })
		time.Sleep(time.Minute)
		synctest.Wait()
		r.expect("10.0.0.1=100")
	})
}

// An engine that did all and could not keep it is told so until it can, and the
// error is in sight as long.
func TestReconcilerEngineThatOwes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, scene(1).tell("uu"))
		r.engine.set(func() { r.engine.full = errors.New("no space left on device") })
		r.change(verdict(1, refused()))
		r.expect("10.0.0.1=100")
		for range 3 {
			time.Sleep(2 * time.Second)
			synctest.Wait()
			if report := r.Report(t.Context()); report.Error != "no space left on device" {
				t.Errorf("%+v", report)
			}
		}
		r.engine.set(func() { r.engine.full = nil })
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if report := r.Report(t.Context()); report.Error != "" {
			t.Errorf("%+v", report)
		}
		_, before := r.engine.counts()
		time.Sleep(time.Minute)
		if _, after := r.engine.counts(); after != before {
			t.Errorf("%d calls of Apply with nothing owed", after-before)
		}
	})
}

func TestReconcilerOneServiceThatCannotBe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, scene(1).tell("uu"))
		r.change(func(v *View) {
			for _, name := range []string{"smtp", "https"} {
				s, _ := Lookup(name)
				v.Setup, _, _ = v.Setup.Add(NewPolicy(s, vip), v.Servers)
			}
			r.engine.set(func() { r.engine.refuse = netip.AddrPortFrom(vip, 25) })
		})
		if len(r.engine.table) != 2 {
			t.Errorf("%v", r.engine.table)
		}
		if report := r.Report(t.Context()); report.Error != "192.0.2.10:25 cannot be had" || len(report.Pending) != 1 || !strings.HasPrefix(report.Pending[0], "smtp on 192.0.2.10: add service") {
			t.Errorf("%+v", report)
		}
	})
}

func TestReconcilerChangesEngines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, scene(1).tell("uu"))
		r.expect("10.0.0.1=100 10.0.0.2=100")
		r.other.set(func() { r.other.broken = errors.New("it does not run") })
		r.change(func(v *View) { v.Setup.Engine = "haproxy" })
		r.expect("10.0.0.1=100 10.0.0.2=100") // until the other one has it
		r.other.set(func() { r.other.broken = nil })
		time.Sleep(2 * time.Second)
		synctest.Wait()
		r.expect("")
		if len(r.other.table) != 1 {
			t.Errorf("%v", r.other.table)
		}
		r.change(func(v *View) { v.Setup.Engine = "ipvs" })
		r.expect("10.0.0.1=100 10.0.0.2=100")
		if len(r.other.table) != 0 {
			t.Errorf("%v", r.other.table)
		}
		r.change(func(v *View) { v.Setup.External = true })
		r.expect("")
	})
}

func TestReconcilerReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, scene(2).tell("uuh"))
		report := r.Report(t.Context())
		var got []string
		for _, m := range report.Services[0].Members {
			got = append(got, fmt.Sprint(m.Name, m.In, m.Weight, m.Active, m.Other))
		}
		if want := []string{"managertrue 100 7 1", "web1true 100 7 1", "web2false 0 0 0"}; !reflect.DeepEqual(got, want) {
			t.Errorf("%q", got)
		}
		if report.Engine != "ipvs" || report.Error != "" || report.Pending != nil {
			t.Errorf("%+v", report)
		}
	})
}

package lb

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"iwx/lib/backoff"
	"iwx/lib/health"
	"iwx/lib/panics"
	"iwx/lib/wait"
)

// Times that a reconciler goes by.
const (
	observeEvery = 3 * time.Second        // what the engine really has
	risingEvery  = 500 * time.Millisecond // while a slow start is under way
	engineLimit  = 15 * time.Second       // for all that is asked of the engine at a time
)

// retryWaits are the waits before an engine that failed is tried again, unless
// something changes: it may read a whole configuration each time.
func retryWaits() backoff.Waits { return backoff.Waits{First: time.Second, Most: 20 * time.Second} }

// Reconciler keeps the engine at what is desired: at once when something
// changes, and every few seconds whatever happened to it meanwhile. It adopts
// what it finds, and leaves it when it ends.
//
// The engine in use is the setup's. One that is not in use any more is relieved
// of what is ours, once the other has it.
type Reconciler struct {
	engines map[string]Engine
	view    func() View // Setup, Servers and Verdicts at present
	now     func() time.Time
	log     *slog.Logger
	wake    wait.Signal

	mu       sync.Mutex // held while an engine is used
	engine   string     // in use
	actual   Table      // what it has, as far as is known; nil: to be observed
	observed time.Time  // when that was seen
	relieved map[string]bool
	ended    map[netip.AddrPort]bool // dead servers whose connections were ended
	rising   bool                    // a slow start is under way
	err      error                   // of the last pass
	tries    backoff.Tries           // passes that failed
}

// NewReconciler returns a reconciler of the engines, by name, that goes by the
// Setup, Servers and Verdicts which view returns.
func NewReconciler(engines map[string]Engine, view func() View, now func() time.Time, log *slog.Logger) *Reconciler {
	return &Reconciler{
		engines: engines, view: view, now: now, log: log, wake: wait.NewSignal(),
		relieved: map[string]bool{}, ended: map[netip.AddrPort]bool{}, tries: backoff.Tries{Waits: retryWaits()},
	}
}

// Look has the reconciler look again at once. It does not block.
func (r *Reconciler) Look() { r.wake.Set() }

// Run reconciles until ctx is done, and calls alive at every pass. The engine
// keeps what it has.
func (r *Reconciler) Run(ctx context.Context, alive func()) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		woken := false
		select {
		case <-ctx.Done():
			return nil
		case <-r.wake:
			woken = true
		case <-timer.C:
		}
		alive()
		wait := r.pass(ctx, woken)
		alive()
		timer.Reset(wait)
	}
}

// pass brings the engine to what is desired, and returns when to look again if
// nothing happens before. When it was woken by a change, that comes first, and what
// the engine has is observed in the next one.
func (r *Reconciler) pass(ctx context.Context, woken bool) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	limited, cancel := context.WithTimeout(ctx, engineLimit)
	defer cancel()
	began := r.now()
	err := panics.Try(r.log, "pass of the engine", func() error { return r.converge(limited, woken) })
	if ctx.Err() != nil {
		return observeEvery
	}
	r.note(err)
	took := r.now().Sub(began)
	if err != nil {
		return r.tries.Failed(took)
	}
	r.tries.Reset()
	switch {
	case r.rising:
		return backoff.Pace(risingEvery, took)
	case !woken:
		return backoff.Pace(observeEvery, took)
	}
	return max(0, observeEvery-r.now().Sub(r.observed))
}

// note keeps the error for the report, and logs one that is not the one before.
func (r *Reconciler) note(err error) {
	switch {
	case err != nil && (r.err == nil || r.err.Error() != err.Error()):
		r.log.Error("the engine does not match the configuration", "engine", r.engine, "error", err)
	case err == nil && r.err != nil:
		r.log.Info("the engine matches the configuration", "engine", r.engine)
	}
	r.err = err
	if err != nil {
		r.actual = nil
	}
}

// converge is one pass. r.mu is held.
func (r *Reconciler) converge(ctx context.Context, woken bool) error {
	view := r.view()
	view.Now = r.now()
	if view.Setup.Engine != r.engine {
		r.engine, r.actual = view.Setup.Engine, nil
	}
	engine, err := r.inUse()
	if engine == nil {
		return err
	}
	fresh := r.actual == nil || !woken && view.Now.Sub(r.observed) >= observeEvery
	if fresh {
		if r.actual, err = engine.Observe(ctx); err != nil {
			return err
		}
		r.observed = view.Now
	}
	view.Actual = r.actual
	desired, reports := view.Desired()
	r.rising = rises(reports)
	ops := Diff(desired, r.actual)
	Explain(ops, reports)
	if err := r.apply(ctx, engine, ops); err != nil {
		return err
	}
	err = r.end(ctx, engine, desired, reports)
	if fresh {
		err = errors.Join(err, r.relieve(ctx))
	}
	return err
}

// inUse returns the engine that balances; nil if none is to.
func (r *Reconciler) inUse() (Engine, error) {
	if r.engine == "" {
		return nil, nil
	}
	if e := r.engines[r.engine]; e != nil {
		return e, nil
	}
	_, err := AbilityOf(r.engine)
	if err == nil {
		err = fmt.Errorf("engine %s cannot be used here", r.engine)
	}
	return nil, err
}

func rises(reports []ServiceReport) bool {
	for i := range reports {
		starting := func(m MemberReport) bool { return m.Verdict.State == health.Starting }
		if slices.ContainsFunc(reports[i].Members, starting) {
			return true
		}
	}
	return false
}

// apply has the engine do the operations. Where that fails, each service is
// tried for itself, so that one that cannot be keeps nothing from the others. After
// a pass that failed, the engine has what it may owe from it to make good, also
// where nothing is left to be done.
func (r *Reconciler) apply(ctx context.Context, engine Engine, ops []Operation) error {
	if len(ops) == 0 {
		if r.err == nil {
			return nil
		}
		return engine.Apply(ctx, nil)
	}
	err := engine.Apply(ctx, ops)
	if err == nil {
		r.done(ops)
		return nil
	}
	var faults []error
	for _, of := range byService(ops) {
		if err := engine.Apply(ctx, of); err != nil {
			faults = append(faults, err)
			continue
		}
		r.done(of)
	}
	return errors.Join(faults...)
}

func byService(ops []Operation) (groups [][]Operation) {
	for len(ops) > 0 {
		n := 1
		for n < len(ops) && ops[n].Key == ops[0].Key {
			n++
		}
		groups, ops = append(groups, ops[:n]), ops[n:]
	}
	return groups
}

// done notes what the engine has done.
func (r *Reconciler) done(ops []Operation) {
	for i := range ops {
		op := &ops[i]
		r.actual.Apply(*op)
		args := []any{"service", op.Virtual.Name}
		if op.Addr.IsValid() {
			args = append(args, "server", op.Real.Name, "addr", op.Addr, "weight", op.Real.Weight)
		}
		if op.Why != "" {
			args = append(args, "why", op.Why)
		}
		r.log.Info(string(op.Verb), args...)
	}
}

// end ends the connections to servers that are gone and were taken out: clients
// would wait for an answer that does not come. A server that answers wrongly may
// still be of use to those it has.
func (r *Reconciler) end(ctx context.Context, engine Engine, desired Table, reports []ServiceReport) error {
	gone := map[netip.AddrPort]bool{}
	for i := range reports {
		for j := range reports[i].Members {
			m := &reports[i].Members[j]
			if !m.gone() {
				continue
			}
			for _, addr := range m.addrs() {
				gone[addr] = true
			}
		}
	}
	for _, v := range desired {
		for addr := range v.Servers {
			delete(gone, addr)
		}
	}
	maps.DeleteFunc(r.ended, func(addr netip.AddrPort, _ bool) bool { return !gone[addr] })
	var faults []error
	for _, addr := range sorted(gone) {
		if r.ended[addr] {
			continue
		}
		if err := engine.End(ctx, addr); err != nil {
			faults = append(faults, fmt.Errorf("end the connections to %s: %w", addr, err))
			continue
		}
		r.ended[addr] = true
	}
	return errors.Join(faults...)
}

// gone reports whether nothing answers there any more.
func (m *MemberReport) gone() bool {
	return m.Verdict.State == health.Down && (m.Verdict.Hard || m.Verdict.Last.Word == health.Silent)
}

// addrs are all at which the member is, or was, reached.
func (m *MemberReport) addrs() []netip.AddrPort { return append([]netip.AddrPort{m.Addr}, m.Others...) }

// relieve takes from the engines that are not in use what they have of ours. One
// that cannot even tell, as on a kernel without it, has nothing.
func (r *Reconciler) relieve(ctx context.Context) error {
	delete(r.relieved, r.engine)
	var faults []error
	for _, name := range slices.Sorted(maps.Keys(r.engines)) {
		if name == r.engine || r.relieved[name] {
			continue
		}
		table, err := r.engines[name].Observe(ctx)
		if err != nil {
			continue // asked again at the next pass
		}
		if err := r.engines[name].Apply(ctx, Diff(Table{}, table)); err != nil {
			faults = append(faults, fmt.Errorf("engine %s, which is not in use any more: %w", name, err))
			continue
		}
		if len(table) > 0 {
			r.log.Info("engine relieved", "engine", name, "services", len(table))
		}
		r.relieved[name] = true
	}
	return errors.Join(faults...)
}

// Report returns the state of balancing at this moment, with what the engine has
// and its connections. It waits for a pass that is under way.
func (r *Reconciler) Report(ctx context.Context) Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	view := r.view()
	view.Now = r.now()
	report := Report{
		Engine: view.Setup.Engine, External: view.Setup.External, Stopped: view.Setup.Stopped, At: view.Now,
	}
	engine := r.engines[view.Setup.Engine]
	var sessions []Sessions
	err := r.err
	if engine != nil {
		var failed error
		if view.Actual, failed = engine.Observe(ctx); failed == nil {
			sessions, failed = engine.Sessions(ctx)
		}
		err, report.Blind = cmp.Or(err, failed), failed != nil
	}
	if err != nil {
		report.Error = err.Error()
	}
	desired, services := view.Desired()
	ops := Diff(desired, view.Actual)
	Explain(ops, services)
	for _, op := range ops {
		report.Pending = append(report.Pending, op.String())
	}
	report.Services = count(services, sessions)
	return report
}

// count adds the connections to the reports.
func count(services []ServiceReport, sessions []Sessions) []ServiceReport {
	have := map[[2]netip.AddrPort]Sessions{}
	for _, s := range sessions {
		have[[2]netip.AddrPort{s.Key, s.Addr}] = s
	}
	for i := range services {
		for j := range services[i].Members {
			m := &services[i].Members[j]
			for _, addr := range m.addrs() {
				s := have[[2]netip.AddrPort{services[i].Policy.Key(), addr}]
				m.Active += s.Active
				m.Other += s.Other
			}
		}
	}
	return services
}

package queuedtool

import (
	"context"
	"reflect"
	"sync"
	"time"

	"iwx/lib/control"
	"iwx/lib/lb"
	"iwx/lib/wait"
)

// Times by which entries that roll follow load balancing.
const (
	askEvery = 200 * time.Millisecond // how the nodes take part, while an entry rolls
	staleAt  = 2 * time.Second        // an answer of that age says nothing any more
	idleAt   = 15 * time.Second       // iwx-lb daemon does not run: nobody drains
)

// pools is load balancing for the entries that roll: the last report of
// iwx-lb daemon, which is asked only while there are any. It is the cluster.Balancer.
type pools struct {
	*manager
	mu     sync.Mutex
	report lb.Report
	heard  time.Time // of the report; zero: none since asking began
	since  time.Time // asking began, or the last answer came; zero: nobody asks
	warned bool      // that nobody is drained
}

// Limit implements cluster.Balancer.
func (p *pools) Limit() time.Duration { return p.config.Load().Queue.DrainLimit }

// Poke implements cluster.Balancer.
func (p *pools) Poke() { p.PokeBalance() }

// Shares implements cluster.Balancer. Where iwx-lb daemon does not run, as far
// as could be seen for a while, no node is to be drained: nothing would come of
// it.
func (p *pools) Shares(ctx context.Context) (map[string]lb.Share, bool, error) {
	setup, err := p.Store.Balancing(ctx)
	if err != nil || len(setup.Policies) == 0 {
		return nil, err == nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.c.Now()
	if !p.heard.IsZero() && now.Sub(p.heard) < staleAt {
		p.warned = false
		return setup.Shares(&p.report), true, nil
	}
	idle := !p.since.IsZero() && now.Sub(p.since) >= idleAt
	if idle && !p.warned {
		p.warned = true
		p.log.Warn("iwx-lb daemon does not answer; nodes are not drained before their turn", "since", p.since)
	}
	return nil, idle, nil
}

// run asks iwx-lb daemon as long as there is an entry that rolls, and has the
// rules look at what has changed.
func (p *pools) run(ctx context.Context) error {
	worker := p.dog.Worker("pools", stuckAfter)
	var looked time.Time
	for wait.Sleep(ctx, askEvery) == nil {
		worker.Alive()
		if !p.rules.Rolling() {
			p.rest()
			continue
		}
		// Now and then all the same, for what has had its time.
		_ = p.try(ctx, "cannot continue the rolling entry", func(ctx context.Context) error {
			if now := p.c.Now(); p.ask(ctx, now) || now.Sub(looked) >= lookEvery {
				looked = now
				return p.rules.Refresh(ctx)
			}
			return nil
		})
	}
	return nil
}

// rest drops the last report.
func (p *pools) rest() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.heard, p.since = time.Time{}, time.Time{}
}

// ask asks once, and reports whether there is something new.
func (p *pools) ask(ctx context.Context, now time.Time) bool {
	ctx, cancel := context.WithTimeout(ctx, staleAt)
	defer cancel()
	report, err := control.Status(ctx, p.Balance)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.since.IsZero() {
		p.since = now
	}
	if err != nil {
		return false
	}
	was, first := p.report.Services, p.heard.IsZero()
	p.report, p.heard, p.since = report, now, now
	return first || !reflect.DeepEqual(was, report.Services)
}

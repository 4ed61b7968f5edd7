package profile

import (
	"slices"
	"time"

	"iwx/lib/backoff"
)

// retryWaits are the waits before a failed item is tried again. They are short enough
// that an overloaded server recovers within a minute.
func retryWaits() backoff.Waits {
	return backoff.Waits{First: 10 * time.Second, Most: 40 * time.Second}
}

// try is an item that failed the last time.
type try struct {
	backoff.Tries
	item    Item
	removal bool
	again   time.Time
}

// scope selects the items that a pass tries. The other items keep their
// results.
type scope int

const (
	allItems   scope = iota
	restedOnes       // all except failed items whose retry is not due
	retries          // the failed items whose retry is due, and those that wait for them
)

// left returns the last result of an item that the pass does not try, or nil if it
// tries it.
func (p *pass) left(item Item, removal bool) *Result {
	i := slices.IndexFunc(p.old.Items, func(r Result) bool { return r.item().same(item) && r.Removal == removal })
	if i < 0 || p.scope == allItems {
		return nil
	}
	was := &p.old.Items[i]
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.tries[item.String()]
	failed := t != nil && t.removal == removal && t.item.equal(item)
	switch {
	case failed && p.Now().Before(t.again):
		return was
	case !failed && p.scope == retries && was.Word == WordApplied && p.old.Desired == p.version:
		return was
	}
	return nil
}

// note records the outcome of an item that was tried, or that waits for
// another.
func (p *pass) note(item Item, removal bool, word string, took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := item.String()
	if word != WordFailed {
		delete(p.tries, key)
		return
	}
	t := p.tries[key]
	if t == nil || t.removal != removal || !t.item.equal(item) {
		t = &try{Tries: backoff.Tries{Waits: retryWaits()}, item: item, removal: removal}
	}
	t.again = p.Now().Add(t.Failed(took))
	if p.tries == nil {
		p.tries = map[string]*try{}
	}
	p.tries[key] = t
}

// forget drops the failures of items that are no longer desired nor to be removed.
func (p *pass) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for key, t := range p.tries {
		gone := func(r Result) bool { return r.item().same(t.item) }
		if !slices.ContainsFunc(p.results, gone) && !slices.ContainsFunc(p.removals, gone) {
			delete(p.tries, key)
		}
	}
}

// again returns when the next retry of a failed item is due, or zero if none is.
func (c *Converger) again() (at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range c.tries {
		if at.IsZero() || t.again.Before(at) {
			at = t.again
		}
	}
	return at
}

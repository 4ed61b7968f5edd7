package profile

import (
	"slices"
	"time"

	"iwx/lib/backoff"
)

// retryWaits are the waits before an item that failed is tried again: not so long that
// a server which was overloaded takes more than a minute to recover.
func retryWaits() backoff.Waits {
	return backoff.Waits{First: 10 * time.Second, Most: 40 * time.Second}
}

// try is an item that failed when it was last tried.
type try struct {
	backoff.Tries
	item    Item
	removal bool
	again   time.Time
}

// scope is which items a pass tries. Those that it leaves keep their results.
type scope int

const (
	allItems   scope = iota
	restedOnes       // all but those that failed, and are not to be tried again yet
	retries          // of those that failed the ones that are to be tried again, and what waits for them
)

// left returns the last result of an item that the pass does not try; nil if it does.
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

// note takes the outcome of an item that was tried, or that waits for another.
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

// forget drops the failures of items that neither are desired nor to be taken back
// any more.
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

// again returns when the next item that failed is to be tried again; zero for none.
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

package replay_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"iwx/lib/cluster"
	"iwx/lib/profile"
	"iwx/lib/queue"
)

// manager is a cluster manager without a network: it implements
// replay.Manager for each of its nodes through reach.
type manager struct {
	mu      sync.Mutex
	log     chain
	limit   int // records in a page
	orders  map[string]cluster.Orders
	status  map[string]cluster.Status
	reports map[string]map[string]string // node, "SEQ.ATTEMPT", outcome
	told    int                          // attempts, in all reports
	facts   []string                     // host names, of the reports that have facts
	profile *profile.Revision            // of every node; nil: none
	changed chan struct{}                // closed and replaced with every change
}

func newManager(limit int) *manager {
	return &manager{
		limit: limit, orders: map[string]cluster.Orders{}, status: map[string]cluster.Status{},
		reports: map[string]map[string]string{}, changed: make(chan struct{}),
	}
}

// change makes a change that nodes are to hear of.
func (m *manager) change(fn func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	fn()
	close(m.changed)
	m.changed = make(chan struct{})
}

// look reads what the manager knows.
func (m *manager) look(fn func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	fn()
}

// sign is the signature of these tests.
func sign(p queue.Position) []byte { return append([]byte("signed "), p.Hash[:]...) }

func checkSign(p queue.Position, sig []byte) error {
	if !bytes.Equal(sig, sign(p)) {
		return errors.New("not signed by the manager's log key")
	}
	return nil
}

// answer returns what a poll gets, and whether that is news.
func (m *manager) answer(node string, req *cluster.PollRequest) (a *cluster.PollAnswer, news bool, changed <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	page := m.log.page(req.Position.Seq, m.limit)
	a = &cluster.PollAnswer{Epoch: 1, Head: m.log.head.Seq, Orders: m.orders[node], Page: cluster.WirePage(page)}
	if n := len(page); n > 0 {
		a.Sig = sign(page[n-1].Position())
		a.More = page[n-1].Seq < m.log.head.Seq
	}
	if m.profile != nil && req.Profile != "" && req.Profile != m.profile.Version {
		a.Profile = m.profile
	}
	return a, len(page) > 0 || a.Profile != nil || a.Orders != req.Orders, m.changed
}

// reach is a node's way to the manager, which may lose what is sent.
type reach struct {
	*manager
	node   string
	loses  func() bool                 // asked for each request and each answer; may be nil
	tamper func(a *cluster.PollAnswer) // may be nil
}

var errLost = errors.New("connection reset by peer")

func (r *reach) lost() bool { return r.loses != nil && r.loses() }

func (r *reach) Poll(ctx context.Context, req *cluster.PollRequest) (*cluster.PollAnswer, error) {
	if r.lost() {
		return nil, errLost
	}
	over := time.After(time.Duration(req.Wait) * time.Millisecond)
	for last := req.Wait <= 0; ; {
		a, news, changed := r.answer(r.node, req)
		if news || last {
			if r.lost() {
				return nil, errLost
			}
			if r.tamper != nil {
				r.tamper(a)
			}
			return a, ctx.Err()
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-over:
			last = true
		case <-changed:
		}
	}
}

// Tail implements replay.Manager: this one lacks nothing.
func (r *reach) Tail(_ context.Context, req *cluster.TailRequest) (*cluster.TailAnswer, error) {
	return &cluster.TailAnswer{Next: req.Page[len(req.Page)-1].Seq + 1}, nil
}

// Fence implements replay.Manager: this one keeps no such record.
func (r *reach) Fence(context.Context, *cluster.TailRequest) error { return nil }

func (r *reach) Report(ctx context.Context, report *cluster.Report) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if r.lost() {
		return errLost
	}
	r.look(func() {
		r.status[r.node] = report.Status
		got := r.reports[r.node]
		if got == nil {
			got = map[string]string{}
			r.reports[r.node] = got
		}
		r.told += len(report.Attempts)
		if report.Facts != nil {
			r.facts = append(r.facts, report.Facts.Hostname)
		}
		for _, a := range report.Attempts {
			got[fmt.Sprintf("%d.%d", a.Seq, a.Attempt)] = a.Outcome
		}
	})
	if r.lost() {
		return errLost
	}
	return nil
}

// notes is where a node notes how it stands; these tests look at the last word.
type notes struct {
	mu     sync.Mutex
	orders cluster.Orders
	silent []string // the errors, in order
}

func (n *notes) SaveHeard(_ context.Context, _ time.Time, _, _ uint64, orders cluster.Orders) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.orders = orders
	return nil
}

func (n *notes) SaveSilent(_ context.Context, _ time.Time, _, text, _ string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.silent = append(n.silent, text)
	return nil
}

// dice are random numbers for several goroutines.
type dice struct {
	mu  sync.Mutex
	rng *rand.Rand
}

func newDice(seed, stream uint64) *dice { return &dice{rng: rand.New(rand.NewPCG(seed, stream))} }

// intN returns a number from 0 up to n.
func (d *dice) intN(n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rng.IntN(n)
}

// oneIn is true once in n times.
func (d *dice) oneIn(n int) bool { return d.intN(n) == 0 }

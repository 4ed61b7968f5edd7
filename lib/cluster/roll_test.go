package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"iwx/lib/cluster"
	"iwx/lib/queue"
	"iwx/lib/replay"
	"iwx/lib/state"
)

// rolling are the targets of an entry that goes to so many members at a time.
func rolling(n uint16) queue.Targets {
	return queue.Targets{Scope: queue.ScopeMembers, Rolling: n}
}

// drill is a cluster in virtual time whose nodes follow the rules of package
// replay, and what it saw of the entries that roll.
type drill struct {
	*lab
	dice  *rand.Rand
	mu    sync.Mutex
	calm  bool // no more faults
	nodes []*drilled
	crowd *crowd                     // nil: nobody balances
	under map[uint64]map[string]bool // the nodes that have begun an entry and are not past it
	size  map[uint64]int             // how many may have
	order map[uint64][]string        // in which order they began it
	most  int                        // at once, of one entry
	wrong []string
}

func newDrill(l *lab, seed uint64, nodes int) *drill {
	d := &drill{
		lab: l, dice: rand.New(rand.NewPCG(seed, 0)), under: map[uint64]map[string]bool{},
		size: map[uint64]int{}, order: map[uint64][]string{},
	}
	for i := range nodes {
		name := fmt.Sprintf("web%d", i+1)
		n := &drilled{drill: d, server: l.joined(name), name: name, fails: map[uint64]int{}, wake: make(chan struct{}, 1)}
		d.nodes = append(d.nodes, n)
	}
	l.Store = overseen{l.store, d}
	return d
}

// chance is true once in n times, as long as there are faults.
func (d *drill) chance(n int) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.calm && d.dice.IntN(n) == 0
}

func (d *drill) seconds(n int) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return time.Duration(1+d.dice.IntN(n)) * time.Second
}

func (d *drill) complain(format string, args ...any) {
	d.wrong = append(d.wrong, fmt.Sprintf(format, args...))
}

// overseen is a state that looks at every turn which is given.
type overseen struct {
	*state.Store
	drill *drill
}

func (o overseen) SaveRoll(ctx context.Context, seq uint64, turns []cluster.Turn, over bool) error {
	nodes, err := o.Standings(ctx)
	if err != nil {
		return err
	}
	o.drill.mu.Lock()
	for _, n := range nodes {
		if b := n.Status.Blocked; given(turns) && b != nil && b.Seq == seq && !o.drill.passed(n.ID, seq) {
			o.drill.complain("%v were given entry %d, at which %s is halted", turns, seq, n.Name)
		}
	}
	o.drill.mu.Unlock()
	return o.Store.SaveRoll(ctx, seq, turns, over)
}

// given reports whether a node begins its turn.
func given(turns []cluster.Turn) bool {
	return slices.ContainsFunc(turns, func(t cluster.Turn) bool { return t.Stage == cluster.Draining || t.Stage == cluster.Begun })
}

// passed reports whether the node is to pass the entry by.
func (d *drill) passed(id string, seq uint64) bool {
	voids, err := d.store.Voids(context.Background(), seq, seq)
	check(d.t, err)
	for _, v := range voids {
		if v.Node == "" || v.Node == id {
			return true
		}
	}
	return false
}

// drilled is a node: its queue is real, its commands take a while and fail as
// often as fails says.
type drilled struct {
	*drill
	*server
	name  string
	wake  chan struct{} // when it has something to report
	fails map[uint64]int

	mu       sync.Mutex
	state    replay.State
	position queue.Position
	orders   cluster.Orders
	blocked  *cluster.Blocked
}

// run polls and reports until ctx is done, and is cut off now and then.
func (n *drilled) run(ctx context.Context) {
	for ctx.Err() == nil {
		up, cut := context.WithCancel(ctx)
		if n.chance(2) {
			time.AfterFunc(n.seconds(200), cut)
		}
		var wg sync.WaitGroup
		wg.Go(func() { n.report(up) })
		n.poll(up)
		cut()
		wg.Wait()
		if ctx.Err() == nil {
			time.Sleep(n.seconds(120))
		}
	}
}

// failing has the next attempts at an entry fail.
func (n *drilled) failing(seq uint64, times int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.fails[seq] = times
}

func (n *drilled) poll(ctx context.Context) {
	n.mu.Lock()
	n.state.More = true
	n.mu.Unlock()
	for wait := time.Duration(0); ctx.Err() == nil; wait = 50 * time.Second {
		n.mu.Lock()
		req := &cluster.PollRequest{Instance: n.instance, Position: cluster.WirePosition(n.position), Orders: n.orders, Wait: wait.Milliseconds()}
		n.mu.Unlock()
		a, err := n.Poll(ctx, n.id, n.remote, req)
		if err != nil || ctx.Err() != nil {
			return
		}
		n.hear(a)
	}
}

// hear takes in what the manager answered.
func (n *drilled) hear(a *cluster.PollAnswer) {
	n.mu.Lock()
	defer n.mu.Unlock()
	ahead := append([]replay.Pending(nil), n.state.Ahead...)
	page := a.QueuePage().Records
	for i := range page {
		r := &page[i]
		ahead = append(ahead, replay.Describe(r, n.id, 1, ""))
		n.position = r.Position()
		if r.Kind != queue.KindVoid || r.Body == nil {
			continue
		}
		v, err := queue.DecodeVoid(r.Body)
		check(n.t, err)
		for j := range ahead {
			if ahead[j].Seq == v.Seq {
				ahead[j].Void = v.Disposition
			}
		}
	}
	n.orders = a.Orders
	n.step(replay.Heard{
		Orders: replay.Orders{Paused: a.Orders.Paused, Retry: a.Orders.Retry, RetrySeq: a.Orders.RetrySeq, Hold: a.Orders.Hold},
		Filled: replay.Filled{Head: n.position.Seq, Ahead: ahead}, More: a.More,
	})
}

// step does what the rules say. n.mu is held.
func (n *drilled) step(ev replay.Event) {
	var actions []replay.Action
	n.state, actions = n.state.Step(ev, time.Now())
	for _, a := range actions {
		switch a := a.(type) {
		case replay.Settle:
			n.settled(a.Seq)
		case replay.Begin:
			n.begin(a)
		case replay.Wait:
			time.AfterFunc(time.Until(a.Until), func() {
				n.mu.Lock()
				defer n.mu.Unlock()
				n.step(replay.Tick{})
			})
		}
	}
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

func (n *drilled) begin(b replay.Begin) {
	n.drill.mu.Lock()
	if size := n.size[b.Seq]; size > 0 {
		if b.Attempt == 1 {
			n.order[b.Seq] = append(n.order[b.Seq], n.name)
		}
		if n.under[b.Seq] == nil {
			n.under[b.Seq] = map[string]bool{}
		}
		n.under[b.Seq][n.name] = true
		n.most = max(n.most, len(n.under[b.Seq]))
		if len(n.under[b.Seq]) > size {
			n.complain("entry %d is under way on %d nodes, not %d: %v", b.Seq, len(n.under[b.Seq]), size, n.order[b.Seq])
		}
		if b.Attempt == 1 && n.crowd != nil {
			n.crowd.oversee(n, b.Seq)
		}
	}
	n.drill.mu.Unlock()
	time.AfterFunc(n.seconds(30), func() { n.finish(b) })
}

func (n *drilled) finish(b replay.Begin) {
	fails := n.chance(8)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.fails[b.Seq] > 0 {
		n.fails[b.Seq]--
		fails = true
	}
	if !fails {
		n.step(replay.Finished{Outcome: replay.Succeeded})
		return
	}
	n.blocked = &cluster.Blocked{Seq: b.Seq, Attempts: b.Attempt, Error: "exit 1"}
	n.step(replay.Finished{Outcome: replay.Failed, RetryAfter: 5 * time.Minute})
}

// settled notes that the node is past the entries up to seq.
func (n *drilled) settled(seq uint64) {
	n.drill.mu.Lock()
	defer n.drill.mu.Unlock()
	for entry, nodes := range n.under {
		if entry <= seq {
			delete(nodes, n.name)
		}
	}
	if n.blocked != nil && n.blocked.Seq <= seq {
		n.blocked = nil
	}
}

func (n *drilled) report(ctx context.Context) {
	for {
		n.mu.Lock()
		s := cluster.Status{Word: n.state.Word(), Epoch: 1, Done: n.state.Done, Head: n.state.Head, Blocked: n.blocked}
		if n.state.Phase == replay.Running {
			s.Running = n.state.Ahead[0].Seq
		}
		n.mu.Unlock()
		if ctx.Err() == nil {
			err := n.Report(context.WithoutCancel(ctx), n.id, n.remote, &cluster.Report{Instance: n.instance, Status: s})
			if r := (*cluster.Refusal)(nil); errors.As(err, &r) && r.Reason == cluster.RefusedDeleted {
				return // as a test may do while the node has something to tell
			}
			if err != nil {
				n.t.Errorf("%s: %v", n.name, err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-n.wake:
		}
	}
}

// start has the nodes live until the function that it returns is called.
func (d *drill) start() (end func()) {
	ctx, cancel := context.WithCancel(d.t.Context())
	var wg sync.WaitGroup
	for _, n := range d.nodes {
		wg.Go(func() { n.run(ctx) })
	}
	if d.crowd != nil {
		wg.Go(func() { d.crowd.follow(ctx) })
	}
	synctest.Wait() // their polls are open
	return func() { cancel(); wg.Wait() }
}

// queue appends a command, and lets the manager know.
func (d *drill) queue(targets queue.Targets) uint64 {
	body, err := (&queue.Command{Argv: []string{"true"}}).Encode()
	check(d.t, err)
	d.mu.Lock()
	op, err := d.store.Append(d.t.Context(), state.Draft{Kind: queue.KindCommand, Targets: targets, Body: body})
	d.size[op.Seq] = int(targets.Rolling)
	d.mu.Unlock()
	check(d.t, err)
	d.refresh()
	return op.Seq
}

func (d *drill) pass(seq uint64, targets queue.Targets, how queue.Disposition) {
	void := queue.Void{Seq: seq, Disposition: how, Who: "root"}
	_, err := d.store.Append(d.t.Context(), state.Draft{Kind: queue.KindVoid, Targets: targets, Body: void.Encode()})
	check(d.t, err)
	d.refresh()
}

// began tells which nodes should have begun the entry, in which order.
func (d *drill) began(when string, seq uint64, names string) {
	d.t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if got := strings.Join(d.order[seq], " "); got != names {
		d.t.Errorf("%s: %q have begun entry %d, not %q", when, got, seq, names)
	}
}

// judge tells what went wrong, and returns how many were at an entry at once.
func (d *drill) judge() (most int) {
	d.t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, w := range d.wrong {
		d.t.Error(w)
	}
	return d.most
}

func (d *drill) done(n *drilled) uint64 { return d.node(n.server).Status.Done }

// TestRollingInOrder has three nodes that are all there.
func TestRollingInOrder(t *testing.T) {
	onManager(t, func(t *testing.T, l *lab) {
		d := newDrill(l, 1, 3)
		d.calm = true
		end := d.start()
		seq := d.queue(rolling(1))
		after := d.queue(queue.Members())
		time.Sleep(5 * time.Minute)
		end()
		d.began("at the end", seq, "web1 web2 web3")
		for _, n := range d.nodes {
			if d.done(n) != after {
				t.Errorf("%s is at %d", n.name, d.done(n))
			}
		}
		if most := d.judge(); most != 1 {
			t.Errorf("%d at once", most)
		}
		if rolls, err := l.store.Rolls(t.Context(), l.head().Seq); err != nil || len(rolls) > 0 {
			t.Errorf("still rolling: %v, %v", rolls, err)
		}
	})
}

// TestRollingStops: where it failed on the first node, nobody else's turn comes
// before that is mended, skipped or cancelled, not even with another manager's
// daemon.
func TestRollingStops(t *testing.T) {
	for what, mend := range map[string]func(d *drill, seq uint64){
		"mended":    func(d *drill, seq uint64) { d.nodes[0].failing(seq, 0) },
		"skipped":   func(d *drill, seq uint64) { d.pass(seq, queue.Nodes(d.nodes[0].id), queue.Skipped) },
		"cancelled": func(d *drill, seq uint64) { d.pass(seq, queue.Members(), queue.Cancelled) },
	} {
		t.Run(what, func(t *testing.T) {
			onManager(t, func(t *testing.T, l *lab) {
				d := newDrill(l, 1, 3)
				d.calm = true
				end := d.start()
				seq := l.head().Seq + 1
				d.nodes[0].failing(seq, 1000)
				d.queue(rolling(1))
				time.Sleep(time.Hour)
				end()
				l.Manager = again(l.Manager)
				l.refresh()
				end = d.start()
				time.Sleep(time.Hour)
				d.began("where it failed", seq, "web1")
				mend(d, seq)
				time.Sleep(time.Hour)
				end()
				for _, n := range d.nodes {
					if d.done(n) != l.head().Seq {
						t.Errorf("%s is at %d of %d", n.name, d.done(n), l.head().Seq)
					}
				}
				names := "web1 web2 web3"
				if what == "cancelled" {
					names = "web1"
				}
				d.began("at the end", seq, names)
				d.judge()
			})
		})
	}
}

// again is the manager as its daemon's next run has it: all it knows is in the
// state.
func again(m *cluster.Manager) *cluster.Manager {
	return &cluster.Manager{
		Store: m.Store, Signer: m.Signer, Identity: m.Identity, Facts: m.Facts, Version: m.Version, Now: m.Now, Log: m.Log,
		Balancer: m.Balancer,
	}
}

// between is a state to which something happens after the log was read and
// before the entries that roll are.
type between struct {
	*state.Store
	happens func()
}

func (b *between) Rolls(ctx context.Context, head uint64) ([]cluster.Roll, error) {
	if b.happens != nil {
		b.happens()
		b.happens = nil
	}
	return b.Store.Rolls(ctx, head)
}

// TestRollingCancelledBetween: nobody is let past an entry before it is told
// that the entry is cancelled.
func TestRollingCancelledBetween(t *testing.T) {
	onManager(t, func(t *testing.T, l *lab) {
		nodes := []*server{l.joined("web1"), l.joined("web2")}
		var polls []*parked
		for _, n := range nodes {
			polls = append(polls, l.park(t.Context(), n, time.Minute))
		}
		op := l.add(rolling(1), 0)
		void := queue.Void{Seq: op.Seq, Disposition: queue.Cancelled, Who: "root"}
		l.Store = &between{l.store, func() {
			_, err := l.store.Append(t.Context(), state.Draft{Kind: queue.KindVoid, Targets: queue.Members(), Body: void.Encode()})
			check(t, err)
		}}
		l.refresh()
		synctest.Wait()
		held := 0
		for _, p := range polls {
			check(t, p.err)
			if n := len(p.answer.Page); n != 1 {
				t.Errorf("%d records with the entry", n)
			}
			if p.answer.Orders.Hold == op.Seq {
				held++
			}
		}
		if held != len(nodes) {
			t.Errorf("%d of two nodes are held before they know of the end", held)
		}
		l.refresh()
		for _, n := range nodes {
			a, err := l.pollAt(t.Context(), n, queue.Position{}, 0)
			check(t, err)
			if len(a.Page) != 2 || a.Orders.Hold != 0 {
				t.Errorf("%d records, held before %d, once all is known", len(a.Page), a.Orders.Hold)
			}
		}
	})
}

// TestRollingPassesOver: who is away, or paused, keeps nobody waiting, and has
// its turn when it is back.
func TestRollingPassesOver(t *testing.T) {
	onManager(t, func(t *testing.T, l *lab) {
		d := newDrill(l, 1, 4)
		d.calm = true
		away, paused := d.nodes[0], d.nodes[1]
		d.nodes = d.nodes[1:]
		end := d.start()
		check(t, l.store.Pause(t.Context(), []string{paused.id}, true))
		l.refresh()
		seq := d.queue(rolling(1))
		time.Sleep(10 * time.Minute)
		d.began("while two are away", seq, "web3 web4")
		check(t, l.store.Pause(t.Context(), []string{paused.id}, false))
		l.refresh()
		time.Sleep(10 * time.Minute)
		end()
		d.nodes = []*drilled{away}
		end = d.start()
		time.Sleep(10 * time.Minute)
		end()
		d.began("at the end", seq, "web3 web4 web2 web1")
		d.judge()
	})
}

// TestRollingReachesBehind: a skip of an entry before the one that a node waits
// for reaches it.
func TestRollingReachesBehind(t *testing.T) {
	onManager(t, func(t *testing.T, l *lab) {
		d := newDrill(l, 1, 2)
		d.calm = true
		end := d.start()
		late := d.nodes[1]
		first := l.head().Seq + 1
		late.failing(first, 1000)
		d.queue(queue.Members())
		seq := d.queue(rolling(1))
		time.Sleep(time.Hour)
		d.pass(first, queue.Nodes(late.id), queue.Skipped)
		time.Sleep(time.Hour)
		end()
		d.began("at the end", seq, "web1 web2")
		if d.done(late) != l.head().Seq {
			t.Errorf("web2 is at %d of %d", d.done(late), l.head().Seq)
		}
		d.judge()
	})
}

// TestRollingSimulation: under cut connections, failures, pauses, skips and
// restarts of the manager there are never more at once than allowed, and when
// all that ends everyone gets through.
func TestRollingSimulation(t *testing.T) {
	seeds := uint64(8)
	if testing.Short() {
		seeds = 4
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			onManager(t, func(t *testing.T, l *lab) {
				d := newDrill(l, seed, 2+int(seed%4))
				if seed%2 == 1 {
					d.balance()
				}
				end := d.start()
				for range 40 {
					time.Sleep(d.seconds(120))
					d.operate()
				}
				d.mu.Lock()
				d.calm = true
				d.mu.Unlock()
				d.resume()
				if c := d.crowd; c != nil {
					c.set(func() { clear(c.sick) })
				}
				time.Sleep(12 * time.Hour)
				end()
				for _, n := range d.nodes {
					if d.done(n) != l.head().Seq {
						t.Errorf("%s is at %d of %d: %+v", n.name, d.done(n), l.head().Seq, d.node(n.server).Status)
					}
				}
				for _, drain := range d.drains() {
					if strings.Contains(drain, " for ") {
						t.Errorf("still drained: %s", drain)
					}
				}
				d.judge()
			})
		})
	}
}

// operate is one thing that an operator does, or that befalls the manager.
func (d *drill) operate() {
	d.mu.Lock()
	what, which, size := d.dice.IntN(14), d.dice.IntN(len(d.nodes)), uint16(1+d.dice.IntN(2))
	d.mu.Unlock()
	n := d.nodes[which]
	switch {
	case what < 4:
		d.queue(rolling(size))
	case what < 6:
		d.queue(queue.Members())
	case what < 8:
		if b := d.node(n.server).Status.Blocked; b != nil {
			d.pass(b.Seq, queue.Nodes(n.id), queue.Skipped)
		}
	case what < 9:
		check(d.t, d.store.Pause(d.t.Context(), []string{n.id}, true))
		d.refresh()
	case what < 11:
		d.resume()
	case what < 13 && d.crowd != nil:
		d.crowd.set(func() { d.crowd.sick[n.name] = !d.crowd.sick[n.name] })
	case what < 14 && d.crowd != nil:
		d.administrator(n, true)
	}
}

func (d *drill) resume() {
	for _, n := range d.nodes {
		check(d.t, d.store.Pause(d.t.Context(), []string{n.id}, false))
	}
	d.refresh()
}

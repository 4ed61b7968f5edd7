package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
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

// began reports which nodes should have begun the entry, in which order.
func (d *drill) began(when string, seq uint64, names string) {
	d.t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if got := strings.Join(d.order[seq], " "); got != names {
		d.t.Errorf("%s: %q have begun entry %d, not %q", when, got, seq, names)
	}
}

// judge fails the test with what went wrong, and returns how many nodes were at an
// entry at once.
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

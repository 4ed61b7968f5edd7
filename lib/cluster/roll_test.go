package cluster_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"iwx/lib/cluster"
	"iwx/lib/queue"
	"iwx/lib/state"
)

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
// before that is fixed, skipped or cancelled, not even with another manager's
// daemon.
func TestRollingStops(t *testing.T) {
	for what, fix := range map[string]func(d *drill, seq uint64){
		"fixed":     func(d *drill, seq uint64) { d.nodes[0].failing(seq, 0) },
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
				fix(d, seq)
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

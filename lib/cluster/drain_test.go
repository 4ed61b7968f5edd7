package cluster_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"iwx/lib/cluster"
	"iwx/lib/lb"
	"iwx/lib/queue"
)

// pool is the one virtual service that the drill's nodes have.
const pool = "192.0.2.10:80"

// crowd is load balancing in the drill: every node has clients, whose
// connections end a while after it is drained.
type crowd struct {
	*drill
	mu     sync.Mutex
	silent bool                 // nothing is known
	sick   map[string]bool      // the nodes that fail their checks
	stay   time.Duration        // of connections; 0: by chance
	until  map[string]time.Time // when those of a drained node end
}

// balance has the nodes of the drill take part in load balancing.
func (d *drill) balance() *crowd {
	c := &crowd{drill: d, sick: map[string]bool{}, until: map[string]time.Time{}}
	d.crowd = c
	d.Balancer = c
	return c
}

func (c *crowd) Limit() time.Duration { return time.Minute }
func (c *crowd) Poke()                {}

func (c *crowd) Shares(ctx context.Context) (map[string]lb.Share, bool, error) {
	setup, err := c.store.Balancing(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	shares := map[string]lb.Share{}
	for _, n := range c.nodes {
		shares[n.id] = c.share(n, drainedIn(&setup, n.id))
	}
	return shares, !c.silent, err
}

// share is how one node takes part. c.mu is held.
func (c *crowd) share(n *drilled, drained bool) lb.Share {
	s := lb.Share{Current: true}
	switch {
	case !drained && c.sick[n.name]:
		s.Out = []string{pool}
	case !drained:
		s.In, s.Checked = []string{pool}, time.Now()
	}
	if !drained {
		delete(c.until, n.id)
		return s
	}
	if c.until[n.id].IsZero() {
		stay := c.stay
		if stay == 0 {
			stay = c.seconds(90)
		}
		c.until[n.id] = time.Now().Add(stay)
	}
	if time.Now().Before(c.until[n.id]) {
		s.Left = []string{"http on 192.0.2.10: 1"}
	}
	return s
}

func drainedIn(setup *lb.Setup, id string) bool {
	return slices.ContainsFunc(setup.Drains, func(d lb.Drain) bool { return d.Server == id })
}

// set changes how the crowd is.
func (c *crowd) set(fn func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fn()
}

// follow has the rules look again while an entry rolls, as the daemon does.
func (c *crowd) follow(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if c.Rolling() {
			check(c.t, c.Refresh(context.WithoutCancel(ctx)))
		}
	}
}

// oversee looks at a node that begins the entry: it is drained for that, and no more nodes
// are out than one of the entries allows that have some out. drill.mu is held.
func (c *crowd) oversee(n *drilled, seq uint64) {
	setup, err := c.store.Balancing(context.Background())
	check(c.t, err)
	out, most, since := map[string]bool{}, 0, time.Time{}
	for _, e := range setup.Drains {
		if e.Entry > 0 {
			out[e.Server] = true
			most = max(most, n.size[e.Entry])
		}
		if e.Server == n.id && e.Entry == seq {
			since = e.Since
		}
	}
	if since.IsZero() {
		n.complain("%s begins entry %d and is not drained for it", n.name, seq)
	}
	if len(out) > most {
		n.complain("%d nodes are drained as %s begins entry %d", len(out), n.name, seq)
	}
}

// drains are who is drained: "web1 for 2", or "web1" by an administrator.
func (d *drill) drains() []string {
	setup, err := d.store.Balancing(context.Background())
	check(d.t, err)
	var list []string
	for _, e := range setup.Drains {
		for _, n := range d.nodes {
			if n.id != e.Server {
				continue
			}
			name := n.name
			if e.Entry > 0 {
				name += fmt.Sprintf(" for %d", e.Entry)
			}
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return list
}

// administrator drains a node, or undrains it from whatever drains it.
func (d *drill) administrator(n *drilled, drain bool) {
	err := d.store.ChangeBalancing(context.Background(), func(s lb.Setup) (lb.Setup, error) {
		own := func(e lb.Drain) bool { return e.Server == n.id && (!drain || e.Entry == 0) }
		s.Drains = slices.DeleteFunc(slices.Clone(s.Drains), own)
		if drain {
			s.Drains = append(s.Drains, lb.Drain{Server: n.id, Since: time.Now(), Who: "root"})
		}
		return s, nil
	})
	check(d.t, err)
	d.refresh()
}

func (d *drill) expect(when string, drains ...string) {
	d.t.Helper()
	if got := d.drains(); !slices.Equal(got, drains) {
		d.t.Errorf("%s: drained are %q, not %q", when, got, drains)
	}
}

// drills runs a drill of calm nodes that take part in load balancing.
func drills(t *testing.T, nodes int, run func(d *drill, c *crowd)) {
	onManager(t, func(t *testing.T, l *lab) {
		d := newDrill(l, 1, nodes)
		d.calm = true
		c := d.balance()
		defer d.start()()
		run(d, c)
		d.judge()
	})
}

// TestRollingDrains: a node's turn begins when its connections have ended, and
// the next one's when it is back.
func TestRollingDrains(t *testing.T) {
	drills(t, 2, func(d *drill, c *crowd) {
		c.set(func() { c.stay = 40 * time.Second })
		seq := d.queue(rolling(1))
		time.Sleep(30 * time.Second)
		d.expect("while it has connections", fmt.Sprintf("web1 for %d", seq))
		d.began("while it has connections", seq, "")
		c.set(func() { c.sick["web1"] = true })
		time.Sleep(time.Hour)
		d.expect("while it is not back")
		d.began("while it is not back", seq, "web1")
		c.set(func() { c.sick["web1"] = false })
		time.Sleep(5 * time.Minute)
		d.expect("at the end")
		d.began("at the end", seq, "web1 web2")
		if rolls, err := d.store.Rolls(d.t.Context(), d.head().Seq); err != nil || len(rolls) > 0 {
			d.t.Errorf("still rolling: %v, %v", rolls, err)
		}
	})
}

// TestRollingOutlastsConnections: they have their time, and no more.
func TestRollingOutlastsConnections(t *testing.T) {
	drills(t, 1, func(d *drill, c *crowd) {
		c.set(func() { c.stay = time.Hour })
		seq := d.queue(rolling(1))
		time.Sleep(c.Limit() - 5*time.Second)
		d.began("before the limit", seq, "")
		time.Sleep(10 * time.Second)
		d.began("after the limit", seq, "web1")
		turns, err := d.store.Turns(d.t.Context(), seq)
		if err != nil || len(turns) != 1 || len(turns[0].Left) != 1 {
			d.t.Errorf("what was left is not known: %+v, %v", turns, err)
		}
	})
}

// TestRollingKeepsAdministrator: a drain of an administrator's own outlives the
// turn, and is not waited out; an undrain is the end of every drain.
func TestRollingKeepsAdministrator(t *testing.T) {
	drills(t, 2, func(d *drill, c *crowd) {
		d.administrator(d.nodes[0], true)
		seq := d.queue(rolling(1))
		time.Sleep(10 * time.Minute)
		d.began("with one drained already", seq, "web1 web2")
		d.expect("after that", "web1")

		c.set(func() { c.stay = 50 * time.Second })
		seq = d.queue(rolling(1))
		time.Sleep(2 * time.Second)
		d.administrator(d.nodes[0], false)
		d.expect("undrained in its turn")
		time.Sleep(2 * time.Second)
		d.began("undrained in its turn", seq, "web1")
	})
}

// TestRollingEndsItsDrains: whatever ends an entry ends its drains; where it
// failed, it is tried again on a drained node until then.
func TestRollingEndsItsDrains(t *testing.T) {
	for what, end := range map[string]func(d *drill, seq uint64){
		"done":      func(d *drill, seq uint64) { d.nodes[0].failing(seq, 0) },
		"skipped":   func(d *drill, seq uint64) { d.pass(seq, queue.Nodes(d.nodes[0].id), queue.Skipped) },
		"cancelled": func(d *drill, seq uint64) { d.pass(seq, queue.Members(), queue.Cancelled) },
		"deleted": func(d *drill, _ uint64) {
			check(d.t, d.store.EndMembership(d.t.Context(), d.nodes[0].id, cluster.Deleted, "root", time.Now()))
			d.refresh()
			d.mu.Lock()
			defer d.mu.Unlock()
			clear(d.under) // what it does is no longer the cluster's
		},
	} {
		t.Run(what, func(t *testing.T) {
			drills(t, 2, func(d *drill, c *crowd) {
				seq := d.head().Seq + 1
				d.nodes[0].failing(seq, 1000)
				d.queue(rolling(1))
				time.Sleep(time.Hour)
				d.expect("where it failed", fmt.Sprintf("web1 for %d", seq))
				d.began("where it failed", seq, "web1")
				end(d, seq)
				time.Sleep(time.Hour)
				d.expect("after that")
				if d.done(d.nodes[1]) != d.head().Seq {
					t.Errorf("web2 is at %d of %d", d.done(d.nodes[1]), d.head().Seq)
				}
			})
		})
	}
}

// TestRollingCancelledWhileDraining: nobody has begun, and nobody does.
func TestRollingCancelledWhileDraining(t *testing.T) {
	drills(t, 2, func(d *drill, c *crowd) {
		c.set(func() { c.stay = time.Hour })
		seq := d.queue(rolling(2))
		time.Sleep(10 * time.Second)
		d.expect("before", fmt.Sprintf("web1 for %d", seq), fmt.Sprintf("web2 for %d", seq))
		d.pass(seq, queue.Members(), queue.Cancelled)
		time.Sleep(time.Minute)
		d.expect("after that")
		d.began("after that", seq, "")
	})
}

// TestRollingWithoutWord: while nothing is known of load balancing, nobody's turn
// comes.
func TestRollingWithoutWord(t *testing.T) {
	drills(t, 1, func(d *drill, c *crowd) {
		c.set(func() { c.silent = true })
		seq := d.queue(rolling(1))
		time.Sleep(time.Hour)
		d.began("while nothing is known", seq, "")
		d.expect("while nothing is known")
		c.set(func() { c.silent = false })
		time.Sleep(5 * time.Minute)
		d.began("once it is", seq, "web1")
	})
}

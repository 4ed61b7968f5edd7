package health

import (
	"context"
	"log/slog"
	"math"
	"slices"
	"sync"
	"time"

	"iwx/lib/panics"
	"iwx/lib/wait"
)

// Checker has every target probed again and again, each for itself, so that a
// slow one delays no other, and keeps the verdicts.
//
// A target is probed at its own level every Interval. Between that it is only
// knocked at, every half second: a connection that the server's kernel answers
// and the service never sees (see Prober). A knock that is answered says
// nothing, and one that is not is a failure. While a target is in doubt it is
// probed every 100 ms, while it is down every second; the probes of different
// targets are spread over their interval.
//
// An answer that takes far longer than it usually does is late: it goes on being
// waited for, and the target is asked again beside, until as many probes are
// under way as take it out, so that a service which hangs is out when the first
// Timeout has passed and not after Fall of them. What came of probes counts in the
// order in which they began. At a service of which its server tells that it
// accepts nothing (Stall), an answer that is late in this way has failed: no
// Timeout is waited for, provided that it is known what answers there take.
//
// The first failure of a target for want of any answer puts all targets of its
// host in doubt.
//
// Of several targets with the same Service, the first in the order of Set that is up is
// in use. The others are probed at their own level a tenth as often, and at least once a
// minute, up or down. As soon as the one in use is in doubt or down, they are probed at
// once and at the full rate.
//
// Checks must not sustain the overload that makes them fail. After a slow probe a target
// rests for twice as long as the probe took (backoff.Rest). A target that is down and
// silent rests longer each time, up to 10 s for each such target of its host, and at
// most 30 s. This delays no failure: a failure that needs confirmation, or that the node
// reported, is probed at once. News of the service, or of another on the same host that
// is up again, also ends the rest.
//
// Its methods may be called by many goroutines. The zero Checker with its
// exported fields set can be used.
type Checker struct {
	Probe   func(ctx context.Context, t Target) Result // at the level of t.Check; ends by itself: Prober.Probe
	Now     func() time.Time
	Log     *slog.Logger
	Changed func(id string, was, is Verdict) // State or Hard has; in order for each target; must not Tell

	mu         sync.Mutex
	began      time.Time // from which the intervals are counted
	news       wait.Signal
	watches    map[string]*watch
	hosts      map[string]*host
	complained time.Time // of probes that could not be made
}

// host counts what it is that a host was given, to spread it.
type host struct{ number, targets int }

// Set has these targets checked from now on, and no others. Those that it has
// already, by their ID, keep their verdicts; new ones begin with the known, or
// are Unknown, and are looked at at once.
func (c *Checker) Set(targets []Target, known map[string]Verdict) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.begin()
	kept := make(map[string]*watch, len(targets))
	for _, t := range targets {
		t.Check = t.Check.Filled()
		w := c.watches[t.ID]
		switch {
		case w == nil:
			w = c.newWatch(t, known[t.ID])
		case w.target != t:
			w.target = t
			w.rouse()
		}
		kept[t.ID] = w
	}
	c.watches = kept
	c.group(targets)
	c.news.Set()
}

// group gives each watch the ways to its service. The caller holds c.mu.
func (c *Checker) group(targets []Target) {
	ways := map[string][]*watch{}
	for i := range targets {
		if of := targets[i].Service; of != "" {
			ways[of] = append(ways[of], c.watches[targets[i].ID])
		}
	}
	for _, w := range c.watches {
		w.ways = ways[w.target.Service]
		w.wake.Set()
	}
}

// begin makes what the zero Checker has not. c.mu is held.
func (c *Checker) begin() {
	if c.news == nil {
		c.news = wait.NewSignal()
		c.hosts = map[string]*host{}
		c.began = c.Now()
	}
}

// newWatch returns a watch whose place among the others of its host, and among
// all, is as far as can be from theirs: by multiples of the golden ratio, which
// divide an interval evenly however many there are. c.mu is held.
func (c *Checker) newWatch(t Target, known Verdict) *watch {
	if known.State == "" {
		known.State = Unknown
	}
	h := c.hosts[t.Host]
	if h == nil {
		h = &host{number: len(c.hosts)}
		c.hosts[t.Host] = h
	}
	_, phase := math.Modf(float64(h.targets)/math.Phi + float64(h.number)*math.Sqrt2)
	w := &watch{target: t, verdict: known, turn: h.targets + h.number, phase: phase, began: c.began, wake: wait.NewSignal()}
	h.targets++
	w.notBefore = c.Now().Add(time.Duration(phase * float64(firstSpread)))
	w.look()
	return w
}

// Verdicts returns the verdicts of all targets, by their IDs.
func (c *Checker) Verdicts() map[string]Verdict {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make(map[string]Verdict, len(c.watches))
	for id, w := range c.watches {
		all[id] = w.verdict
	}
	return all
}

// Doubt probes all targets of a host at once, since there is news of it.
func (c *Checker) Doubt(host string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range c.watches {
		if w.target.Host == host {
			w.rouse()
		}
	}
}

// Tell takes a result from elsewhere: from the server itself. A failure counts
// as if it had been found here. An answer is not believed, for what listens does
// not yet work: the target is probed at once. Tell what has changed, and once:
// what a probe finds counts afterwards. A target that is not checked is none of
// its business.
func (c *Checker) Tell(id string, r Result) {
	c.mu.Lock()
	w := c.watches[id]
	c.mu.Unlock()
	if w == nil {
		return
	}
	if !r.Word.Up() {
		c.take(w, finding{&asking{level: Connect}, r})
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	w.rouse()
}

// Stall takes from a server which of its services accept none of the connections
// that wait there, by their IDs: they are probed at once, and waited for for no
// longer than they usually take. The server's other services accept. It is to be
// told again before until, or counts no more.
func (c *Checker) Stall(host string, ids []string, until time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, w := range c.watches {
		switch {
		case w.target.Host != host:
		case slices.Contains(ids, id):
			w.stall(until)
		case !w.stalled.IsZero():
			w.stall(time.Time{})
		}
	}
}

// Run checks until ctx is done, and returns nil when nothing of it runs any
// more. It runs once at a time.
func (c *Checker) Run(ctx context.Context) error {
	var group sync.WaitGroup
	defer group.Wait()
	running := map[*watch]context.CancelFunc{}
	defer func() { end(running, nil) }()
	for {
		wanted, news := c.wanted()
		end(running, wanted)
		for w, id := range wanted {
			if running[w] == nil {
				ctx, cancel := context.WithCancel(ctx)
				running[w] = cancel
				group.Go(func() { c.keepWatching(ctx, w, id) })
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-news:
		}
	}
}

// end stops those that run and are not wanted.
func end(running map[*watch]context.CancelFunc, wanted map[*watch]string) {
	for w, cancel := range running {
		if _, is := wanted[w]; !is {
			cancel()
			delete(running, w)
		}
	}
}

// wanted returns the watches to run, with their IDs, and a channel that receives
// when that changes.
func (c *Checker) wanted() (map[*watch]string, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.begin()
	all := make(map[*watch]string, len(c.watches))
	for id, w := range c.watches {
		all[w] = id
	}
	return all, c.news
}

// watchAgain is the pause of a target's watch after a panic.
const watchAgain = time.Second

// keepWatching watches one target until ctx is done. A panic ends its current
// probes, and the target is probed anew.
func (c *Checker) keepWatching(ctx context.Context, w *watch, id string) {
	for {
		caught := panics.Try(c.Log, "watching of "+id, func() error { c.watch(ctx, w); return nil })
		if caught == nil {
			return // ctx is done
		}
		c.mu.Lock()
		w.forget()
		c.mu.Unlock()
		timer := time.NewTimer(watchAgain)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// watch probes one target until ctx is done, and nothing of it runs any more.
func (c *Checker) watch(ctx context.Context, w *watch) {
	var group sync.WaitGroup
	defer group.Wait()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		now := c.Now()
		at, level := c.plan(w, now)
		if left := at.Sub(now); left > 0 {
			timer.Reset(left)
			select {
			case <-ctx.Done():
				return
			case <-w.wake:
				continue
			case <-timer.C:
			}
		} else if ctx.Err() != nil {
			return
		}
		if failed, is := c.overdue(w); is {
			c.take(w, failed)
		} else if level != "" {
			probe, a, target := c.start(ctx, w, level)
			group.Go(func() {
				// The handling of the result may panic too; the probe is then
				// abandoned.
				if panics.Try(c.Log, "verdict on "+target.Name, func() error { c.ask(probe, w, a, target); return nil }) != nil {
					c.drop(w, a)
				}
			})
		}
	}
}

// plan is the watch's.
func (c *Checker) plan(w *watch, now time.Time) (time.Time, Level) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return w.plan(now)
}

// overdue is the watch's.
func (c *Checker) overdue(w *watch) (finding, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return w.overdue(c.Now())
}

// start has a probe begin: with its context, it is what to ask.
func (c *Checker) start(ctx context.Context, w *watch, level Level) (context.Context, *asking, Target) {
	ctx, cancel := context.WithCancel(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	a, target := w.begin(level, c.Now(), cancel)
	return ctx, a, target
}

// ask probes a target once, and takes what comes of it, unless it was cut short,
// which may be all that the result tells. A probe that panics has no result.
func (c *Checker) ask(ctx context.Context, w *watch, a *asking, target Target) {
	var result Result
	err := panics.Try(c.Log, "probe of "+target.Name, func() error { result = c.Probe(ctx, target); return nil })
	if err != nil {
		result = Result{Word: Unasked, Reason: err.Error(), At: c.Now()}
	}
	if ctx.Err() == nil {
		c.take(w, finding{a, result})
	}
}

// drop stops waiting for a probe.
func (c *Checker) drop(w *watch, a *asking) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w.end(a)
}

// take takes what was found out of a target.
func (c *Checker) take(w *watch, f finding) {
	w.order.Lock()
	defer w.order.Unlock()
	t, was, is := c.step(w, f)
	if was.State == is.State && was.Hard == is.Hard {
		return
	}
	level := slog.LevelInfo
	if is.State == Down {
		level = slog.LevelWarn
	}
	c.Log.Log(context.Background(), level, "service is "+string(is.State), "name", t.Name, "addr", t.Addr, "reason", is.Last.Reason)
	c.Changed(t.ID, was, is)
}

// step applies a finding to the verdict of its target.
func (c *Checker) step(w *watch, f finding) (t Target, was, is Verdict) {
	c.mu.Lock()
	defer c.mu.Unlock()
	was = w.verdict
	if !w.end(f.asking) || c.watches[w.target.ID] != w || w.isAnsweredKnock(f) || w.isOvertaken(f) {
		return w.target, was, was
	}
	w.learn(f)
	now := c.Now()
	if f.Word == Unasked {
		c.complain(f.Result, now)
	}
	w.verdict = was.Step(w.target.Check, w.withWarning(f), now)
	w.rest(f, now, func() int { return c.silent(w.target.Host) })
	c.spread(w, f, was)
	return w.target, was, w.verdict
}

// silent counts the targets of a host that are down and silent. The caller
// holds c.mu.
func (c *Checker) silent(host string) (n int) {
	for _, w := range c.watches {
		if w.target.Host == host && w.silences.Failing() {
			n++
		}
	}
	return n
}

// spread probes the targets that are affected by the result of another. The
// caller holds c.mu.
func (c *Checker) spread(w *watch, f finding, was Verdict) {
	// The other ways to the service, one of which may now be in use.
	is := w.verdict
	for _, o := range w.ways {
		switch {
		case o == w || was.State == is.State && (was.Fails > 0) == (is.Fails > 0):
		case f.Word.Up():
			o.wake.Set() // it may be probed less often from now on
		default:
			o.rouse()
		}
	}
	// Other services of its server, which may be down or back too.
	lost := f.lost() && was.Fails == 0 && was.State != Down
	back := was.State == Down && is.State != Down
	if !lost && !back {
		return
	}
	for _, o := range c.watches {
		switch {
		case o.target.Host != w.target.Host:
		case lost:
			o.look()
		case back && o.verdict.State == Down:
			o.rouse()
		}
	}
}

// complain logs, once a minute at most, that probes could not be made. c.mu is
// held.
func (c *Checker) complain(r Result, now time.Time) {
	if now.Sub(c.complained) >= time.Minute {
		c.complained = now
		c.Log.Error("this server cannot check services", "reason", r.Reason)
	}
}

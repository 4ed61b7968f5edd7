package replay_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"iwx/lib/attempt"
	"iwx/lib/cluster"
	"iwx/lib/queue"
	"iwx/lib/replay"
)

// TestSimulation runs many small clusters for some hours of virtual time, with
// a real Replayer, Fetcher and Reporter on every node. Requests and answers get
// lost, daemons are killed at every point between a commit and its effect,
// power is cut, and operators skip, pause and retry. Then all faults end, and
// what must hold is looked for. A seed fixes the faults, though not the order
// in which goroutines run: repeat a seed that failed some times, with
// IWX_SIM_SEED=N go test -run Simulation.
func TestSimulation(t *testing.T) {
	t.Parallel()
	seeds := uint64(300)
	if testing.Short() {
		seeds = 30
	}
	total := tally{}
	only, err := strconv.ParseUint(os.Getenv("IWX_SIM_SEED"), 10, 64)
	for seed := range seeds {
		if err == nil {
			seed = only
		}
		synctest.Test(t, func(t *testing.T) { simulate(t, seed, &total) })
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	t.Logf("%d seeds: %d runs, %d kills, %d power cuts, %d entries skipped, %d retries asked for",
		seeds, total.runs, total.kills, total.powerCuts, total.skipped, total.retries)
	if total.runs == 0 || total.kills == 0 || total.powerCuts == 0 || total.skipped == 0 || total.retries == 0 {
		t.Error("the simulation does not meet all that it is for")
	}
}

// tally is what the simulations met.
type tally struct{ runs, kills, powerCuts, skipped, retries int }

// server is a node: what survives its daemon, and the faults that befall it.
type server struct {
	name    string
	disk    *memory
	machine *machine
	manager *manager
	dice    *dice
	calm    *atomic.Bool // no more faults
	boot    int
	kills   int
	cuts    int
}

// life is one run of a daemon. After its death nothing it does has an effect.
type life struct {
	*server
	dead atomic.Bool
	die  context.CancelFunc
}

var errDead = errors.New("killed")

// kill is kill -9, once in n times.
func (l *life) kill(n int) bool {
	if l.dead.Load() {
		return true
	}
	if l.calm.Load() || !l.dice.oneIn(n) {
		return false
	}
	l.end()
	return true
}

func (l *life) end() {
	if !l.dead.Swap(true) {
		l.kills++
		l.die()
	}
}

// mortalJournal is the disk, as a daemon that can be killed sees it.
type mortalJournal struct {
	*memory
	*life
}

func (j mortalJournal) Commit(ctx context.Context, c *replay.Changes) error {
	if j.kill(40) {
		return errDead
	}
	err := j.memory.Commit(ctx, c)
	if j.kill(25) {
		return errDead
	}
	return err
}

// mortalRunner is the machine, as a daemon that can be killed sees it.
type mortalRunner struct {
	*machine
	*life
}

func (r mortalRunner) Start(ctx context.Context, id attempt.ID, spec attempt.Spec) (attempt.Running, error) {
	if r.kill(40) {
		return nil, errDead
	}
	if r.kill(40) {
		r.leaveFiles(id, attempt.NeverStarted, attempt.Result{})
		return nil, errDead
	}
	running, err := r.machine.Start(ctx, id, spec)
	if r.kill(25) {
		return nil, errDead
	}
	return running, err
}

func (r mortalRunner) Remove(id attempt.ID) error {
	if r.kill(40) {
		return errDead
	}
	return r.machine.Remove(id)
}

// SaveHeard implements replay.Contacts.
func (l *life) SaveHeard(_ context.Context, _ time.Time, _, _ uint64, orders cluster.Orders) error {
	if l.kill(60) {
		return errDead
	}
	l.disk.mu.Lock()
	defer l.disk.mu.Unlock()
	l.disk.orders = orders
	return nil
}

// SaveSilent implements replay.Contacts.
func (l *life) SaveSilent(context.Context, time.Time, string, string, string) error { return nil }

// loses says whether a request or an answer gets lost.
func (l *life) loses() bool { return l.dead.Load() || !l.calm.Load() && l.dice.oneIn(5) }

// run starts daemons, one after the other died, until ctx is done.
func (s *server) run(t *testing.T, ctx context.Context) {
	for ctx.Err() == nil {
		s.live(t, ctx)
		if s.calm.Load() {
			continue
		}
		if s.dice.oneIn(4) {
			s.cuts++
			s.boot++
			s.machine.cutPower(func() bool { return s.dice.oneIn(2) })
		}
		time.Sleep(time.Duration(s.dice.intN(60)) * time.Second)
	}
}

// live is one run of the daemon, to its death.
func (s *server) live(t *testing.T, ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l := &life{server: s, die: cancel}
	if !s.calm.Load() {
		old := time.AfterFunc(time.Duration(1+s.dice.intN(3600))*time.Second, l.end)
		defer old.Stop()
	}
	r := newReplayer(mortalJournal{s.disk, l}, mortalRunner{s.machine, l}, fmt.Sprint("boot ", s.boot), silent())
	r.Node = s.name
	f, p := parts(r, &reach{manager: s.manager, node: s.name, loses: l.loses}, l)
	var wg sync.WaitGroup
	wg.Go(func() { _ = f.Run(ctx) }) // it returns nil when ctx is done
	wg.Go(func() { _ = p.Run(ctx) })
	if err := r.Run(ctx); err != nil && !l.dead.Load() {
		t.Errorf("%s: the replayer ended: %v", s.name, err)
	}
	cancel()
	wg.Wait()
}

// simulation is a cluster, and those who work on it.
type simulation struct {
	t       *testing.T
	dice    *dice
	manager *manager
	servers []*server
	calm    atomic.Bool
	total   *tally
}

func simulate(t *testing.T, seed uint64, total *tally) {
	sim := &simulation{t: t, dice: newDice(seed, 0), total: total}
	sim.manager = newManager(1 + sim.dice.intN(4))
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for i := range 1 + sim.dice.intN(3) {
		s := &server{
			name: fmt.Sprint("n", i+1), disk: newMemory(fmt.Sprint("n", i+1)), machine: newMachine(),
			manager: sim.manager, dice: newDice(seed, uint64(i)+1), calm: &sim.calm,
		}
		s.machine.command = s.command
		sim.servers = append(sim.servers, s)
		wg.Go(func() { s.run(t, ctx) })
	}
	sim.operate()
	sim.heal()
	cancel()
	wg.Wait()
	for _, s := range sim.servers {
		sim.judge(s)
	}
}

// command is what every command does: it takes a while, and some of them fail
// at first.
func (s *server) command(id attempt.ID, _ attempt.Spec) (attempt.Result, time.Duration) {
	after := time.Duration(s.dice.intN(40)) * time.Second
	if id.Seq%5 == 0 && id.Attempt < 3 {
		return exit(1), after
	}
	return exit(0), after
}

// operate is some hours of an operator's work.
func (sim *simulation) operate() {
	for range 60 {
		time.Sleep(time.Duration(sim.dice.intN(240)) * time.Second)
		node := sim.servers[sim.dice.intN(len(sim.servers))].name
		sim.manager.change(func() { sim.act(node) })
	}
}

func (sim *simulation) act(node string) {
	m := sim.manager
	orders := m.orders[node]
	switch n := sim.dice.intN(12); {
	case n < 5:
		targets := queue.Members()
		if sim.dice.oneIn(3) {
			targets = queue.Nodes(node)
		}
		m.log.append(queue.KindCommand, targets, encoded(&queue.Command{Argv: []string{"true"}, Rerun: sim.dice.oneIn(3)}))
	case n < 7:
		seq := m.status[node].Done + 1 + uint64(sim.dice.intN(3))
		if seq <= m.log.head.Seq && m.log.records[seq-1].Kind == queue.KindCommand {
			m.log.void(seq, queue.Nodes(node))
		}
	case n < 9:
		orders.Paused = !orders.Paused
	case n < 11:
		orders.Retry, orders.RetrySeq = orders.Retry+1, m.status[node].Done+1
		sim.total.retries++
	}
	m.orders[node] = orders
}

// heal ends all faults and waits until every node is current, which takes an
// operator where the outcome is unknown.
func (sim *simulation) heal() {
	sim.calm.Store(true)
	for range 400 {
		waiting := 0
		sim.manager.change(func() {
			for _, s := range sim.servers {
				st := sim.manager.status[s.name]
				orders := cluster.Orders{Retry: sim.manager.orders[s.name].Retry}
				if st.Word == replay.WordUnknown {
					orders.Retry++
					orders.RetrySeq = st.Done + 1
				}
				sim.manager.orders[s.name] = orders
				if st.Done < sim.manager.log.head.Seq || st.Word != replay.WordCurrent {
					waiting++
				}
			}
		})
		if waiting == 0 {
			time.Sleep(time.Minute) // for the last reports
			synctest.Wait()
			return
		}
		time.Sleep(time.Minute)
	}
	for _, s := range sim.servers {
		sim.t.Errorf("%s did not become current: %+v of %d; ran %s", s.name, sim.manager.status[s.name], sim.manager.log.head.Seq, s.machine.ran())
	}
}

// judge looks for what must hold of a node in the end.
func (sim *simulation) judge(s *server) {
	t := sim.t
	for _, text := range s.disk.wrong {
		t.Errorf("%s: %s", s.name, text)
	}
	sim.total.kills += s.kills
	sim.total.powerCuts += s.cuts
	sim.total.runs += len(s.machine.runs)
	for i := 1; i < len(s.machine.runs); i++ {
		if s.machine.runs[i].Seq < s.machine.runs[i-1].Seq {
			t.Errorf("%s ran out of order: %s", s.name, s.machine.ran())
			break
		}
	}
	for i := range s.disk.records {
		sim.judgeEntry(s, replay.Describe(&s.disk.records[i], s.name, 1, s.disk.voids[uint64(i)+1]))
	}
	for i := range s.disk.attempts {
		a := &s.disk.attempts[i]
		key := fmt.Sprintf("%d.%d", a.Seq, a.Attempt.Attempt)
		if got := sim.manager.reports[s.name][key]; !a.forgone && got != a.Outcome {
			t.Errorf("%s: attempt %s is %q, and the manager was told %q", s.name, key, a.Outcome, got)
		}
	}
}

func (sim *simulation) judgeEntry(s *server, p replay.Pending) {
	m := s.machine
	succeeded, cut := m.succeeded[p.Seq], m.cut[p.Seq]
	switch {
	case !p.Addressed:
		if strings.Contains(m.ran()+" ", fmt.Sprintf("1-%d-", p.Seq)) {
			sim.t.Errorf("%s ran entry %d, which is not its own", s.name, p.Seq)
		}
	case p.Void != "":
		sim.total.skipped++
		if succeeded > 1+cut {
			sim.t.Errorf("%s: entry %d succeeded %d times, with %d cuts, and was skipped", s.name, p.Seq, succeeded, cut)
		}
	case succeeded < 1 || succeeded > 1+cut:
		sim.t.Errorf("%s: entry %d succeeded %d times, with %d cuts: %s", s.name, p.Seq, succeeded, cut, m.ran())
	}
}

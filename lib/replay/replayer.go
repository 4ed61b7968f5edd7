package replay

import (
	"cmp"
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"iwx/lib/attempt"
	"iwx/lib/backoff"
	"iwx/lib/cluster"
	"iwx/lib/panics"
	"iwx/lib/queue"
	"iwx/lib/wait"
)

// window is how many pending records are kept in memory.
const window = 256

// journalWaits are the waits before retrying a failed write to the journal, for
// example on a full disk.
func journalWaits() backoff.Waits { return backoff.Waits{First: time.Second, Most: 8 * time.Second} }

// aliveEvery is how often an idle loop shows that it is alive.
const aliveEvery = 10 * time.Second

// hungEvery is the interval of checks whether the running command has hung
// processes.
const hungEvery = 2 * time.Second

// slowCommand is how long a command runs before the manager is told that it
// does: most are over sooner, and one report tells it all.
const slowCommand = 250 * time.Millisecond

// reportTogether is how long a result waits for others while the queue goes on
// to the next command: a backlog of short ones is reported in a few messages.
// The last one, and a failure, are told at once.
const reportTogether = 25 * time.Millisecond

// Replayer runs a node's queue: it feeds what happens to State.Step and does
// what comes out. One goroutine, that of Run, owns the state; the others talk
// to it.
type Replayer struct {
	Journal  Journal
	Runner   attempt.Runner
	Spec     func(queue.OpID, int, *queue.Command) (attempt.Spec, error) // resolves user and environment on this node
	Node     string                                                      // this node's id
	Start    uint64                                                      // its first own entry
	Boot     string                                                      // boot id
	Version  string
	Interval func() time.Duration // between attempts; read for each failure
	Now      func() time.Time
	Alive    func() // called at every turn of the loop, at least every aliveEvery
	Log      *slog.Logger

	state    State
	position queue.Position // of the last received record
	orders   cluster.Orders // as the journal had them at the start
	heardAt  time.Time      // likewise
	absence  *absence
	caughtUp *cluster.CaughtUp
	epoch    uint64 // likewise
	blocked  *cluster.Blocked
	open     *Open          // the attempt under way
	hung     *attempt.Hung  // its processes that cannot be killed; nil: none
	command  *queue.Command // of open; nil when it was begun by an earlier run
	recent   *queue.Record  // the last one received, which is often the next one to run
	stuck    error          // why the journal cannot be used
	tries    backoff.Tries  // to use it, that failed
	again    time.Duration  // before the next
	stuckAt  time.Time
	results  chan result
	inbox    chan delivery
	ready    chan struct{}
	changed  wait.Signal
	telling  *time.Timer // wakes the reporter
	tellAt   time.Time   // when it does, or did
	status   atomic.Pointer[cluster.Status]
	reported atomic.Int64
	managers atomic.Uint64 // the number of times that a manager was back after a silence
}

// longSilence is what makes a node that is back tell what it has made up for. A
// restart of the daemon, or of the server, does not take so long.
const longSilence = 5 * time.Minute

// absence is a time in which the manager was not heard.
type absence struct {
	done    uint64 // how far the node was
	silence time.Duration
}

// caught notes and logs, when the node is current again after an absence, what
// it has made up for.
func (r *Replayer) caught(word string) {
	a := r.absence
	if a == nil || word != WordCurrent {
		return
	}
	r.absence = nil
	if entries := r.state.Done - min(a.done, r.state.Done); entries > 0 {
		r.caughtUp = &cluster.CaughtUp{Entries: entries, Silence: a.silence.Milliseconds(), At: r.Now().UnixMilli()}
		r.Log.Info("caught up with the queue", "entries", entries, "silence", a.silence.Round(time.Second))
	}
}

// result is the end of an attempt.
type result struct {
	attempt.Result
	found attempt.State // Finished, or what was found of one begun earlier
}

// delivery is an answer of the manager, on its way to the owner of the state.
type delivery struct {
	page    *queue.Page
	orders  cluster.Orders
	silence time.Duration // before it
	taken   chan taken
}

type taken struct {
	position queue.Position
	err      error
}

// New makes the parts that the fields do not hold. It must be called before
// any other method, once the fields are set.
func (r *Replayer) New() *Replayer {
	r.tries.Waits = journalWaits()
	r.results = make(chan result, 1)
	r.inbox = make(chan delivery)
	r.ready = make(chan struct{})
	r.changed = wait.NewSignal()
	r.telling = time.AfterFunc(time.Hour, r.signal)
	r.telling.Stop()
	r.status.Store(&cluster.Status{Version: r.Version})
	return r
}

// Begun waits until the journal has been read.
func (r *Replayer) Begun(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-r.ready:
		return nil
	}
}

// Changed receives when the status has changed or there is an attempt to
// report.
func (r *Replayer) Changed() <-chan struct{} { return r.changed }

// Touch has the status reported, since what Reporter.Extend adds has changed.
func (r *Replayer) Touch() { r.signal() }

// Status returns how the queue is doing.
func (r *Replayer) Status() cluster.Status { return *r.status.Load() }

// Reported tells that the manager has every attempt up to row id. It is
// written down with the next commit; if it is lost, they are sent again.
func (r *Replayer) Reported(id int64) { r.reported.Store(id) }

// Deliver hands in an answer of the manager whose page has been verified, and
// returns the position to go on from once everything is on the disk. silence is
// how long the manager had not been heard.
func (r *Replayer) Deliver(ctx context.Context, page *queue.Page, orders cluster.Orders, silence time.Duration) (queue.Position, error) {
	d := delivery{page: page, orders: orders, silence: silence, taken: make(chan taken, 1)}
	select {
	case r.inbox <- d:
	case <-ctx.Done():
		return queue.Position{}, ctx.Err()
	}
	select {
	case t := <-d.taken:
		return t.position, t.err
	case <-ctx.Done():
		return queue.Position{}, ctx.Err()
	}
}

// Run replays until ctx is done. A command that is under way then goes on: the
// next Run takes its result.
func (r *Replayer) Run(ctx context.Context) error {
	return r.run(ctx, func() bool { return false })
}

// RunDue replays what is due and returns when nothing more is: the manager has
// been heard, and the queue is current, or halted, or held still. The error is
// that of a journal which cannot be written.
func (r *Replayer) RunDue(ctx context.Context) error {
	err := r.run(ctx, func() bool { return r.stuck != nil || r.state.Phase != Running && !r.state.More })
	return cmp.Or(err, r.stuck)
}

func (r *Replayer) run(ctx context.Context, enough func() bool) error {
	if err := r.load(ctx); err != nil {
		return err
	}
	timer := time.NewTimer(aliveEvery)
	defer timer.Stop()
	var unsettled *result // its end could not be written yet
	for !enough() {
		r.Alive()
		r.arm(timer)
		select {
		case <-ctx.Done():
			return nil
		case d := <-r.inbox:
			err := r.take(ctx, d)
			d.taken <- taken{position: r.position, err: err}
		case res := <-r.results:
			unsettled = r.settled(ctx, &res)
		case <-timer.C:
			if unsettled != nil {
				unsettled = r.settled(ctx, unsettled)
				continue
			}
			r.lookHung()
			_ = r.apply(ctx, Tick{}, Changes{}) // noted; the next tick tries again
		}
	}
	return nil
}

// load takes up where the journal left off.
func (r *Replayer) load(ctx context.Context) error {
	saved, err := r.Journal.Load(ctx)
	if err != nil {
		return err
	}
	r.state, r.position, r.orders, r.epoch = saved.State, saved.Position, saved.Orders, saved.Epoch
	r.heardAt = saved.HeardAt
	r.blocked, r.open = saved.Blocked, saved.Open
	r.reported.Store(saved.Reported)
	now := r.Now()
	if limit := now.Add(2 * r.Interval()); r.state.RetryAt.After(limit) {
		r.state.RetryAt = limit // the clock was set back meanwhile
		if r.blocked != nil && r.blocked.RetryAt != 0 {
			r.blocked.RetryAt = limit.UnixMilli()
		}
	}
	if err := r.sweep(); err != nil {
		return err
	}
	if r.open != nil {
		if err := r.findOpen(ctx); err != nil {
			return err
		}
	}
	ahead, err := r.Journal.Ahead(ctx, window)
	if err != nil {
		return err
	}
	// Nothing is begun before the manager has been heard: an operator may have
	// skipped, since this node was last up, what it would begin with.
	r.state.More = true
	_ = r.apply(ctx, Filled{Head: r.state.Head, Ahead: ahead}, Changes{}) // noted
	close(r.ready)
	return nil
}

// sweep removes the files of attempts that were settled just before a crash.
func (r *Replayer) sweep() error {
	ids, err := r.Runner.List()
	if err != nil {
		return err
	}
	for _, id := range ids {
		if r.open != nil && id == attemptID(&r.open.Attempt) {
			continue
		}
		if err := r.Runner.Remove(id); err != nil {
			return err
		}
	}
	return nil
}

// findOpen finds out what became of the attempt that was under way when the
// daemon ended.
func (r *Replayer) findOpen(ctx context.Context) error {
	found, err := r.Runner.Find(ctx, attemptID(&r.open.Attempt))
	if err != nil {
		return err
	}
	if found.State == attempt.Alive {
		r.Log.Info("adopted a command that was under way", "entry", r.open.Seq, "attempt", r.open.Attempt.Attempt)
		r.wait(ctx, attemptID(&r.open.Attempt), found.Running)
		return nil
	}
	res := result{Result: found.Result, found: found.State}
	if r.open.Boot != r.Boot && !proven(found) {
		res.found = attempt.CutShort
	}
	r.results <- res
	return nil
}

// proven reports whether what was found of an attempt of an earlier boot can be
// believed. Files are not synced: after a power cut, that there is no trace of a
// start proves nothing, and a whole result proves itself. But a command that
// failed, with no daemon there to see it, was ended by the server's going down
// as likely as not: it was cut short like one whose power was cut, or a cascaded
// reboot would be tried again for ever.
func proven(found attempt.Found) bool {
	return found.State == attempt.Finished && found.Result.Outcome == attempt.Exited && found.Result.Code == 0
}

func attemptID(a *cluster.Attempt) attempt.ID {
	return attempt.ID{Epoch: a.Epoch, Seq: a.Seq, Attempt: a.Attempt}
}

// wait hands in the end of the running command of an attempt. After an error it may
// still run, with its files in use: what became of it is looked up until it is known,
// since an attempt whose outcome is unknown may be followed by another.
func (r *Replayer) wait(ctx context.Context, id attempt.ID, running attempt.Running) {
	go func() {
		tries := backoff.Tries{Waits: journalWaits()}
		for {
			var res result
			err := panics.Try(r.Log, "wait for a command", func() (err error) { res, err = r.follow(ctx, id, running); return err })
			if ctx.Err() != nil {
				return // the daemon ends; the command goes on
			}
			if err == nil {
				r.results <- res
				return
			}
			if !tries.Failing() {
				r.Log.Error("what became of a command cannot be found out; it is looked up again", "attempt", id.String(), "error", err)
			}
			running = nil
			_ = wait.Sleep(ctx, tries.Failed(0))
		}
	}()
}

// follow waits for the end of an attempt that was started. Without running it looks it
// up first.
func (r *Replayer) follow(ctx context.Context, id attempt.ID, running attempt.Running) (result, error) {
	if running == nil {
		found, err := r.Runner.Find(ctx, id)
		if err != nil {
			return result{}, err
		}
		if found.State != attempt.Alive {
			// It was started: without its files, nobody knows how far it came.
			if found.State == attempt.NeverStarted {
				found.State, found.Result = attempt.CutShort, attempt.Result{Code: -1}
			}
			return result{Result: found.Result, found: found.State}, nil
		}
		running = found.Running
	}
	res, err := running.Wait(ctx)
	return result{Result: res, found: attempt.Finished}, err
}

// arm sets the timer for the next retry, for writing again to a journal that
// refused, or at the latest for showing that the loop is alive.
func (r *Replayer) arm(timer *time.Timer) {
	d := aliveEvery
	switch {
	case r.stuck != nil:
		d = r.again
	case r.state.Phase == Waiting:
		// What is due and was not begun is held back by something else, which
		// no amount of ticking ends.
		if left := r.state.RetryAt.Sub(r.Now()); left > 0 {
			d = min(left, aliveEvery)
		}
	case r.state.Phase == Running:
		d = hungEvery
	}
	timer.Reset(d)
}

// lookHung checks whether the running command has processes that cannot be
// killed.
func (r *Replayer) lookHung() {
	if r.open == nil {
		return
	}
	hung, err := r.Runner.Hung(attemptID(&r.open.Attempt))
	if err != nil {
		return // its files cannot be read now; keep the last result
	}
	if hung != nil && r.hung == nil {
		r.Log.Warn("cannot end a command", "entry", r.open.Seq, "left", hung.Processes)
	}
	r.hung = hung
}

// take stores what the manager sent and goes on from there.
func (r *Replayer) take(ctx context.Context, d delivery) error {
	if d.silence >= longSilence {
		r.absence = &absence{done: r.state.Done, silence: d.silence}
	}
	if first := d.orders.Cut; first != 0 && first <= r.position.Seq {
		if err := r.cut(ctx, first); err != nil {
			return err
		}
	}
	ev := Heard{
		Orders: Orders{Paused: d.orders.Paused, Retry: d.orders.Retry, RetrySeq: d.orders.RetrySeq, Hold: d.orders.Hold, Trouble: Trouble(d.orders.Trouble)},
		Filled: Filled{Head: r.state.Head, Ahead: r.state.Ahead},
		More:   d.page.More,
	}
	if len(d.page.Records) > 0 {
		ev.Filled = r.extend(d.page.Records)
	}
	if n := len(d.page.Records); n > 0 {
		r.recent = &d.page.Records[n-1]
		defer func() { r.recent = nil }() // it may be large
	}
	return r.apply(ctx, ev, Changes{Records: d.page.Records, Sig: d.page.Sig})
}

// cut drops the received records from number first on, which the operator has
// given up, and goes on from the one before. It waits for a command that runs.
func (r *Replayer) cut(ctx context.Context, first uint64) error {
	last := r.position.Seq
	saved, err := r.Journal.Cut(ctx, first)
	r.note(ctx, err)
	if err != nil || saved == nil {
		return err
	}
	r.Log.Warn("dropped entries that the manager does not have, as ordered", "first", first, "last", last)
	r.state, r.position, r.blocked = saved.State, saved.Position, saved.Blocked
	r.state.Ahead, err = r.Journal.Ahead(ctx, window)
	return err
}

// text returns the command of an entry, from memory if it is there.
func (r *Replayer) text(ctx context.Context, seq uint64) (*queue.Command, error) {
	switch {
	case r.command != nil && r.open != nil && r.open.Seq == seq:
		return r.command, nil
	case r.recent != nil && r.recent.Seq == seq && r.recent.Body != nil:
		return queue.DecodeCommand(r.recent.Body)
	}
	return r.Journal.Command(ctx, seq)
}

// extend returns what is pending once the records are received.
func (r *Replayer) extend(records []queue.Record) Filled {
	whole := len(r.state.Ahead) == int(r.state.Head-r.state.Done)
	ahead := append([]Pending(nil), r.state.Ahead...)
	for i := range records {
		rec := &records[i]
		if whole && len(ahead) < window {
			ahead = append(ahead, Describe(rec, r.Node, r.Start, ""))
		} else {
			whole = false
		}
		r.void(ahead, rec)
	}
	return Filled{Head: records[len(records)-1].Seq, Ahead: ahead}
}

// void marks the pending record that a void record names, if it is for this
// node: one that is not for listed nodes is for all, those that join later
// too. Records outside the window are marked in the journal.
func (r *Replayer) void(ahead []Pending, rec *queue.Record) {
	if rec.Kind != queue.KindVoid || rec.Body == nil {
		return
	}
	v, err := queue.DecodeVoid(rec.Body)
	if err != nil {
		return
	}
	targets, err := queue.DecodeTargets(rec.Targets)
	if err != nil || targets.Scope == queue.ScopeNodes && !targets.Include(r.Node, r.Start, rec.Seq) {
		return
	}
	for i := range ahead {
		if ahead[i].Seq == v.Seq {
			ahead[i].Void = v.Disposition
		}
	}
}

// settled takes in the end of the attempt under way. It returns res when that
// could not be written, so that it is tried again.
func (r *Replayer) settled(ctx context.Context, res *result) *result {
	now := r.Now()
	if res.found == attempt.NeverStarted {
		// The same attempt is begun again, and a runner starts none that has
		// files.
		r.remove(attemptID(&r.open.Attempt))
		if err := r.apply(ctx, Finished{Outcome: NeverBegan}, Changes{NotBegun: &r.open.Attempt}); err != nil {
			return res
		}
		return nil
	}
	if res.found == attempt.CutShort {
		res.Outcome = attempt.Unknown
	}
	ended, outcome := settleResult(r.open.Attempt, res.Result, now)
	c, err := r.text(ctx, ended.Seq)
	if err != nil || c.Sensitive {
		blank(&ended)
	}
	if err == nil && ended.Outcome == cluster.OutcomeTimeout {
		ended.Limit = c.Timeout.Milliseconds()
	}
	id := attemptID(&ended)
	before := r.blocked
	after := r.Interval()
	if outcome != Succeeded {
		r.blocked = Block(before, &ended, now.Add(after))
	}
	if err := r.apply(ctx, Finished{Outcome: outcome, RetryAfter: after}, Changes{Ended: &ended}); err != nil {
		r.blocked = before
		return res
	}
	r.logEnd(before, &ended)
	r.remove(id)
	return nil
}

func (r *Replayer) remove(id attempt.ID) {
	if err := r.Runner.Remove(id); err != nil {
		r.Log.Warn("cannot remove the files of an attempt", "attempt", id.String(), "error", err)
	}
}

// blank forgets what a sensitive command wrote; that it did is kept.
func blank(a *cluster.Attempt) {
	a.Stdout = cluster.Output{Size: a.Stdout.Size}
	a.Stderr = cluster.Output{Size: a.Stderr.Size}
}

// logEnd logs the first failure of an entry, and changes after that.
func (r *Replayer) logEnd(before *cluster.Blocked, a *cluster.Attempt) {
	same := before != nil && before.Seq == a.Seq
	switch {
	case a.Outcome == cluster.OutcomeDone && same:
		r.Log.Info("the queue goes on", "entry", a.Seq, "attempts", a.Attempt)
	case a.Outcome != cluster.OutcomeDone && (!same || before.Error != Cause(a)):
		r.Log.Warn("the queue is halted", "entry", a.Seq, "ending", Ending(a), "error", Cause(a))
	}
}

// note keeps, logs and shows whether the journal can be used, when that
// changes. At the daemon's end it is not the journal that gives up.
func (r *Replayer) note(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		r.again = r.tries.Failed(0)
	} else {
		r.tries.Reset()
	}
	before := r.stuck
	r.stuck = err
	if before == nil {
		r.stuckAt = r.Now()
	}
	switch {
	case err != nil && before == nil:
		r.Log.Error("cannot use the journal; no command runs until it works", "error", err)
		r.publish()
		r.tell(0)
	case err == nil && before != nil:
		r.Log.Info("the journal works again")
	}
}

package health

import (
	"context"
	"slices"
	"sync"
	"time"

	"iwx/lib/backoff"
	"iwx/lib/wait"
)

// How often a target is probed; see Checker.
const (
	knockInterval       = 500 * time.Millisecond
	doubtInterval       = 100 * time.Millisecond
	downInterval        = time.Second
	certificateInterval = time.Minute
	firstSpread         = 250 * time.Millisecond // in which many new targets are first looked at
	together            = 10 * time.Millisecond  // probes that are due within it wake the processor once
	longestSilence      = 10 * time.Second       // the longest wait between probes of a silent target that is down, for each such target of the host
	longestSilences     = 30 * time.Second       // and its upper limit
	spareTimes          = 10                     // a way that is not in use is probed a tenth as often
	spareInterval       = time.Minute            // but at least this often
)

// watch is a target, and where its checking stands. It belongs to its Checker,
// whose lock is held for all but order.
type watch struct {
	target  Target
	verdict Verdict
	wake    wait.Signal // there is something to do now

	began time.Time // from which its intervals are counted
	phase float64   // 0..1: where in an interval its turn is
	turn  int       // which of its knocks is a probe at its own level
	ways  []*watch  // to its service, itself included, in order of preference

	asked    []*asking // that are under way, the first to begin first
	number   uint64    // of the probe that began last
	answered uint64    // the last that was answered as it should be, at the target's own level
	usual    usual
	stalled  time.Time // until when it counts that the service accepts nothing

	doubted       bool          // probe it as soon as possible
	notBefore     time.Time     // earliest time of a probe at its own level
	rested        time.Time     // and of any probe, except one that confirms a failure
	silences      backoff.Tries // probes in a row that timed out while it was down
	certificateAt time.Time     // when the certificate was last checked
	warning       string        // about the certificate, until its next check

	order sync.Mutex // held while a finding is taken, and told: one at a time
}

// look has the target probed as soon as that may be.
func (w *watch) look() {
	w.doubted = true
	w.wake.Set()
}

// rouse has the target probed at once, since there is news: it ends the rest of
// a slow target.
func (w *watch) rouse() {
	w.rested = time.Time{}
	w.silences.Reset()
	w.look()
}

// rest computes, from a finished probe, how long its target rests. silent counts the
// targets of its host that are down and silent.
func (w *watch) rest(f finding, now time.Time, silent func() int) {
	if f.number == 0 {
		return // the finding comes from another probe
	}
	took := now.Sub(f.began)
	isSlow := backoff.Rest(took) > downInterval || w.isStalled(now)
	if w.verdict.State == Down && !f.Word.Up() && isSlow {
		most := min(time.Duration(max(1, silent()))*longestSilence, longestSilences)
		w.silences.Waits = backoff.Waits{First: downInterval, Most: most}
		w.rested = now.Add(w.silences.Failed(took))
		return
	}
	w.silences.Reset()
	w.rested = now.Add(backoff.Rest(took))
}

// interval returns the time between probes at the target's own level, while it is
// not in doubt.
func (w *watch) interval() time.Duration {
	interval := w.target.Check.Interval
	if w.isSpare() {
		interval = min(spareTimes*interval, max(interval, spareInterval))
	}
	return interval
}

// isSpare reports whether another way to the service is in use, and not in doubt.
func (w *watch) isSpare() bool {
	for _, o := range w.ways {
		if o.verdict.State == Up || o.verdict.State == Starting {
			return o != w && o.verdict.Fails == 0
		}
	}
	return false
}

// plan returns when there is something to do for the target next, and at which
// level it is to be probed then; "" if all there is to do is to look again.
func (w *watch) plan(now time.Time) (time.Time, Level) {
	if len(w.asked) == 0 {
		return w.next(now)
	}
	at := now.Add(time.Hour) // the end of what is under way comes first
	if w.isStalled(now) {
		at = w.asked[0].began.Add(w.usual.hurry(w.target.Check))
	}
	if w.verdict.State == Down || w.verdict.Fails+len(w.asked) >= w.target.Check.Fall {
		return at, ""
	}
	if beside := w.beside(now); beside.Before(at) {
		return beside, w.level(beside)
	}
	return at, ""
}

// next is plan while no probe is under way.
func (w *watch) next(now time.Time) (time.Time, Level) {
	c := w.target.Check
	switch {
	case w.doubted || w.verdict.Doubtful(c):
		at := later(now, w.notBefore)
		toConfirm := w.verdict.State != Down && w.verdict.Fails > 0
		if !toConfirm && !w.isStalled(now) {
			at = later(at, w.rested)
		}
		return at, w.level(at)
	case w.verdict.State == Down && w.verdict.Wins == 0:
		interval := w.interval()
		if !w.isSpare() {
			interval = min(interval, downInterval)
		}
		at, _ := w.tick(now, interval)
		at = later(at, w.rested)
		return at, w.level(at)
	}
	return w.knock(now)
}

// beside returns when a probe is to begin beside those that are under way: when
// the first is late, or sooner where the target is in doubt for other reasons.
func (w *watch) beside(now time.Time) time.Time {
	after := w.usual.late(w.target.Check)
	switch {
	case w.isStalled(now):
		after = min(after, w.usual.latest())
	case w.doubted || w.verdict.Doubtful(w.target.Check):
		after = min(after, w.usual.expected())
	}
	return later(now, later(w.notBefore, w.asked[0].began.Add(after)))
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// stall takes that the server sees its service accept nothing, until then at the
// latest; the zero time: it accepts.
func (w *watch) stall(until time.Time) {
	if w.stalled.IsZero() != until.IsZero() {
		w.rouse()
	}
	w.stalled = until
	w.wake.Set()
}

func (w *watch) isStalled(now time.Time) bool { return now.Before(w.stalled) }

// knock returns when the next knock is, or the probe that is in its place.
func (w *watch) knock(now time.Time) (time.Time, Level) {
	interval := w.interval()
	each := int((interval + knockInterval - 1) / knockInterval)
	at, n := w.tick(now, interval/time.Duration(each))
	if n%each == w.turn%each && !at.Before(w.rested) {
		return at, w.level(at)
	}
	return at, Connect
}

// tick returns the target's next turn after now when there is one in each
// interval, and its number.
func (w *watch) tick(now time.Time, interval time.Duration) (time.Time, int) {
	phase := time.Duration(w.phase * float64(interval)).Truncate(together)
	n := (now.Sub(w.began) - phase + interval) / interval
	return w.began.Add(phase + n*interval), int(n)
}

// level returns the target's own level, which has the certificate in it once a
// minute at most.
func (w *watch) level(at time.Time) Level {
	level := w.target.Check.Level
	if level == Certificate && at.Sub(w.certificateAt) < certificateInterval {
		return Speak
	}
	return level
}

// asking is a probe that is under way.
type asking struct {
	level  Level
	number uint64 // among the target's probes; 0 for what was found elsewhere
	began  time.Time
	cancel context.CancelFunc
}

// begin notes that a probe begins, and returns it, and what is to be probed.
func (w *watch) begin(level Level, now time.Time, cancel context.CancelFunc) (*asking, Target) {
	t := w.target
	if level != Connect || t.Check.Level == Connect {
		w.doubted, w.notBefore = false, now.Add(doubtInterval)
	}
	if level == Certificate {
		w.certificateAt = now
	}
	t.Check.Level = level
	w.number++
	a := &asking{level: level, number: w.number, began: now, cancel: cancel}
	w.asked = append(w.asked, a)
	return a, t
}

// end notes that a probe is not waited for any more, and reports whether it was
// until now. What was found elsewhere is always taken.
func (w *watch) end(a *asking) bool {
	if a.number == 0 {
		return true
	}
	a.cancel()
	i := slices.Index(w.asked, a)
	if i < 0 {
		return false
	}
	w.asked = slices.Delete(w.asked, i, i+1)
	w.wake.Set()
	return true
}

// forget cancels all running probes.
func (w *watch) forget() {
	for len(w.asked) > 0 {
		w.end(w.asked[0])
	}
}

// overdue returns the probe that is waited for no longer, since the service
// accepts nothing, and what came of it; false for none.
func (w *watch) overdue(now time.Time) (finding, bool) {
	hurry := w.usual.hurry(w.target.Check)
	if len(w.asked) == 0 || !w.isStalled(now) || now.Before(w.asked[0].began.Add(hurry)) {
		return finding{}, false
	}
	a := w.asked[0]
	reason := "no answer within " + span(hurry) + ", and it accepts no connections"
	return finding{a, Result{Word: Silent, Reason: reason, At: now, Took: now.Sub(a.began)}}, true
}

// finding is what came of a probe.
type finding struct {
	*asking
	Result
}

// lost reports whether the server may be gone, and not the service alone.
func (f *finding) lost() bool { return f.Word == Silent || f.Word == Unreachable }

// isAnsweredKnock reports whether the finding is that a knock was answered,
// where more is asked for than that.
func (w *watch) isAnsweredKnock(f finding) bool {
	return f.level == Connect && f.Word.Up() && w.target.Check.Level != Connect
}

// isOvertaken reports whether a failure is of a probe that began before one
// which was answered: results count in the order in which their probes began. A
// hard failure is news of the moment at which it came.
func (w *watch) isOvertaken(f finding) bool {
	return f.number > 0 && f.number < w.answered && !f.Word.Up() && !f.Word.Hard()
}

// learn takes what an answer at the target's own level says of those to come.
func (w *watch) learn(f finding) {
	if f.Word.Up() {
		w.answered = max(w.answered, f.number)
		w.usual.note(f.Took)
	}
}

// withWarning returns the result, with what was last said of the certificate
// where the certificate was not looked at.
func (w *watch) withWarning(f finding) Result {
	switch {
	case !f.Word.Up():
	case f.level == Certificate:
		w.warning = ""
		if f.Word == Warned {
			w.warning = f.Reason
		}
	case w.warning != "":
		f.Word, f.Reason = Warned, w.warning
	}
	return f.Result
}

package health

import (
	"sync"
	"time"
)

// How often a target is probed; see Checker.
const (
	knockInterval       = 500 * time.Millisecond
	doubtInterval       = 100 * time.Millisecond
	downInterval        = time.Second
	certificateInterval = time.Minute
	firstSpread         = 250 * time.Millisecond // in which many new targets are first looked at
	together            = 10 * time.Millisecond  // probes that are due within it wake the processor once
)

// watch is a target, and where its checking stands. It belongs to its Checker,
// whose lock is held for all but order.
type watch struct {
	target  Target
	verdict Verdict
	wake    chan struct{} // there is something to do now

	began time.Time // from which its intervals are counted
	phase float64   // 0..1: where in an interval its turn is
	turn  int       // which of its knocks is a probe at its own level

	doubted       bool      // it is to be looked at as soon as that may be
	notBefore     time.Time // no probe at its own level before this
	certificateAt time.Time // when the certificate was last looked at
	warning       string    // of the certificate, until it is looked at again

	order sync.Mutex // held while a finding is taken, and told: one at a time
}

// look has the target probed as soon as that may be.
func (w *watch) look() {
	w.doubted = true
	signal(w.wake)
}

// plan returns when the target is to be probed next, and at which level.
func (w *watch) plan(now time.Time) (time.Time, Level) {
	c := w.target.Check
	switch {
	case w.doubted || w.verdict.Doubtful(c):
		at := w.notBefore
		if at.Before(now) {
			at = now
		}
		return at, w.level(at)
	case w.verdict.State == Down && w.verdict.Wins == 0:
		at, _ := w.tick(now, min(c.Interval, downInterval))
		return at, w.level(at)
	}
	return w.knock(now)
}

// knock returns when the next knock is, or the probe that is in its place.
func (w *watch) knock(now time.Time) (time.Time, Level) {
	interval := w.target.Check.Interval
	each := int((interval + knockInterval - 1) / knockInterval)
	at, n := w.tick(now, interval/time.Duration(each))
	if n%each == w.turn%each {
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

// begin notes that a probe begins, and returns what is to be probed.
func (w *watch) begin(level Level, now time.Time) Target {
	t := w.target
	if level != Connect || t.Check.Level == Connect {
		w.doubted, w.notBefore = false, now.Add(doubtInterval)
	}
	if level == Certificate {
		w.certificateAt = now
	}
	t.Check.Level = level
	return t
}

// finding is what came of a probe at a level.
type finding struct {
	level Level
	Result
}

// lost reports whether the server may be gone, and not the service alone.
func (f *finding) lost() bool { return f.Word == Silent || f.Word == Unreachable }

// isAnsweredKnock reports whether the finding is that a knock was answered,
// where more is asked for than that.
func (w *watch) isAnsweredKnock(f finding) bool {
	return f.level == Connect && f.Word.Up() && w.target.Check.Level != Connect
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

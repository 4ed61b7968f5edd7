package health

import "time"

// Flapping: how long a target waits before it may come back, and for how long
// after that it is remembered.
const (
	leastWait = 5 * time.Second
	mostWait  = 5 * time.Minute
	softWait  = 30 * time.Second // the longest wait after soft failures, such as those of an overloaded server
	probation = time.Minute      // the minimum; twice the wait, if that is longer
)

// Step returns the verdict after one more result:
//
//   - a hard failure takes out at once, Fall soft ones in a row do;
//   - Rise good answers in a row bring back, and then there is a slow start;
//   - the first good answer ever is believed without one, for a watcher that was
//     restarted must not damp what serves already;
//   - out again soon after coming back: the wait is 5 s, and doubles each time
//     up to 5 min, or up to 30 s if no failure was hard: a past overload is
//     forgotten within a minute;
//   - Unasked changes nothing.
//
// It is a pure function, of a filled check.
func (v Verdict) Step(c Check, r Result, now time.Time) Verdict {
	if v.State == "" {
		v.State = Unknown
	}
	if r.Word == Unasked {
		return v
	}
	v.Last = r
	if r.Word.Up() {
		return v.rise(c, now)
	}
	return v.fall(c, now)
}

// rise is Step for an answer as it should be.
func (v Verdict) rise(c Check, now time.Time) Verdict {
	v.Fails = 0
	switch v.State {
	case Up:
	case Starting:
		if now.Sub(v.Since) >= c.Slow {
			v.State, v.Since = Up, now
		}
	case Down:
		v.Wins = min(v.Wins+1, c.Rise)
		if v.Wins >= c.Rise && !now.Before(v.Until) {
			return v.comeBack(c, now)
		}
	default:
		v.State, v.Since = Up, now
	}
	return v
}

func (v Verdict) comeBack(c Check, now time.Time) Verdict {
	v.State, v.Since, v.Hard, v.Wins = Up, now, false, 0
	if c.Slow > 0 {
		v.State = Starting
	}
	v.Until = now.Add(max(probation, 2*v.Wait))
	return v
}

// fall is Step for a failure.
func (v Verdict) fall(c Check, now time.Time) Verdict {
	hard := v.Last.Word.Hard()
	v.Wins = 0
	v.Fails = min(v.Fails+1, c.Fall)
	switch {
	case v.State == Down:
		v.Hard = v.Hard || hard
	case hard || v.Fails >= c.Fall:
		return v.takeOut(hard, now)
	}
	return v
}

func (v Verdict) takeOut(hard bool, now time.Time) Verdict {
	v.State, v.Since, v.Hard = Down, now, hard
	if !now.Before(v.Until) {
		v.Wait, v.Until = 0, time.Time{}
		return v
	}
	most := softWait
	if hard {
		most = mostWait
	}
	v.Wait = min(max(leastWait, 2*v.Wait), most)
	v.Until = now.Add(v.Wait)
	return v
}

// Doubtful reports whether the next result may change the state, so that it is
// worth asking soon: a failure that is not enough to take out, or an answer
// that is not enough to bring back.
func (v Verdict) Doubtful(c Check) bool {
	if v.State == Down {
		return v.Wins > 0 && v.Wins < c.Rise
	}
	return v.Fails > 0
}

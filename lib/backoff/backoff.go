// Package backoff computes how long a loop of a daemon waits: before it tries again
// what failed, and between looks at something that is slow. Retries must not keep
// alive the overload that made them fail.
//
// Waits double with each failure, as in TCP (RFC 6298 §5.5), and are spread at
// random, so that servers which failed together do not come back together.
package backoff

import (
	"math/rand/v2"
	"time"
)

const (
	spreadShare = 10               // a wait is spread by a tenth, either way
	restFactor  = 2                // a third of the time is spent on what is slow, at most
	mostRest    = 20 * time.Second // what is slow may be quick again
)

// Waits are the bounds of one use: the wait after the first failure, and the longest,
// both before they are spread.
type Waits struct{ First, Most time.Duration }

// After returns the wait after so many failures in a row, of which the last took so
// long: First, doubled with each up to Most, and no less than Rest. spread is from 0
// to 1, at random. It is a pure function.
func (w Waits) After(failures int, took time.Duration, spread float64) time.Duration {
	wait := w.First
	for ; failures > 1 && 0 < wait && wait < w.Most; failures-- {
		wait *= 2
	}
	return Jitter(max(min(wait, w.Most), Rest(took)), spread)
}

// Rest returns how long something that took so long is left alone before it is done
// again: twice as long, but no longer than 20 s.
func Rest(took time.Duration) time.Duration {
	if took >= mostRest/restFactor {
		return mostRest
	}
	return restFactor * max(took, 0)
}

// Pace returns the wait between two looks that are to come every so often, when the
// last one took so long: one that takes longer than its interval slows down.
func Pace(every, took time.Duration) time.Duration { return max(every, Rest(took)) }

// Jitter returns d ± 10 %. spread is from 0 to 1, at random.
func Jitter(d time.Duration, spread float64) time.Duration {
	return d + time.Duration((spread*2-1)*float64(d)/spreadShare)
}

// Clock starts a clock, and returns what reads it: how long something took.
func Clock() (took func() time.Duration) {
	began := time.Now()
	return func() time.Duration { return time.Since(began) }
}

// Tries counts the failures in a row of something that is tried again and again. It
// is for one goroutine at a time.
type Tries struct {
	Waits
	failures int
}

// Failed takes one more failure, of a try that took so long, and returns how long to
// wait before the next.
func (t *Tries) Failed(took time.Duration) time.Duration {
	t.failures++
	return t.After(t.failures, took, rand.Float64())
}

// Reset forgets the failures: a try succeeded, or what is tried is another thing now.
func (t *Tries) Reset() { t.failures = 0 }

// Failing reports whether the last try failed.
func (t *Tries) Failing() bool { return t.failures > 0 }

// Package backoff computes how long a loop of a daemon waits before it retries after a
// failure, and between checks of something slow. Retries must not sustain the overload
// that made them fail.
//
// Waits double with each failure, as in TCP (RFC 6298 §5.5), and have random jitter:
// servers that failed together must not retry together.
package backoff

import (
	"math/rand/v2"
	"time"
)

const (
	spreadShare = 10               // jitter: a tenth, either way
	restFactor  = 2                // slow work takes a third of the time at most
	mostRest    = 20 * time.Second // slow work may be fast again
)

// Waits holds the wait after the first failure and the longest wait, both before
// jitter.
type Waits struct{ First, Most time.Duration }

// After returns the wait after a number of failures in a row: First, doubled with each
// further failure up to Most, and at least Rest(took), where took is the duration of the
// last failed try. spread is a random number from 0 to 1. It is a pure function.
func (w Waits) After(failures int, took time.Duration, spread float64) time.Duration {
	wait := w.First
	for ; failures > 1 && 0 < wait && wait < w.Most; failures-- {
		wait *= 2
	}
	return Jitter(max(min(wait, w.Most), Rest(took)), spread)
}

// Rest returns the wait before work that took that long is repeated: twice that time,
// but at most 20 s.
func Rest(took time.Duration) time.Duration {
	if took >= mostRest/restFactor {
		return mostRest
	}
	return restFactor * max(took, 0)
}

// Pace returns the wait between two checks: every, or more if the last check took long.
func Pace(every, took time.Duration) time.Duration { return max(every, Rest(took)) }

// Jitter returns d ± 10 %. spread is a random number from 0 to 1.
func Jitter(d time.Duration, spread float64) time.Duration {
	return d + time.Duration((spread*2-1)*float64(d)/spreadShare)
}

// Clock starts a stopwatch, and returns a function that reads it.
func Clock() (took func() time.Duration) {
	began := time.Now()
	return func() time.Duration { return time.Since(began) }
}

// Tries counts failures in a row. It is not safe for concurrent use.
type Tries struct {
	Waits
	failures int
}

// Failed counts one more failure, of a try that took that long, and returns the wait
// before the next try.
func (t *Tries) Failed(took time.Duration) time.Duration {
	t.failures++
	return t.After(t.failures, took, rand.Float64())
}

// Reset forgets the failures. Call it after a success, or when the task has changed.
func (t *Tries) Reset() { t.failures = 0 }

// Failing reports whether the last try failed.
func (t *Tries) Failing() bool { return t.failures > 0 }

package load

import (
	"fmt"
	"math"
	"time"
)

// Never is how long it takes until what does not happen.
const Never = time.Duration(math.MaxInt64)

// Unseen is a time of which it is not known how long it is.
const Unseen = time.Duration(-1)

// The events that strike a server.
const (
	Killed = "service killed"
	Hung   = "service hung"
	Cut    = "link cut"
)

// Round is what it came to that one server of several was away for a while.
type Round struct {
	Lost, Slow int           // since the event
	Out        time.Duration // from the event until the balancer had taken the server out; Never, Unseen
	Harm       time.Duration // from the event to the last request that was lost or slow
	Back       time.Duration // from the return to the first answer of the server that was away; Never: not seen
	Why        []string      // Reasons
}

// Round returns what became of the requests, when the named server was struck at
// a moment and was back at another; slow is one that took longer than a time.
func (all Answers) Round(server string, struck, mended time.Time, slow time.Duration) Round {
	after := all.Between(struck, struck.Add(time.Hour))
	r := Round{Lost: len(after.Lost()), Slow: len(after.Slow(slow)), Why: after.Reasons(), Out: Unseen, Back: Never}
	for _, a := range append(after.Lost(), after.Slow(slow)...) {
		r.Harm = max(r.Harm, a.At.Sub(struck))
	}
	for _, a := range after.Between(mended, mended.Add(time.Hour)) {
		if a.Server == server {
			r.Back = a.At.Add(a.Took).Sub(mended)
			break
		}
	}
	return r
}

// Outage is how long a server fails. It is the same for each balancer, so that
// lost requests can be compared.
type Outage struct {
	Length time.Duration
	In     func() (bool, error) // reports whether the balancer still sends requests there; nil: unknown
}

// lookEvery is how often a balancer is asked whether a server is in.
const lookEvery = 10 * time.Millisecond

// Wait waits until the outage that began at a moment has lasted, and returns how
// long it took until the server was out: Never if it was not, Unseen if nobody can
// tell. It ends early when stop is closed.
func (o Outage) Wait(struck time.Time, stop <-chan struct{}) (out time.Duration, err error) {
	if out, err = o.untilOut(struck, stop); err != nil {
		return out, err
	}
	select {
	case <-stop:
	case <-time.After(time.Until(struck.Add(o.Length))):
	}
	return out, nil
}

func (o Outage) untilOut(struck time.Time, stop <-chan struct{}) (time.Duration, error) {
	if o.In == nil {
		return Unseen, nil
	}
	for time.Since(struck) < o.Length {
		in, err := o.In()
		if err != nil || !in {
			return time.Since(struck), err
		}
		select {
		case <-stop:
			return Never, nil
		case <-time.After(lookEvery):
		}
	}
	return Never, nil
}

// seconds is a time for a table.
func seconds(d time.Duration) string {
	switch d {
	case Never:
		return "never"
	case Unseen:
		return "?"
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}

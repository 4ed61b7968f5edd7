package load

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Never is how long it takes until what does not happen.
const Never = time.Duration(math.MaxInt64)

// Round is what it came to that one server of several was away for a while.
type Round struct {
	Sent, Lost, Slow int           // Lost and Slow: since the event
	Harm             time.Duration // from the event to the last request that was lost or slow
	Back             time.Duration // from the return to the first answer of the server that was away; Never: not seen
	Why              []string      // Reasons
}

// Round returns what became of the requests, when the named server was struck at
// a moment and was back at another; slow is one that took longer than a time.
func (all Answers) Round(server string, struck, mended time.Time, slow time.Duration) Round {
	after := all.Between(struck, struck.Add(time.Hour))
	r := Round{Sent: len(all), Lost: len(after.Lost()), Slow: len(after.Slow(slow)), Why: after.Reasons(), Back: Never}
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

const row = "%-14s %-15s %-14s %-12s %-12s %-12s %s\n"

// RowHead is the line above the rows.
func RowHead() string {
	return fmt.Sprintf(row, "balancer", "event", "lost", "slow", "harm for", "back after", "lost because")
}

// Row is a line of a table: of each figure the median of the rounds, and the
// worst.
func Row(balancer, event string, rounds []Round) string {
	return fmt.Sprintf(row, balancer, event,
		medianAndWorst(rounds, func(r Round) int { return r.Lost }, func(n int) string { return fmt.Sprint(n) }),
		medianAndWorst(rounds, func(r Round) int { return r.Slow }, func(n int) string { return fmt.Sprint(n) }),
		medianAndWorst(rounds, func(r Round) time.Duration { return r.Harm }, seconds),
		medianAndWorst(rounds, func(r Round) time.Duration { return r.Back }, seconds),
		strings.Join(rounds[len(rounds)-1].Why, ", "))
}

func seconds(d time.Duration) string {
	if d == Never {
		return "not seen"
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}

func medianAndWorst[N cmp.Ordered](rounds []Round, of func(Round) N, text func(N) string) string {
	list := make([]N, len(rounds))
	for i, r := range rounds {
		list[i] = of(r)
	}
	slices.Sort(list)
	return text(list[len(list)/2]) + ", " + text(list[len(list)-1])
}

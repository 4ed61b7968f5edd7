package load

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Table is what came of the rounds of several balancers, side by side.
type Table struct {
	entries []entry
}

type entry struct {
	balancer, event string
	rounds          []Round
}

// Add adds the rounds of a balancer with an event, one at least.
func (t *Table) Add(balancer, event string, rounds []Round) {
	t.entries = append(t.entries, entry{balancer, event, rounds})
}

const row = "%-15s %-14s %-16s %-6s %-11s %-11s %-16s %-16s %s\n"

// String is the table: an event after the other, the balancers below each other in
// the order in which they were added. Of each figure it has the median of the
// rounds and the worst. It is empty without entries.
func (t *Table) String() string {
	if len(t.entries) == 0 {
		return ""
	}
	text := fmt.Sprintf(row, "event", "balancer", "out after", "", "lost", "slow", "harm for", "back after", "lost because")
	seen := map[string]bool{}
	for _, e := range t.entries {
		if !seen[e.event] {
			seen[e.event] = true
			text += t.of(e.event)
		}
	}
	return text
}

// of is the rows of one event.
func (t *Table) of(event string) (text string) {
	var first time.Duration
	for _, e := range t.entries {
		if e.event != event {
			continue
		}
		line := fmt.Sprintf(row, e.event, e.balancer,
			figure(e.rounds, outAfter, seconds), times(median(e.rounds, outAfter), first),
			figure(e.rounds, func(r Round) int { return r.Lost }, number),
			figure(e.rounds, func(r Round) int { return r.Slow }, number),
			figure(e.rounds, func(r Round) time.Duration { return r.Harm }, seconds),
			figure(e.rounds, func(r Round) time.Duration { return r.Back }, seconds),
			strings.Join(e.rounds[len(e.rounds)-1].Why, ", "))
		text += strings.TrimRight(line, " \n") + "\n"
		if first == 0 {
			first = median(e.rounds, outAfter)
		}
	}
	return text
}

// Markdown returns the medians as a table for the README: a row for each event, a
// column for each balancer, with the time until the server was out, the requests
// lost, and the slow ones if there were any.
func (t *Table) Markdown() string {
	var balancers, events []string
	cells := map[[2]string]string{}
	for _, e := range t.entries {
		if !slices.Contains(balancers, e.balancer) {
			balancers = append(balancers, e.balancer)
		}
		if !slices.Contains(events, e.event) {
			events = append(events, e.event)
		}
		cells[[2]string{e.event, e.balancer}] = e.cell()
	}
	text := "| | " + strings.Join(balancers, " | ") + " |\n|---|" + strings.Repeat("---|", len(balancers)) + "\n"
	for _, event := range events {
		text += "| " + event + " |"
		for _, balancer := range balancers {
			text += " " + cells[[2]string{event, balancer}] + " |"
		}
		text += "\n"
	}
	return text
}

func (e entry) cell() string {
	text := ""
	switch out := median(e.rounds, outAfter); {
	case out == Never:
		text = "not out, "
	case out >= 0 && out < 100*time.Millisecond:
		text = fmt.Sprintf("%.2f s, ", out.Seconds())
	case out >= 0:
		text = fmt.Sprintf("%.1f s, ", out.Seconds())
	}
	text += fmt.Sprintf("%d lost", median(e.rounds, func(r Round) int { return r.Lost }))
	if slow := median(e.rounds, func(r Round) int { return r.Slow }); slow > 0 {
		text += fmt.Sprintf(", %d slow", slow)
	}
	return text
}

func outAfter(r Round) time.Duration { return r.Out }

func number(n int) string { return fmt.Sprint(n) }

// times tells how many times a first figure another one is.
func times(d, first time.Duration) string {
	if d <= 0 || first <= 0 || d == Never || first == Never {
		return ""
	}
	return fmt.Sprintf("%.1f×", float64(d)/float64(first))
}

// figure is the median of the rounds, and the worst of them in brackets.
func figure[N cmp.Ordered](rounds []Round, of func(Round) N, text func(N) string) string {
	middle, worst := text(median(rounds, of)), text(slices.Max(each(rounds, of)))
	if middle == worst {
		return middle
	}
	return middle + " (" + worst + ")"
}

func median[N cmp.Ordered](rounds []Round, of func(Round) N) N {
	list := each(rounds, of)
	slices.Sort(list)
	return list[len(list)/2]
}

func each[N any](rounds []Round, of func(Round) N) []N {
	list := make([]N, len(rounds))
	for i, r := range rounds {
		list[i] = of(r)
	}
	return list
}

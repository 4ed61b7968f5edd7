package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// How fast it is measured.
const (
	speedRounds = 3
	speedFor    = 2 * time.Second
	visitors    = 32 // at a time
)

// way is how visitors ask.
type way struct {
	name string
	args []string // of wrk(1)
}

func ways() []way {
	return []way{
		{"kept connections", nil},
		{"a connection each", []string{"-H", "Connection: close"}},
	}
}

// speeds is the legend of the second table.
const speeds = `
Requests a second, of %d visitors at a time for %v; the median of %d rounds, and its share of what one
server gives that is asked directly. Visitors, balancer and servers share the processors.
`

// speed prints how many requests get through each contender, and to a server
// directly, and writes the README's table.
func (f *field) speed(ctx context.Context, list []contender, readme io.Writer) error {
	const row = "%-14s %-24s %s\n"
	fmt.Printf(speeds, visitors, speedFor, speedRounds)
	fmt.Printf(row, "", ways()[0].name, ways()[1].name)
	var direct []float64
	head, rule := "| |", "|---|"
	rows := make([]string, len(ways()))
	for _, c := range append([]contender{{name: "direct", start: directly}}, list...) {
		fmt.Fprintf(os.Stderr, "%s: requests a second\n", c.name)
		got, err := f.speedOf(ctx, c)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		if direct == nil {
			direct = got
		}
		var cells [2]string
		for i := range got {
			cells[i] = fmt.Sprintf("%.0f (%.0f %%)", got[i], 100*got[i]/direct[i])
		}
		fmt.Printf(row, c.name, cells[0], cells[1])
		head, rule = head+" "+c.name+" |", rule+"---|"
		for i := range rows {
			rows[i] += fmt.Sprintf(" %s |", hundreds(got[i]))
		}
	}
	fmt.Fprintf(readme, "%s\n%s\n", head, rule)
	for i, w := range ways() {
		fmt.Fprintf(readme, "| %s |%s\n", w.name, rows[i])
	}
	return nil
}

// hundreds rounds a number to hundreds: "38,600".
func hundreds(n float64) string {
	whole := int(n/100+0.5) * 100
	if whole < 1000 {
		return strconv.Itoa(whole)
	}
	return fmt.Sprintf("%d,%03d", whole/1000, whole%1000)
}

// directly is no balancer: visitors ask the first server.
func directly(context.Context, *field) (balancer, error) {
	return balancer{stop: func() {}, address: webs()[0].addr}, nil
}

// speedOf returns the requests a second through a contender, for each of the ways.
func (f *field) speedOf(ctx context.Context, c contender) (got []float64, err error) {
	err = f.with(ctx, c, func(b balancer, all []*web) error {
		address, servers := virtual, len(all)
		if b.address != "" {
			address, servers = b.address, 1
		}
		if err := f.answers(ctx, address, servers); err != nil {
			return err
		}
		for _, w := range ways() {
			n, err := f.hurry(ctx, address, w)
			if err != nil {
				return err
			}
			got = append(got, n)
		}
		return nil
	})
	return got, err
}

// hurry is the median of several rounds of wrk(1).
func (f *field) hurry(ctx context.Context, address string, w way) (float64, error) {
	var list []float64
	for range speedRounds {
		args := append([]string{"wrk", "-t1", fmt.Sprintf("-c%d", visitors), fmt.Sprintf("-d%.0fs", speedFor.Seconds())}, w.args...)
		out, err := f.command(ctx, "visitor", append(args, "http://"+address+"/")...).Output()
		if err != nil {
			return 0, fmt.Errorf("wrk: %w", err)
		}
		_, rest, _ := strings.Cut(string(out), "Requests/sec:")
		word, _, _ := strings.Cut(strings.TrimSpace(rest), "\n")
		n, err := strconv.ParseFloat(word, 64)
		if err != nil {
			return 0, fmt.Errorf("wrk says %q", out)
		}
		list = append(list, n)
	}
	slices.Sort(list)
	return list[len(list)/2], nil
}

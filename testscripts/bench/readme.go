package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// readme collects the tables of the README's "Numbers" for this run.
type readme struct {
	tools []string                  // in the order in which they were measured
	sizes []int                     // numbers of nodes
	took  map[string]map[int]string // the time of a command on every node, by tool and size
	rows  []string                  // the second table
}

// command adds the time that a tool took to run a command on n nodes.
func (r *readme) command(tool string, n int, took string) {
	if r.took == nil {
		r.took = map[string]map[int]string{}
	}
	if r.took[tool] == nil {
		r.took[tool] = map[int]string{}
		r.tools = append(r.tools, tool)
	}
	if !slices.Contains(r.sizes, n) {
		r.sizes = append(r.sizes, n)
	}
	r.took[tool][n] = took
}

// row adds a line to the second table.
func (r *readme) row(what, format string, args ...any) {
	r.rows = append(r.rows, fmt.Sprintf("| %s | %s |\n", what, fmt.Sprintf(format, args...)))
}

// String returns both tables in Markdown.
func (r *readme) String() string {
	var b strings.Builder
	b.WriteString("| `/bin/true` on |")
	for _, n := range r.sizes {
		fmt.Fprintf(&b, " %d %s |", n, map[bool]string{true: "node", false: "nodes"}[n == 1])
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(r.sizes)) + "\n")
	for _, tool := range r.tools {
		fmt.Fprintf(&b, "| %s |", tool)
		for _, n := range r.sizes {
			fmt.Fprintf(&b, " %s |", r.took[tool][n])
		}
		b.WriteString("\n")
	}
	return b.String() + "\n| | |\n|---|---|\n" + strings.Join(r.rows, "")
}

// figure formats a time with two digits: "3.4 ms", "69 ms", "0.19 s", "2.2 s",
// "35 s".
func figure(d time.Duration) string {
	switch ms := float64(d.Microseconds()) / 1000; {
	case ms < 10:
		return fmt.Sprintf("%.1f ms", ms)
	case ms < 100:
		return fmt.Sprintf("%.0f ms", ms)
	case ms < 1000:
		return fmt.Sprintf("%.2f s", ms/1000)
	case ms < 10_000:
		return fmt.Sprintf("%.1f s", ms/1000)
	default:
		return fmt.Sprintf("%.0f s", ms/1000)
	}
}

// count formats a number with two significant digits and commas: 7,100,
// 190,000.
func count(n float64) string {
	unit := 1.0
	for n/unit >= 100 {
		unit *= 10
	}
	text := fmt.Sprintf("%.0f", float64(int(n/unit+0.5))*unit)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

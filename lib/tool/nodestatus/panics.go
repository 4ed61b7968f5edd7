package nodestatus

import (
	"fmt"
	"strings"
	"time"

	"iwx/lib/cli"
	"iwx/lib/panics"
)

// panicNews is the time for which a panic needs attention: a daily look sees it.
// The count stays.
const panicNews = 24 * time.Hour

// Panics returns the panic counts of daemons: a line for each, and in JSON a list
// of objects.
func Panics(counts []panics.Count, now time.Time) cli.Block {
	var lines []string
	for _, n := range counts {
		lines = append(lines, PanicText(n, now))
	}
	if counts == nil {
		counts = []panics.Count{}
	}
	return cli.Block{Text: cli.Text(strings.Join(lines, "\n")), Value: counts}
}

// PanicText returns a count as one sentence.
func PanicText(n panics.Count, now time.Time) string {
	return fmt.Sprintf("%s caught %s, %s ago", n.Daemon, n, cli.Age(now.Sub(n.Last)))
}

// FreshPanic reports whether a panic is so recent that it needs attention.
func FreshPanic(n panics.Count, now time.Time) bool {
	return n.Panics > 0 && now.Sub(n.Last) < panicNews
}

// PanicHint returns where to find what a daemon of this server caught.
func PanicHint(n panics.Count) string {
	return fmt.Sprintf("see the stack, and report it as a bug of iwx: journalctl -u %s -g 'a panic was caught'", n.Daemon)
}

package nodestatus

import (
	"fmt"
	"strings"
	"time"

	"iwx/lib/cli"
	"iwx/lib/panics"
)

// panicNews is for how long a panic needs somebody to look: whoever looks once a
// day sees it, and the count stays.
const panicNews = 24 * time.Hour

// Panics is what daemons have counted of their panics: for people a line for each,
// in JSON a list of objects.
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

// PanicText is a count in one sentence.
func PanicText(n panics.Count, now time.Time) string {
	return fmt.Sprintf("%s caught %s, %s ago", n.Daemon, n, cli.Age(now.Sub(n.Last)))
}

// FreshPanic reports whether a panic is so recent that somebody is to look.
func FreshPanic(n panics.Count, now time.Time) bool {
	return n.Panics > 0 && now.Sub(n.Last) < panicNews
}

// PanicHint is where to look at what a daemon of this server caught.
func PanicHint(n panics.Count) string {
	return fmt.Sprintf("see the stack, and report it as a bug of iwx: journalctl -u %s -g 'a panic was caught'", n.Daemon)
}

// Command bench measures iwx on this machine, and the tools that people use
// instead of it beside it, in the same run. Every time is the median of several
// runs of whole programs, as an administrator would start them. It prints a line for
// each, and at the end the tables of the README, to be pasted there.
//
// Manager, nodes, and the sshd that is all hosts of the other tools run on this
// machine. The other tools get the best: a shell without start-up files, connections
// that are open, their own settings for speed, and the best of several fanouts.
//
//	bench BINDIR [NODES...]
//	bench BINDIR sites
//	bench BINDIR starved
package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"iwx/testscripts/load"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("usage: bench BINDIR [NODES...]")
	}
	if args[0] == "serve" { // the benchmark runs itself to provide the services that are checked
		return serveServices(args[1])
	}
	only := ""
	if len(args) == 2 && (args[1] == "sites" || args[1] == "starved") {
		only = args[1]
	}
	sizes := []int{1, 8, 50}
	if len(args) > 1 && only == "" {
		sizes = nil
		for _, a := range args[1:] {
			n, err := strconv.Atoi(a)
			if err != nil {
				return err
			}
			sizes = append(sizes, n)
		}
	}
	dir, err := os.MkdirTemp("", "iwx-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{bin: args[0], dir: dir}
	fmt.Println(load.Machine())
	switch only {
	case "sites":
		return b.sites()
	case "starved":
		return b.starved()
	}
	b.versions()
	if err := b.programs(); err != nil {
		return err
	}
	if err := b.log(); err != nil {
		return err
	}
	if err := b.status(); err != nil {
		return err
	}
	for _, n := range sizes {
		if err := b.cluster(n); err != nil {
			return err
		}
		if err := b.peers(n); err != nil {
			return err
		}
	}
	if err := b.sites(); err != nil {
		return err
	}
	if err := b.starved(); err != nil {
		return err
	}
	fmt.Printf("\n%s", &b.readme)
	return nil
}

// bench is one run of everything.
type bench struct {
	bin    string // directory of the built tools
	dir    string
	readme readme
}

// report prints a line of the table.
func (b *bench) report(what, target, format string, args ...any) {
	fmt.Printf("%-58s %-9s %s\n", what, target, fmt.Sprintf(format, args...))
}

// spread is several runs of the same thing.
type spread []time.Duration

// measure times do, n times.
func measure(n int, do func() error) (spread, error) {
	var s spread
	for range n {
		begin := time.Now()
		if err := do(); err != nil {
			return nil, err
		}
		s = append(s, time.Since(begin))
	}
	slices.Sort(s)
	return s, nil
}

func (s spread) median() time.Duration { return s[len(s)/2] }

func (s spread) String() string {
	return fmt.Sprintf("%s  (best %s, worst %s, %d runs)", short(s.median()), short(s[0]), short(s[len(s)-1]), len(s))
}

func short(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}

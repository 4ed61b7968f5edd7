// Command benchlb measures load balancing: what visitors lose when a server
// behind a balancer dies, goes silent and comes back, and how many requests get
// through. iwx and the balancers that people use instead stand in the same
// network namespaces one after the other, in one run; the figures are medians.
//
//	benchlb BINDIR [CONTENDER...]
//
// It needs root, and touches nothing outside namespaces of its own. What needs
// IPVS in the kernel is measured in the lab: see testscripts/lab.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"iwx/testscripts/load"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "benchlb:", err)
		os.Exit(1)
	}
}

// run is the program: it starts itself again, in other namespaces, as a web
// server and as its visitors.
func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("usage: benchlb BINDIR [CONTENDER...]")
	}
	switch args[0] {
	case "load":
		return load.Command(ctx, args[1:], os.Stdout)
	case "serve":
		return serve(ctx, args[1], args[2:])
	}
	return bench(ctx, args[0], args[1:])
}

// bench measures the contenders, all or those that are named.
func bench(ctx context.Context, bin string, names []string) error {
	list, err := chosen(names)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "iwx-benchlb-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	f, err := newField(ctx, dir, bin)
	if err != nil {
		return err
	}
	defer f.close()
	fmt.Println(load.Machine())
	var table load.Table
	for _, c := range list {
		fmt.Fprintf(os.Stderr, "%s: servers are killed, hung and cut off\n", c.name)
		if err := f.measure(ctx, c, &table); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	fmt.Printf(outages, rate, slow, outage, tunedPage, tuned)
	fmt.Print(&table)
	if err := f.speed(ctx, list); err != nil {
		return err
	}
	if err := f.checks(ctx); err != nil {
		return err
	}
	return verdicts(ctx)
}

// chosen returns the named contenders, or all.
func chosen(names []string) (list []contender, err error) {
	for _, c := range contenders() {
		if len(names) == 0 || slices.Contains(names, c.name) {
			list = append(list, c)
		}
	}
	if len(list) < len(names) {
		return nil, fmt.Errorf("%s: not all of them are contenders", strings.Join(names, " "))
	}
	return list, nil
}

// outages is the legend of the first table.
const outages = `
Outages, behind balancers that are proxies. Each of three servers is away once, while visitors
ask %d times a second, each on a connection of their own: the median, and the worst if it differs.
slow: longer than %v. out after: until the balancer sends nothing there (nginx does not tell), and
how many times iwx that is; never: not in %v. harm for: until the last request that was lost or slow.
back after: from the server's return to its first answer. iwx, haproxy and nginx: as they come, iwx
a minute after its start; haproxy-tuned: %s, %s.
`

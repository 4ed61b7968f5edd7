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
	fmt.Printf("each of three servers is away for %s once, at %d requests a second; median, worst\n", outage, rate)
	fmt.Print(load.RowHead())
	for _, c := range contenders() {
		if len(names) > 0 && !slices.Contains(names, c.name) {
			continue
		}
		if err := f.measure(ctx, c); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	return nil
}

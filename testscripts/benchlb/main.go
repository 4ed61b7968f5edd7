// Command benchlb measures load balancing: what visitors lose when a server
// behind a balancer dies, goes silent and comes back, and how many requests get
// through. iwx and the balancers that people use instead stand in the same
// network namespaces one after the other, in one run; the figures are medians. At
// the end it prints the tables of the README, to be pasted there.
//
//	benchlb BINDIR [CONTENDER...]
//
// It needs root, and touches nothing outside namespaces of its own. What needs
// IPVS in the kernel is measured in the lab: see testscripts/lab.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
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
		return serve(ctx, args[1], args[2])
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
	versions(ctx, bin)
	var table load.Table
	for _, c := range list {
		fmt.Fprintf(os.Stderr, "%s: servers are killed, hung and cut off\n", c.name)
		if err := f.measure(ctx, c, &table); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	fmt.Printf(outages, rate, outage, slow, haproxyPage, haproxyTuned, nginxTuned)
	fmt.Print(&table)
	var forREADME strings.Builder
	forREADME.WriteString(table.Markdown())
	for _, measure := range []func(context.Context, io.Writer) error{
		func(ctx context.Context, w io.Writer) error { return f.speed(ctx, list, w) }, f.checks, verdicts,
	} {
		fmt.Fprintln(&forREADME)
		if err := measure(ctx, &forREADME); err != nil {
			return err
		}
	}
	fmt.Printf("\n%s", &forREADME)
	return nil
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

// versions prints the versions of the measured programs.
func versions(ctx context.Context, bin string) {
	for _, argv := range [][]string{{filepath.Join(bin, "iwx-lb"), "--version"}, {"haproxy", "-v"}, {"nginx", "-v"}, {"wrk", "-v"}} {
		out, _ := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput() // wrk -v fails
		line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
		fmt.Println(line)
	}
}

// outages is the legend of the first table.
const outages = `
Outages, behind balancers that are proxies. Each of three servers is away once, while visitors
ask %d times a second, each on a connection of their own: the median, and the worst if it differs.
A server is away for %v behind each of them. slow: longer than %v. out after: until the balancer
sends nothing there (nginx does not report it), and how many times iwx that is; never: not while it was
away. harm for: until the last request that was lost or slow. back after: from the server's return to
its first answer. iwx: as it comes, a minute after its start. All check by HTTP but nginx, which makes no
checks. haproxy:
%shaproxy-tuned:
%snginx: its defaults, with connections to servers kept open; nginx-tuned, besides:
%s`

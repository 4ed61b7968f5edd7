package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// What is checked: every service of every server each half second.
const (
	checkedServers  = 50
	checkedServices = 8
	checkedFor      = 10 * time.Second
	checkedPort     = 8000 // and those that follow
)

// costs is the legend of the third table.
const costs = `
What it costs to check %d services on each of %d servers, 800 checks a second, for %v. iwx is the checker
of iwx-lb daemon: it knocks, and one time in seven speaks HTTP, SMTP, POP3 or IMAP, half of that over
TLS. haproxy connects, and no more: "check inter 500ms". The servers are on this machine, whose kernel
does the work of both sides; what they do themselves is not counted.
`

// cost is what a program takes.
type cost struct {
	core   float64 // percent of one
	memory float64 // MB
}

// checks prints what the checks of many services cost.
func (f *field) checks(ctx context.Context) error {
	const row = "%-14s %-12s %s\n"
	fmt.Printf(costs, checkedServices, checkedServers, checkedFor)
	fmt.Printf(row, "", "of a core", "memory")
	for _, c := range []struct {
		name string
		of   func(context.Context) (cost, error)
	}{{"iwx", checker}, {"haproxy", f.checkingHAProxy}} {
		fmt.Fprintf(os.Stderr, "%s: checks\n", c.name)
		got, err := c.of(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		fmt.Printf(row, c.name, fmt.Sprintf("%.1f %%", got.core), fmt.Sprintf("%.0f MB", got.memory))
	}
	return nil
}

// verdictsLegend is the legend of the fourth table.
const verdictsLegend = `
From a verdict on one of nine services of a node until HAProxy sends nothing there (out), does again (in),
and its configuration on the disk says so too (saved); %d times, median and the time of 99 %% of them, in ms.
`

// verdicts prints how long it takes from a verdict to the engine.
func verdicts(ctx context.Context) error {
	const times = 500
	const row = "%-10s %-12s %-12s %s\n"
	fmt.Printf(verdictsLegend, times)
	fmt.Printf(row, "", "out", "in", "saved")
	for _, nodes := range []int{3, 50} {
		fmt.Fprintf(os.Stderr, "iwx: verdicts, %d nodes\n", nodes)
		text, err := benchmark(ctx, "./lib/haproxy", fmt.Sprintf("Verdict/nodes=%d$", nodes), times)
		if err != nil {
			return err
		}
		var cells []any
		for _, of := range []string{"out", "in", "saved"} {
			half, err := metric(text, "p50-"+of+"-ms")
			if err != nil {
				return err
			}
			most, err := metric(text, "p99-"+of+"-ms")
			if err != nil {
				return err
			}
			cells = append(cells, fmt.Sprintf("%.1f / %.1f", half, most))
		}
		fmt.Printf(row, append([]any{fmt.Sprint(nodes, " nodes")}, cells...)...)
	}
	return nil
}

// benchmark runs one of a package's.
func benchmark(ctx context.Context, pkg, name string, times int) ([]byte, error) {
	out, err := exec.CommandContext(ctx, "go", "test", pkg, "-run", "^$", "-bench", name, "-benchtime", fmt.Sprint(times, "x")).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("benchmark %s of %s: %w: %s", name, pkg, err, out)
	}
	return out, nil
}

// checker is the cost of iwx's, as the benchmark of its package has it.
func checker(ctx context.Context) (c cost, err error) {
	out, err := benchmark(ctx, "./lib/health", "Checker$", int(checkedFor.Seconds()))
	if err != nil {
		return c, err
	}
	if c.core, err = metric(out, "%cpu"); err == nil {
		c.memory, err = metric(out, "MB")
	}
	return c, err
}

// metric is a figure of a benchmark, by its unit.
func metric(out []byte, unit string) (float64, error) {
	words := strings.Fields(string(out))
	for i, word := range words {
		if word == unit && i > 0 {
			return strconv.ParseFloat(words[i-1], 64)
		}
	}
	return 0, fmt.Errorf("no %s in %s", unit, out)
}

// checkingHAProxy is the cost of an HAProxy that checks.
func (f *field) checkingHAProxy(ctx context.Context) (c cost, err error) {
	addrs := make([]string, checkedServices)
	var b strings.Builder
	b.WriteString("defaults\n    timeout connect 5s\n    timeout client 50s\n    timeout server 50s\n")
	b.WriteString("listen none\n    bind 127.0.0.1:7999\n") // without a listener it does not start
	for port := range checkedServices {
		addrs[port] = fmt.Sprint(":", checkedPort+port)
		fmt.Fprintf(&b, "backend service%d\n", port)
		for n := range checkedServers {
			fmt.Fprintf(&b, "    server web%d 127.0.1.%d:%d check inter 500ms\n", n, n+1, checkedPort+port)
		}
	}
	path := filepath.Join(f.dir, "checks.cfg")
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		return c, err
	}
	services, err := f.start(ctx, "manager", nil, append([]string{f.self, "serve", "services"}, addrs...)...)
	if err != nil {
		return c, err
	}
	defer services.stop()
	p, err := f.start(ctx, "manager", nil, "haproxy", "-db", "-f", path)
	if err != nil {
		return c, err
	}
	defer p.stop()
	pause(ctx, time.Second) // it starts
	began, before := time.Now(), p.processor()
	pause(ctx, checkedFor)
	c.core = 100 * float64(p.processor()-before) / float64(time.Since(began))
	c.memory = p.memory()
	return c, p.fate()
}

// processor is the processor time that a process has taken, by proc(5): fields
// 14 and 15 of stat, in hundredths of a second; 0 if it has ended.
func (p *process) processor() (spent time.Duration) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	_, rest, _ := bytes.Cut(text, []byte(") ")) // from the third field
	fields := strings.Fields(string(rest))
	if len(fields) < 13 {
		return 0
	}
	for _, word := range fields[11:13] {
		ticks, _ := strconv.Atoi(word)
		spent += time.Duration(ticks) * 10 * time.Millisecond
	}
	return spent
}

// memory is the resident memory of a process in MB: the second field of statm, in
// pages.
func (p *process) memory() float64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.cmd.Process.Pid))
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.Atoi(fields[1])
	return float64(pages) * float64(os.Getpagesize()) / 1e6
}

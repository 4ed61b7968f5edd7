package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// What is checked: every service of every server each half second.
const (
	checkedServers = 50
	checkedFor     = 10 * time.Second
)

// haproxyChecks returns the services, and HAProxy's equivalent of iwx's checks:
// a connection, and at times the protocol, together every half second. HAProxy
// has one kind of check for a server, so each service is in two backends.
func haproxyChecks() []haproxyCheck {
	const (
		http = "option httpchk GET /"
		smtp = "option smtpchk EHLO manager"
		pop3 = "option tcp-check\n    tcp-check expect string +OK\n    tcp-check send CAPA\\r\\n\n    tcp-check expect rstring \\.\\r\\n\n    tcp-check send QUIT\\r\\n\n    tcp-check expect string +OK"
		imap = "option tcp-check\n    tcp-check expect string *\\ OK\n    tcp-check send a\\ CAPABILITY\\r\\n\n    tcp-check expect string a\\ OK\n    tcp-check send b\\ LOGOUT\\r\\n\n    tcp-check expect string *\\ BYE"
		tls  = " check-ssl verify none"
	)
	return []haproxyCheck{
		{"http", http, "", webInterval}, {"https", http, tls, webInterval},
		{"smtp", smtp, "", mailInterval}, {"submission", smtp, "", mailInterval},
		{"pop3", pop3, "", mailInterval}, {"pop3s", pop3, tls, mailInterval},
		{"imap", imap, "", mailInterval}, {"imaps", imap, tls, mailInterval},
	}
}

// Intervals at which iwx speaks to a service, see iwx-lb(8), -interval.
const (
	webInterval  = 2 * time.Second
	mailInterval = 5 * time.Second
)

type haproxyCheck struct {
	service, option, server string
	interval                time.Duration
}

// backends returns the configuration of the checks of a port on every server.
func (c haproxyCheck) backends(port int) string {
	// An interval such that both checks together are two a second.
	connect := time.Duration(float64(time.Second) / (2 - float64(time.Second)/float64(c.interval)))
	section := func(name, option, words string, every time.Duration) string {
		text := fmt.Sprintf("backend %s-%s\n    %s\n", name, c.service, option)
		for n := range checkedServers {
			text += fmt.Sprintf("    server web%d 127.0.1.%d:%d check inter %dms%s\n", n, n+1, port, every.Milliseconds(), words)
		}
		return text
	}
	return section("connect", "", "", connect) + section("speak", c.option, c.server, c.interval)
}

// costs is the legend of the third table.
const costs = `
What it costs to check %d services on each of %d servers, 800 checks a second, for %v. iwx is the checker
of iwx-lb daemon, with its defaults. haproxy makes the same checks as often: both connect, and one time in
seven speak HTTP, SMTP, POP3 or IMAP, two of five over TLS. iwx also looks at certificates. The services are
the same, and on this machine, whose kernel does the work of both sides; what they do themselves is not counted.
`

// cost is what a program takes.
type cost struct {
	core   float64 // percent of one
	memory float64 // MB
}

// checks prints the cost of checking many services, and writes the README's table.
func (f *field) checks(ctx context.Context, readme io.Writer) error {
	const row = "%-14s %-12s %s\n"
	fmt.Printf(costs, len(haproxyChecks()), checkedServers, checkedFor)
	fmt.Fprintf(readme, "| %d checks a second, %d services on each of %d servers | of a core | memory |\n|---|---|---|\n",
		2*checkedServers*len(haproxyChecks()), len(haproxyChecks()), checkedServers)
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
		fmt.Fprintf(readme, "| %s | %.0f %% | %.0f MB |\n", c.name, got.core, got.memory)
	}
	return nil
}

// verdictsLegend is the legend of the fourth table.
const verdictsLegend = `
From a verdict on one of nine services of a node until HAProxy sends nothing there (out), does again (in),
and its configuration on the disk says so too (saved); %d times, median and the time of 99 %% of them, in ms.
`

// verdicts prints the time from a verdict to the engine, and writes the README's
// table.
func verdicts(ctx context.Context, readme io.Writer) error {
	const times = 500
	const row = "%-10s %-12s %-12s %s\n"
	fmt.Printf(verdictsLegend, times)
	fmt.Printf(row, "", "out", "in", "saved")
	fmt.Fprint(readme, "| from a verdict until HAProxy follows, of nine services: median / 99 % | out | in again |\n|---|---|---|\n")
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
		fmt.Fprintf(readme, "| %d nodes | %s ms | %s ms |\n", nodes, cells[0], cells[1])
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
	ports, stop, err := f.services(ctx)
	if err != nil {
		return c, err
	}
	defer stop()
	stats := filepath.Join(f.dir, "checks.stats")
	var b strings.Builder
	fmt.Fprintf(&b, "global\n    stats socket %s\ndefaults\n    timeout connect 5s\n    timeout client 50s\n    timeout server 50s\n", stats)
	b.WriteString("listen none\n    bind 127.0.0.1:7999\n") // without a listener it does not start
	for _, check := range haproxyChecks() {
		b.WriteString(check.backends(ports[check.service]))
	}
	path := filepath.Join(f.dir, "checks.cfg")
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		return c, err
	}
	p, err := f.start(ctx, "manager", nil, "haproxy", "-db", "-f", path)
	if err != nil {
		return c, err
	}
	defer p.stop()
	pause(ctx, mailInterval) // until all have been checked
	began, before := time.Now(), p.processor()
	pause(ctx, checkedFor)
	c.core = 100 * float64(p.processor()-before) / float64(time.Since(began))
	c.memory = p.memory()
	list, err := haproxyServers(stats)
	for _, s := range list {
		if s.status != "UP" {
			err = errors.Join(err, fmt.Errorf("%s of %s is %s", s.name, s.backend, s.status))
		}
	}
	return c, errors.Join(err, p.fate())
}

// services starts the services that iwx's benchmark checks, and returns their ports,
// which are open on all loopback addresses.
func (f *field) services(ctx context.Context) (ports map[string]int, stop func(), err error) {
	program := filepath.Join(f.dir, "health.test")
	if out, err := exec.CommandContext(ctx, "go", "test", "-c", "-o", program, "./lib/health").CombinedOutput(); err != nil {
		return nil, nil, fmt.Errorf("go test -c ./lib/health: %w: %s", err, out)
	}
	cmd := f.command(ctx, "manager", program)
	cmd.Env = append(os.Environ(), "IWX_TEST_SERVES=1")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	ports = map[string]int{}
	for lines := bufio.NewScanner(stdout); len(ports) < len(haproxyChecks()) && lines.Scan(); {
		service, port, _ := strings.Cut(lines.Text(), " ")
		ports[service], _ = strconv.Atoi(port)
	}
	return ports, func() { stdin.Close(); _ = cmd.Wait() }, nil
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

package health

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"context"
)

// servesVariable has the test program be the services of BenchmarkChecker, in a
// process of their own, so that their work is not counted.
const servesVariable = "IWX_TEST_SERVES"

func TestMain(m *testing.M) {
	if os.Getenv(servesVariable) == "" {
		os.Exit(m.Run())
	}
	t := &testing.T{}
	cert := certificate(t, "mail.example", -day, 90*day)
	services := map[Kind]func(net.Conn){
		HTTP: hears("HTTP/1.1 200 OK\r\n\r\n"), SMTP: says("220 mail\r\n", smtpEHLO, "221 bye\r\n"),
		POP3: says("+OK\r\n", capa, "+OK\r\n"), IMAP: says("* OK\r\n", caps, "* BYE\r\n"),
	}
	services[HTTPS], services[POP3S], services[IMAPS] = secured(cert, services[HTTP]), secured(cert, services[POP3]), secured(cert, services[IMAP])
	services[Submission] = services[SMTP]
	for kind, service := range services {
		l, err := net.Listen("tcp", "0.0.0.0:0")
		if err != nil {
			panic(err)
		}
		fmt.Println(kind, netip.MustParseAddrPort(l.Addr().String()).Port())
		go answer(l, service)
	}
	io.Copy(io.Discard, os.Stdin)
}

// services starts the services, which all loopback addresses have, and returns
// their ports.
func services(b *testing.B) map[Kind]uint16 {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), servesVariable+"=1")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { stdin.Close(); cmd.Wait() })
	ports := map[Kind]uint16{}
	for lines := bufio.NewScanner(stdout); len(ports) < 8 && lines.Scan(); {
		kind, port, _ := strings.Cut(lines.Text(), " ")
		n, _ := strconv.Atoi(port)
		ports[Kind(kind)] = uint16(n)
	}
	return ports
}

// used is the processor time that this process has taken, and its memory in
// bytes.
func used(b *testing.B) (time.Duration, int64) {
	b.Helper()
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	status, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		b.Fatal(err)
	}
	pages, _ := strconv.ParseInt(strings.Fields(string(status))[1], 10, 64)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano()), pages * int64(os.Getpagesize())
}

// BenchmarkChecker has 8 services on each of 50 servers checked as they are by
// default, which is 800 probes a second: three of four are knocks, and the rest
// speak. An operation is a second of that.
func BenchmarkChecker(b *testing.B) {
	ports := services(b)
	all := cluster(50)
	for n := range all {
		all[n].Addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 1, byte(1 + n/8)}), ports[Kind(strings.Split(all[n].ID, "/")[1])])
	}
	var (
		probes, bad atomic.Int64
		why         atomic.Value
	)
	p := Prober{Now: time.Now}
	c := &Checker{Now: time.Now, Log: slog.New(slog.DiscardHandler), Changed: func(id string, was, is Verdict) {
		if is.State == Down {
			bad.Add(1)
			why.Store(id + ": " + is.Last.Reason)
		}
	}}
	c.Probe = func(ctx context.Context, t Target) Result { probes.Add(1); return p.Probe(ctx, t) }
	c.Set(all, nil)
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	second := time.NewTicker(time.Second)
	<-second.C // all have been looked at
	began, before := time.Now(), probes.Load()
	cpu, _ := used(b)
	for b.Loop() {
		<-second.C
	}
	took := time.Since(began)
	cpuAfter, memory := used(b)
	b.ReportMetric(float64(cpuAfter-cpu)/float64(took)*100, "%cpu")
	b.ReportMetric(float64(memory)/1e6, "MB")
	b.ReportMetric(float64(probes.Load()-before)/took.Seconds(), "probes/s")
	cancel()
	if err := <-ended; err != nil || bad.Load() > 0 {
		b.Errorf("%v; %d services found down, the last %v", err, bad.Load(), why.Load())
	}
}

// BenchmarkKnock is one probe at level Connect.
func BenchmarkKnock(b *testing.B) {
	target := Target{Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), services(b)[HTTP]), Check: Check{Level: Connect}.Filled()}
	p := Prober{Now: time.Now}
	for b.Loop() {
		if r := p.Probe(b.Context(), target); r.Word != Good {
			b.Fatal(r)
		}
	}
}

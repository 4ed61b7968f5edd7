package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"iwx/testscripts/load"
)

// How the balancers of testscripts/lab/bench are measured. Servers in user mode
// answer a hundred requests a second between them, and no more.
const (
	measureRounds = 3
	measureRate   = 60
	measureBefore = time.Second
	measureOutage = 8 * time.Second // how long a server fails
	measureBack   = 5 * time.Second
)

// measured is the legend of what was measured.
const measured = `
Outages, behind balancers with IPVS, direct routing, on whole servers in user mode. One of two, in
turn, is away %d times, while visitors ask %d times a second, each on a connection of their own: the median,
and the worst if it differs. slow: longer than %v. out after: until it is gone from the kernel's table,
and how many times iwx that is; never: not in %v. harm for: until the last request that was lost or
slow. back after: from the server's return to its first answer. iwx: as it comes, with each event from
a fresh start, and a hang a minute after it. keepalived and ldirectord: checks of a page, as often and
as impatient as is sensible (testscripts/lab/bench): every 0.5 s, and again after 0.1 s; every 1 s,
its least. The kernel's settings are the same for all.
`

// reportFigures prints the measurements, if there are any, and the README's table.
func (l *Lab) reportFigures() {
	if text := l.figures.String(); text != "" {
		fmt.Printf(measured, measureRounds, measureRate, slow, measureOutage)
		fmt.Printf("%s\n%s", text, l.figures.Markdown())
	}
}

// event is what becomes of a server, and how it is made good.
type event struct {
	name           string
	strike, repair func(ctx context.Context, s *Server) error
}

func events() []event {
	apache := func(what ...string) func(context.Context, *Server) error {
		return func(ctx context.Context, s *Server) error {
			_, err := s.Do(ctx, nil, what...)
			return err
		}
	}
	return []event{
		{load.Killed, apache("systemctl", "kill", "--signal=KILL", "apache2"), apache("systemctl", "restart", "apache2")},
		{load.Hung, apache("systemctl", "kill", "--signal=STOP", "apache2"), apache("systemctl", "kill", "--signal=CONT", "apache2")},
		{load.Cut, func(ctx context.Context, s *Server) error { return s.Link(ctx, false) },
			func(ctx context.Context, s *Server) error { return s.Link(ctx, true) }},
	}
}

// measure has an event befall the servers in turn while visitors ask at the virtual
// IP, and adds what it came to to the lab's figures.
func (s *session) measure(ts *testscript.TestScript, neg bool, args []string) {
	never(ts, neg)
	usage(ts, len(args) >= 3, "measure BALANCER EVENT SERVER...")
	i := slices.IndexFunc(events(), func(e event) bool { return e.name == args[1] })
	usage(ts, i >= 0, "measure BALANCER EVENT SERVER...: EVENT is one of those in measure.go")
	var rounds []load.Round
	for n := range measureRounds {
		s.settled(ts)
		r, err := s.round(s.server(ts, args[2+n%(len(args)-2)]), events()[i])
		ts.Check(err)
		rounds = append(rounds, r)
	}
	s.lab.figures.Add(args[0], args[1], rounds)
}

// round is one event.
func (s *session) round(server *Server, e event) (r load.Round, err error) {
	a, err := s.ask(measureRate, virtualService)
	if err != nil {
		return r, err
	}
	defer a.kill()
	in, err := s.inTable(server)
	if err != nil {
		return r, err
	}
	s.pause(measureBefore)
	struck := time.Now()
	if err := e.strike(s.ctx, server); err != nil {
		return r, err
	}
	out, err := load.Outage{Length: measureOutage, In: in}.Wait(struck, s.ctx.Done())
	repaired := time.Now()
	if err := errors.Join(err, e.repair(s.ctx, server)); err != nil {
		return r, err
	}
	s.pause(measureBack)
	answers, err := a.end()
	r = answers.Round(server.name, struck, repaired, slow)
	r.Out = out
	return r, err
}

// tableWatch is a program for bash that ends when an address, written as the
// kernel writes it, is gone from the table of IPVS or has no weight there, or when
// a minute is over. It starts no other program, which takes a server in user mode
// too long.
const tableWatch = `exec 3<> <(:)
echo ready
while ((SECONDS < 60)) && mapfile -t lines </proc/net/ip_vs && [[ ${lines[*]} =~ $1\ +[A-Za-z]+\ +[1-9] ]]; do
	read -rt 0.02 -u 3
done
true`

// inTable returns a function that reports whether a server is in the manager's table.
func (s *session) inTable(server *Server) (func() (bool, error), error) {
	ip := netip.MustParseAddr(server.address()).As4()
	watch := Command{Args: []string{"bash", "-c", tableWatch, "watch", fmt.Sprintf("%X:%04X", ip, 80)}}
	out, in := io.Pipe()
	watch.Stdout = in
	ended := make(chan error, 1)
	go func() {
		err := s.lab.servers["manager"].Run(s.ctx, watch)
		in.CloseWithError(err)
		ended <- err
	}()
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		return nil, err
	}
	go io.Copy(io.Discard, out)
	return func() (bool, error) {
		select {
		case err := <-ended:
			return false, err
		default:
			return true, nil
		}
	}, nil
}

// virtualService is what is measured.
const virtualService = clusterNet + virtual + ":80"

func (s *session) pause(d time.Duration) {
	select {
	case <-s.ctx.Done():
	case <-time.After(d):
	}
}

// settled waits until two servers answer in turn and nothing is lost.
func (s *session) settled(ts *testscript.TestScript) {
	for {
		a, err := s.ask(measureRate, virtualService)
		ts.Check(err)
		s.pause(time.Second)
		answers, err := a.end()
		ts.Check(err)
		if len(answers.Servers()) >= 2 && len(answers.Lost()) == 0 {
			return
		}
		if s.ctx.Err() != nil {
			ts.Fatalf("it does not settle: servers %v, lost %v", answers.Servers(), answers.Reasons())
		}
	}
}

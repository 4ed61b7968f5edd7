package main

import (
	"context"
	"fmt"
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
	measureOutage = 8 * time.Second
	measureBack   = 8 * time.Second
)

// event is what becomes of a server, and how it is made good.
type event struct {
	name         string
	strike, mend func(ctx context.Context, s *Server) error
}

func events() []event {
	apache := func(what ...string) func(context.Context, *Server) error {
		return func(ctx context.Context, s *Server) error {
			_, err := s.Do(ctx, nil, what...)
			return err
		}
	}
	return []event{
		{"killed", apache("systemctl", "kill", "--signal=KILL", "apache2"), apache("systemctl", "restart", "apache2")},
		{"hung", apache("systemctl", "kill", "--signal=STOP", "apache2"), apache("systemctl", "kill", "--signal=CONT", "apache2")},
		{"cut-off", func(ctx context.Context, s *Server) error { return s.Link(ctx, false) },
			func(ctx context.Context, s *Server) error { return s.Link(ctx, true) }},
	}
}

// measure has a server go through every event while visitors ask at the virtual
// IP, and prints a row for each.
func (s *session) measure(ts *testscript.TestScript, neg bool, args []string) {
	never(ts, neg)
	usage(ts, len(args) == 2, "measure BALANCER SERVER")
	server := s.server(ts, args[1])
	fmt.Print(load.RowHead())
	for _, e := range events() {
		var rounds []load.Round
		for range measureRounds {
			s.settled(ts)
			rounds = append(rounds, s.round(ts, server, e))
		}
		fmt.Print(load.Row(args[0], e.name, rounds))
	}
}

// round is one event.
func (s *session) round(ts *testscript.TestScript, server *Server, e event) load.Round {
	a, err := s.ask(measureRate, virtualService)
	ts.Check(err)
	defer a.kill()
	s.pause(measureBefore)
	struck := time.Now()
	ts.Check(e.strike(s.ctx, server))
	s.pause(measureOutage)
	mended := time.Now()
	ts.Check(e.mend(s.ctx, server))
	s.pause(measureBack)
	answers, err := a.end()
	ts.Check(err)
	return answers.Round(server.name, struck, mended, slow)
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

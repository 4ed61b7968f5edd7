package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"iwx/testscripts/load"
)

// How it is measured.
const (
	rounds  = 5                      // of each event
	rate    = 300                    // requests a second
	before  = 500 * time.Millisecond // of load, before the event
	outage  = 5 * time.Second        // how long a server is away
	back    = 4 * time.Second        // of load after its return
	slow    = time.Second
	patient = 3 * time.Second // a visitor gives up then
)

// event is what becomes of a server.
type event struct {
	name   string
	strike func(ctx context.Context, f *field) error
	mend   func(ctx context.Context, f *field) error
}

func (f *field) events(web *process) []event {
	return []event{
		{"process killed", func(context.Context, *field) error { web.kill(); return nil }, func(ctx context.Context, f *field) error {
			again, err := f.web(ctx, webs()[0])
			*web = *again
			return err
		}},
		{"link cut", func(ctx context.Context, f *field) error { return f.cut(ctx, "web1", true) },
			func(ctx context.Context, f *field) error { return f.cut(ctx, "web1", false) }},
		{"process hung", func(context.Context, *field) error { return syscall.Kill(-web.cmd.Process.Pid, syscall.SIGSTOP) },
			func(context.Context, *field) error { return syscall.Kill(-web.cmd.Process.Pid, syscall.SIGCONT) }},
	}
}

// web starts the web server of a host.
func (f *field) web(ctx context.Context, h host) (*process, error) {
	return f.start(ctx, h.name, nil, f.self, "serve", h.name, h.addr+":80")
}

// measure has a contender meet every event.
func (f *field) measure(ctx context.Context, c contender) error {
	var first *process
	for _, h := range webs() {
		p, err := f.web(ctx, h)
		if err != nil {
			return err
		}
		if first == nil {
			first = p
		}
		defer p.stop()
	}
	defer func() { first.stop() }()
	stop, err := c.start(ctx, f)
	if err != nil {
		return err
	}
	defer stop()
	if err := f.settled(ctx); err != nil {
		return err
	}
	for _, e := range f.events(first) {
		var list []load.Round
		for range rounds {
			r, err := f.round(ctx, e)
			if err != nil {
				return fmt.Errorf("%s: %w", e.name, err)
			}
			list = append(list, r)
		}
		fmt.Print(load.Row(c.name, e.name, list))
	}
	return nil
}

// settled waits until all servers answer behind the virtual address.
func (f *field) settled(ctx context.Context) error {
	return await(ctx, "all servers answer at the virtual address", 60*time.Second, func() error {
		all, err := f.load(ctx, 300*time.Millisecond, 100)
		if err != nil {
			return err
		}
		if n := all.Servers(); len(n) < len(webs()) || len(all.Lost()) > 0 {
			return errors.Join(fmt.Errorf("they are %v, lost %v", n, all.Reasons()), f.fates())
		}
		return nil
	})
}

// load asks the virtual address for a while.
func (f *field) load(ctx context.Context, length time.Duration, rate int) (load.Answers, error) {
	cmd := f.command(ctx, "visitor", f.self, "load", "-rate", fmt.Sprint(rate), "-for", length.String(), "-timeout", patient.String(), virtual+":80")
	out, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	return load.Read(bytes.NewReader(out))
}

// round strikes while visitors come, and mends.
func (f *field) round(ctx context.Context, e event) (r load.Round, err error) {
	type result struct {
		all load.Answers
		err error
	}
	visits := make(chan result, 1)
	go func() {
		all, err := f.load(ctx, before+outage+back, rate)
		visits <- result{all, err}
	}()
	struck, mended, err := f.strike(ctx, e)
	got := <-visits
	if err != nil || got.err != nil {
		return r, fmt.Errorf("%w%w", err, got.err)
	}
	r = got.all.Round(webs()[0].name, struck, mended, slow)
	return r, f.settled(ctx)
}

func (f *field) strike(ctx context.Context, e event) (struck, mended time.Time, err error) {
	pause(ctx, before)
	struck = time.Now()
	if err := e.strike(ctx, f); err != nil {
		return struck, mended, err
	}
	pause(ctx, outage)
	mended = time.Now()
	return struck, mended, e.mend(ctx, f)
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"iwx/testscripts/load"
)

// How it is measured.
const (
	rate    = 300                    // requests a second
	before  = 500 * time.Millisecond // of load, before the failure
	outage  = 10 * time.Second       // how long a server fails
	back    = 4 * time.Second        // of load after its return
	slow    = time.Second
	patient = 3 * time.Second // a visitor gives up then
)

// event is what becomes of a server.
type event struct {
	name         string
	strike, mend func(ctx context.Context, f *field, w *web) error
}

func events() []event {
	return []event{
		{load.Killed,
			func(_ context.Context, _ *field, w *web) error { w.kill(); return nil },
			func(ctx context.Context, f *field, w *web) error { return w.begin(ctx, f) }},
		{load.Hung,
			func(_ context.Context, _ *field, w *web) error { return w.signal(syscall.SIGSTOP) },
			func(_ context.Context, _ *field, w *web) error { return w.signal(syscall.SIGCONT) }},
		{load.Cut,
			func(ctx context.Context, f *field, w *web) error { return f.cut(ctx, w.name, true) },
			func(ctx context.Context, f *field, w *web) error { return f.cut(ctx, w.name, false) }},
	}
}

// web is the web server of a host.
type web struct {
	host
	*process
}

func (w *web) begin(ctx context.Context, f *field) (err error) {
	w.process, err = f.start(ctx, w.name, nil, f.self, "serve", w.name, w.addr+":80")
	return err
}

// measure has a contender meet every event, each from a fresh start: it may
// rightly distrust a server that has failed a minute ago.
func (f *field) measure(ctx context.Context, c contender, t *load.Table) error {
	for _, e := range events() {
		list, err := f.meet(ctx, c, e)
		if err != nil {
			return fmt.Errorf("%s: %w", e.name, err)
		}
		t.Add(c.name, e.name, list)
	}
	return nil
}

// meet has an event strike each of the servers, one after the other.
func (f *field) meet(ctx context.Context, c contender, e event) (list []load.Round, err error) {
	err = f.with(ctx, c, func(b balancer, servers []*web) error {
		pause(ctx, c.learn)
		for _, w := range servers {
			if err := f.settled(ctx); err != nil {
				return err
			}
			r, err := f.round(ctx, b, e, w)
			if err != nil {
				return err
			}
			list = append(list, r)
		}
		return nil
	})
	return list, err
}

// with does something while the web servers run, and the contender before them.
func (f *field) with(ctx context.Context, c contender, do func(balancer, []*web) error) error {
	var servers []*web
	for _, h := range webs() {
		w := &web{host: h}
		if err := w.begin(ctx, f); err != nil {
			return err
		}
		defer func() { w.stop() }()
		servers = append(servers, w)
	}
	b, err := c.start(ctx, f)
	if err != nil {
		return err
	}
	defer b.stop()
	return do(b, servers)
}

// settled waits until all servers answer behind the virtual address.
func (f *field) settled(ctx context.Context) error { return f.answers(ctx, virtual, len(webs())) }

// answers waits until so many servers answer at an address.
func (f *field) answers(ctx context.Context, address string, servers int) error {
	return await(ctx, fmt.Sprintf("%d servers answer at %s", servers, address), time.Minute, func() error {
		visits, err := f.visit(ctx, address, 100)
		if err != nil {
			return err
		}
		pause(ctx, 300*time.Millisecond)
		all, err := visits()
		if err != nil {
			return err
		}
		if n := all.Servers(); len(n) < servers || len(all.Lost()) > 0 {
			return errors.Join(fmt.Errorf("they are %v, lost %v", n, all.Reasons()), f.fates())
		}
		return nil
	})
}

// visit has visitors ask at an address, until end is called, which returns what
// became of them.
func (f *field) visit(ctx context.Context, address string, rate int) (end func() (load.Answers, error), err error) {
	cmd := f.command(ctx, "visitor", f.self, "load", "-rate", fmt.Sprint(rate), "-timeout", patient.String(), address+":80")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return func() (load.Answers, error) {
		if err := errors.Join(cmd.Process.Signal(syscall.SIGTERM), cmd.Wait()); err != nil {
			return nil, err
		}
		return load.Read(&out)
	}, nil
}

// round strikes while visitors come, and mends.
func (f *field) round(ctx context.Context, b balancer, e event, w *web) (r load.Round, err error) {
	visits, err := f.visit(ctx, virtual, rate)
	if err != nil {
		return r, err
	}
	pause(ctx, before)
	struck := time.Now()
	err = e.strike(ctx, f, w)
	var out time.Duration
	if err == nil {
		out, err = f.outage(b, w).Wait(struck, ctx.Done())
	}
	mended := time.Now()
	err = errors.Join(err, e.mend(ctx, f, w))
	pause(ctx, back)
	all, ended := visits()
	if err := errors.Join(err, ended); err != nil {
		return r, err
	}
	r = all.Round(w.name, struck, mended, slow)
	r.Out = out
	return r, nil
}

func (f *field) outage(b balancer, w *web) load.Outage {
	o := load.Outage{Length: outage}
	if b.has != nil {
		o.In = func() (bool, error) { return b.has(w.name) }
	}
	return o
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

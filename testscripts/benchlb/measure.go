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
	rate    = 300                    // requests a second
	before  = 500 * time.Millisecond // of load, before the event
	outage  = 5 * time.Second        // how long a server is away
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
		{"process killed",
			func(_ context.Context, _ *field, w *web) error { w.kill(); return nil },
			func(ctx context.Context, f *field, w *web) error { return w.begin(ctx, f) }},
		{"process hung",
			func(_ context.Context, _ *field, w *web) error { return w.signal(syscall.SIGSTOP) },
			func(_ context.Context, _ *field, w *web) error { return w.signal(syscall.SIGCONT) }},
		{"link cut",
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
func (f *field) measure(ctx context.Context, c contender) error {
	for _, e := range events() {
		list, err := f.meet(ctx, c, e)
		if err != nil {
			return fmt.Errorf("%s: %w", e.name, err)
		}
		fmt.Print(load.Row(c.name, e.name, list))
	}
	return nil
}

// meet has an event strike each of the servers, one after the other.
func (f *field) meet(ctx context.Context, c contender, e event) (list []load.Round, err error) {
	var servers []*web
	for _, h := range webs() {
		w := &web{host: h}
		if err := w.begin(ctx, f); err != nil {
			return nil, err
		}
		defer func() { w.stop() }()
		servers = append(servers, w)
	}
	stop, err := c.start(ctx, f)
	if err != nil {
		return nil, err
	}
	defer stop()
	for _, w := range servers {
		if err := f.settled(ctx); err != nil {
			return nil, err
		}
		r, err := f.round(ctx, e, w)
		if err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, nil
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
func (f *field) round(ctx context.Context, e event, w *web) (r load.Round, err error) {
	type result struct {
		all load.Answers
		err error
	}
	visits := make(chan result, 1)
	go func() {
		all, err := f.load(ctx, before+outage+back, rate)
		visits <- result{all, err}
	}()
	struck, mended, err := f.strike(ctx, e, w)
	got := <-visits
	if err != nil || got.err != nil {
		return r, fmt.Errorf("%w%w", err, got.err)
	}
	return got.all.Round(w.name, struck, mended, slow), nil
}

func (f *field) strike(ctx context.Context, e event, w *web) (struck, mended time.Time, err error) {
	pause(ctx, before)
	struck = time.Now()
	if err := e.strike(ctx, f, w); err != nil {
		return struck, mended, err
	}
	pause(ctx, outage)
	mended = time.Now()
	return struck, mended, e.mend(ctx, f, w)
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

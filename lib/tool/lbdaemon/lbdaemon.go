// Package lbdaemon is iwx-lb daemon: on the manager it has the services of every
// server checked, and keeps the engine at what follows from that.
//
// It puts parts together: the rules are in packages lb and health. What is asked
// for comes from the state, what is found out goes there, and it never takes
// down what balances.
package lbdaemon

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"iwx/lib/atomicfile"
	"iwx/lib/backoff"
	"iwx/lib/cli"
	"iwx/lib/conf"
	"iwx/lib/control"
	"iwx/lib/daemon"
	"iwx/lib/fault"
	"iwx/lib/health"
	"iwx/lib/lb"
	"iwx/lib/nfs"
	"iwx/lib/panics"
	"iwx/lib/tool/local"
	"iwx/lib/tool/upkeep"
	"iwx/lib/wait"
)

// Times that the daemon goes by.
const (
	lookEvery  = time.Second            // at the state, for when a poke was lost
	saveAfter  = 300 * time.Millisecond // verdicts, so that many changes are one commit
	saveLimit  = 5 * time.Second
	stuckAfter = 45 * time.Second // longer than an engine may take
)

// retryWaits are the waits after a failed read or write of the state.
func retryWaits() backoff.Waits { return backoff.Waits{First: lookEvery, Most: 20 * time.Second} }

// balancer is the daemon.
type balancer struct {
	*local.Server
	c          *cli.Context
	log        *slog.Logger
	level      *slog.LevelVar
	lock       io.Closer
	waker      *daemon.Waker
	dog        *daemon.Watchdog
	panics     *panics.Counter
	checker    *health.Checker
	reconciler *lb.Reconciler
	mounts     *nfs.Watcher // this server's own
	wanted     atomic.Pointer[wanted]
	dirty      wait.Signal // verdicts have changed
	told       string      // the status line last told to systemd

	mu     sync.Mutex
	pulses map[string]timedPulse // the last ones, by server id
}

// wanted is what was asked for, and of which servers.
type wanted struct {
	setup   lb.Setup
	servers []lb.Server
	targets []health.Target
}

// Run runs the daemon until c ends. The server must be the manager.
func Run(c *cli.Context, s *local.Server) error {
	b, err := begin(c, s)
	if err != nil {
		return err
	}
	defer b.end()
	return panics.Try(b.log, "the daemon itself", func() error { return b.run(c, s) })
}

func (b *balancer) run(c *cli.Context, s *local.Server) error {
	known, err := s.Store.Verdicts(c)
	if err != nil {
		return err
	}
	b.mounts.Once(c) // before this server may be added
	if err := b.refresh(c, known); err != nil {
		return err
	}
	return daemon.Run(c, b.log,
		b.dog.Member(),
		daemon.Member{Name: "state", Run: func(ctx context.Context) error { return s.KeepState(ctx, b.log, c.Now, false) }},
		daemon.Reloader(b.log, b.reload),
		daemon.Member{Name: "check", Run: b.checker.Run},
		daemon.Member{Name: "reconcile", Run: b.reconcile},
		daemon.Member{Name: "mounts", Run: b.mounts.Run},
		daemon.Member{Name: "watch", Run: b.watch},
		daemon.Member{Name: "save", Run: b.save},
		daemon.Member{Name: "hung", Run: b.hung},
		daemon.Member{Name: "pulse", Run: b.ownPulse},
		daemon.Member{Name: "control", Run: func(ctx context.Context) error {
			return control.Serve(ctx, s.Balance, b, b.log, daemon.Ready)
		}},
	)
}

// daemonName is the name of the daemon's unit, for its panic count.
const daemonName = "iwx-lb"

// begin takes this server's one place for the daemon.
func begin(c *cli.Context, s *local.Server) (*balancer, error) {
	b := &balancer{Server: s, c: c, level: &slog.LevelVar{}, dirty: wait.NewSignal(), pulses: map[string]timedPulse{}}
	b.panics = panics.NewCounter(s.Panics, daemonName, c.Now)
	b.log = b.panics.Logger(daemon.NewLogger(c.Stderr, b.level, c.Getenv))
	b.dog = daemon.NewWatchdog(b.log, c.Now)
	if err := b.configure(s.Config); err != nil {
		return nil, err
	}
	if err := atomicfile.MkdirAll(s.Balance, 0o700); err != nil {
		return nil, err
	}
	var err error
	if b.lock, err = daemon.Lock(s.BalanceLock, local.BalanceUnit); err != nil {
		return nil, err
	}
	if b.waker, err = daemon.Listen(s.Balance); err != nil {
		b.lock.Close()
		return nil, err
	}
	prober := &health.Prober{Now: c.Now}
	b.checker = &health.Checker{Probe: prober.Probe, Now: c.Now, Log: b.log, Changed: b.changed}
	b.mounts = upkeep.NewWatcher(s.Store, c.Now, b.log)
	b.reconciler = lb.NewReconciler(Engines(s), b.view, c.Now, b.log)
	return b, nil
}

func (b *balancer) end() {
	if err := b.panics.Close(); err != nil {
		b.log.Error("cannot count the panics", "error", err)
	}
	b.waker.Close()
	b.lock.Close()
}

// configure takes new settings.
func (b *balancer) configure(config conf.Config) error {
	level, err := daemon.ParseLevel(config.Log.Level)
	if err != nil {
		return err
	}
	b.level.Set(level)
	return nil
}

// reload reads the settings again.
func (b *balancer) reload(ctx context.Context) error {
	config, err := conf.Load(ctx, b.Paths.Config)
	if err == nil {
		err = b.configure(config)
	}
	if err == nil {
		daemon.Poke(b.Balance)
	}
	return err
}

// changed is called with every verdict that has: within milliseconds the engine
// follows.
func (b *balancer) changed(string, health.Verdict, health.Verdict) {
	b.reconciler.Look()
	b.dirty.Set()
}

// view is what the reconciler goes by.
func (b *balancer) view() lb.View {
	w := b.wanted.Load()
	return lb.View{Setup: w.setup, Servers: b.hearing(w), Verdicts: b.checker.Verdicts()}
}

// Report implements control.Daemon.
func (b *balancer) Report(ctx context.Context) lb.Report { return b.reconciler.Report(ctx) }

func (b *balancer) reconcile(ctx context.Context) error {
	return b.reconciler.Run(ctx, b.dog.Worker("reconcile", stuckAfter).Alive)
}

// refresh reads what is asked for, and has that checked and reconciled. known
// are verdicts for what is not checked yet.
func (b *balancer) refresh(ctx context.Context, known map[string]health.Verdict) error {
	if err := b.CheckFence(ctx, fault.Unhealthy); err != nil {
		return err // ends the daemon, which is not started again with this exit code
	}
	setup, err := b.Store.Balancing(ctx)
	if err != nil {
		return err
	}
	servers, err := Servers(ctx, b.current(ctx), b.mounts.Health())
	if err != nil {
		return err
	}
	is := &wanted{setup: setup, servers: servers, targets: lb.Targets(setup, servers)}
	if was := b.wanted.Swap(is); was == nil || !reflect.DeepEqual(was, is) {
		b.checker.Set(is.targets, known)
		b.reconciler.Look()
	}
	b.tell(is)
	return nil
}

// current is this server with the settings as they are now, by which the
// manager makes the nodes' profiles; if they cannot be read, as they were.
func (b *balancer) current(ctx context.Context) *local.Server {
	s := *b.Server
	if config, err := conf.Load(ctx, b.Paths.Config); err == nil {
		s.Config = config
	}
	return &s
}

// tell sets the line that systemctl status shows.
func (b *balancer) tell(w *wanted) {
	text := fmt.Sprintf("%s over %s, engine %s", cli.Count(len(w.setup.Policies), "service", "services"),
		cli.Count(len(w.servers), "server", "servers"), w.setup.Engine)
	switch {
	case w.setup.External:
		text = "an external balancer balances; checking alone"
	case len(w.setup.Policies) == 0:
		text = "nothing to balance"
	case w.setup.Stopped:
		text = "stopped: the manager answers alone"
	}
	if text != b.told {
		daemon.Status(text)
		b.told = text
	}
}

// watch sees what the tools and iwx-queued write.
func (b *balancer) watch(ctx context.Context) error {
	version, err := b.Store.Watch(ctx)
	if err != nil {
		return err
	}
	defer version.Close()
	worker := b.dog.Worker("watch", stuckAfter)
	look := time.NewTimer(lookEvery)
	defer look.Stop()
	tries := backoff.Tries{Waits: retryWaits()}
	var seen int64
	for {
		worker.Alive()
		asked := true
		select {
		case <-ctx.Done():
			return nil
		case <-b.waker.C:
		case <-b.mounts.Changed():
		case <-look.C:
			asked = false
		}
		began := b.c.Now()
		now, err := version.Read(ctx)
		if err == nil && (asked || now != seen) {
			err = panics.Try(b.log, "reading of the state", func() error { return b.refresh(ctx, nil) })
		}
		took := b.c.Now().Sub(began)
		worker.Alive()
		switch {
		case ctx.Err() != nil:
			return nil
		case fault.CodeOf(err) == fault.Unhealthy:
			return err
		case err != nil:
			b.log.Error("cannot read the state", "error", err)
			look.Reset(tries.Failed(took))
			continue
		}
		seen = now
		tries.Reset()
		look.Reset(backoff.Pace(lookEvery, took))
	}
}

// save writes the verdicts down a moment after they change, and at the end.
func (b *balancer) save(ctx context.Context) error {
	worker := b.dog.Worker("save", stuckAfter)
	tries := backoff.Tries{Waits: retryWaits()}
	for pause := saveAfter; ; {
		worker.Alive()
		if wait.Sleep(ctx, pause) != nil {
			return b.write(context.WithoutCancel(ctx))
		}
		pause = saveAfter
		select {
		case <-b.dirty:
			began := b.c.Now()
			err := panics.Try(b.log, "saving of the verdicts", func() error { return b.write(ctx) })
			took := b.c.Now().Sub(began)
			worker.Alive()
			pause = backoff.Pace(saveAfter, took)
			if err == nil {
				tries.Reset()
			} else if ctx.Err() == nil {
				b.log.Error("cannot save the verdicts", "error", err)
				b.changed("", health.Verdict{}, health.Verdict{})
				pause = tries.Failed(took)
			}
		default:
		}
	}
}

func (b *balancer) write(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, saveLimit)
	defer cancel()
	return b.Store.SaveVerdicts(ctx, b.checker.Verdicts())
}

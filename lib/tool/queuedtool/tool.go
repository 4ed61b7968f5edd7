// Package queuedtool is iwx-queued(8): on the manager it serves the command
// queue to the nodes, on a node it replays it. Which of the two it is comes
// from the state.
//
// It puts parts together: the rules are in packages cluster and replay.
package queuedtool

import (
	"context"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"sync/atomic"
	"time"

	"iwx/lib/cli"
	"iwx/lib/conf"
	"iwx/lib/daemon"
	"iwx/lib/fault"
	"iwx/lib/host"
	"iwx/lib/panics"
	"iwx/lib/pki"
	"iwx/lib/profile"
	"iwx/lib/tool/local"
	"iwx/lib/tool/upkeep"
	"iwx/lib/wait"
)

// Tool returns iwx-queued.
func Tool() cli.Tool {
	return cli.Tool{
		Name:    "iwx-queued",
		Summary: "serve the command queue, or replay it",
		Grammar: func() any { return &grammar{} },
	}
}

type grammar struct {
	Once bool `help:"Node: replay what is due, report it and exit; for cron."`
}

// Examples implements cli.Exampled.
func (*grammar) Examples() string {
	return "systemctl enable --now iwx-queued\niwx-queued --once"
}

// Daemon implements cli.Daemon.
func (*grammar) Daemon() {}

// Run implements the tool.
func (g *grammar) Run(c *cli.Context) error {
	if err := local.MakeRun(host.At(c.Root)); err != nil {
		return err
	}
	s, err := local.Open(c)
	if err != nil && !g.Once {
		err = daemon.Startable(err)
	}
	if err != nil {
		return err
	}
	defer s.Close()
	if s.IsManager() && g.Once {
		return fault.Hint(fault.New(fault.Usage, "this server is the manager, which replays nothing"),
			"iwx-queued --once is for nodes")
	}
	d, err := begin(c, s)
	if err != nil {
		return err
	}
	defer d.end()
	run := d.runNode
	switch {
	case s.IsManager():
		run = d.runManager
	case g.Once:
		run = d.replayOnce
	}
	return panics.Try(d.log, "the daemon itself", func() error { return run(c) })
}

// server is what the daemon has on either kind of server.
type server struct {
	*local.Server
	c      *cli.Context
	log    *slog.Logger
	level  *slog.LevelVar
	config atomic.Pointer[conf.Config]
	keys   pki.Store
	creds  *pki.Credentials // this server's own certificate
	dog    *daemon.Watchdog
	panics *panics.Counter
	waker  *daemon.Waker
	lock   io.Closer
	keeper *profile.Keeper
}

// daemonName is the name of the daemon's unit, for its panic count.
const daemonName = "iwx-queued"

// heapPercent keeps an idle daemon small: it allocates little, so collecting
// more often costs nothing that can be measured.
const heapPercent = 25

// begin takes this server's one place for a daemon.
func begin(c *cli.Context, s *local.Server) (*server, error) {
	debug.SetGCPercent(heapPercent)
	d := &server{Server: s, c: c, level: &slog.LevelVar{}, keys: pki.Store{Dir: s.PKI}}
	d.panics = panics.NewCounter(s.Panics, daemonName, c.Now)
	d.log = d.panics.Logger(daemon.NewLogger(c.Stderr, d.level, c.Getenv))
	d.dog = daemon.NewWatchdog(d.log, c.Now)
	if err := d.configure(s.Config); err != nil {
		return nil, err
	}
	cert, err := d.keys.Certificate()
	if err != nil {
		return nil, err
	}
	d.creds = pki.NewCredentials(cert)
	if d.lock, err = daemon.Lock(s.DaemonLock, local.DaemonUnit); err != nil {
		return nil, err
	}
	if d.waker, err = daemon.Listen(s.Run); err != nil {
		d.lock.Close()
		return nil, err
	}
	if d.keeper, err = profile.NewKeeper(c, upkeep.Converger(s, c.Now, d.log)); err != nil {
		d.end()
		return nil, err
	}
	return d, nil
}

func (d *server) end() {
	if err := d.panics.Close(); err != nil {
		d.log.Error("cannot count the panics", "error", err)
	}
	d.waker.Close()
	d.lock.Close()
}

// configure takes new settings.
func (d *server) configure(config conf.Config) error {
	level, err := daemon.ParseLevel(config.Log.Level)
	if err != nil {
		return err
	}
	d.level.Set(level)
	d.config.Store(&config)
	return nil
}

// reload reads the settings and this server's certificate again. What cannot
// be read stays as it is.
func (d *server) reload(ctx context.Context) error {
	config, err := conf.Load(ctx, d.Paths.Config)
	if err == nil {
		err = d.configure(config)
	}
	if err != nil {
		return err
	}
	d.PokeBalance() // the profiles may be others by the new settings
	return d.readCertificate()
}

func (d *server) readCertificate() error {
	cert, err := d.keys.Certificate()
	if err == nil {
		d.creds.Set(cert)
	}
	return err
}

// run is daemon.Run with the members that both kinds of server have.
func (d *server) run(members ...daemon.Member) error {
	members = append(members,
		d.dog.Member(),
		daemon.Member{Name: "state", Run: func(ctx context.Context) error { return d.KeepState(ctx, d.log, d.c.Now, true) }},
		daemon.Reloader(d.log, d.reload),
		daemon.Member{Name: "renew", Run: d.renew},
		daemon.Member{Name: "prune", Run: d.prune},
		daemon.Member{Name: "profile", Run: d.keeper.Run},
		daemon.Member{Name: "reloads", Run: d.reloads},
	)
	if !d.Own() {
		members = append(members, daemon.Member{Name: "addresses", Run: d.addresses().Run})
	}
	return daemon.Run(d.c, d.log, members...)
}

// try logs an error or a panic; the next time may succeed.
func (d *server) try(ctx context.Context, what string, do func(context.Context) error) error {
	err := panics.Try(d.log, what, func() error { return do(ctx) })
	if err != nil && ctx.Err() == nil {
		d.log.Error(what, "error", err)
	}
	return err
}

// pruneEvery is how often old history is removed.
const pruneEvery = time.Hour

// prune removes history that is older, or more, than the settings say.
func (d *server) prune(ctx context.Context) error {
	for {
		q := d.config.Load().Queue
		before := d.c.Now().AddDate(0, 0, -q.HistoryDays)
		d.try(ctx, "cannot remove old history", func(ctx context.Context) error {
			n, err := d.Store.Prune(ctx, before, q.HistoryMax)
			if err == nil && n > 0 {
				d.log.Info("removed old history", "attempts", n)
			}
			return err
		})
		d.try(ctx, "cannot remove the texts of old entries", func(ctx context.Context) error {
			n, err := d.Store.Forget(ctx, before)
			if err == nil && n > 0 {
				d.log.Info("removed the texts of old entries", "entries", n)
			}
			return err
		})
		if wait.Sleep(ctx, pruneEvery) != nil {
			return nil
		}
	}
}

// executable is the path of this program; "" if the system does not tell.
func executable() string {
	self, _ := os.Executable()
	return self
}

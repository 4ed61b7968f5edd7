package queuedtool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"time"

	"iwx/lib/api"
	"iwx/lib/attempt"
	"iwx/lib/backoff"
	"iwx/lib/cli"
	"iwx/lib/cluster"
	"iwx/lib/daemon"
	"iwx/lib/fault"
	"iwx/lib/host"
	"iwx/lib/nfs"
	"iwx/lib/panics"
	"iwx/lib/pki"
	"iwx/lib/pulse"
	"iwx/lib/queue"
	"iwx/lib/replay"
	"iwx/lib/systemd"
	"iwx/lib/tool/local"
	"iwx/lib/tool/upkeep"
	"iwx/lib/wait"
)

// node is the daemon of a node.
type node struct {
	*server
	client   *api.Client
	runner   runner
	replayer *replay.Replayer
	fetcher  *replay.Fetcher
	reporter *replay.Reporter
	mounts   *nfs.Watcher
	pulse    *pulse.Watcher
	sites    *inspection
	exit     *departure
	trials   *trials
	facts    *facts
}

// runner runs commands, and holds something that is to be released.
type runner interface {
	attempt.Runner
	io.Closer
}

func (d *server) node(c *cli.Context) (*node, error) {
	n := &node{server: d}
	var err error
	if n.client, err = d.ManagerClient(c, d.creds, c.Now); err != nil {
		return nil, err
	}
	if n.runner, err = d.newRunner(); err != nil {
		return nil, err
	}
	facts, err := host.Read(d.Root)
	if err != nil {
		return nil, err
	}
	id := d.Identity
	instance := pki.NewID()
	resolver := &resolver{root: d.Root, node: id.Name, program: executable()}
	n.replayer = (&replay.Replayer{
		Journal: d.Store.Journal(id), Runner: n.runner, Spec: resolver.spec,
		Node: id.NodeID, Start: id.Start, Boot: facts.BootID, Version: cli.Version,
		Interval: func() time.Duration {
			return backoff.Jitter(d.config.Load().Queue.RetryInterval, rand.Float64())
		},
		Now: c.Now, Alive: d.dog.Worker("replay", stuckAfter).Alive, Log: d.log,
	}).New()
	n.fetcher = &replay.Fetcher{
		Manager: n.client, Replayer: n.replayer, Contacts: d.Store, Profile: d.keeper, Instance: instance,
		Verify: func(p queue.Position, sig []byte) error {
			return pki.VerifyHead(id.LogKey, cluster.Head(id.ClusterID, p), sig)
		},
		PollWait: func() time.Duration { return d.config.Load().Queue.PollWait },
		Now:      c.Now, Log: d.log,
	}
	n.facts = newFacts(d.Root, id.Address, d.log)
	n.mounts = upkeep.NewWatcher(d.Store, c.Now, d.log)
	n.pulse = n.newPulse(instance)
	n.reporter = &replay.Reporter{
		Manager: n.client, Replayer: n.replayer, Profile: d.keeper, Mounts: n.mounts, Facts: n.facts, Instance: instance, Log: d.log,
	}
	n.sites, n.exit, n.trials = newInspection(n), newDeparture(n), newTrials(n)
	n.fetcher.Heed, n.reporter.Extend = n.heed, n.extend
	return n, n.recall(c)
}

// heed implements replay.Fetcher's Heed.
func (n *node) heed(orders cluster.Orders) {
	n.exit.heed(orders)
	n.sites.heed(orders)
	n.trials.heed(orders)
}

// recall heeds what an earlier run was ordered. A trial of the network is over.
func (n *node) recall(ctx context.Context) error {
	contact, err := n.Store.Contact(ctx)
	if err == nil {
		n.exit.heed(contact.Orders)
		n.sites.heed(contact.Orders)
	}
	return err
}

// extend implements replay.Reporter's Extend.
func (n *node) extend(s *cluster.Status) {
	n.exit.extend(s)
	n.sites.extend(s)
	n.trials.extend(s)
	if count := n.panics.Count(); count.Panics > 0 {
		s.Panics = &count
	}
}

// newRunner returns what runs commands: units where systemd is PID 1, unless
// this server is one below a directory, whose entries have the numbers of
// others; else children of this process.
func (d *server) newRunner() (runner, error) {
	libexec, err := local.LibexecDir()
	if err != nil {
		return nil, err
	}
	shim := filepath.Join(libexec, "iwx-attempt")
	if host.Booted() && !d.Own() {
		return attempt.NewUnit(d.Attempts, shim, systemd.NewTransient())
	}
	groups, err := attempt.OpenGroups(d.Identity.NodeID[:8])
	if err != nil {
		d.log.Info("commands are kept together by process group, not by control group", "reason", err)
		groups = nil
	}
	return attempt.NewChild(d.Attempts, shim, groups)
}

func (d *server) runNode(c *cli.Context) error {
	n, err := d.node(c)
	if err != nil {
		return err
	}
	return n.serve()
}

// serve replays until the context ends, or the node has left its cluster.
func (n *node) serve() error {
	defer n.runner.Close()
	n.log.Info("replaying the queue", "cluster", n.Identity.ClusterName, "node", n.Identity.Name,
		"manager", n.Identity.Manager, "mode", n.runner.Mode())
	daemon.Ready()
	err := n.run(
		daemon.Member{Name: "replay", Run: n.replayer.Run},
		daemon.Member{Name: "fetch", Run: n.fetcher.Run},
		daemon.Member{Name: "report", Run: n.reporter.Run},
		daemon.Member{Name: "mounts", Run: n.mounts.Run},
		daemon.Member{Name: "pulse", Run: n.pulse.Run},
		daemon.Member{Name: "sites", Run: n.sites.run},
		daemon.Member{Name: "standing", Run: func(ctx context.Context) error { return n.standing(ctx, n.mounts.Health, n.settled) }},
		daemon.Member{Name: "wake", Run: n.wake},
		daemon.Member{Name: "tell", Run: n.tell},
		daemon.Member{Name: "trials", Run: n.trials.run},
		daemon.Member{Name: "facts", Run: n.facts.run},
		daemon.Member{Name: "leave", Run: n.exit.run},
	)
	if errors.Is(err, errLeft) {
		return n.exit.dismantle()
	}
	return err
}

// wake takes up what a tool, or the profile, has changed on this server: its
// certificate, where its manager is, and what the profile is about.
func (n *node) wake(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-n.waker.C:
			n.keeper.Retry()
			n.try(ctx, "cannot read this server's certificate", func(context.Context) error { return n.readCertificate() })
			if id, err := n.Store.Identity(ctx); err == nil {
				n.client.SetManagers(id.ManagerAddresses())
			}
		}
	}
}

// settled reports whether the node is done with all that was queued before its
// first own entry, the baseline among it.
func (n *node) settled() bool { return n.replayer.Status().Done+1 >= n.Identity.Start }

// tellEvery is how often the line that systemctl status shows is looked at.
const tellEvery = 2 * time.Second

// tell sets that line, and has new panics reported to the manager.
func (n *node) tell(ctx context.Context) error {
	told, caught := "", n.panics.Count().Panics
	for {
		if now := n.panics.Count().Panics; now != caught {
			caught = now
			n.replayer.Touch()
		}
		s := n.replayer.Status()
		text := fmt.Sprintf("node %s of %s: %s, %d of %d entries done", n.Identity.Name, n.Identity.ClusterName, s.Word, s.Done, s.Head)
		if s.Blocked != nil {
			text += fmt.Sprintf("; entry %d: %s", s.Blocked.Seq, s.Blocked.Error)
		}
		if text != told {
			daemon.Status(text)
			told = text
		}
		if wait.Sleep(ctx, tellEvery) != nil {
			return nil
		}
	}
}

func (d *server) replayOnce(c *cli.Context) error {
	n, err := d.node(c)
	if err != nil {
		return err
	}
	return n.once(c)
}

// once fetches what there is, applies the profile, replays what is due, and
// reports it.
func (n *node) once(c context.Context) error {
	defer n.runner.Close()
	ctx, cancel := context.WithCancel(c)
	defer cancel()
	replayed := make(chan error, 1)
	go func() {
		err := panics.Try(n.log, "replay", func() error { return n.replayer.RunDue(ctx) })
		if err != nil {
			cancel() // nobody takes what the fetcher delivers any more
		}
		replayed <- err
	}()
	err := n.fetcher.Once(ctx)
	if n.exit.isOrdered() {
		err = n.exit.leave(ctx)
		cancel()
		if err = errors.Join(err, <-replayed); err == nil {
			err = n.exit.dismantle()
		}
		return err
	}
	if err != nil {
		cancel()
		return errors.Join(err, <-replayed)
	}
	n.keeper.Once(ctx)
	n.mounts.Once(ctx)
	if err := <-replayed; err != nil {
		return err
	}
	if err := n.limiter().Finish(ctx, false); err != nil {
		return err
	}
	n.sites.once(ctx)
	if err := n.reporter.Once(ctx); err != nil {
		return err
	}
	if err := verdict(n.replayer.Status()); err != nil {
		return err
	}
	return upkeep.Faults(n.keeper.Status())
}

// verdict is nil for a queue that is as it should be.
func verdict(s cluster.Status) error {
	if s.Word == replay.WordCurrent {
		return nil
	}
	if s.Blocked == nil {
		return fault.New(fault.Unhealthy, "the queue is %s at entry %d of %d", s.Word, s.Done, s.Head)
	}
	return fault.Hint(fault.New(fault.Unhealthy, "the queue is %s at entry %d: %s", s.Word, s.Blocked.Seq, s.Blocked.Error),
		"iwx-queue show %d", s.Blocked.Seq)
}

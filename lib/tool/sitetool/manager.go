package sitetool

import (
	"context"
	"errors"
	"os"
	"time"

	"iwx/lib/cli"
	"iwx/lib/daemon"
	"iwx/lib/fault"
	"iwx/lib/queue"
	"iwx/lib/site"
	"iwx/lib/state"
	"iwx/lib/tool/await"
	"iwx/lib/tool/local"
)

// lockWait is how long another run of iwx-site is waited for: one that adds
// hundreds of sites takes a while.
const lockWait = 5 * time.Minute

// undoLimit bounds the undoing of what a run has begun, which goes on when the
// run itself is interrupted.
const undoLimit = 5 * time.Minute

// manager is the cluster manager, held by this run of iwx-site: no other changes
// sites while it is open.
type manager struct {
	*local.Server
	*siteApplier
	webName string // of the web server, "" for none
	lock    *os.File
}

// openManager opens this server, which has to be the manager, to change its
// sites, and settles what a run before this one has left half done. The sites named
// must exist: a wrong name is reported first, before what the server lacks. The caller
// must Close it.
func openManager(c *cli.Context, sites ...string) (*manager, error) {
	server, err := open(c)
	if err != nil {
		return nil, err
	}
	for _, name := range sites {
		if _, err := find(c, server, name); err != nil {
			server.Close()
			return nil, err
		}
	}
	lock, err := daemon.WaitLock(c, server.SiteLock, lockWait, "changing sites")
	if err != nil {
		server.Close()
		return nil, err
	}
	m := &manager{Server: server, lock: lock}
	if m.siteApplier, err = m.newApplier(c); err == nil {
		err = m.settle(c)
	}
	if err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

// lookManager is openManager for who changes nothing.
func lookManager(c *cli.Context) (*manager, error) {
	server, err := open(c)
	if err != nil {
		return nil, err
	}
	m := &manager{Server: server}
	if m.siteApplier, err = m.newApplier(c); err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

// Close lets others change sites.
func (m *manager) Close() {
	m.lock.Close()
	m.Server.Close()
}

// change is what a run makes of the sites.
type change struct {
	state.SiteChange
	newHomes map[string]bool     // domains whose homes the run makes
	taken    map[string]takeover // what sites take over, by domain; nil for nothing
	awaited  bool                // somebody waits until the nodes have done it
}

// carryOut makes the change on this server and then, in one transaction, in the
// state and for the nodes. On an error all of it is undone.
func (m *manager) carryOut(c *cli.Context, ch *change) (op queue.OpID, err error) {
	if ch.Draft, err = m.draft(c, &site.Order{Specs: ch.Specs, Awaited: ch.awaited}, baseline()); err != nil {
		return op, err
	}
	if err := m.checkZones(c, ch.Specs); err != nil {
		return op, err
	}
	if err := m.hasModules(c, ch.Specs); err != nil {
		return op, err
	}
	ch.WebServer = m.webName
	intent := &site.Intent{At: c.Now(), By: local.Operator(c)}
	for _, spec := range ch.Specs {
		taken := ch.taken[spec.Domain]
		intent.Begun = append(intent.Begun, site.Begun{Spec: spec, NewHome: ch.newHomes[spec.Domain], Kept: taken.kept, Instead: taken.instead})
	}
	if err := m.Store.BeginSites(c, intent); err != nil {
		return op, err
	}
	if err = m.make(c, ch, intent); err == nil {
		op, err = m.Store.ChangeSites(c, &ch.SiteChange)
	}
	if err != nil {
		return op, m.giveUp(c, err)
	}
	m.Poke()
	return op, m.prune(c)
}

// hasModules fails, before anything is changed, if the web server lacks a module
// that the sites need. The nodes most likely have the same modules, so the hint
// is for all.
func (m *manager) hasModules(ctx context.Context, specs []site.Spec) error {
	err := m.siteApplier.hasModules(ctx, specs)
	if command := fault.HintOf(err); command != "" {
		return fault.Hint(err, "on every server: iwx-queue run --baseline -- sh -c '%s'", command)
	}
	return err
}

// make does on this server what the nodes will do.
func (m *manager) make(ctx context.Context, ch *change, intent *site.Intent) error {
	own := m.applierFor(intent)
	own.homes = func(ctx context.Context, specs []site.Spec) error {
		if err := m.makeHomes(ctx, specs); err != nil {
			return err
		}
		return m.fillHomes(ctx, ch)
	}
	own.fetch = func(ctx context.Context, digest string) ([]byte, error) {
		if pem := ch.Certificates[digest]; pem != nil {
			return pem, nil
		}
		return m.fetch(ctx, digest)
	}
	if err := own.apply(ctx, ch.Specs); err != nil {
		return err
	}
	m.request = own.request
	return own.reload(ctx, false)
}

// applierFor returns the site applier that knows what the intent takes over.
func (m *manager) applierFor(intent *site.Intent) siteApplier {
	own := *m.siteApplier
	own.begun = map[string]site.Begun{}
	for _, begun := range intent.Begun {
		own.begun[begun.Spec.Domain] = begun
	}
	return own
}

// giveUp undoes what was begun, and returns what went wrong.
func (m *manager) giveUp(ctx context.Context, why error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoLimit)
	defer cancel()
	if err := m.settle(ctx); err != nil {
		return fault.Hint(fault.New(fault.CodeOf(why), "%w; and cannot undo all of it: %w", why, err),
			"fix that; the next run of iwx-site that changes sites undoes the rest")
	}
	return why
}

// draft is the entry by which the nodes do it too. Doing it again is nothing, so
// it may be done again.
func (m *manager) draft(c *cli.Context, order *site.Order, targets queue.Targets) (*state.Draft, error) {
	order.WebServer = m.webName
	text, err := order.Encode()
	if err != nil {
		return nil, err
	}
	command := &queue.Command{
		Argv: []string{"iwx-site", "apply"}, Dir: "/", Umask: 0o022, Stdin: text, Rerun: true,
		Timeout: m.Config.Queue.Timeout, QueuedAt: c.Now(), QueuedBy: local.Operator(c),
	}
	body, err := command.Encode()
	return &state.Draft{Kind: queue.KindCommand, Targets: targets, Body: body}, err
}

// baseline is every node, now and later.
func baseline() queue.Targets { return queue.Targets{Scope: queue.ScopeBaseline} }

// announce reports what was done, and waits for the nodes if that is asked for.
func (m *manager) announce(c *cli.Context, what string, op queue.OpID, w await.Flags) error {
	nodes, err := m.Store.Unsettled(c, op.Seq)
	if err != nil {
		return err
	}
	if len(nodes) == 0 {
		c.Notef("%s", what)
	} else {
		c.Notef("%s; queued as %d for %s", what, op.Seq, cli.Count(len(nodes), "node", "nodes"))
		m.WarnIdle(c, "no node applies the change until it does")
	}
	if !w.Wanted() {
		return nil
	}
	return m.await(c, op, w)
}

// await blocks until the web servers have taken what was changed, the nodes' and
// this server's. Others may change sites meanwhile.
func (m *manager) await(c *cli.Context, op queue.OpID, w await.Flags) error {
	m.lock.Close()
	if err := w.Wait(c, m.Server, op.Seq, baseline()); err != nil {
		return err
	}
	ctx := c.Context
	if w.Timeout > 0 {
		var cancel func()
		ctx, cancel = context.WithTimeout(ctx, w.Timeout)
		defer cancel()
	}
	err := m.reload(ctx, true)
	if errors.Is(err, context.DeadlineExceeded) && c.Err() == nil {
		return fault.New(fault.TimedOut, "after %s %s has not been reloaded here; it is when site.reload_interval is over", cli.Duration(w.Timeout), m.webName)
	}
	return err
}

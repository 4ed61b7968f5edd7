package sitetool

import (
	"context"
	"crypto/sha256"
	"io"
	"os"
	"slices"

	"iwx/lib/cli"
	"iwx/lib/daemon"
	"iwx/lib/fault"
	"iwx/lib/queue"
	"iwx/lib/replay"
	"iwx/lib/site"
	"iwx/lib/state"
	"iwx/lib/tool/local"
	"iwx/lib/tool/upkeep"
)

// applyVerb is what a node replays of all other verbs: the order is on its
// standard input.
type applyVerb struct{}

// Run brings this node's users and virtual hosts to what the order says.
// Repeating it is safe, also after a crash at any point: the op id is recorded
// last.
func (*applyVerb) Run(c *cli.Context) error {
	if c.Getenv("IWX_OP_ID") == "" {
		return fault.Hint(fault.New(fault.Usage, "only nodes run apply, for the other verbs: IWX_OP_ID is not set"), "on the manager: iwx-site add DOMAIN")
	}
	op, err := queue.ParseOpID(c.Getenv("IWX_OP_ID"))
	if err != nil {
		return err
	}
	text, err := io.ReadAll(io.LimitReader(c.Stdin, queue.MaxBody+1))
	if err != nil {
		return err
	}
	order, err := site.DecodeOrder(text)
	if err != nil {
		return err
	}
	server, err := local.Open(c)
	if err != nil {
		return err
	}
	defer server.Close()
	lock, err := daemon.WaitLock(c, server.SiteLock, lockWait, "changing sites")
	if err != nil {
		return err
	}
	defer lock.Close()
	digest := queue.Hash(sha256.Sum256(text))
	if done, err := server.Store.OpDone(c, op, digest); done || err != nil {
		return err
	}
	a := &application{Server: server, op: op, digest: digest, lock: lock}
	return a.run(c, order)
}

// application is one order being applied on this node.
type application struct {
	*local.Server
	*siteApplier
	op     queue.OpID
	digest queue.Hash
	lock   *os.File
	ahead  []*site.Order // those that this node has still to apply, in order
}

func (a *application) run(c *cli.Context, order *site.Order) (err error) {
	if a.siteApplier, err = newApplier(c, a.Server, order.WebServer, a.lock); err != nil {
		return err
	}
	if a.ahead, err = a.lookAhead(c); err != nil {
		return err
	}
	a.fetch = func(ctx context.Context, digest string) ([]byte, error) {
		return upkeep.FetchCertificate(ctx, a.Server, c.Now, digest)
	}
	specs, strays, err := a.specs(c, order)
	if err != nil {
		return err
	}
	if specs, err = a.current(c, specs); err != nil {
		return err
	}
	if err := a.hasModules(c, specs); err != nil {
		return fault.Hint(err, "%s; then, on the manager: iwx-queue retry %s", fault.HintOf(err), a.Identity.Name)
	}
	if err := a.apply(c, specs, strays...); err != nil {
		return err
	}
	// The daemon reloads for what nobody waits for, and for an order with more to come.
	if order.Awaited || len(a.ahead) == 0 {
		if err := a.reload(c, order.Awaited); err != nil {
			return fault.New(0, "the sites are in place, and the reload failed: %w", err)
		}
	}
	done := &state.SiteOp{Op: a.op, Digest: a.digest, WebServer: order.WebServer, Specs: specs, At: c.Now()}
	if err := a.Store.SitesApplied(c, done); err != nil {
		return err
	}
	return a.prune(c)
}

// specs are what the order comes to here: without what a later one says
// otherwise, and with the sites that are to go with all the others. The strays are
// domains that are no site's, and have a virtual host nevertheless.
func (a *application) specs(ctx context.Context, order *site.Order) (specs []site.Spec, strays []string, err error) {
	specs = slices.Clone(order.Specs)
	if order.All {
		gone, err := a.others(ctx, specs)
		if err != nil {
			return nil, nil, err
		}
		specs = append(specs, gone...)
		strays, err = a.strays(func(domain string) bool { return lists(specs, domain) || a.superseded(domain) })
		if err != nil {
			return nil, nil, err
		}
	}
	return slices.DeleteFunc(specs, func(s site.Spec) bool { return a.superseded(s.Domain) }), strays, nil
}

// others are the sites that this node has and that are none of the specs, to go.
func (a *application) others(ctx context.Context, specs []site.Spec) (list []site.Spec, err error) {
	here, err := a.Store.SitesHere(ctx)
	for _, has := range here {
		if !lists(specs, has.Domain) {
			has.Gone = true
			list = append(list, has.Spec)
		}
	}
	return list, err
}

// lists reports whether one of the specs is of the domain.
func lists(specs []site.Spec, domain string) bool {
	return slices.ContainsFunc(specs, func(s site.Spec) bool { return s.Domain == domain })
}

// current fetches the certificates that are not here, and leaves out the sites
// whose certificate is nobody's any more: an order that is not here yet gives
// them another.
func (a *application) current(ctx context.Context, specs []site.Spec) ([]site.Spec, error) {
	var list []site.Spec
	for i := range specs {
		has, err := a.keepCertificate(ctx, &specs[i])
		if err != nil {
			return nil, err
		}
		if has {
			list = append(list, specs[i])
		}
	}
	return list, nil
}

// superseded reports whether an order still to come says what the site is to be:
// what this one says was true once, and its certificate may be gone.
func (a *application) superseded(domain string) bool {
	for _, order := range a.ahead {
		if order.All || lists(order.Specs, domain) {
			return true
		}
	}
	return false
}

// aheadLimit is how many records after this one are looked at.
const aheadLimit = 100

// lookAhead returns the orders that this node applies next, without anything
// else in between: they can do what this one leaves.
func (a *application) lookAhead(ctx context.Context) (orders []*site.Order, err error) {
	if a.IsManager() {
		return nil, nil
	}
	journal := a.Store.Journal(a.Identity)
	pending, err := journal.Ahead(ctx, aheadLimit)
	if err != nil {
		return nil, err
	}
	for i := range pending {
		p := &pending[i]
		if p.Seq <= a.op.Seq || !p.Addressed || p.Void != "" || p.Erased {
			continue
		}
		order := nextOrder(ctx, journal, p)
		if order == nil {
			break
		}
		orders = append(orders, order)
	}
	return orders, nil
}

// nextOrder returns the order of an entry; nil if it is something else.
func nextOrder(ctx context.Context, journal *state.Journal, p *replay.Pending) *site.Order {
	if p.Unreadable {
		return nil
	}
	command, err := journal.Command(ctx, p.Seq)
	if err != nil || len(command.Argv) != 2 || command.Argv[0] != "iwx-site" || command.Argv[1] != "apply" {
		return nil
	}
	order, err := site.DecodeOrder(command.Stdin)
	if err != nil {
		return nil
	}
	return order
}

// prune removes the certificates that no site here has any more.
func (a *application) prune(ctx context.Context) error {
	here, err := a.Store.SitesHere(ctx)
	if err != nil {
		return err
	}
	return a.dropCertificates(specsOf(here))
}

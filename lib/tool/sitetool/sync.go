package sitetool

import (
	"fmt"
	"strings"

	"iwx/lib/cli"
	"iwx/lib/cluster"
	"iwx/lib/fault"
	"iwx/lib/queue"
	"iwx/lib/replay"
	"iwx/lib/site"
	"iwx/lib/state"
	"iwx/lib/tool/await"
	"iwx/lib/tool/local"
)

type syncVerb struct {
	All    bool `help:"Every server, the manager too."`
	DryRun bool `help:"Print what would be repaired, and change nothing."`
	patience
	await.Flags
	Node []string `arg:"" optional:"" complete:"server" help:"The servers, by the names of the nodes and of the manager."`
}

// Examples implements cli.Exampled.
func (*syncVerb) Examples() string {
	return `iwx-site sync web2 --wait
		iwx-site sync --all --dry-run`
}

// Run brings servers to have of the sites what the manager knows, whatever was
// done to them by hand: this one at once, nodes by an entry of the queue.
func (v *syncVerb) Run(c *cli.Context) error {
	if v.All == (len(v.Node) > 0) {
		return fault.Hint(fault.New(fault.Usage, "name the servers, or all of them with --all"), "to see which need it: iwx-site check")
	}
	server, err := open(c)
	if err != nil {
		return err
	}
	defer server.Close()
	whom, err := chooseServers(c, server, v.Node)
	if err != nil {
		return err
	}
	answers, err := v.ask(c, server, whom)
	if err != nil {
		return err
	}
	if v.DryRun {
		return foretell(c, answers)
	}
	if err := foreign(answers); err != nil {
		return err
	}
	return v.repair(c, whom, answers)
}

func (v *syncVerb) ask(c *cli.Context, server *local.Server, whom *servers) ([]answer, error) {
	return (&inquiry{Server: server, c: c, whom: whom, timeout: v.Within}).answers()
}

// foretell prints what would be repaired where.
func foretell(c *cli.Context, answers []answer) error {
	for i := range answers {
		a := &answers[i]
		var lines []string
		if a.state != stateGood && (a.why != "" || a.amiss() == 0) {
			lines = append(lines, strings.TrimSuffix(a.state+": "+a.why, ": "))
		}
		if a.report != nil {
			for _, f := range a.report.Faults {
				lines = append(lines, foretold(&f))
			}
			if a.report.More > 0 {
				lines = append(lines, fmt.Sprintf("would repair %s more", cli.Count(a.report.More, "fault", "faults")))
			}
		}
		if lines == nil {
			lines = []string{"nothing is amiss"}
		}
		for _, line := range lines {
			if err := c.Printf("%s: %s\n", a.server, line); err != nil {
				return err
			}
		}
	}
	return nil
}

// foretold is what would become of a fault.
func foretold(f *site.Fault) string {
	what := f.What
	if f.Domain != "" {
		what = f.Domain + ": " + what
	}
	switch {
	case f.Foreign:
		return "would refuse: " + what
	case f.Stays:
		return "would not repair: " + what
	}
	return "would repair: " + what
}

// foreign fails where a site's user is somebody else's account: that is not for a
// tool to settle, and an entry that meets it would halt the node.
func foreign(answers []answer) error {
	var wrong errorList
	for i := range answers {
		for _, f := range answers[i].foreign() {
			wrong.add(fault.New(fault.Failed, "%s: site %s: %s", answers[i].server, f.Domain, f.What))
		}
	}
	if err := wrong.join(); err != nil {
		return fault.Hint(err, "nothing was changed; rename the account there, or give it another id, if it is not needed as it is")
	}
	return nil
}

// repair repairs this server and queues for the nodes, and with --wait looks whether
// all are as they should be then.
func (v *syncVerb) repair(c *cli.Context, whom *servers, answers []answer) error {
	m, err := openManager(c)
	if err != nil {
		return err
	}
	defer m.Close()
	order, err := m.orderAll(c)
	if err != nil {
		return err
	}
	order.Awaited = v.Wanted()
	if whom.manager {
		if err := m.repair(c); err != nil {
			return err
		}
		c.Notef("repaired %s", m.Identity.Name)
	}
	if len(whom.nodes) == 0 {
		return nil
	}
	return v.queue(c, m, order, whom, answers)
}

// queue has the nodes do it, each when its turn comes.
func (v *syncVerb) queue(c *cli.Context, m *manager, order *site.Order, whom *servers, answers []answer) error {
	targets := queue.Nodes(whom.ids()...)
	draft, err := m.draft(c, order, targets)
	if err != nil {
		return err
	}
	op, err := m.Store.Append(c, *draft)
	if err != nil {
		return err
	}
	m.Poke()
	m.lock.Close() // others may change sites while this waits, and it looks once more itself
	tellTurns(c, op.Seq, answers)
	m.WarnIdle(c, "no node applies the change until it does")
	if err := v.Wait(c, m.Server, op.Seq, targets); err != nil || !v.Wanted() {
		return err
	}
	return v.confirm(c, m.Server, whom)
}

// confirm asks once more: sync does not repair the faults that remain.
func (v *syncVerb) confirm(c *cli.Context, server *local.Server, whom *servers) error {
	answers, err := v.ask(c, server, whom)
	if err != nil {
		return err
	}
	if len(in(answers, stateGood)) == len(answers) {
		return nil
	}
	return fault.Hint(fault.New(fault.Unhealthy, "done, but faults remain: %s", verdict(answers)), "iwx-site check")
}

// tellTurns reports what was queued, and which nodes do it only later.
func tellTurns(c *cli.Context, seq uint64, answers []answer) {
	var names []string
	for i := range answers {
		if answers[i].node != nil {
			names = append(names, answers[i].server)
		}
	}
	c.Notef("queued as %d for %s", seq, cli.Some(names, 5))
	for i := range answers {
		if why := later(answers[i].node); why != "" {
			c.Notef("%s %s", answers[i].server, why)
		}
	}
}

// later says why a node does not do it at once, "" for one that does.
func later(n *cluster.Node) string {
	switch {
	case n == nil:
		return ""
	case n.Word() == cluster.WordUnreachable:
		return "is unreachable, and does it when it is back"
	case n.Paused:
		return "is paused, and does it when it is resumed: iwx-queue resume " + n.Name
	case n.Status.Blocked != nil:
		return fmt.Sprintf("is halted at entry %d, and does it once that is fixed: iwx-queue show %[1]d", n.Status.Blocked.Seq)
	case n.Word() != replay.WordCurrent && n.Word() != replay.WordReplaying:
		return fmt.Sprintf("is %s, and does it once that is resolved: iwx-node status", n.Word())
	}
	return ""
}

// orderAll is the order that brings a node to exactly the sites there are.
func (m *manager) orderAll(c *cli.Context) (*site.Order, error) {
	here, err := m.Store.SitesHere(c)
	if err != nil {
		return nil, err
	}
	for i := range here {
		if is := here[i].WebServer; is != m.webName {
			return nil, fault.Hint(fault.New(fault.Failed, "site %s was made for web server %q, and this server has %q now", here[i].Domain, is, m.webName),
				"site.web_server in iwx.toml(5)")
		}
	}
	rows, err := m.Store.Sites(c)
	order := &site.Order{Specs: []site.Spec{}, All: true}
	for i := range rows {
		if !rows[i].Gone {
			order.Specs = append(order.Specs, rows[i].Spec)
		}
	}
	return order, err
}

// repair gives this server the sites that it should have, including those that are
// being deleted: the nodes have them still.
func (m *manager) repair(c *cli.Context) error {
	if err := m.checkShare(c); err != nil {
		return err
	}
	here, err := m.Store.SitesHere(c)
	if err != nil {
		return err
	}
	specs := specsOf(here)
	strays, err := m.strays(func(domain string) bool { return lists(specs, domain) })
	if err != nil {
		return err
	}
	m.urgent = true
	if err := m.apply(c, specs, strays...); err != nil {
		return err
	}
	if err := m.reload(c, true); err != nil {
		return err
	}
	return m.prune(c)
}

// specsOf are what a server is to have.
func specsOf(here []state.SiteHere) []site.Spec {
	specs := make([]site.Spec, len(here))
	for i := range here {
		specs[i] = here[i].Spec
	}
	return specs
}

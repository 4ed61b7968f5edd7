package sitetool

import (
	"context"
	"fmt"
	"slices"
	"time"

	"iwx/lib/cli"
	"iwx/lib/cluster"
	"iwx/lib/fault"
	"iwx/lib/site"
	"iwx/lib/state"
	"iwx/lib/tool/local"
	"iwx/lib/tool/upkeep"
)

// The states of a server's sites.
const (
	stateGood        = "good"
	stateAmiss       = "amiss"   // there are faults
	stateUnknown     = "unknown" // it could not look, or not at everything
	stateBehind      = "behind"  // entries of the queue are still to come
	stateSilent      = "silent"  // it has not answered in time
	stateUnreachable = cluster.WordUnreachable
	stateOld         = "needs upgrade"
)

// answer is what a server says of the sites it has.
type answer struct {
	server string
	state  string
	why    string       // it is in that state, "" where the faults tell
	report *site.Report // nil from one that has not looked
	node   *cluster.Node
}

// foreign are the faults that are somebody else's accounts.
func (a *answer) foreign() (list []site.Fault) {
	if a.report == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(a.report.Faults), func(f site.Fault) bool { return !f.Foreign })
}

// amiss is how many faults there are.
func (a *answer) amiss() int {
	if a.report == nil {
		return 0
	}
	return a.report.Amiss()
}

// repairable reports whether sync can repair any of the faults.
func (a *answer) repairable() bool {
	repairs := func(f site.Fault) bool { return !f.Stays }
	return a.report != nil && (a.report.More > 0 || slices.ContainsFunc(a.report.Faults, repairs))
}

// servers are those that are meant: members, by name, and the manager itself.
type servers struct {
	manager bool
	nodes   []cluster.Node
}

// ids are those of the nodes.
func (s *servers) ids() []string {
	ids := make([]string, len(s.nodes))
	for i := range s.nodes {
		ids[i] = s.nodes[i].ID
	}
	return ids
}

// chooseServers returns the servers of those names; of no names, all. The error
// lists those there are.
func chooseServers(c *cli.Context, m *local.Server, names []string) (*servers, error) {
	nodes, err := m.Store.Standings(c)
	if err != nil || len(names) == 0 {
		return &servers{manager: true, nodes: nodes}, err
	}
	known := []string{m.Identity.Name}
	for i := range nodes {
		known = append(known, nodes[i].Name)
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			const most = 12
			return nil, fault.Hint(fault.New(fault.Usage, "no server is called %q", name), "servers: %s", cli.Some(known, most))
		}
	}
	nodes = slices.DeleteFunc(nodes, func(n cluster.Node) bool { return !slices.Contains(names, n.Name) })
	return &servers{manager: slices.Contains(names, m.Identity.Name), nodes: nodes}, nil
}

// wanted is what a node is to have of the sites.
type wanted struct {
	last   uint64 // the last entry of the queue about them
	digest string // "" while they are being changed
}

// want returns what the nodes are to have of the sites.
func want(rows []state.SiteRow) (w wanted) {
	specs := make([]site.Spec, len(rows))
	for i := range rows {
		specs[i], w.last = rows[i].Spec, max(w.last, rows[i].Seq)
	}
	w.digest = site.Digest(specs)
	return w
}

// inquiry has servers look at what they have of the sites.
type inquiry struct {
	*local.Server
	c       *cli.Context
	whom    *servers
	timeout time.Duration
}

// answers asks the servers, all at once, and returns what they say, the manager
// first. It waits no longer than the timeout for those that do not answer.
func (q *inquiry) answers() ([]answer, error) {
	before, err := q.Store.Sites(q.c)
	if err != nil {
		return nil, err
	}
	number, err := q.Store.AskLook(q.c, q.whom.ids(), q.c.Now())
	if err != nil {
		return nil, err
	}
	q.Poke()
	ctx, cancel := context.WithTimeout(q.c, q.timeout)
	defer cancel()
	var list []answer
	if q.whom.manager {
		list = append(list, q.self())
	}
	nodes, err := q.await(ctx, number)
	if err != nil {
		return nil, err
	}
	after, err := q.Store.Sites(q.c)
	if err != nil {
		return nil, err
	}
	w := want(after)
	if w.digest != want(before).digest {
		w.digest = ""
	}
	for i := range nodes {
		list = append(list, q.judge(&nodes[i], number, w))
	}
	return list, nil
}

// self looks at this server.
func (q *inquiry) self() answer {
	inspector := &upkeep.Inspector{Server: q.Server, Now: q.c.Now, Wait: q.timeout}
	return judgeReport(q.Identity.Name, inspector.Look(q.c))
}

// await returns the nodes once each of them has answered that will, or ctx ends.
func (q *inquiry) await(ctx context.Context, number uint64) ([]cluster.Node, error) {
	idle := len(q.whom.nodes) > 0 && q.WarnIdle(q.c, "no node can be asked")
	var nodes []cluster.Node
	err := q.Store.Follow(ctx, func() (done bool, err error) {
		nodes, err = q.standings()
		waits := func(n cluster.Node) bool { return pending(&n, number) }
		return idle || !slices.ContainsFunc(nodes, waits), err
	})
	if err != nil && ctx.Err() != nil && q.c.Err() == nil {
		return q.standings() // the time is over
	}
	return nodes, err
}

// standings returns the nodes that are asked as they are now.
func (q *inquiry) standings() ([]cluster.Node, error) {
	nodes, err := q.Store.Standings(q.c)
	ids := q.whom.ids()
	return slices.DeleteFunc(nodes, func(n cluster.Node) bool { return !slices.Contains(ids, n.ID) }), err
}

// pending reports whether a node can be expected to answer, and has not.
func pending(n *cluster.Node, number uint64) bool {
	return n.Word() != cluster.WordUnreachable && n.Status.Sites != nil && n.Status.Sites.Seen < number
}

// judge says how a node's sites are.
func (q *inquiry) judge(n *cluster.Node, number uint64, w wanted) answer {
	a := answer{server: n.Name}
	r := n.Status.Sites
	switch {
	case n.Word() == cluster.WordUnreachable:
		a.state = stateUnreachable
		if !n.SilentSince.IsZero() {
			a.why = "it has been silent for " + cli.Duration(q.c.Now().Sub(n.SilentSince))
		}
	case r == nil:
		a.state, a.why = stateOld, fmt.Sprintf("its version of iwx, %s, cannot look at its sites", n.Status.Version)
	case r.Seen < number:
		a.state, a.why = stateSilent, fmt.Sprintf("it has not answered within %s", cli.Duration(q.timeout))
	default:
		a = judgeReport(n.Name, r)
		a.compare(n, w)
	}
	a.node = n
	return a
}

// judgeReport says how the sites are of a server that has looked.
func judgeReport(name string, r *site.Report) answer {
	switch {
	case r.Error != "":
		return answer{server: name, state: stateUnknown, why: r.Error, report: r}
	case r.Amiss() > 0:
		return answer{server: name, state: stateAmiss, report: r}
	}
	return answer{server: name, state: stateGood, report: r}
}

// compare holds what a node was given against what it is to have.
func (a *answer) compare(n *cluster.Node, w wanted) {
	switch r := a.report; {
	case r.Error != "":
	case r.Done < w.last:
		a.state, a.why = stateBehind, fmt.Sprintf("it is %s, and done with entry %d of %d", n.Word(), r.Done, w.last)
	case w.digest != "" && r.Digest != w.digest:
		a.state, a.why = stateAmiss, "its sites differ from the manager's: an entry was skipped, or marked as done"
	}
}

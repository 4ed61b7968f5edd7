// Package nodestatus is the page that tells how the nodes' queues are doing. It
// is the same in iwx-node status and in iwx-queue status.
//
// On the manager a row is what a node last reported; on a node the one row is
// the node itself, by its own journal. Nothing is asked over the network, so
// the page comes at once when the others are dead.
package nodestatus

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"iwx/lib/attempt"
	"iwx/lib/cli"
	"iwx/lib/cluster"
	"iwx/lib/fault"
	"iwx/lib/replay"
	"iwx/lib/tool/local"
	"iwx/lib/tool/upkeep"
)

// Row is one node on the page.
type Row struct {
	cluster.Node
	Last uint64 // the number of the log's last record, where the node is to get
	now  time.Time
}

// Collect returns the members of the cluster, by name; on a node itself alone.
func Collect(c *cli.Context, server *local.Server) ([]Row, error) {
	nodes, head, err := nodes(c, server, server.Store.Present)
	rows := make([]Row, len(nodes))
	for i := range nodes {
		rows[i] = Row{Node: nodes[i], Last: max(head, nodes[i].Status.Head), now: c.Now()}
	}
	return rows, err
}

// Nodes returns the members with how they stand, without facts and addresses,
// and the number of the log's last record; on a node itself alone. A node that
// is leaving is not among them.
func Nodes(c *cli.Context, server *local.Server) ([]cluster.Node, uint64, error) {
	return nodes(c, server, server.Store.Standings)
}

func nodes(c *cli.Context, server *local.Server, read func(context.Context) ([]cluster.Node, error)) ([]cluster.Node, uint64, error) {
	if !server.IsManager() {
		return itself(c, server)
	}
	head, err := server.Store.Head(c)
	if err != nil {
		return nil, 0, err
	}
	nodes, err := read(c)
	if err == nil {
		err = Desire(c, server, nodes)
	}
	if err == nil {
		err = Baselines(c, server, nodes)
	}
	Reasons(c, nodes)
	if err == nil {
		err = Contacts(c, server, nodes, head.Seq)
	}
	return nodes, head.Seq, err
}

// Reasons completes the reasons of nodes that are halted by a command which cannot be
// killed: since when it is over its time.
func Reasons(c *cli.Context, nodes []cluster.Node) {
	for i := range nodes {
		if b := nodes[i].Status.Blocked; b != nil {
			b.Error = b.Reason(c.Now())
		}
	}
}

// Baselines adds to the new nodes how far they are with the baseline.
func Baselines(ctx context.Context, server *local.Server, nodes []cluster.Node) error {
	for i := range nodes {
		n := &nodes[i]
		if !n.Membership.Belongs() || n.Status.Done+1 >= n.Start {
			continue
		}
		p, err := server.Store.Baseline(ctx, n)
		if err != nil {
			return err
		}
		if p.Done < p.Total {
			n.Baseline = &p
		}
	}
	return nil
}

// itself returns the node that this server is, as its manager would see it.
func itself(c *cli.Context, server *local.Server) ([]cluster.Node, uint64, error) {
	id := server.Identity
	journal := server.Store.Journal(id)
	saved, err := journal.Load(c)
	if err != nil {
		return nil, 0, err
	}
	contact, err := server.Store.Contact(c)
	if err != nil {
		return nil, 0, err
	}
	// The first pending record tells whether this version can read it.
	if saved.State.Ahead, err = journal.Ahead(c, 1); err != nil {
		return nil, 0, err
	}
	saved.State.More = contact.Head > saved.State.Head
	saved.State.Hold = contact.Orders.Hold
	n := cluster.Node{
		ID: id.NodeID, Name: id.Name, Membership: cluster.Member, Start: id.Start, JoinedAt: id.SetupAt,
		LastSeen: contact.HeardAt, SilentSince: contact.SilentAt, Paused: contact.Orders.Paused,
		Refused: contact.Error,
		Status: cluster.Status{
			Word: saved.State.Word(), Epoch: saved.Position.Epoch, Done: saved.State.Done, Head: saved.State.Head,
			Paused: contact.Orders.Paused, Blocked: saved.Blocked, Version: cli.Version, RetrySeen: saved.State.RetrySeen,
			Held: saved.State.Held(),
		},
	}
	n.LastSeen = server.LastContact(n.LastSeen, n.SilentSince, c.Now())
	if open := saved.Open; open != nil {
		n.Status.Running, n.Status.RunningSince = open.Seq, open.Started
		// Without permission to read, or if it has just ended, keep what the
		// journal says.
		hung, err := attempt.Look(server.Paths.Attempts, attempt.ID{Epoch: open.Epoch, Seq: open.Seq, Attempt: open.Attempt.Attempt})
		if err == nil && hung != nil && saved.State.Blocked() == replay.NoTrouble {
			n.Status.Word, n.Status.Blocked = replay.WordHalted, replay.Hang(saved.Blocked, &open.Attempt, hung)
		}
	}
	kept, err := server.Store.Profile().Load(c)
	if err != nil {
		return nil, 0, err
	}
	standing := kept.Standing()
	n.Status.Profile = &standing
	n.Status.Mounts = upkeep.Health(c, kept.Desired.Document, c.Now)
	self := []cluster.Node{n}
	Reasons(c, self)
	return self, max(contact.Head, saved.Position.Seq), Baselines(c, server, self)
}

// Grave reports whether a word is one that somebody has to look into. A node
// that an operator has paused, or deleted, is as it should be. So is a node that
// fetches, until that takes too long: see cluster.Fetch.
func Grave(word string) bool {
	return !slices.Contains([]string{replay.WordCurrent, replay.WordReplaying, cluster.WordFetching, cluster.WordWaiting, replay.WordPaused, cluster.WordLeaving}, word)
}

// bad reports whether somebody has to look into the node: its word says so, or
// it cannot leave, or fetches for too long.
func (r Row) bad() bool {
	return Grave(r.Word()) || r.late() || r.Status.Leaving != nil && r.Status.Leaving.Failed
}

// late reports whether the node has been fetching for too long.
func (r Row) late() bool { return r.Word() == cluster.WordFetching && r.Fetch.Late() }

// Mark is the word for a node, coloured.
func Mark(n *cluster.Node) cli.Mark {
	word := n.Word()
	switch {
	case Grave(word), word == cluster.WordFetching && n.Fetch.Late():
		return cli.Mark{Text: word, Level: cli.Bad}
	case word == replay.WordPaused, word == cluster.WordLeaving, word == cluster.WordFetching, word == cluster.WordWaiting:
		return cli.Mark{Text: word, Level: cli.Warn}
	}
	return cli.Mark{Text: word, Level: cli.Good}
}

// Show prints the page: for people the verdict first and a next step last. The
// error, exit code 3, is silent: it says that a node, or the daemon of this
// server, is not as it should be.
func Show(c *cli.Context, server *local.Server, o cli.Output, rows []Row) error {
	idle := server.WarnIdle(c, "the states below are those when it stopped")
	if err := write(c, o, rows); err != nil || !idle {
		return err
	}
	return cli.Exit(fault.Unhealthy)
}

func write(c *cli.Context, o cli.Output, rows []Row) error {
	if o.Human() {
		if err := c.Printf("%s\n", Verdict(rows)); err != nil {
			return err
		}
	}
	if len(rows) > 0 || !o.Human() {
		if err := Table().Write(c, o, rows); err != nil {
			return err
		}
	}
	todo := hints(rows)
	if todo == nil {
		return nil
	}
	if o.Human() {
		for _, hint := range todo {
			c.Notef("hint: %s", hint)
		}
	}
	return cli.Exit(fault.Unhealthy)
}

// BackHint returns what to do about a node that is back at an older state.
func (r Row) BackHint() string {
	return fmt.Sprintf("list the entries that ran twice: iwx-queue history --node %s; and find the cause: a snapshot of the server, or a copied state?", r.Name)
}

// mostHints is the limit for lines of hints; there are more only if everything
// is broken.
const mostHints = 6

// hints returns the next steps for the nodes with a problem, the most severe
// first. Nodes with the same problem share a line. No hints mean that nothing has
// to be done.
func hints(rows []Row) (list []string) {
	groups := map[string][]string{} // hints, with NAMES for the names of their nodes
	severity := map[string]int{}
	for i := range rows {
		what, how := rows[i].hint()
		if what == "" {
			continue
		}
		if groups[what] == nil {
			list = append(list, what)
		}
		groups[what] = append(groups[what], rows[i].Name)
		severity[what] = how
	}
	slices.SortStableFunc(list, func(a, b string) int { return cmp.Compare(severity[b], severity[a]) })
	for i, what := range list {
		list[i] = forNodes(what, groups[what])
	}
	if left := len(list) - mostHints; left > 0 {
		list = append(list[:mostHints], fmt.Sprintf("and %s; each node has its own: iwx-node status NAME", cli.Count(left, "more", "more")))
	}
	return list
}

// Placeholders in a hint: NAMES for the names of all its nodes, NAME in a
// command that takes one.
const (
	names = "\x00NAMES"
	name  = "\x00NAME\x00"
)

// forNodes replaces the placeholders in a hint.
func forNodes(hint string, nodes []string) string {
	one := nodes[0]
	if len(nodes) > 1 {
		one = "NAME"
	}
	return strings.ReplaceAll(strings.ReplaceAll(hint, name, one), names, strings.Join(nodes, " "))
}

// hint returns what to do about a node with a problem, with placeholders for
// names, and the severity; "" for a node without one.
func (r Row) hint() (what string, severity int) {
	n := &r.Node
	b := n.Status.Blocked
	switch word := n.Word(); {
	case word == replay.WordUnknown && b != nil:
		return fmt.Sprintf("look on %[2]s how far entry %[1]d came; then iwx-queue done %[2]s, or iwx-queue retry %[3]s, or iwx-queue skip %[2]s", b.Seq, name, names), 9
	case word == replay.WordHalted && n.Halted() && b.Hung != nil:
		return fmt.Sprintf("on %[2]s: free the resource that entry %[1]d waits for, or restart the server; iwx-queue skip %[2]s lets it go on then without entry %[1]d", b.Seq, name), 8
	case word == replay.WordHalted && n.Halted():
		return fmt.Sprintf("iwx-queue show %[1]d; then fix the cause, or iwx-queue retry %[3]s, or iwx-queue skip %[2]s", b.Seq, name, names), 8
	case word == replay.WordHalted:
		return "on " + name + ": journalctl -u iwx-queued", 8
	case word == string(replay.Diverged), word == string(replay.Rewound):
		return fmt.Sprintf("take back the lost entries from %[1]s: iwx-queue recover; or give them up: iwx-queue accept %[1]s", n.Name), 7
	case word == string(replay.NeedsUpgrade):
		return "install this version of iwx on " + names, 6
	case word == cluster.WordLeaving && r.bad():
		return fmt.Sprintf("fix the cause on %[1]s; or iwx-node delete %[1]s --force, and there: iwx-cluster-setup reset", name), 5
	case r.bad(): // unreachable, fetching, and words added later
		return "on " + name + ": iwx-cluster-setup status", 5
	case n.Displaced:
		return AddressHint(n), 4
	case r.Back() != "":
		return r.BackHint(), 4
	case GraveProfile(n.Profile()):
		return "iwx-node show " + name, 3
	case r.graveStorage():
		return storageHint, 2
	case GraveSites(n):
		return "iwx-site check --node " + name, 1
	}
	return "", 0
}

// Verdict is the page in one line, the gravest first: "3 nodes: 1 halted
// (web2), 2 current".
func Verdict(rows []Row) string {
	if len(rows) == 0 {
		return "no nodes yet: iwx-node add NAME invites one"
	}
	names := map[string][]string{}
	for _, r := range rows {
		names[r.Word()] = append(names[r.Word()], r.Name)
	}
	words := slices.SortedFunc(maps.Keys(names), func(a, b string) int {
		return cmp.Or(cmp.Compare(gravity(b), gravity(a)), cmp.Compare(a, b))
	})
	if len(words) == 1 && gravity(words[0]) == 0 {
		return fmt.Sprintf("%s: %s", cli.Count(len(rows), "node", "nodes"), words[0]) + others(rows)
	}
	parts := make([]string, len(words))
	for i, word := range words {
		parts[i] = fmt.Sprintf("%d %s", len(names[word]), word)
		if gravity(word) > 0 {
			parts[i] += " (" + cli.Some(names[word], 5) + ")"
		}
	}
	return fmt.Sprintf("%s: %s", cli.Count(len(rows), "node", "nodes"), strings.Join(parts, ", ")) + others(rows)
}

// others is what a verdict tells beside the queues.
func others(rows []Row) string {
	return displacedVerdict(rows) + backVerdict(rows) + profileVerdict(rows) + storageVerdict(rows) + sitesVerdict(rows)
}

// backVerdict lists the nodes that are back at an older state.
func backVerdict(rows []Row) string {
	var names []string
	for _, r := range rows {
		if r.Back() != "" {
			names = append(names, r.Name)
		}
	}
	if names == nil {
		return ""
	}
	return "; went back to an older state: " + cli.Some(names, 5)
}

// profileVerdict names the nodes whose profile is not applied.
func profileVerdict(rows []Row) string {
	var names []string
	for _, r := range rows {
		if GraveProfile(r.Profile()) {
			names = append(names, r.Name)
		}
	}
	if names == nil {
		return ""
	}
	return "; the profile is not applied on " + cli.Some(names, 5)
}

// gravity orders the words for the verdict.
func gravity(word string) int {
	switch {
	case word == replay.WordHalted, word == replay.WordUnknown:
		return 3
	case Grave(word):
		return 2
	case word == replay.WordPaused, word == cluster.WordLeaving, word == cluster.WordFetching, word == cluster.WordWaiting:
		return 1
	}
	return 0
}

// since is when the node came to be as it is; zero where that is not known.
func (r Row) since() time.Time {
	switch b := r.Status.Blocked; {
	case r.Word() == cluster.WordUnreachable && r.SilentSince.IsZero():
		return r.JoinedAt
	case r.Word() == cluster.WordUnreachable:
		return r.SilentSince
	case r.Membership == cluster.Leaving:
		return r.EndedAt
	case b != nil:
		return time.UnixMilli(b.FirstFailure)
	case r.Word() == cluster.WordFetching:
		return r.Fetch.Since
	}
	return time.Time{}
}

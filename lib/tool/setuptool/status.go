package setuptool

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"iwx/lib/api"
	"iwx/lib/cli"
	"iwx/lib/cluster"
	"iwx/lib/conf"
	"iwx/lib/fault"
	"iwx/lib/host"
	"iwx/lib/panics"
	"iwx/lib/preflight"
	"iwx/lib/profile"
	"iwx/lib/replay"
	"iwx/lib/tool/local"
	"iwx/lib/tool/nodestatus"
	"iwx/lib/tool/upkeep"
)

// Times of status.
const (
	askLimit   = 1500 * time.Millisecond // the whole command answers within 2 s
	renewSoon  = 14 * 24 * time.Hour     // a certificate renews itself long before
	leastFree  = 16 << 20                // bytes: two entries of the largest size
	backupLate = 48 * time.Hour          // for one that is made every day
	notInState = "this server is not part of a cluster"
)

type statusVerb struct {
	cli.Output
}

// problem is something that is wrong, and the next command.
type problem struct{ what, hint string }

// report is what status tells.
type report struct {
	role      string // "manager", "node", "none" or "unfinished"
	cluster   string
	clusterID string
	name      string
	quorum    netip.AddrPort
	address   netip.Addr
	daemon    bool
	answers   bool // the manager's API
	heard     time.Time
	expires   time.Time
	state     cli.Mark
	position  uint64
	head      uint64
	nodes     string
	backup    time.Time // the newest one on this server
	setUp     time.Time
	profile   profile.Status
	storage   any // a mark, or what a manager exports
	panics    cli.Block
	problems  []problem
}

// Run reports what this server is, the verdict first. The exit code is 3 when
// something is not as it should be, or when there is nothing.
func (v *statusVerb) Run(c *cli.Context) error {
	h, err := lookAt(c)
	if err != nil {
		return err
	}
	defer h.Close()
	r := &report{role: "none", panics: nodestatus.Panics(nil, c.Now())}
	switch {
	case h.Identity != nil:
		err = h.report(r)
	case h.Begun:
		r.role = "unfinished"
		r.add("the setup of this server has not finished", "run the iwx-cluster-setup command again; it goes on where it stopped\nor undo it: iwx-cluster-setup reset")
	default:
		r.add(notInState, "make it the manager: iwx-cluster-setup manager --quorum-ip IP\nor a node, with a token from the manager: iwx-cluster-setup node")
	}
	if err != nil {
		return err
	}
	return r.show(c, v.Output)
}

func (r *report) add(what, hint string) { r.problems = append(r.problems, problem{what, hint}) }

func (r *report) show(c *cli.Context, o cli.Output) error {
	if err := reportTable(o).Show(c, o, r.verdict(), r); err != nil || len(r.problems) == 0 {
		return err
	}
	if o.Human() {
		for _, p := range r.problems {
			for line := range strings.Lines(p.hint) {
				c.Notef("hint: %s", strings.TrimRight(line, "\n"))
			}
		}
	}
	return cli.Exit(fault.Unhealthy)
}

// verdict is what this server is, and each thing that is wrong on a line of
// its own.
func (r *report) verdict() string {
	what := "node " + r.name + " of cluster " + r.cluster
	if r.role == string(cluster.RoleManager) {
		what = "manager of cluster " + r.cluster
	}
	switch {
	case r.cluster == "":
		return r.problems[0].what
	case len(r.problems) == 0:
		return what + ": all is well"
	}
	lines := []string{what + ": not as it should be"}
	for _, p := range r.problems {
		lines = append(lines, "  "+p.what)
	}
	return strings.Join(lines, "\n")
}

// reportTable is the columns of a report. People have read the problems in the
// verdict.
func reportTable(o cli.Output) cli.Table[*report] {
	number := func(r *report, n uint64) any {
		if r.role != string(cluster.RoleManager) && r.role != string(cluster.RoleNode) {
			return nil
		}
		return cli.ID(n)
	}
	table := cli.Table[*report]{Singular: "server", Plural: "servers", Columns: []cli.Column[*report]{
		{Name: "role", Value: func(r *report) any { return r.role }},
		{Name: "name", Value: func(r *report) any { return r.name }},
		{Name: "cluster", Value: func(r *report) any { return r.cluster }},
		{Name: "cluster_id", Value: func(r *report) any { return r.clusterID }},
		{Name: "quorum_ip", Head: "quorum ip", Value: func(r *report) any { return addressText(r.quorum.Addr()) }},
		{Name: "port", Value: func(r *report) any { return portNumber(r.quorum.Port()) }},
		{Name: "address", Value: func(r *report) any { return addressText(r.address) }},
		{Name: "daemon", Value: func(r *report) any { return yesNo(r, r.daemon, "running", "not running") }},
		{Name: "manager", Value: func(r *report) any { return yesNo(r, r.answers, "answers", "does not answer") }},
		{Name: "last_heard", Value: func(r *report) any { return r.heard }},
		{Name: "queue", Value: func(r *report) any { return r.state }},
		{Name: "position", Value: func(r *report) any { return number(r, r.position) }},
		{Name: "head", Value: func(r *report) any { return number(r, r.head) }},
		{Name: "nodes", Value: func(r *report) any { return r.nodes }},
		{Name: "last_backup", Head: "last backup", Value: func(r *report) any { return r.backup }},
		{Name: "storage", Value: func(r *report) any { return r.storage }},
		{Name: "profile", Value: func(r *report) any { return nodestatus.ProfileMark(r.profile) }},
		{Name: "profile_desired", Value: func(r *report) any { return r.profile.Desired }},
		{Name: "profile_reached", Value: func(r *report) any { return r.profile.Reached }},
		{Name: "panics", Value: func(r *report) any { return r.panics }},
		{Name: "certificate_expires", Value: func(r *report) any { return cli.Date(r.expires) }},
		{Name: "set_up", Value: func(r *report) any { return cli.Date(r.setUp) }},
		{Name: "problems", Value: func(r *report) any { return r.problemList() }},
	}}
	if o.Human() && o.Columns == nil {
		table.Columns = table.Columns[:len(table.Columns)-1]
	}
	return table
}

func (r *report) problemList() []string {
	var list []string
	for _, p := range r.problems {
		list = append(list, p.what)
	}
	return list
}

func addressText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func portNumber(port uint16) any {
	if port == 0 {
		return nil
	}
	return int(port)
}

func yesNo(r *report, is bool, yes, no string) any {
	switch {
	case r.cluster == "":
		return nil
	case is:
		return cli.Mark{Text: yes, Level: cli.Good}
	}
	return cli.Mark{Text: no, Level: cli.Bad}
}

// report fills in what this server is.
func (h *here) report(r *report) error {
	id := h.Identity
	r.role, r.cluster, r.clusterID, r.name = string(id.Role), id.ClusterName, id.ClusterID, id.Name
	r.quorum, r.address, r.setUp = id.Manager, id.Address, id.SetupAt
	h.reportDaemon(r)
	h.reportConfig(r)
	h.reportDisk(r)
	h.reportBackup(r)
	h.reportCertificate(r)
	h.reportManager(r)
	h.reportPanics(r)
	if err := h.reportProfile(r); err != nil {
		return err
	}
	return h.reportQueue(r)
}

// reportProfile reports how this server stands with its profile.
func (h *here) reportProfile(r *report) error {
	saved, err := h.Store.Profile().Load(h.c)
	if err != nil {
		return err
	}
	r.profile = saved.Standing()
	h.reportStorage(r, saved.Desired.Document)
	faults := upkeep.Faults(r.profile)
	if faults == nil {
		return nil
	}
	hint := "fix the cause, then: iwx-cluster-setup profile"
	for line := range strings.Lines(faults.Error()) {
		r.add("profile: "+strings.TrimRight(line, "\n"), hint)
		hint = "" // one for all
	}
	return nil
}

func (h *here) reportDaemon(r *report) {
	queued := local.Queued(h.Paths)
	if r.daemon = queued.Runs(); !r.daemon {
		r.add("iwx-queued is not running", queued.Hint())
	}
}

// reportConfig reports what is wrong with the settings: a daemon that runs keeps
// the ones it has, but it would not start again.
func (h *here) reportConfig(r *report) {
	config, err := conf.Load(h.c, h.Paths.Config)
	if err == nil {
		h.Config = config
		return
	}
	hint := fault.HintOf(err)
	for line := range strings.Lines(fault.Plain(err)) {
		r.add(strings.TrimRight(line, "\n"), hint)
		hint = "" // one for all
	}
}

// reportDisk reports a disk that is about to be full. A node that cannot write
// cannot write that down either, so its state does not tell.
func (h *here) reportDisk(r *report) {
	f, err := host.FilesystemOf(h.Lib)
	switch {
	case err != nil:
		r.add(fault.Plain(err), "")
	case f.Free < leastFree:
		r.add(fmt.Sprintf("the disk that holds %s has %s left", h.Lib, cli.Size(int64(f.Free))), "make room: df "+h.Lib)
	}
}

// reportPanics reports the panics that this server's daemons have caught, and
// marks recent ones as a problem.
func (h *here) reportPanics(r *report) {
	counts, err := panics.Read(h.Panics)
	if err != nil {
		r.add(err.Error(), "remove it: rm "+h.Panics+"/*.json")
	}
	now := h.c.Now()
	r.panics = nodestatus.Panics(counts, now)
	for _, n := range counts {
		if nodestatus.FreshPanic(n, now) {
			r.add(nodestatus.PanicText(n, now), nodestatus.PanicHint(n))
		}
	}
}

func (h *here) reportCertificate(r *report) {
	cert, err := h.Keys.Certificate()
	if err != nil {
		r.add(fault.Plain(err), fault.HintOf(err))
		return
	}
	r.expires = cert.Leaf.NotAfter
	left := r.expires.Sub(h.c.Now())
	switch {
	case left < 0 && h.Identity.Role == cluster.RoleNode:
		r.add("the certificate has expired", "on the manager: iwx-node add "+r.name+" --rejoin\nhere: iwx-cluster-setup node")
	case left < 0:
		r.add("the certificate has expired", "iwx-cluster-setup renew")
	case left < renewSoon:
		r.add("the certificate expires in "+cli.Age(left)+" and was not renewed", "iwx-cluster-setup renew")
	}
}

// reportManager asks the manager, and tells why it refuses this server if it
// does. The answer that the daemon got counts where a question does not show it: a
// copied server is accepted until the other one connects too.
func (h *here) reportManager(r *report) {
	ctx, cancel := context.WithTimeout(h.c, askLimit)
	defer cancel()
	if h.Identity.Role == cluster.RoleManager {
		_, _, err := api.FetchCA(ctx, h.Identity.Manager, h.Identity.Address, h.c.Now)
		r.answers = err == nil
		h.reportFence(r)
		h.reportMove(r)
		if err != nil && r.daemon {
			r.add(fmt.Sprintf("iwx-queued does not answer at %s: %v", h.Identity.Manager, err), "journalctl -u iwx-queued")
		}
		return
	}
	contact, err := h.Store.Contact(h.c)
	if err == nil {
		r.heard = h.LastContact(contact.HeardAt, contact.SilentAt, h.c.Now())
	}
	client, err := h.ManagerClient(ctx, nil, h.c.Now)
	if err != nil {
		return // told with the certificate
	}
	defer client.Close()
	hello, err := client.Hello(ctx)
	r.answers = err == nil || refusal(err) != nil
	if err == nil {
		h.reportClock(r, cluster.Instant(hello.Time))
	}
	switch {
	case err != nil && refusal(err) == nil:
		h.reportAbsence(ctx, r, err)
	case err != nil:
		r.add(fault.Plain(err), fault.HintOf(err))
	case contact != nil && contact.Reason == cluster.Distrusted:
		r.add("this node does not follow the manager: "+contact.Error, contact.Hint)
	case contact != nil && contact.Reason != "":
		r.add("the manager refuses this server: "+contact.Error, contact.Hint)
	}
}

// reportAbsence reports why the manager could not be asked. Where something answers
// there, but not as the manager, by this clock, its time tells whether that is
// what is wrong.
func (h *here) reportAbsence(ctx context.Context, r *report, err error) {
	_, ahead, fetched := api.FetchCA(ctx, h.Identity.Manager, h.Identity.Address, h.c.Now)
	if fetched != nil {
		r.add(fault.Plain(err), fault.HintOf(err)+"\nif the quorum IP has moved, here: iwx-cluster-setup quorum-ip NEW")
		return
	}
	r.add(fault.Plain(err), fault.HintOf(err))
	h.reportClock(r, h.c.Now().Add(ahead))
}

// reportClock reports how far this node's clock is from the manager's, if that is
// more than a node may join with: times in its history would mislead, and
// certificates end early or begin late.
func (h *here) reportClock(r *report, manager time.Time) {
	if off := clockResult(manager.Sub(h.c.Now())); off.Status == preflight.Fail {
		r.add(off.Detail, off.Remedy)
	}
}

// reportFence reports that another manager has taken this one's place.
func (h *here) reportFence(r *report) {
	if fence, err := h.Store.Fence(h.c); err == nil && fence != nil {
		r.add(fence.String(), cluster.FenceHint)
	}
}

// reportMove reports a move of the quorum IP that has not come to its end.
func (h *here) reportMove(r *report) {
	if !h.Identity.Moving() {
		return
	}
	missing, err := h.unmoved(h.c)
	if err != nil {
		missing = fault.Plain(err)
	}
	r.add(fmt.Sprintf("the quorum IP moves here from %s; not known yet to: %s", addressNames(h.Identity.Others), missing),
		"wait for the end: iwx-cluster-setup quorum-ip "+r.quorum.Addr().String())
}

// reportQueue reports how the queue stands: a node's own, or of a manager the
// log's end and the nodes.
func (h *here) reportQueue(r *report) error {
	rows, err := nodestatus.Collect(h.c, h.Server)
	if err != nil {
		return err
	}
	if h.Identity.Role == cluster.RoleManager {
		head, err := h.Store.Head(h.c)
		r.position, r.head, r.nodes = head.Seq, head.Seq, nodestatus.Verdict(rows)
		reportNodes(r, rows)
		for _, row := range rows {
			if n := row.Status.Panics; n != nil && nodestatus.FreshPanic(*n, h.c.Now()) {
				r.add("on "+row.Name+" "+nodestatus.PanicText(*n, h.c.Now()), "on "+row.Name+", "+nodestatus.PanicHint(*n))
				break
			}
		}
		for _, row := range rows {
			if back := row.Back(); back != "" {
				r.add("node "+row.Name+" "+back, row.BackHint())
			}
		}
		return err
	}
	row := rows[0]
	r.position, r.head = row.Status.Done, row.Last
	r.state = queueMark(row.Status.Word)
	if b := row.Status.Blocked; b != nil && (row.Status.Word == replay.WordHalted || row.Status.Word == replay.WordUnknown) {
		r.add(fmt.Sprintf("the queue is %s at entry %d: %s", row.Status.Word, b.Seq, b.Error), fmt.Sprintf("iwx-queue show %d", b.Seq))
	} else if nodestatus.Grave(row.Status.Word) {
		r.add("the queue is "+row.Status.Word, "on the manager: iwx-node show "+r.name)
	}
	return nil
}

// reportNodes reports the nodes that need attention: the first whose queue is
// not as it should be, since the verdict lists them all, and each that is not
// at its address.
func reportNodes(r *report, rows []nodestatus.Row) {
	for i := range rows {
		n := &rows[i].Node
		if nodestatus.Grave(n.Word()) {
			r.add("node "+n.Name+" is "+n.Word(), "iwx-node status")
			break
		}
		if n.Word() == cluster.WordFetching && n.Fetch.Late() {
			r.add("node "+n.Name+" "+nodestatus.FetchTrouble(n), "iwx-node status")
			break
		}
	}
	for i := range rows {
		if n := &rows[i].Node; n.Displaced {
			r.add("node "+n.Name+" "+nodestatus.AddressTrouble(n), nodestatus.AddressHint(n))
		}
	}
}

func queueMark(word string) cli.Mark {
	if nodestatus.Grave(word) {
		return cli.Mark{Text: word, Level: cli.Bad}
	}
	return cli.Mark{Text: word, Level: cli.Good}
}

package queuetool

import (
	"fmt"
	"slices"
	"time"

	"iwx/lib/cli"
	"iwx/lib/fault"
	"iwx/lib/queue"
	"iwx/lib/state"
	"iwx/lib/tool/local"
)

type listVerb struct {
	All     bool   `help:"List every entry that is in the log."`
	Limit   *int   `placeholder:"N" help:"List at most so many. Without it 20; all with --pending, --failed, -H, -p and --json."`
	Node    string `short:"n" placeholder:"NODE" complete:"node" help:"Only the entries for this node."`
	Failed  bool   `xor:"which" help:"Only the entries that a node halts at."`
	Pending bool   `xor:"which" help:"Only the entries that a node has not finished."`
	cli.Output
}

// Examples implements cli.Exampled.
func (*listVerb) Examples() string {
	return `iwx-queue list
		iwx-queue list --pending --node web2
		iwx-queue list -H -o entry,state,nodes`
}

// listed is a row of the list.
type listed struct {
	name    string
	epoch   uint64
	state   cli.Mark
	halted  []string
	total   int
	done    int
	at      time.Time
	by      string
	command string
}

func listTable() cli.Table[listed] {
	return cli.Table[listed]{Singular: "entry", Plural: "entries", Columns: []cli.Column[listed]{
		{Name: "entry", Value: func(l listed) any { return l.name }},
		{Name: "state", Value: func(l listed) any { return l.state }},
		{Name: "nodes", Value: func(l listed) any { return cli.Fraction{Done: uint64(l.done), Total: uint64(l.total)} }},
		{Name: "queued", Head: "AGE", Value: func(l listed) any { return l.at }},
		{Name: "by", Value: func(l listed) any { return l.by }, Spare: true},
		{Name: "command", Value: func(l listed) any { return l.command }, Cut: true},
		{Name: "halted_on", Value: func(l listed) any { return l.halted }, Detail: true},
		{Name: "epoch", Value: func(l listed) any { return l.epoch }, Detail: true},
	}}
}

// Run lists what is pending and what was queued last, the newest at the bottom.
func (v *listVerb) Run(c *cli.Context) error {
	if v.Limit != nil && *v.Limit < 1 {
		return fault.New(fault.Usage, "--limit %d is not a number of entries", *v.Limit)
	}
	server, err := local.Open(c)
	if err != nil {
		return err
	}
	defer server.Close()
	if err := onlyManager(server, v.Node); err != nil {
		return err
	}
	f, err := loadFleet(c, server)
	if err != nil {
		return err
	}
	if err := f.only(v.Node); err != nil {
		return err
	}
	l := &lister{
		c: c, server: server, fleet: f, people: v.Output.Human(),
		all: server.IsManager() && v.Node == "", voids: map[uint64][]state.Void{},
	}
	if err := l.fill(v); err != nil {
		return err
	}
	if err := listTable().Write(c, v.Output, l.rows); err != nil {
		return err
	}
	if v.Output.Human() {
		l.hints()
	}
	all := "iwx-queue list --all"
	if v.Pending {
		all = "iwx-queue list --pending"
	}
	if v.Node != "" {
		all += " --node " + v.Node
	}
	v.Output.LeftOut(c, l.left, all)
	return nil
}

// lister gathers the rows of the list.
type lister struct {
	c      *cli.Context
	server *local.Server
	fleet  *fleet
	people bool
	all    bool                    // also what is for none of the fleet, as it was for nodes that are gone
	voids  map[uint64][]state.Void // by the entry that they name

	rows  []listed
	first uint64 // the oldest entry among them
	older bool   // there are pending entries before it
	left  int    // the number of entries that the limit leaves out
	idle  *state.Held
}

func (l *lister) fill(v *listVerb) error {
	voids, err := l.server.Store.Voids(l.c, 1, l.fleet.head)
	if err != nil {
		return err
	}
	for _, void := range voids {
		l.voids[void.Seq] = append(l.voids[void.Seq], void)
	}
	switch {
	case v.Failed:
		return l.numbers(l.fleet.blocked())
	case v.Pending:
		err = l.pending(v.limit())
	default:
		err = l.newest(v.limit())
	}
	if err != nil {
		return err
	}
	return l.held()
}

// newestLimit is the default number of entries for people.
const newestLimit = 20

// limit returns how many entries to list at most, 0 for all.
func (v *listVerb) limit() int {
	switch {
	case v.All:
		return 0
	case v.Limit != nil:
		return *v.Limit
	case v.Pending || v.Output.Whole():
		return 0
	}
	return newestLimit
}

// numbers lists the entries of those numbers, in their order.
func (l *lister) numbers(seqs []uint64) error {
	slices.Sort(seqs)
	for _, seq := range slices.Compact(seqs) {
		r, err := l.server.Store.Record(l.c, seq)
		if err != nil {
			return err
		}
		if err := l.take(r); err != nil {
			return err
		}
	}
	return nil
}

// newest lists the last entries, and before them older ones that a node halts
// at.
func (l *lister) newest(limit int) error {
	filter := state.EntryFilter{Kind: queue.KindCommand, Newest: true, Limit: limit, Matches: l.matches(l.isFor)}
	if err := l.server.Store.Entries(l.c, filter, l.take); err != nil {
		return err
	}
	slices.Reverse(l.rows)
	late := l.rows
	l.rows = nil
	first := l.first
	err := l.numbers(slices.DeleteFunc(l.fleet.blocked(), func(seq uint64) bool { return seq >= first }))
	l.rows = append(l.rows, late...)
	l.older = first > 0 && l.fleet.settled()+1 < first
	if err == nil && limit > 0 && len(late) == limit {
		if l.all {
			filter.Matches = nil
		}
		err = l.count(filter)
	}
	return err
}

// count sets the number of entries that match the filter and are not listed.
func (l *lister) count(filter state.EntryFilter) error {
	n, err := l.server.Store.CountEntries(l.c, filter)
	l.left = n - len(l.rows)
	return err
}

// pending lists what is not done by every node, the oldest first.
func (l *lister) pending(limit int) error {
	filter := state.EntryFilter{Kind: queue.KindCommand, After: l.fleet.settled(), Limit: limit, Matches: l.matches(l.fleet.pending)}
	if err := l.server.Store.Entries(l.c, filter, l.take); err != nil || limit == 0 {
		return err
	}
	return l.count(filter)
}

func (l *lister) isFor(t queue.Targets, seq uint64) bool { return l.all || l.fleet.isFor(t, seq) }

func (l *lister) matches(wanted func(queue.Targets, uint64) bool) func(*queue.Record) bool {
	return func(r *queue.Record) bool {
		targets, err := queue.DecodeTargets(r.Targets)
		return err != nil || wanted(targets, r.Seq)
	}
}

// take makes a row of a record.
func (l *lister) take(r *queue.Record) error {
	targets, err := queue.DecodeTargets(r.Targets)
	if err != nil {
		return fmt.Errorf("entry %d: %w", r.Seq, err)
	}
	voids := l.voids[r.Seq]
	var attempts []state.Attempt
	if len(voids) > 0 {
		if attempts, err = l.server.Store.LastAttempts(l.c, r.OpID); err != nil {
			return err
		}
	}
	p := l.fleet.progress(targets, r.Seq, voids, attempts)
	row := listed{
		name: fmt.Sprint(r.Seq), epoch: r.Epoch, state: p.mark(l.people),
		halted: slices.Concat(p.halted, p.unknown), total: p.total, done: p.done, command: text(r.Body),
	}
	// At most one of body and stub is set.
	if command, err := queue.DecodeCommand(slices.Concat(r.Body, r.Stub)); err == nil {
		row.at, row.by = command.QueuedAt, command.QueuedBy
	}
	l.rows = append(l.rows, row)
	l.first = r.Seq
	return nil
}

// held lists the commands that have no number yet.
func (l *lister) held() error {
	helds, err := l.server.Store.Helds(l.c)
	for i := range helds {
		h := &helds[i]
		if !l.isFor(h.Targets, l.fleet.head+1) {
			continue
		}
		row := listed{name: heldName(h.ID), state: heldState(h), at: h.At, command: text(h.Body)}
		row.total = l.fleet.progress(h.Targets, l.fleet.head+1, nil, nil).total
		if command, err := queue.DecodeCommand(h.Body); err == nil {
			row.by = command.QueuedBy
		}
		l.rows = append(l.rows, row)
		if l.idle == nil && !lives(h) {
			l.idle = h
		}
	}
	return err
}

// hints reports what the list does not show, and the way on.
func (l *lister) hints() {
	if l.older {
		l.c.Notef("hint: older entries are pending too: iwx-queue list --pending")
	}
	if l.idle != nil {
		l.c.Notef("hint: %s", heldHint(l.idle))
	}
}

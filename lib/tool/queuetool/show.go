package queuetool

import (
	"cmp"
	"fmt"
	"time"

	"iwx/lib/cli"
	"iwx/lib/queue"
	"iwx/lib/state"
	"iwx/lib/tool/local"
)

type showVerb struct {
	Entry string `arg:"" complete:"entry" help:"The entry: 42, h1 or 1:42."`
	Text  bool   `name:"output" help:"Print what the last attempt wrote on every node, not just where it failed."`
	cli.Output
}

// Examples implements cli.Exampled.
func (*showVerb) Examples() string {
	return `iwx-queue show 42
		iwx-queue show 42 --output`
}

// shown is an entry with everything about it.
type shown struct {
	record  *queue.Record  // nil: held
	command *queue.Command // nil: not kept here, or erased
	stub    *queue.Command // who queued an erased entry, and when; nil if unknown
	name    string
	line    string // the command on one line
	state   cli.Mark
	targets string
	done    int
	total   int
	void    *state.Void // for every node
	held    *state.Held
	nodes   []replayed
}

func showTable() cli.Table[shown] {
	of := func(value func(*queue.Command) any) func(shown) any {
		return func(s shown) any {
			if s.command == nil {
				return nil
			}
			return value(s.command)
		}
	}
	return cli.Table[shown]{Singular: "entry", Plural: "entries", Columns: []cli.Column[shown]{
		{Name: "entry", Value: func(s shown) any { return s.name }},
		{Name: "command", Value: func(s shown) any { return s.line }},
		{Name: "state", Value: func(s shown) any { return s.state }},
		{Name: "nodes_done", Value: func(s shown) any { return cli.Fraction{Done: uint64(s.done), Total: uint64(s.total)} }},
		{Name: "for", Value: func(s shown) any { return s.targets }},
		{Name: "queued", Value: func(s shown) any {
			if q := cmp.Or(s.command, s.stub); q != nil {
				return cli.Date(q.QueuedAt)
			}
			return nil
		}},
		{Name: "by", Value: func(s shown) any {
			if q := cmp.Or(s.command, s.stub); q != nil {
				return q.QueuedBy
			}
			return nil
		}},
		{Name: "user", Value: of(func(q *queue.Command) any { return q.User })},
		{Name: "cwd", Value: of(func(q *queue.Command) any { return q.Dir })},
		{Name: "umask", Value: of(func(q *queue.Command) any { return fmt.Sprintf("%04o", q.Umask) })},
		{Name: "env", Value: of(environment)},
		{Name: "stdin_bytes", Value: of(func(q *queue.Command) any { return stdinSize(q) })},
		{Name: "timeout", Value: of(func(q *queue.Command) any { return timeout(q.Timeout) })},
		{Name: "rerun", Value: of(func(q *queue.Command) any { return q.Rerun })},
		{Name: "cancelled", Value: func(s shown) any { return s.cancellation() }},
		{Name: "epoch", Value: func(s shown) any { return s.of(func(r *queue.Record) any { return r.Epoch }) }},
		{Name: "hash", Value: func(s shown) any { return s.of(func(r *queue.Record) any { return r.Hash.String() }) }},
	}}
}

// environment is hidden where the command is.
func environment(q *queue.Command) any {
	if q.Sensitive && len(q.Env) > 0 {
		return "(sensitive)"
	}
	quoted := make([]string, len(q.Env))
	for i, kv := range q.Env {
		quoted[i] = queue.Quote(kv)
	}
	return quoted
}

func stdinSize(q *queue.Command) any {
	if q.Stdin == nil {
		return nil
	}
	return cli.Bytes(len(q.Stdin))
}

func timeout(d time.Duration) any {
	if d == 0 {
		return "none"
	}
	return d
}

func (s *shown) of(value func(*queue.Record) any) any {
	if s.record == nil {
		return nil
	}
	return value(s.record)
}

func (s *shown) cancellation() any {
	if s.void == nil {
		return nil
	}
	return saidBy(s.void)
}

// saidBy is who let an entry pass, when and why.
func saidBy(v *state.Void) string {
	said := fmt.Sprintf("by %s at %s", v.Who, time.UnixMilli(v.At).Local().Format(time.DateTime))
	if v.Reason != "" {
		said += ": " + v.Reason
	}
	return said
}

// Run shows the entry, how it stands on each node, and what it wrote there.
func (v *showVerb) Run(c *cli.Context) error {
	server, err := local.Open(c)
	if err != nil {
		return err
	}
	defer server.Close()
	name, err := parseEntry(v.Entry)
	if err != nil {
		return err
	}
	f, err := loadFleet(c, server)
	if err != nil {
		return err
	}
	if name.held != 0 {
		return v.held(c, server, f, name.held)
	}
	r, targets, err := findCommand(c, server, name)
	if err != nil {
		return err
	}
	s, err := newShown(c, server, f, r, targets, v.Output.Human())
	if err != nil {
		return err
	}
	return v.write(c, s)
}

// newShown gathers all that is known of an entry.
func newShown(c *cli.Context, server *local.Server, f *fleet, r *queue.Record, targets queue.Targets, people bool) (*shown, error) {
	voids, err := server.Store.Voids(c, r.Seq, r.Seq)
	if err != nil {
		return nil, err
	}
	names, err := server.NodeNames(c)
	if err != nil {
		return nil, err
	}
	attempts, err := server.Store.LastAttempts(c, r.OpID)
	if err != nil {
		return nil, err
	}
	turns, err := server.Store.Turns(c, r.Seq)
	if err != nil {
		return nil, err
	}
	p := f.progress(targets, r.Seq, voids, attempts)
	s := &shown{
		record: r, name: fmt.Sprint(r.Seq), state: p.mark(people), total: p.total, done: p.done,
		targets: targetNames(targets, names), nodes: f.replayed(r, targets, voids, attempts, turns, names),
	}
	s.command, s.line = whole(r.Body, r.Erased)
	if r.Stub != nil {
		if stub, err := queue.DecodeCommand(r.Stub); err == nil {
			s.stub = stub
		}
	}
	for i := range voids {
		if voids[i].Disposition == queue.Cancelled {
			s.void = &voids[i]
		}
	}
	return s, nil
}

// whole is a command, and all of it on one line.
func whole(body []byte, erased bool) (*queue.Command, string) {
	if erased {
		return nil, "(erased: every node has done it)"
	}
	command, err := queue.DecodeCommand(body)
	if err != nil || body == nil {
		return nil, text(body)
	}
	return command, command.String()
}

func (v *showVerb) held(c *cli.Context, server *local.Server, f *fleet, id int64) error {
	h, err := findHeld(c, server, id)
	if err != nil {
		return err
	}
	names, err := server.NodeNames(c)
	if err != nil {
		return err
	}
	s := &shown{name: heldName(id), state: heldState(h), targets: targetNames(h.Targets, names), held: h}
	s.total = f.progress(h.Targets, f.head+1, nil, nil).total
	s.command, s.line = whole(h.Body, false)
	return v.write(c, s)
}

// write prints the record; for people with the nodes below it, in JSON with the
// nodes in it.
func (v *showVerb) write(c *cli.Context, s *shown) error {
	table := showTable()
	if !v.Output.Human() || v.Output.Columns != nil {
		table.Columns = append(table.Columns, cli.Column[shown]{Name: "replays", Value: func(s shown) any { return replays(s.nodes) }})
		return table.Show(c, v.Output, "", *s)
	}
	if err := table.Show(c, v.Output, "", *s); err != nil {
		return err
	}
	if len(s.nodes) > 0 {
		if err := c.Printf("\n"); err != nil {
			return err
		}
		if err := replayedTable().Write(c, cli.Output{Exact: v.Output.Exact}, s.nodes); err != nil {
			return err
		}
	}
	for i := range s.nodes {
		if err := s.nodes[i].print(c, v.Text); err != nil {
			return err
		}
	}
	if s.held != nil && !lives(s.held) {
		c.Notef("hint: %s", heldHint(s.held))
	}
	return nil
}

package queuetool

import (
	"slices"
	"time"

	"iwx/lib/cli"
	"iwx/lib/cluster"
	"iwx/lib/fault"
	"iwx/lib/replay"
	"iwx/lib/state"
	"iwx/lib/tool/local"
)

type historyVerb struct {
	Node   string        `short:"n" placeholder:"NODE" complete:"node" help:"Only attempts on this node."`
	Entry  string        `short:"e" placeholder:"ENTRY" complete:"entry" help:"Only attempts of this entry."`
	Failed bool          `help:"Only those that did not succeed."`
	Since  time.Duration `placeholder:"TIME" help:"Only those of the last hours or days: 12h, 7d."`
	All    bool          `help:"List every attempt that is kept."`
	Limit  *int          `placeholder:"N" help:"List at most so many. Without it 50; all with -H, -p and --json."`
	Text   bool          `name:"output" help:"Print what the commands wrote."`
	cli.Output
}

// Examples implements cli.Exampled.
func (*historyVerb) Examples() string {
	return `iwx-queue history --node web2 --failed --since 1d
		iwx-queue history --entry 42 --output`
}

// tried is an attempt with its node's name.
type tried struct {
	state.Attempt
	node string
}

func (t *tried) outcome() cli.Mark {
	switch {
	case t.Attempt.Attempt.Attempt < 0:
		return cli.Mark{Text: t.Outcome + ", given up"}
	case t.Outcome == "":
		return cli.Mark{Text: "running"}
	case t.Outcome == cluster.OutcomeDone:
		return cli.Mark{Text: t.Outcome, Level: cli.Good}
	}
	return cli.Mark{Text: t.Outcome, Level: cli.Bad}
}

// failure is why it failed, in one line.
func (t *tried) failure() string {
	if t.Outcome == "" || t.Outcome == cluster.OutcomeDone {
		return ""
	}
	return replay.Cause(&t.Attempt.Attempt)
}

// exit is the exit code of an attempt that has ended by itself.
func (t *tried) exit() any {
	if t.Outcome == "" || t.Outcome == cluster.OutcomeUnknown || t.Signal != "" {
		return nil
	}
	return t.Code
}

func (t *tried) took() any {
	if t.Ended == 0 {
		return nil
	}
	return time.Duration(t.Duration) * time.Microsecond
}

func historyTable() cli.Table[tried] {
	return cli.Table[tried]{Singular: "attempt", Plural: "attempts", Columns: []cli.Column[tried]{
		{Name: "entry", Value: func(t tried) any { return cli.ID(t.Seq) }},
		{Name: "node", Value: func(t tried) any { return t.node }},
		{Name: "attempt", Value: func(t tried) any { return max(t.Attempt.Attempt.Attempt, -t.Attempt.Attempt.Attempt) }},
		{Name: "outcome", Value: func(t tried) any { return t.outcome() }},
		{Name: "exit", Value: func(t tried) any { return t.exit() }},
		{Name: "started", Value: func(t tried) any { return cluster.Instant(t.Started) }},
		{Name: "took", Value: func(t tried) any { return t.took() }, Spare: true},
		{Name: "error", Value: func(t tried) any { return t.failure() }, Fold: true},
		{Name: "note", Value: func(t tried) any { return t.Note }, Fold: true, Rare: true},
		{Name: "epoch", Value: func(t tried) any { return t.Epoch }, Detail: true},
		{Name: "ended", Value: func(t tried) any { return cluster.Instant(t.Ended) }, Detail: true},
		{Name: "signal", Value: func(t tried) any { return t.Signal }, Detail: true},
		{Name: "stdout_bytes", Value: func(t tried) any { return cli.Bytes(t.Stdout.Size) }, Detail: true},
		{Name: "stderr_bytes", Value: func(t tried) any { return cli.Bytes(t.Stderr.Size) }, Detail: true},
		{Name: "stdout", Value: func(t tried) any { return cli.Text(t.Stdout.String()) }, Detail: true},
		{Name: "stderr", Value: func(t tried) any { return cli.Text(t.Stderr.String()) }, Detail: true},
	}}
}

// Run lists attempts.
func (v *historyVerb) Run(c *cli.Context) error {
	if v.Limit != nil && *v.Limit < 1 {
		return fault.New(fault.Usage, "--limit %d is not a number of attempts", *v.Limit)
	}
	server, err := local.Open(c)
	if err != nil {
		return err
	}
	defer server.Close()
	names, err := server.NodeNames(c)
	if err != nil {
		return err
	}
	filter, err := v.filter(c, server)
	if err != nil {
		return err
	}
	listed := 0
	each := func(print func(tried) error) error {
		return server.Store.EachAttempt(c, filter, func(a state.Attempt) error {
			listed++
			return print(tried{Attempt: a, node: names[a.Node]})
		})
	}
	if v.Text && v.Output.Human() {
		err = showEach(c, v.Output, each)
	} else {
		err = historyTable().WriteEach(c, v.Output, each)
	}
	if err != nil || filter.Limit == 0 || listed < filter.Limit {
		return err
	}
	total, err := server.Store.CountAttempts(c, filter)
	v.Output.LeftOut(c, total-listed, "iwx-queue history --all, with the same flags")
	return err
}

// outputs reports whether the outputs of successful attempts are printed.
func (v *historyVerb) outputs() bool {
	if v.Text && v.Output.Human() {
		return true
	}
	if v.Output.Columns == nil {
		return v.Output.JSON
	}
	return slices.Contains(v.Output.Columns, "stdout") || slices.Contains(v.Output.Columns, "stderr")
}

// limit returns how many attempts to list at most, 0 for all.
func (v *historyVerb) limit() int {
	switch {
	case v.All:
		return 0
	case v.Limit != nil:
		return *v.Limit
	case v.Output.Whole():
		return 0
	}
	return 50
}

func (v *historyVerb) filter(c *cli.Context, server *local.Server) (state.AttemptFilter, error) {
	filter := state.AttemptFilter{Failed: v.Failed, Limit: v.limit(), Brief: !v.outputs()}
	if v.Since > 0 {
		filter.Since = c.Now().Add(-v.Since)
	}
	if v.Entry != "" {
		name, err := parseEntry(v.Entry)
		if err != nil {
			return filter, err
		}
		if name.held != 0 {
			return filter, fault.New(fault.Failed, "%s is held: no node has tried it", v.Entry)
		}
		// With its epoch, it may be one that was given up.
		if filter.Seq, filter.Epoch = name.seq, name.epoch; name.epoch == 0 {
			if _, _, err := findRecord(c, server, name); err != nil {
				return filter, err
			}
		}
	}
	if v.Node == "" {
		return filter, nil
	}
	if err := onlyManager(server, v.Node); err != nil {
		return filter, err
	}
	f, err := loadFleet(c, server)
	if err == nil {
		err = f.only(v.Node)
	}
	if err == nil {
		filter.Node = f.nodes[0].ID
	}
	return filter, err
}

// showEach prints attempts one by one, with what they wrote.
func showEach(c *cli.Context, o cli.Output, each func(print func(tried) error) error) error {
	blank := ""
	err := each(func(row tried) error {
		if err := c.Printf("%s", blank); err != nil {
			return err
		}
		blank = "\n"
		return historyTable().Show(c, o, "", row)
	})
	if err == nil && blank == "" {
		err = historyTable().Write(c, o, nil)
	}
	return err
}

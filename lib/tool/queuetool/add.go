package queuetool

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"

	"iwx/lib/cli"
	"iwx/lib/cluster"
	"iwx/lib/fault"
	"iwx/lib/input"
	"iwx/lib/queue"
	"iwx/lib/state"
	"iwx/lib/tool/await"
	"iwx/lib/tool/local"
)

// readOnly is why the writing verbs are refused on a node.
const readOnly = "the queue is written on the manager"

// idle is what it means for the queue that the manager's daemon is not running.
const idle = "no node replays entries until it does"

type addVerb struct {
	recipients
	terms
	User  string `placeholder:"USER" complete:"user" help:"Run it as this user of the node, instead of root."`
	Umask string `default:"022" placeholder:"MASK" help:"File mode creation mask, octal."`
	JSON  bool   `name:"json" help:"Print the numbers in JSON."`
	await.Flags
	cli.Yes
	Command cli.Argv `arg:"" passthrough:"partial" complete:"command" help:"The command and its arguments, or - to read one command per line."`
}

// Examples implements cli.Exampled.
func (*addVerb) Examples() string {
	return `iwx-queue add -- apt-get -y install php-gd
		iwx-queue add --node web2 --wait -- systemctl restart apache2
		iwx-queue add --rolling 1 -- systemctl restart apache2
		iwx-queue add --stdin secret --sensitive -- chpasswd
		iwx-queue add - < commands`
}

// Run queues one command, or one for each line of standard input, all or none.
func (v *addVerb) Run(c *cli.Context) error {
	if err := keepOrForget(&v.recipients, &v.terms); err != nil {
		return err
	}
	server, err := local.OpenManager(c, readOnly)
	if err != nil {
		return err
	}
	defer server.Close()
	batch, err := newBatch(c, server, &v.recipients)
	if err != nil {
		return err
	}
	commands, where, err := v.commands(c, server)
	if err != nil {
		return err
	}
	if err := lint(c, server, v.Yes, commands, where, misplaced(c, v.Command)...); err != nil {
		return err
	}
	for i, command := range commands {
		if err := batch.add(command); err != nil {
			return fault.New(0, "%s%w", where(i), err)
		}
	}
	return batch.queue(v.Flags, v.JSON)
}

// commands returns what is to be queued, and what tells the place of each.
func (v *addVerb) commands(c *cli.Context, server *local.Server) ([]*queue.Command, func(int) string, error) {
	if v.Command[0] == "-" {
		if len(v.Command) > 1 {
			return nil, nil, fault.Hint(fault.New(fault.Usage, "%q after -: the commands come from standard input", v.Command[1]),
				"flags go before it: iwx-queue add [FLAG...] -")
		}
		return v.list(c, server)
	}
	stdin, err := v.input(c)
	if err != nil {
		return nil, nil, err
	}
	if err := queue.CheckWords(v.Command, true, hasProgram); err != nil {
		return nil, nil, err
	}
	command, err := v.one(c, server, v.Command, stdin)
	if err == nil {
		err = refuseUnread(c, command)
	}
	return []*queue.Command{command}, func(int) string { return "" }, err
}

func (v *addVerb) one(c *cli.Context, server *local.Server, argv []string, stdin []byte) (*queue.Command, error) {
	command, err := v.command(c, server, argv, stdin)
	if err != nil {
		return nil, err
	}
	command.User = v.User
	command.Umask, err = parseUmask(v.Umask)
	return command, err
}

// list reads one command per line of standard input.
func (v *addVerb) list(c *cli.Context, server *local.Server) ([]*queue.Command, func(int) string, error) {
	if v.Stdin == "-" {
		return nil, nil, fault.Hint(fault.New(fault.Usage, "standard input cannot be both the list of commands and --stdin"),
			"keep one of them in a file")
	}
	stdin, err := v.input(c)
	if err != nil {
		return nil, nil, err
	}
	text, err := io.ReadAll(c.Stdin)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read standard input: %w", err)
	}
	text = input.Text(text)
	if bytes.HasPrefix(text, []byte("#!")) {
		first, _, _ := bytes.Cut(text, []byte("\n"))
		return nil, nil, fault.Hint(fault.New(fault.Usage, "standard input is a script, %.60q, and not a list of commands", first),
			"run it as a whole: iwx-queue add --stdin - -- sh -s\nor cascade the file, then its path: iwx-queue push FILE; iwx-queue add -- FILE")
	}
	var commands []*queue.Command
	var lines []int
	err = eachLine(bytes.NewReader(text), func(number int, argv []string) error {
		if err := queue.CheckWords(argv, false, hasProgram); err != nil {
			return err
		}
		command, err := v.one(c, server, argv, stdin)
		commands, lines = append(commands, command), append(lines, number)
		return err
	})
	if err == nil && len(commands) == 0 {
		err = fault.New(fault.Usage, "standard input holds no command")
	}
	return commands, func(i int) string { return fmt.Sprintf("line %d: ", lines[i]) }, err
}

// eachLine splits the lines of r into the words of commands. An error names the
// line, counted from 1.
func eachLine(r io.Reader, each func(number int, argv []string) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, queue.MaxBody)
	number := 0
	for lines.Scan() {
		number++
		argv, err := cli.CommandWords(lines.Text())
		if err == nil && len(argv) > 0 {
			err = each(number, argv)
		}
		if err != nil {
			return fault.New(cmp.Or(codeWithin(err), fault.Usage), "line %d: %w", number, explainWords(err, lines.Text()))
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return fault.New(fault.Usage, "line %d is over the limit of %d bytes that an entry can carry", number+1, queue.MaxBody)
	}
	return lines.Err()
}

// codeWithin is the code that err carries, 0 for none.
func codeWithin(err error) fault.Code {
	if f := (*fault.Error)(nil); errors.As(err, &f) {
		return fault.CodeOf(err)
	}
	return 0
}

// explainWords adds the way out to an error of cli.CommandWords.
func explainWords(err error, line string) error {
	if shell := (*cli.ShellError)(nil); errors.As(err, &shell) {
		hint := "let a shell read it: sh -c " + queue.Quote(strings.TrimSpace(line))
		if shell.Quotable {
			hint += "\nor quote it, to pass it to the command unchanged: '" + shell.Token + "'"
		}
		return fault.Hint(err, "%s", hint)
	}
	if quote := (*cli.QuoteError)(nil); errors.As(err, &quote) {
		return fault.Hint(err, "close it, or quote it with a backslash; nothing was queued")
	}
	return err
}

// batch is entries for the same nodes, which are queued together or not at all.
type batch struct {
	c       *cli.Context
	server  *local.Server
	targets queue.Targets
	nodes   []cluster.Node // the members among the targets
	drafts  []state.Draft
}

func newBatch(c *cli.Context, server *local.Server, r *recipients) (*batch, error) {
	members, err := server.Store.Standings(c)
	if err != nil {
		return nil, err
	}
	b := &batch{c: c, server: server}
	b.targets, b.nodes, err = r.targets(members)
	return b, err
}

func (b *batch) add(command *queue.Command) error {
	body, err := command.Encode()
	b.drafts = append(b.drafts, state.Draft{Kind: queue.KindCommand, Targets: b.targets, Body: body, Sensitive: command.Sensitive})
	return err
}

// queue appends the entries to the log in one transaction, prints their numbers
// and waits for the nodes if that is asked for.
func (b *batch) queue(w await.Flags, asJSON bool) error {
	first, err := b.server.Store.Append(b.c, b.drafts...)
	if err != nil {
		return err
	}
	b.server.Poke()
	numbers := fmt.Sprint(first.Seq)
	last := first.Seq + uint64(len(b.drafts)) - 1
	if last > first.Seq {
		numbers = fmt.Sprintf("%d-%d", first.Seq, last)
	}
	// Print the note first: the reader of standard output may be gone.
	b.announce("queued as " + numbers)
	switch {
	case asJSON:
		err = queuedTable().Show(b.c, cli.Output{JSON: true}, "", queued{first.Seq, last, first.Epoch, b.nodes, b.targets})
	case !b.c.IsTerminal(b.c.Stdout): // the note is enough for people
		err = b.c.Printf("%s\n", numbers)
	}
	if err != nil { // not wrapped: a closed pipe otherwise counts as success
		return fault.Hint(fault.New(fault.Failed, "queued as %s, but cannot print the number: standard output: %v", numbers, reason(err)),
			"do not queue it again; iwx-queue show %d", first.Seq)
	}
	return w.Wait(b.c, b.server, last, b.targets)
}

// queued describes entries that were queued together.
type queued struct {
	first, last, epoch uint64
	nodes              []cluster.Node
	targets            queue.Targets
}

func queuedTable() cli.Table[queued] {
	return cli.Table[queued]{Singular: "queued", Columns: []cli.Column[queued]{
		{Name: "first", Value: func(q queued) any { return cli.ID(q.first) }},
		{Name: "last", Value: func(q queued) any { return cli.ID(q.last) }},
		{Name: "count", Value: func(q queued) any { return q.last - q.first + 1 }},
		{Name: "epoch", Value: func(q queued) any { return cli.ID(q.epoch) }},
		{Name: "nodes", Value: func(q queued) any {
			var names []string
			for i := range q.nodes {
				names = append(names, q.nodes[i].Name)
			}
			return names
		}},
		{Name: "baseline", Value: func(q queued) any { return q.targets.Scope == queue.ScopeBaseline }},
	}}
}

// announce reports what has been queued, and for whom.
func (b *batch) announce(what string) {
	switch {
	case b.targets.Scope == queue.ScopeBaseline && len(b.nodes) == 0:
		b.c.Notef("%s for the nodes that join later", what)
	case b.targets.Scope == queue.ScopeBaseline:
		b.c.Notef("%s for %s%s, and those that join later", what, countNodes(len(b.nodes)), atATime(b.targets))
	case len(b.nodes) > 0:
		b.c.Notef("%s for %s%s", what, countNodes(len(b.nodes)), atATime(b.targets))
	default:
		b.c.Notef("%s", what)
		b.c.Warnf("there are no nodes yet, and no node that joins later replays it")
		b.c.Notef("hint: to keep it for them, queue it again with --baseline")
	}
	if len(b.nodes) > 0 {
		b.server.WarnIdle(b.c, idle)
	}
}

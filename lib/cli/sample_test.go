package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"iwx/lib/fault"
)

// sample is a small tool that has what the real ones have.
type sample struct {
	List  listVerb  `cmd:"" help:"List the nodes."`
	Add   addVerb   `cmd:"" help:"Queue a command for the nodes."`
	Fail  failVerb  `cmd:"" help:"Fail in a chosen way."`
	Token tokenVerb `cmd:"" help:"Join tokens."`
	Inner hiddenRun `cmd:"" hidden:"" help:"Used by replays."`
}

type node struct {
	name  string
	state Mark
	seq   ID
	seen  time.Time
	took  time.Duration
	size  Bytes
	tags  []string
	last  string
	out   Text
}

func nodeTable() Table[node] {
	return Table[node]{Singular: "node", Plural: "nodes", Columns: []Column[node]{
		{Name: "name", Value: func(n node) any { return n.name }},
		{Name: "state", Value: func(n node) any { return n.state }},
		{Name: "position", Head: "POS", Value: func(n node) any { return n.seq }},
		{Name: "last_seen", Value: func(n node) any { return n.seen }},
		{Name: "took", Value: func(n node) any { return n.took }},
		{Name: "size", Value: func(n node) any { return n.size }, Spare: true},
		{Name: "tags", Value: func(n node) any { return n.tags }, Detail: true},
		{Name: "error", Value: func(n node) any { return n.last }, Fold: true},
		{Name: "output", Value: func(n node) any { return n.out }, Detail: true},
	}}
}

var sampleNow = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

func sampleNodes() []node {
	return []node{
		{name: "web1", state: Mark{"current", Good}, seq: 12, seen: sampleNow.Add(-3 * time.Minute), took: 192 * time.Second, size: 1536},
		{name: "web2", state: Mark{"halted", Bad}, seq: 9, seen: sampleNow.Add(time.Minute), took: 250 * time.Millisecond,
			tags: []string{"a", "b"}, last: "E: tab\there\nand\\more \x1b[31m \xff", out: "one\ntwo\x07\n"},
	}
}

type listVerb struct {
	Output
	Empty bool `help:"List nothing."`
}

func (v *listVerb) Run(c *Context) error {
	c.Now = func() time.Time { return sampleNow }
	if v.Empty {
		return nodeTable().Write(c, v.Output, nil)
	}
	return nodeTable().Write(c, v.Output, sampleNodes())
}

type addVerb struct {
	Yes
	Node    []string      `short:"n" placeholder:"NODE" complete:"node" help:"Only this node."`
	Stdin   string        `placeholder:"FILE" complete:"file" help:"Standard input of the command."`
	Timeout time.Duration `default:"1h" placeholder:"TIME" help:"How long it may run."`
	Order   string        `enum:"first,last" default:"last" help:"Where it goes."`
	Command Argv          `arg:"" passthrough:"partial" complete:"command" help:"Command and its arguments."`
}

func (*addVerb) Examples() string { return "sample add -- apt-get -y install php-gd" }

func (v *addVerb) Run(c *Context) error {
	return c.Printf("%q %q %v root=%s\n", v.Node, []string(v.Command), v.Timeout, c.Root)
}

type failVerb struct {
	How string `arg:"" enum:"hint,join,silent,panic,lines,wait,read,hang,confirm,secret,progress,redraw" help:"Which way."`
	Yes
}

func (v *failVerb) Run(c *Context) error {
	switch v.How {
	case "hint":
		return fault.Hint(fault.New(fault.Busy, "manager is away"), "try again")
	case "join":
		return errors.Join(errors.New("first"), fault.Hint(fault.New(fault.Unhealthy, "second"), "fix it"))
	case "silent":
		return Exit(77)
	case "lines":
		return errors.New("one\ntwo \x1b[1m")
	case "wait":
		c.Notef("waiting")
		<-c.Done()
		return fmt.Errorf("poll: %w", c.Err())
	case "read":
		c.Notef("waiting")
		_, err := io.ReadAll(c.Stdin)
		return fmt.Errorf("standard input: %w", err)
	case "hang":
		c.Notef("waiting")
		<-c.Done()
		c.Notef("draining")
		select {}
	case "confirm":
		return c.Confirm(v.Yes.Yes, "delete node web2?")
	case "progress":
		p := c.Progress()
		p.Show("web1  waiting", "web2  waiting")
		p.Show("web1  \x1b[1m done", strings.Repeat("0123456789", 5), "3", "4", "5")
		p.Clear()
		return nil
	case "redraw":
		n := 0
		return c.Redraw(time.Millisecond, func() error {
			n++
			c.Notef("%s", c.Paint(Bad, fmt.Sprint("page ", min(n, 2))))
			if err := c.Printf("2\n3\n4\n5\n"); err != nil {
				return err
			}
			return Exit(77)
		})
	case "secret":
		_, err := c.Secret("token")
		return err
	}
	panic("lost my way")
}

type tokenVerb struct {
	List   tokenList   `cmd:"" help:"List the join tokens."`
	Revoke tokenRevoke `cmd:"" help:"Revoke a join token."`
}

type tokenList struct{ Output }

func (*tokenList) Run(c *Context) error { return nil }

type tokenRevoke struct {
	ID   string `arg:"" complete:"token" help:"Token to revoke."`
	File string `arg:"" optional:"" empty:"" type:"path" help:"A file."`
}

func (v *tokenRevoke) Run(c *Context) error { return c.Printf("revoked %s\n", v.ID) }

type hiddenRun struct{}

func (*hiddenRun) Run(c *Context) error { return nil }

func sampleTool() Tool {
	return Tool{
		Name:    "sample",
		Summary: "a tool for the tests",
		Grammar: func() any { return &sample{} },
		Complete: func(c *Context, kind string) []Candidate {
			switch kind {
			case "node":
				return []Candidate{{"web1", "current"}, {"web2", "halted at 9: it's \"bad\""}, {"db:1", ""}}
			case "token":
				return []Candidate{{"t7", "for web3"}, {"t8", "for web4 $(touch x)"}}
			}
			return nil
		},
	}
}

// runSample runs the sample tool and returns what a shell would see.
func runSample(args ...string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	code = Main(sampleTool(), args, strings.NewReader(""), &out, &err)
	return code, out.String(), err.String()
}

func check(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s:\n%s\nwant:\n%s", what, got, want)
	}
}

package queuetool

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"iwx/lib/cli"
	"iwx/lib/cluster"
	"iwx/lib/queue"
	"iwx/lib/replay"
	"iwx/lib/state"
	"iwx/lib/tool/await"
)

// replayed is how an entry stands on one node.
type replayed struct {
	Node     string          `json:"node"`
	State    string          `json:"state"`
	Attempts int             `json:"attempts"`
	Exit     *int            `json:"exit"`
	Error    string          `json:"error"`
	Note     string          `json:"note"`
	Ended    *time.Time      `json:"ended"`
	RetryAt  *time.Time      `json:"next_retry"`
	Said     string          `json:"said"` // who let it pass, or what its turn waits for
	Stdout   *string         `json:"stdout,omitempty"`
	Stderr   *string         `json:"stderr,omitempty"`
	mark     cli.Mark        // State, coloured
	last     *tried          // the last attempt, nil: none is known
	blocked  cluster.Blocked // zero: it is not halted here
}

// replayed returns the nodes that the entry is for, and those that are gone and
// have tried it.
func (f *fleet) replayed(r *queue.Record, t queue.Targets, voids []state.Void, attempts []state.Attempt, turns []cluster.Turn, names map[string]string) []replayed {
	last := map[string]*tried{}
	for _, a := range attempts {
		last[a.Node] = &tried{Attempt: a, node: names[a.Node]}
	}
	var list []replayed
	for i := range f.nodes {
		n := &f.nodes[i]
		if t.Include(n.ID, n.Start, r.Seq) {
			p := newReplayed(n, r.Seq, await.VoidOf(voids, n.ID), last[n.ID])
			if t.Rolling > 0 && n.Start <= r.Seq {
				p.inTurn(turns, n.ID)
			}
			list = append(list, p)
		}
		delete(last, n.ID)
	}
	gone := len(list)
	for _, a := range last {
		list = append(list, replayed{Node: a.node, mark: a.outcome(), last: a})
	}
	slices.SortFunc(list[gone:], func(a, b replayed) int { return strings.Compare(a.Node, b.Node) })
	for i := range list {
		list[i].fill()
	}
	return list
}

// inTurn adds how far the node is with its turn at an entry that rolls.
func (p *replayed) inTurn(turns []cluster.Turn, id string) {
	var turn cluster.Turn
	for _, t := range turns {
		if t.Node == id {
			turn = t
		}
	}
	switch {
	case p.mark.Text == waits && turn.Stage == cluster.Draining:
		p.mark.Text = "draining"
	case p.mark.Text == waits:
		p.mark.Text += " its turn"
	case turn.Stage == cluster.Returning:
		p.Said = cmp.Or(p.Said, "not yet given new connections again")
	}
	if turn.Stage == cluster.Begun && len(turn.Left) > 0 {
		p.Said = cmp.Or(p.Said, "begun before its connections had ended: "+strings.Join(turn.Left, ", "))
	}
}

// waits is the word for an entry that a node has still to begin.
const waits = "waiting"

// newReplayed says in a word how the entry stands on the node. What the node
// did counts more than what it was told to pass by.
func newReplayed(n *cluster.Node, seq uint64, void *state.Void, last *tried) replayed {
	p := replayed{Node: n.Name, last: last}
	b := n.Status.Blocked
	switch {
	case n.Settled(seq) && did(n, void, attemptOf(last)):
		p.mark = cli.Mark{Text: "done", Level: cli.Good}
	case void != nil && n.Status.Running == seq:
		p.mark = cli.Mark{Text: "running, then " + string(void.Disposition), Level: cli.Warn}
	case void != nil:
		p.mark = cli.Mark{Text: string(void.Disposition), Level: cli.Warn}
	case n.Status.Running == seq && (b == nil || b.Hung == nil):
		p.mark = cli.Mark{Text: "running"}
	case b != nil && b.Seq == seq && b.Attempts > 0:
		p.mark, p.blocked = cli.Mark{Text: replay.WordHalted, Level: cli.Bad}, *b
		if n.Status.Word == replay.WordUnknown {
			p.mark.Text = replay.WordUnknown
		}
	default:
		p.mark = cli.Mark{Text: waits}
	}
	if void != nil {
		p.Said = saidBy(void)
	}
	return p
}

func attemptOf(last *tried) *state.Attempt {
	if last == nil {
		return nil
	}
	return &last.Attempt
}

// fill sets the fields that scripts see from what is known.
func (p *replayed) fill() {
	p.State, p.RetryAt = p.mark.Text, moment(p.blocked.RetryAt)
	p.Attempts, p.Error = p.blocked.Attempts, p.blocked.Error
	if p.last == nil {
		return
	}
	p.Note = p.last.Note
	p.Attempts, p.Ended = max(p.Attempts, p.last.Attempt.Attempt.Attempt), moment(p.last.Ended)
	if p.Error == "" {
		p.Error = p.last.failure()
	}
	if code, ended := p.last.exit().(int); ended {
		p.Exit = &code
	}
	stdout, stderr := p.last.Stdout.String(), p.last.Stderr.String()
	p.Stdout, p.Stderr = &stdout, &stderr
}

// replays is how an entry stands on each node: all of it in JSON, in one column
// the states alone.
type replays []replayed

// String returns "web1:done,web2:halted".
func (list replays) String() string {
	words := make([]string, len(list))
	for i, p := range list {
		words[i] = p.Node + ":" + p.State
	}
	return strings.Join(words, ",")
}

// MarshalJSON implements json.Marshaler: a list, never null.
func (list replays) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // outputs are full of > and &
	err := e.Encode(append([]replayed{}, list...))
	return b.Bytes(), err
}

// moment is a time of the wire, in unix milliseconds; nil for none.
func moment(ms int64) *time.Time {
	if ms == 0 {
		return nil
	}
	t := time.UnixMilli(ms).UTC()
	return &t
}

// pointed is the value of a column; nil for none.
func pointed(t *time.Time) any {
	if t == nil {
		return nil
	}
	return *t
}

func (p *replayed) exit() any {
	if p.Exit == nil {
		return nil
	}
	return *p.Exit
}

// remark is the error, or who let the entry pass, or what the command left.
func (p *replayed) remark() string {
	if p.Said != "" {
		return p.Said
	}
	if p.blocked.WillNotHeal {
		return p.Error + " (will not heal by itself)"
	}
	return cmp.Or(p.Error, p.Note)
}

func replayedTable() cli.Table[replayed] {
	return cli.Table[replayed]{Singular: "node", Plural: "nodes", Columns: []cli.Column[replayed]{
		{Name: "node", Value: func(p replayed) any { return p.Node }},
		{Name: "state", Value: func(p replayed) any { return p.mark }},
		{Name: "attempts", Value: func(p replayed) any { return p.Attempts }},
		{Name: "exit", Value: func(p replayed) any { return p.exit() }},
		{Name: "ended", Value: func(p replayed) any { return pointed(p.Ended) }},
		{Name: "next_retry", Value: func(p replayed) any { return pointed(p.RetryAt) }},
		{Name: "remark", Value: func(p replayed) any { return p.remark() }, Fold: true},
	}}
}

// print shows what the last attempt wrote: where it failed, or if all is asked
// for.
func (p *replayed) print(c *cli.Context, all bool) error {
	if p.last == nil || p.last.Ended == 0 || !all && p.blocked.Seq == 0 {
		return nil
	}
	a := &p.last.Attempt
	head := fmt.Sprintf("\n%s, attempt %d, %s", p.Node, a.Attempt.Attempt, replay.Ending(&a.Attempt))
	if a.Note != "" {
		head += "; " + a.Note
	}
	if a.Stdout.Size+a.Stderr.Size == 0 {
		return c.Printf("%s, no output\n", head)
	}
	return c.Printf("%s\n%s%s", head, indented("stdout", a.Stdout), indented("stderr", a.Stderr))
}

// indented is an output with its name above it; "" when there is none. That of a
// sensitive command is not kept, nor what a full disk had no room for.
func indented(name string, o cluster.Output) string {
	if o.Size == 0 {
		return ""
	}
	if len(o.Head)+len(o.Tail) == 0 {
		return fmt.Sprintf("  %s: %s bytes, not kept\n", name, cli.Size(o.Size))
	}
	var b strings.Builder
	b.WriteString("  " + name + "\n")
	for line := range strings.Lines(o.String()) {
		b.WriteString("    " + strings.TrimRight(line, "\n") + "\n")
	}
	return b.String()
}

package sitetool

import (
	"fmt"
	"strings"

	"iwx/lib/cli"
	"iwx/lib/cluster"
	"iwx/lib/fault"
	"iwx/lib/site"
	"iwx/lib/state"
	"iwx/lib/tool/local"
	"iwx/lib/tool/nodestatus"
)

type showVerb struct {
	cli.Output
	Domain string `arg:"" complete:"site" help:"The site, by its domain or an alias."`
}

// Run shows a site, and how far each node is with it.
func (v *showVerb) Run(c *cli.Context) error {
	server, err := open(c)
	if err != nil {
		return err
	}
	defer server.Close()
	row, err := find(c, server, v.Domain)
	if err != nil {
		return err
	}
	nodes, _, err := nodestatus.Nodes(c, server)
	if err != nil {
		return err
	}
	holders := holdersOf(row, nodes)
	table := siteTable()
	table.Columns = append(table.Columns,
		cli.Column[state.SiteRow]{Name: "nodes", Value: func(state.SiteRow) any { return holders }})
	if !v.Human() {
		return table.Show(c, v.Output, "", *row)
	}
	if err := siteTable().Show(c, v.Output, "", *row); err != nil || len(holders) == 0 || v.Columns != nil {
		return err
	}
	if err := c.Printf("\n"); err != nil {
		return err
	}
	return holderTable().Write(c, cli.Output{}, holders)
}

// find returns the site of that name; an error names those there are.
func find(c *cli.Context, server *local.Server, text string) (*state.SiteRow, error) {
	name, err := site.ParseDomain(text)
	if err != nil {
		return nil, err
	}
	row, err := server.Store.SiteNamed(c, name)
	if err != nil || row != nil {
		return row, err
	}
	return nil, fault.Hint(fault.New(fault.Failed, "no site is called %s", name), "iwx-site list")
}

// holder is how far a node is with a site.
type holder struct {
	Node  string `json:"node"`
	State string `json:"state"`
	Error string `json:"error"`
	level cli.Level
}

// holders are the nodes: in one column their states alone.
type holders []holder

// String returns "web1:done,web2:halted".
func (l holders) String() string {
	words := make([]string, len(l))
	for i, h := range l {
		words[i] = h.Node + ":" + h.State
	}
	return strings.Join(words, ",")
}

// MarshalJSON implements json.Marshaler: a list, never null.
func (l holders) MarshalJSON() ([]byte, error) { return marshalList(l) }

// holdersOf says how the site's last entry stands on each node.
func holdersOf(row *state.SiteRow, nodes []cluster.Node) (list holders) {
	for i := range nodes {
		n := &nodes[i]
		h := holder{Node: n.Name, State: "waiting"}
		switch b := n.Status.Blocked; {
		case n.Settled(row.Seq):
			h.State, h.level = "done", cli.Good
		case b != nil && b.Seq <= row.Seq && b.Attempts > 0:
			h.State, h.level = "halted", cli.Bad
			h.Error = fmt.Sprintf("entry %d: %s", b.Seq, b.Error)
		case n.Status.Running == row.Seq:
			h.State = "running"
		}
		list = append(list, h)
	}
	return list
}

func holderTable() cli.Table[holder] {
	return cli.Table[holder]{Singular: "node", Plural: "nodes", Columns: []cli.Column[holder]{
		{Name: "node", Value: func(h holder) any { return h.Node }},
		{Name: "state", Value: func(h holder) any { return cli.Mark{Text: h.State, Level: h.level} }},
		{Name: "error", Value: func(h holder) any { return h.Error }, Rare: true, Fold: true},
	}}
}

package sitetool

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"iwx/lib/cli"
	"iwx/lib/fault"
	"iwx/lib/site"
	"iwx/lib/tool/local"
	"iwx/lib/tool/upkeep"
)

// patience is how long servers are waited for that are asked to look.
type patience struct {
	Within time.Duration `name:"timeout" default:"10s" placeholder:"TIME" help:"Wait no longer than this for the servers to answer."`
}

type checkVerb struct {
	cli.Output
	patience
	Node   []string `short:"n" sep:"none" placeholder:"NODE" complete:"server" help:"Only this server. May be repeated."`
	Domain string   `arg:"" optional:"" complete:"site" help:"Only this site, by its domain or an alias."`
}

// Examples implements cli.Exampled.
func (*checkVerb) Examples() string {
	return `iwx-site check
		iwx-site check example.org
		iwx-site check --node web2`
}

// Run asks every server whether it still has of the sites what it was given. The
// exit code is 3 when one has not, or has not told. A node looks at itself.
func (v *checkVerb) Run(c *cli.Context) error {
	server, err := local.Open(c)
	if err != nil {
		return err
	}
	defer server.Close()
	domain := ""
	if v.Domain != "" {
		if domain, err = v.domain(c, server); err != nil {
			return err
		}
	}
	answers, err := v.ask(c, server)
	if err != nil {
		return err
	}
	if domain != "" {
		for i := range answers {
			answers[i].narrow(domain)
		}
	}
	return v.tell(c, answers, server.IsManager())
}

// domain returns that of the site that is meant.
func (v *checkVerb) domain(c *cli.Context, server *local.Server) (string, error) {
	if !server.IsManager() {
		return site.ParseDomain(v.Domain)
	}
	row, err := find(c, server, v.Domain)
	if err != nil {
		return "", err
	}
	return row.Domain, nil
}

// ask asks the servers that are meant; a node only itself.
func (v *checkVerb) ask(c *cli.Context, server *local.Server) ([]answer, error) {
	if server.IsManager() {
		whom, err := chooseServers(c, server, v.Node)
		if err != nil {
			return nil, err
		}
		return (&inquiry{Server: server, c: c, whom: whom, timeout: v.Within}).answers()
	}
	own := server.Identity
	if other := slices.IndexFunc(v.Node, func(name string) bool { return name != own.Name }); other >= 0 {
		return nil, fault.Hint(fault.New(fault.Usage, "this server is node %s of cluster %s, and knows nothing of %q", own.Name, own.ClusterName, v.Node[other]),
			"ask on the manager, at %s", own.Manager.Addr())
	}
	inspector := &upkeep.Inspector{Server: server, Now: c.Now, Wait: v.Within}
	return []answer{judgeReport(own.Name, inspector.Look(c))}, nil
}

// narrow leaves out the faults of other sites.
func (a *answer) narrow(domain string) {
	if a.report == nil {
		return
	}
	r := *a.report
	r.Faults = slices.DeleteFunc(slices.Clone(r.Faults), func(f site.Fault) bool { return f.Domain != "" && f.Domain != domain })
	a.report = &r
	if a.state == stateAmiss && a.why == "" && r.Amiss() == 0 {
		a.state = stateGood
	}
}

// tell prints the verdict, the faults, and what to do about them.
func (v *checkVerb) tell(c *cli.Context, answers []answer, manager bool) error {
	rows := faultRows(answers)
	if v.Human() {
		if err := c.Printf("%s\n", verdict(answers)); err != nil {
			return err
		}
	}
	if len(rows) > 0 || !v.Human() {
		if err := faultTable().Write(c, v.Output, rows); err != nil {
			return err
		}
	}
	if len(rows) == 0 {
		return nil
	}
	if v.Human() {
		c.Notef("hint: %s", advice(answers, manager))
	}
	return cli.Exit(fault.Unhealthy)
}

// faultRow is one line about a server that is not as it should be.
type faultRow struct{ server, state, domain, fault string }

func faultRows(answers []answer) (rows []faultRow) {
	for i := range answers {
		a := &answers[i]
		add := func(domain, fault string) { rows = append(rows, faultRow{a.server, a.state, domain, fault}) }
		if a.why != "" || a.state != stateGood && a.amiss() == 0 {
			add("", a.why)
		}
		if a.report == nil {
			continue
		}
		for _, f := range a.report.Faults {
			add(f.Domain, f.What)
		}
		if a.report.More > 0 {
			add("", fmt.Sprintf("and %d more", a.report.More))
		}
	}
	return rows
}

func faultTable() cli.Table[faultRow] {
	return cli.Table[faultRow]{Singular: "fault", Plural: "faults", Columns: []cli.Column[faultRow]{
		{Name: "node", Value: func(r faultRow) any { return r.server }},
		{Name: "state", Value: func(r faultRow) any { return stateOf(r.state) }},
		{Name: "domain", Value: func(r faultRow) any { return r.domain }, Rare: true},
		{Name: "fault", Value: func(r faultRow) any { return r.fault }, Fold: true},
	}}
}

// stateOf is a state, coloured.
func stateOf(word string) cli.Mark {
	if word == stateBehind {
		return cli.Mark{Text: word, Level: cli.Warn}
	}
	return cli.Mark{Text: word, Level: cli.Bad}
}

// states are in the order in which a verdict names them.
func states() []string {
	return []string{stateAmiss, stateUnknown, stateUnreachable, stateSilent, stateOld, stateBehind}
}

// verdict is how all are, in one line: "3 servers: 1 amiss (web2), 2 good".
func verdict(answers []answer) string {
	var parts []string
	for _, word := range states() {
		if names := in(answers, word); names != nil {
			parts = append(parts, fmt.Sprintf("%d %s (%s)", len(names), word, cli.Some(names, 5)))
		}
	}
	count := cli.Count(len(answers), "server", "servers")
	if parts == nil {
		return count + ": " + stateGood
	}
	if good := in(answers, stateGood); good != nil {
		parts = append(parts, fmt.Sprintf("%d %s", len(good), stateGood))
	}
	return count + ": " + strings.Join(parts, ", ")
}

// in names the servers in a state.
func in(answers []answer, word string) (names []string) {
	for i := range answers {
		if answers[i].state == word {
			names = append(names, answers[i].server)
		}
	}
	return names
}

// advice is what to do about the gravest that is wrong.
func advice(answers []answer, manager bool) string {
	var names []string
	for i := range answers {
		a := &answers[i]
		if len(a.foreign()) > 0 {
			return fmt.Sprintf("an account on %s is not the site's: rename it, or give it another id; then, on the manager: iwx-site sync %[1]s", a.server)
		}
		if a.state == stateAmiss && (a.why != "" || a.repairable()) {
			names = append(names, a.server)
		}
	}
	sync := "iwx-site sync " + strings.Join(names, " ")
	switch {
	case names != nil && !manager:
		return "on the manager: " + sync
	case names != nil:
		return sync
	case in(answers, stateAmiss) != nil:
		return "iwx-site sync does not fix these faults: fix them on the server itself"
	case in(answers, stateBehind) != nil, in(answers, stateUnreachable) != nil:
		return "iwx-node status"
	case in(answers, stateOld) != nil:
		return "install this version of iwx on " + in(answers, stateOld)[0]
	}
	return "iwx-site check --timeout 1m"
}

package lbtool

import (
	"slices"
	"time"

	"iwx/lib/cli"
	"iwx/lib/fault"
	"iwx/lib/host"
	"iwx/lib/ipvs"
	"iwx/lib/preflight"
)

// checkLimit is how long the checks may take, all at once.
const checkLimit = 10 * time.Second

type preflightVerb struct {
	cli.Output
}

// Run reports whether the engine that was chosen can balance here, and changes
// nothing. The exit code is 3 when a check fails.
func (v *preflightVerb) Run(c *cli.Context) error {
	m, err := open(c)
	if err != nil {
		return err
	}
	defer m.Close()
	facts, err := host.Read(m.Root)
	if err != nil {
		return err
	}
	checks := preflight.Run(c, preflight.Balance{
		Server: preflight.Server{
			Paths: m.Paths, Facts: facts, Role: preflight.Manager, QuorumIP: m.Identity.Manager.Addr(), Port: m.Identity.Manager.Port(),
			Sys: "/", Command: preflight.Command, Holder: host.Holder,
		},
		Setup: m.Setup, IPVS: ipvs.Available, Nodes: m.nodes(), Cross: m.cross(facts, c.Now),
	}.Probes(), checkLimit)
	failed := slices.ContainsFunc(checks, func(c preflight.Check) bool { return c.Status == preflight.Fail })
	if v.Human() {
		verdict := "services can be balanced here"
		if failed {
			verdict = "services cannot be balanced here as things are"
		}
		if err := c.Printf("%s\n", verdict); err != nil {
			return err
		}
	}
	if err := checkTable().Write(c, v.Output, checks); err != nil || !failed {
		return err
	}
	return cli.Exit(fault.Unhealthy)
}

// nodes returns the names of the nodes.
func (m *manager) nodes() (names []string) {
	for _, s := range m.Servers {
		if !s.Manager {
			names = append(names, s.Name)
		}
	}
	return names
}

func checkTable() cli.Table[preflight.Check] {
	return cli.Table[preflight.Check]{Singular: "check", Plural: "checks", Columns: []cli.Column[preflight.Check]{
		{Name: "check", Value: func(c preflight.Check) any { return c.Name }},
		{Name: "status", Value: func(c preflight.Check) any { return checkMark(c.Status) }},
		{Name: "detail", Value: func(c preflight.Check) any { return c.Detail }, Fold: true},
		{Name: "remedy", Value: func(c preflight.Check) any { return c.Remedy }, Fold: true},
	}}
}

func checkMark(s preflight.Status) cli.Mark {
	levels := map[preflight.Status]cli.Level{preflight.OK: cli.Good, preflight.Warn: cli.Warn, preflight.Fail: cli.Bad}
	return cli.Mark{Text: string(s), Level: levels[s]}
}

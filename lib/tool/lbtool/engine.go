package lbtool

import (
	"iwx/lib/cli"
	"iwx/lib/lb"
	"iwx/lib/tool/lbdaemon"
)

type engineVerb struct {
	cli.Output
	Name string `arg:"" optional:"" complete:"engine" help:"The engine: ipvs or haproxy."`
}

// Run shows the engines, or chooses one that can have every policy.
func (v *engineVerb) Run(c *cli.Context) error {
	m, err := open(c)
	if err != nil {
		return err
	}
	defer m.Close()
	if v.Name == "" {
		return m.engineTable().Write(c, v.Output, lb.Abilities())
	}
	return v.change(c, m)
}

// change has the engine chosen, if it can be used and can have every policy, and
// waits until it has.
func (v *engineVerb) change(c *cli.Context, m *manager) error {
	was := m.Engine
	_, changed, err := m.UseEngine(v.Name)
	if err == nil && changed {
		err = lbdaemon.Usable(c, m.Server, v.Name)
	}
	if err != nil {
		return err
	}
	err = m.Change(c, func(setup *lb.Setup) (err error) {
		*setup, changed, err = setup.UseEngine(v.Name)
		return err
	})
	switch {
	case err != nil:
		return err
	case !changed:
		c.Notef("%s balances already; nothing changed", v.Name)
		return nil
	case was == "":
		c.Notef("%s balances from now on", v.Name)
	default:
		c.Notef("%s balances from now on, and %s no longer", v.Name, was)
	}
	return m.Settle(c)
}

func (m *manager) engineTable() cli.Table[lb.Ability] {
	return cli.Table[lb.Ability]{Singular: "engine", Plural: "engines", Columns: []cli.Column[lb.Ability]{
		{Name: "engine", Value: func(a lb.Ability) any { return a.Engine }},
		{Name: "chosen", Value: func(a lb.Ability) any { return a.Engine == m.Engine }},
		{Name: "schedulers", Value: func(a lb.Ability) any { return a.Schedulers }, Fold: true},
		{Name: "forwarding", Value: func(a lb.Ability) any { return forwardings(a) }},
	}}
}

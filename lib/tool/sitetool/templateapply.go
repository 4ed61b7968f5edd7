package sitetool

import (
	"iwx/lib/cli"
	"iwx/lib/fault"
	"iwx/lib/site"
	"iwx/lib/tool/await"
	"iwx/lib/vhost"
)

type templateApplyVerb struct {
	DryRun bool `help:"Print the sites that would change, and do nothing."`
	await.Flags
	Name string `arg:"" complete:"template" help:"The template."`
}

// Examples implements cli.Exampled.
func (*templateApplyVerb) Examples() string {
	return `iwx-site template apply shop --dry-run
		iwx-site template apply shop --wait`
}

// Run makes the virtual hosts of all sites that use the template anew, here and on
// the nodes: all of them or, if the web server refuses one, none. Those that would
// be as they are stay.
func (v *templateApplyVerb) Run(c *cli.Context) error {
	m, err := v.open(c)
	if err != nil {
		return err
	}
	defer m.Close()
	if m.web == nil {
		return fault.Hint(fault.New(fault.Failed, "nothing serves sites here, so there are no virtual hosts to make"), "see site.web_server in iwx.toml(5)")
	}
	if _, err := vhost.FindTemplate(m.Root, v.Name, m.web.Syntax); err != nil {
		return err
	}
	p, uses, err := m.planAnew(c, v.Name)
	if err != nil {
		return err
	}
	specs := p.change.Specs
	switch {
	case len(specs) == 0:
		c.Notef("%s of template %s: nothing changes", cli.Count(uses, "site", "sites"), v.Name)
		return nil
	case v.DryRun:
		for i := range specs {
			if err := c.Printf("%s\n", specs[i].Domain); err != nil {
				return err
			}
		}
		return nil
	}
	p.change.awaited = v.Wanted()
	op, err := m.carryOut(c, p.change)
	if err != nil {
		return err
	}
	return m.announce(c, "applied template "+v.Name+" to "+cli.Count(len(specs), "site", "sites"), op, v.Flags)
}

// open opens this server to change its sites, or to look at them.
func (v *templateApplyVerb) open(c *cli.Context) (*manager, error) {
	if v.DryRun {
		return lookManager(c)
	}
	return openManager(c)
}

// planAnew plans the sites that a template makes other virtual hosts of than they
// have, and returns how many use it.
func (m *manager) planAnew(c *cli.Context, name string) (p *plan, uses int, err error) {
	rows, err := m.Store.Sites(c)
	if err != nil {
		return nil, 0, err
	}
	if p, err = m.newPlan(c); err != nil {
		return nil, 0, err
	}
	rows = using(rows, name)
	for i := range rows {
		if err := p.put(rows[i].Site); err != nil {
			return nil, 0, err
		}
	}
	var differ []site.Spec
	for i, spec := range p.change.Specs {
		if !same(&rows[i], &spec) {
			differ = append(differ, spec)
		}
	}
	p.change.Specs = differ
	return p, len(rows), nil
}

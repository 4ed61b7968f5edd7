package lbtool

import (
	"iwx/lib/cli"
)

type listVerb struct {
	cli.Output
}

// Run lists the policies.
func (v *listVerb) Run(c *cli.Context) error {
	m, err := open(c)
	if err != nil {
		return err
	}
	defer m.Close()
	if len(m.Policies) == 0 && v.Human() {
		c.Notef("no policies yet: iwx-lb add web")
		return nil
	}
	return m.table().Write(c, v.Output, m.Policies)
}

type showVerb struct {
	cli.Output
	Service string `arg:"" complete:"policy" help:"A service by name or port, or a group: web or mail."`
	VIP     string `name:"vip" placeholder:"IP" complete:"vip" help:"The virtual IP; without it, the only one of each family."`
}

// Run shows policies one by one: a service may have one for each family.
func (v *showVerb) Run(c *cli.Context) error {
	m, err := open(c)
	if err != nil {
		return err
	}
	defer m.Close()
	policies, err := m.chosen([]string{v.Service}, v.VIP)
	if err != nil {
		return err
	}
	for i, p := range policies {
		if i > 0 && v.Human() {
			if err := c.Printf("\n"); err != nil {
				return err
			}
		}
		if err := m.table().Show(c, v.Output, "", p); err != nil {
			return err
		}
	}
	return nil
}

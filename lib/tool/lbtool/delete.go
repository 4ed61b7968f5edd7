package lbtool

import (
	"iwx/lib/cli"
	"iwx/lib/lb"
)

type deleteVerb struct {
	cli.Yes
	Services []string `arg:"" name:"service" complete:"policy" help:"A service by name or port, or a group: web or mail."`
	VIP      string   `name:"vip" placeholder:"IP" complete:"vip" help:"The virtual IP; without it, the only one of each family."`
}

// Examples implements cli.Exampled.
func (*deleteVerb) Examples() string {
	return `iwx-lb delete pop3
iwx-lb delete mail --vip 192.0.2.25 --yes`
}

// Run deletes policies. Those that are not there are no error.
func (v *deleteVerb) Run(c *cli.Context) error {
	m, err := open(c)
	if err != nil {
		return err
	}
	defer m.Close()
	services, err := servicesOf(v.Services)
	if err != nil {
		return err
	}
	policies, err := m.policiesFor(services, v.VIP)
	if err != nil {
		return err
	}
	if policies == nil {
		c.Notef("there is no such policy; nothing changed")
		return nil
	}
	if err := c.Confirm(v.Yes.Yes, "delete %s?", phrase(policies)); err != nil {
		return err
	}
	err = m.Change(c, func(setup *lb.Setup) error {
		for i := range policies {
			*setup, _ = setup.Delete(policies[i].Key())
		}
		return nil
	})
	if err == nil {
		c.Notef("deleted %s", phrase(policies))
	}
	return err
}

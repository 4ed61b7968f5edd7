package lbtool

import (
	"iwx/lib/cli"
	"iwx/lib/fault"
	"iwx/lib/lb"
)

type editVerb struct {
	Services []string `arg:"" name:"service" complete:"policy" help:"A service by name or port, or a group: web or mail."`
	VIP      string   `name:"vip" placeholder:"IP" complete:"vip" help:"The virtual IP; without it, the only one of each family."`
	terms
}

// Examples implements cli.Exampled.
func (*editVerb) Examples() string {
	return `iwx-lb edit http --weight web2=50
iwx-lb edit mail --persistence 0
iwx-lb edit https --only all --fallback reject`
}

// Run changes policies, all or none; what no flag names stays as it is.
func (v *editVerb) Run(c *cli.Context) error {
	if !v.any() {
		return fault.Hint(fault.New(fault.Usage, "nothing to change was given"), "iwx-lb edit --help")
	}
	m, err := open(c)
	if err != nil {
		return err
	}
	defer m.Close()
	policies, err := m.chosen(v.Services, v.VIP)
	if err != nil {
		return err
	}
	var edited []lb.Policy
	err = m.Change(c, func(setup *lb.Setup) error {
		edited, err = v.edit(m, setup, policies)
		return err
	})
	switch {
	case err != nil:
		return err
	case edited == nil:
		c.Notef("%s: so already; nothing changed", phrase(policies))
	default:
		c.Notef("changed %s", phrase(edited))
		m.warnIdle(c)
	}
	return nil
}

// edit changes the policies in the setup, and returns those that are others now.
func (v *editVerb) edit(m *manager, setup *lb.Setup, policies []lb.Policy) (edited []lb.Policy, err error) {
	for _, p := range policies {
		if now := setup.Policy(p.Key()); now != nil {
			p = *now // what somebody else has changed meanwhile stays
		}
		if err := v.apply(m, &p); err != nil {
			return nil, err
		}
		is, changed, err := setup.Edit(p, m.Servers)
		if err != nil {
			return nil, err
		}
		*setup = is
		if changed {
			edited = append(edited, p)
		}
	}
	return edited, nil
}

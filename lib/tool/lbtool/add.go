package lbtool

import (
	"iwx/lib/cli"
	"iwx/lib/lb"
)

type addVerb struct {
	Services []string `arg:"" name:"service" complete:"service" help:"A service by name or port, or a group: web or mail."`
	VIP      string   `name:"vip" placeholder:"IP" complete:"vip" help:"The virtual IP; without it, the only one of each family."`
	terms
}

// Examples implements cli.Exampled.
func (*addVerb) Examples() string {
	return `iwx-lb add web
iwx-lb add mail --vip 192.0.2.25 --persistence 1h
iwx-lb add http --scheduler wrr --weight web1=200,web2=50 --check-path /health
iwx-lb add 8080 --only web1 --only web2`
}

// Run adds a policy for each service at each virtual IP, or none at all. One
// that is there and equal is no error.
func (v *addVerb) Run(c *cli.Context) error {
	m, err := open(c)
	if err != nil {
		return err
	}
	defer m.Close()
	policies, err := v.policies(m)
	if err != nil {
		return err
	}
	added, same, err := m.add(c, policies)
	if err != nil {
		return err
	}
	if same != nil {
		c.Notef("%s: there already; nothing changed", phrase(same))
	}
	if added != nil {
		c.Notef("added %s", phrase(added))
		m.warnIdle(c)
	}
	return nil
}

// policies are those that were asked for.
func (v *addVerb) policies(m *manager) ([]lb.Policy, error) {
	services, err := servicesOf(v.Services)
	if err != nil {
		return nil, err
	}
	vips, err := m.vipsFor(v.VIP)
	if err != nil {
		return nil, err
	}
	var list []lb.Policy
	for _, vip := range vips {
		for _, s := range services {
			p := lb.Policy{Service: s.Name, VIP: vip, Port: s.Port, Persistence: s.Persistence}
			p.Check.Kind = s.Kind // what else there is of a check has its default by what is given
			if err := v.apply(m, &p); err != nil {
				return nil, err
			}
			list = append(list, p)
		}
	}
	return list, nil
}

// add adds policies, all or none, and tells which were there and equal.
func (m *manager) add(c *cli.Context, policies []lb.Policy) (added, same []lb.Policy, err error) {
	err = m.Change(c, func(setup *lb.Setup) error {
		added, same = nil, nil
		for _, p := range policies {
			is, changed, err := setup.Add(p, m.Servers)
			if err != nil {
				return err
			}
			*setup = is
			if changed {
				added = append(added, p)
			} else {
				same = append(same, p)
			}
		}
		return nil
	})
	return added, same, err
}

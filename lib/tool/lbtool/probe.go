package lbtool

import (
	"slices"
	"sync"

	"iwx/lib/cli"
	"iwx/lib/fault"
	"iwx/lib/health"
	"iwx/lib/lb"
	"iwx/lib/panics"
	"iwx/lib/tool/lbdaemon"
)

type probeVerb struct {
	cli.Output
	What []string `arg:"" optional:"" complete:"probe" help:"Only these servers and services."`
}

// Examples implements cli.Exampled.
func (*probeVerb) Examples() string {
	return `iwx-lb probe
iwx-lb probe web2
iwx-lb probe web2 imap imaps`
}

// probed is a server's service, and what came of looking at it.
type probed struct {
	health.Target
	policy *lb.Policy
	server string
	health.Result
}

// Run looks at every service on every server once, at the same time, and changes
// nothing. The exit code is 3 when one does not answer as it should.
func (v *probeVerb) Run(c *cli.Context) error {
	m, err := open(c)
	if err != nil {
		return err
	}
	defer m.Close()
	list, err := v.choose(c, m)
	if err != nil {
		return err
	}
	probe(c, list)
	if len(list) == 0 && v.Human() {
		c.Notef("there is nothing to probe: iwx-lb list")
	}
	if err := probeTable().Write(c, v.Output, list); err != nil {
		return err
	}
	if slices.ContainsFunc(list, func(p probed) bool { return !p.Word.Up() }) {
		return cli.Exit(fault.Unhealthy)
	}
	return nil
}

// choose returns what is to be looked at: the services on the servers that were
// named, or all.
func (v *probeVerb) choose(c *cli.Context, m *manager) ([]probed, error) {
	ids, ports, err := v.split(m)
	if err != nil {
		return nil, err
	}
	servers, err := lbdaemon.Look(c, m.Server, c.Now)
	if err != nil {
		return nil, err
	}
	var list []probed
	for i := range m.Policies {
		p := &m.Policies[i]
		if ports != nil && !slices.Contains(ports, p.Port) {
			continue
		}
		one := m.Setup
		one.Policies = m.Policies[i : i+1]
		for _, target := range lb.Targets(one, servers) {
			if ids == nil || slices.Contains(ids, target.Host) {
				list = append(list, probed{Target: target, policy: p, server: m.Name(target.Host)})
			}
		}
	}
	return list, nil
}

// split tells the names of servers from those of services.
func (v *probeVerb) split(m *manager) (ids []string, ports []uint16, err error) {
	for _, word := range v.What {
		if id, err := m.Find(word); err == nil {
			ids = append(ids, id)
			continue
		}
		services, err := servicesOf([]string{word})
		if err != nil {
			return nil, nil, fault.Hint(fault.New(fault.Failed, "%q is neither a server nor a service", word), "iwx-lb status")
		}
		for _, s := range services {
			ports = append(ports, s.Port)
		}
	}
	return ids, ports, nil
}

// probe looks at all of them at the same time.
func probe(c *cli.Context, list []probed) {
	prober := &health.Prober{Now: c.Now}
	var all sync.WaitGroup
	for i := range list {
		all.Go(func() {
			err := panics.Catch(func() error { list[i].Result = prober.Probe(c, list[i].Target); return nil })
			if err != nil {
				list[i].Result = health.Result{Word: health.Unasked, Reason: err.Error(), At: c.Now()}
			}
		})
	}
	all.Wait()
}

func probeTable() cli.Table[probed] {
	return cli.Table[probed]{Singular: "probe", Plural: "probes", Columns: []cli.Column[probed]{
		{Name: "service", Value: func(p probed) any { return p.policy.Name() }},
		{Name: "vip", Value: func(p probed) any { return p.policy.VIP.String() }},
		{Name: "server", Value: func(p probed) any { return p.server }},
		{Name: "address", Value: func(p probed) any { return p.Addr.String() }},
		{Name: "result", Value: func(p probed) any { return p.mark() }},
		{Name: "took", Value: func(p probed) any { return p.Took }, Spare: true},
		{Name: "error", Value: func(p probed) any { return p.Reason }, Fold: true, Rare: true},
	}}
}

// mark is the result's word, coloured.
func (p probed) mark() cli.Mark {
	switch {
	case p.Word == health.Good:
		return cli.Mark{Text: string(p.Word), Level: cli.Good}
	case p.Word.Up():
		return cli.Mark{Text: string(p.Word), Level: cli.Warn}
	}
	return cli.Mark{Text: string(p.Word), Level: cli.Bad}
}

package lbtool

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"iwx/lib/cli"
	"iwx/lib/lb"
)

// table is all there is to know of a policy.
func (m *manager) table() cli.Table[lb.Policy] {
	columns := []cli.Column[lb.Policy]{
		{Name: "service", Value: func(p lb.Policy) any { return p.Name() }},
		{Name: "vip", Value: func(p lb.Policy) any { return p.VIP.String() }},
		{Name: "port", Value: func(p lb.Policy) any { return p.Port }},
		{Name: "scheduler", Value: func(p lb.Policy) any { return p.Scheduler }},
		{Name: "persistence", Value: func(p lb.Policy) any { return p.Persistence }},
		{Name: "forwarding", Value: func(p lb.Policy) any { return m.forwarding(&p) }},
		{Name: "server_port", Value: otherPort, Rare: true},
		{Name: "weights", Value: func(p lb.Policy) any { return m.weights(&p) }, Fold: true, Rare: true},
		{Name: "only", Value: func(p lb.Policy) any { return m.only(&p) }, Fold: true, Rare: true},
		{Name: "fallback", Value: func(p lb.Policy) any { return string(p.Fallback) }},
		{Name: "servers", Value: func(p lb.Policy) any { return m.serverNames(&p) }, Detail: true},
		{Name: "proxy_protocol", Value: func(p lb.Policy) any { return p.Check.Proxy }, Detail: true},
	}
	return cli.Table[lb.Policy]{Singular: "policy", Plural: "policies", Columns: append(columns, checkColumns()...)}
}

func checkColumns() []cli.Column[lb.Policy] {
	return []cli.Column[lb.Policy]{
		{Name: "check", Value: func(p lb.Policy) any { return string(p.Check.Level) }},
		{Name: "check_host", Value: func(p lb.Policy) any { return p.Check.Host }, Detail: true},
		{Name: "check_path", Value: func(p lb.Policy) any { return p.Check.Path }, Detail: true},
		{Name: "check_status", Value: func(p lb.Policy) any { return p.Check.Status }, Detail: true},
		{Name: "interval", Value: func(p lb.Policy) any { return p.Check.Interval }, Spare: true},
		{Name: "connect_timeout", Value: func(p lb.Policy) any { return p.Check.Connect }, Detail: true},
		{Name: "timeout", Value: func(p lb.Policy) any { return p.Check.Timeout }, Detail: true},
		{Name: "fall", Value: func(p lb.Policy) any { return p.Check.Fall }, Detail: true},
		{Name: "rise", Value: func(p lb.Policy) any { return p.Check.Rise }, Detail: true},
		{Name: "slow_start", Value: func(p lb.Policy) any { return max(p.Check.Slow, 0) }, Detail: true},
	}
}

// forwarding is the one in force: the policy's, or else the engine's own.
func (m *manager) forwarding(p *lb.Policy) string {
	ability, _ := lb.AbilityOf(m.Engine)
	return cmp.Or(append([]string{string(p.Forwarding)}, forwardings(ability)...)...)
}

// otherPort is the servers' port where it is not the clients'.
func otherPort(p lb.Policy) any {
	if p.ServerPort == p.Port {
		return nil
	}
	return p.ServerPort
}

// weights are those that were given, "web1=50", by name.
func (m *manager) weights(p *lb.Policy) (list []string) {
	for id, weight := range p.Weights {
		list = append(list, fmt.Sprintf("%s=%d", m.Name(id), weight))
	}
	slices.Sort(list)
	return list
}

// only are the names of a policy's choice of servers; nil for all.
func (m *manager) only(p *lb.Policy) (list []string) {
	for _, id := range p.Only {
		list = append(list, m.Name(id))
	}
	slices.SortFunc(list, strings.Compare)
	return list
}

// serverNames are the servers of a policy, each with its weight.
func (m *manager) serverNames(p *lb.Policy) (list []string) {
	for _, s := range m.Servers {
		weight, given := p.Weights[s.ID]
		if !given {
			weight = lb.DefaultWeight
		}
		if len(p.Only) == 0 || slices.Contains(p.Only, s.ID) {
			list = append(list, fmt.Sprintf("%s=%d", s.Name, weight))
		}
	}
	return list
}

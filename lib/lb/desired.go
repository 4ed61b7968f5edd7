package lb

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"time"

	"iwx/lib/health"
)

// View is all that Desired goes by, at one moment.
type View struct {
	Setup    Setup
	Servers  []Server                  // by name
	Verdicts map[string]health.Verdict // by TargetID; of one that is missing nothing is known
	Actual   Table                     // what the engine has: servers of which nothing is known stay as they are
	Now      time.Time
}

// Desired returns what the engine is to have, and how every policy is doing. It
// is a pure function.
//
// A server takes traffic while its verdict is good. A hard failure takes it
// out; soft ones take out the half of a pool at most, those that fail for
// longest, since a check that is wrong everywhere is more likely than a cluster
// that is. One that is drained keeps weight 0, and its connections for as long
// as it can answer them. When nobody is left to take a
// new connection, the policy's fallback is in force. Stopped, the manager
// alone has everything; with an external balancer the engine has nothing.
func (v *View) Desired() (Table, []ServiceReport) {
	table := Table{}
	reports := make([]ServiceReport, 0, len(v.Setup.Policies))
	ability, _ := AbilityOf(v.Setup.Engine)
	for i := range v.Setup.Policies {
		p := &v.Setup.Policies[i]
		pool := v.pool(p, ability.forwarding(p))
		pool.keepHalf()
		servers, standby := pool.servers()
		members := pool.reports()
		if !v.Setup.External {
			table[p.Key()] = Virtual{
				Name: p.String(), Scheduler: p.Scheduler, Persistence: p.Persistence,
				Forwarding: pool.forwarding, Proxy: p.Check.Proxy, HTTP: p.Check.Kind == health.HTTP, Servers: servers,
			}
			for j := range members {
				m := &members[j]
				m.Pending = v.Actual != nil && m.Weight == 0 && servers[m.Addr].Weight > 0
			}
		}
		reports = append(reports, ServiceReport{Policy: *p, Members: members, Standby: string(standby)})
	}
	return table, reports
}

// pool is the servers of one policy.
type pool struct {
	view       *View
	policy     *Policy
	forwarding Forwarding
	members    []*member
}

// standing is what speaks for or against a member.
type standing int

const (
	absent standing = iota // may not be added, or not yet, or cannot be reached
	hard                   // it failed, and nothing keeps it in
	soft                   // it fails, and may be kept
	good
)

// member is one server in a pool.
type member struct {
	*Server
	at       way
	others   []way // that are not used
	verdict  health.Verdict
	standing standing
	unready  string
	draining bool
	weight   int  // 0: takes no new connection
	kept     bool // soft, and stays
	had      Real // that the engine has
	in       bool // had is of use
}

func (v *View) pool(p *Policy, f Forwarding) *pool {
	all := &pool{view: v, policy: p, forwarding: f}
	for _, s := range p.members(v.Servers) {
		all.members = append(all.members, v.member(p, f, s))
	}
	return all
}

func (v *View) member(p *Policy, f Forwarding, s *Server) *member {
	m := &member{Server: s, unready: cmp.Or(s.Unfit, s.Unready)}
	ways := s.ways(p, f)
	if len(ways) == 0 {
		m.unready = "it has no address of the family of " + p.VIP.String()
		return m
	}
	i := v.choose(p, s, ways)
	m.at, m.others = ways[i], slices.Delete(slices.Clone(ways), i, i+1)
	m.verdict = v.verdict(p, s, m.at)
	m.had, m.in = v.Actual[p.Key()].Servers[m.at.addr]
	m.standing = m.judge()
	m.draining = v.Setup.drains(p, s.ID)
	if !m.draining {
		m.weight = p.weight(s.ID)
	}
	return m
}

// choose returns by which way the server is reached: the first that works; before
// anything is known, the one that the engine has; else the last.
func (v *View) choose(p *Policy, s *Server, ways []way) int {
	known := func(w way) bool {
		state := v.verdict(p, s, w).State
		return state == health.Up || state == health.Starting
	}
	kept := func(w way) bool {
		_, in := v.Actual[p.Key()].Servers[w.addr]
		return in && v.verdict(p, s, w).State == health.Unknown
	}
	for _, is := range []func(way) bool{known, kept} {
		if i := slices.IndexFunc(ways, is); i >= 0 {
			return i
		}
	}
	return len(ways) - 1
}

func (v *View) verdict(p *Policy, s *Server, w way) health.Verdict {
	verdict := v.Verdicts[TargetID(p.Key(), s.ID, w.addr)]
	verdict.State = cmp.Or(verdict.State, health.Unknown)
	return verdict
}

// judge returns what speaks for or against a member that can be reached.
func (m *member) judge() standing {
	unknown := m.verdict.State == health.Unknown
	switch {
	case !m.in && (m.Unready != "" || unknown):
		return absent
	case m.verdict.State == health.Down && m.verdict.Hard:
		return hard
	case m.verdict.State == health.Down, m.Unfit != "":
		return soft
	}
	return good
}

// keepHalf marks those that stay although they fail: of the members that could
// take new connections, soft failures take out no more than half.
func (p *pool) keepHalf() {
	var failing []*member
	able := 0
	for _, m := range p.members {
		if m.weight == 0 || m.standing < soft {
			continue
		}
		able++
		if m.standing == soft {
			failing = append(failing, m)
		}
	}
	slices.SortStableFunc(failing, func(a, b *member) int {
		switch {
		case a.barred() && !b.barred():
			return -1
		case b.barred() && !a.barred():
			return 1
		}
		return a.verdict.Since.Compare(b.verdict.Since)
	})
	for _, m := range failing[min(able/2, len(failing)):] {
		m.kept = !m.barred()
	}
}

// barred reports whether the member may not be added.
func (m *member) barred() bool { return !m.in && m.unready != "" }

// stays reports whether a member is to be in the engine.
func (m *member) stays() bool { return m.standing == good || m.kept || m.lingers() }

// lingers reports whether a member that takes no new connection stays for those
// it has, although it fails: a service that ends in good order refuses new ones
// and finishes the old. One that is dead ends them itself; only a server of which
// nothing comes back is taken out, so that they do not hang.
func (m *member) lingers() bool {
	word := m.verdict.Last.Word
	return m.in && m.weight == 0 && m.standing > absent && word != health.Silent && word != health.Unreachable
}

// servers returns what the engine is to have for the pool, and the fallback in
// force, "" for none.
func (p *pool) servers() (servers map[netip.AddrPort]Real, standby Fallback) {
	servers = map[netip.AddrPort]Real{}
	if p.view.Setup.Stopped {
		p.addManager(servers)
		return servers, ToManager
	}
	serving := false
	for _, m := range p.members {
		if m.stays() {
			servers[m.at.addr] = m.real(p.share(m))
			serving = serving || m.weight > 0
		}
	}
	if serving {
		return servers, ""
	}
	switch p.policy.Fallback {
	case ToManager:
		p.addManager(servers)
	case ToAll:
		p.addAll(servers)
	}
	return servers, p.policy.Fallback
}

// real is the member with so many percent of its weight. Whoever is to get
// anything gets something.
func (m *member) real(share int) Real {
	weight := m.weight * share / 100
	if m.weight > 0 {
		weight = max(1, weight)
	}
	return Real{Name: m.Name, Weight: weight, Local: m.Manager, Proxy: m.at.proxy}
}

// share is how much of its weight a member gets, in tens of a percent, so that
// a slow start is ten changes and not one at every look.
func (p *pool) share(m *member) int {
	if m.verdict.State != health.Starting {
		return 100
	}
	return m.verdict.Share(p.policy.Check.Slow, p.view.Now) / 10 * 10
}

// addManager has the manager answer, member of the policy or not.
func (p *pool) addManager(servers map[netip.AddrPort]Real) {
	for i := range p.view.Servers {
		s := &p.view.Servers[i]
		ways := s.ways(p.policy, p.forwarding)
		if s.Manager && len(ways) > 0 {
			w := ways[p.view.choose(p.policy, s, ways)]
			weight := cmp.Or(p.policy.weight(s.ID), DefaultWeight)
			servers[w.addr] = Real{Name: s.Name, Weight: weight, Local: true, Proxy: w.proxy}
		}
	}
}

// addAll has every server answer that nothing but its checks keeps out.
func (p *pool) addAll(servers map[netip.AddrPort]Real) {
	for _, m := range p.members {
		if m.standing > absent && !m.barred() && m.weight > 0 {
			servers[m.at.addr] = m.real(100)
		}
	}
}

func (p *pool) reports() []MemberReport {
	list := make([]MemberReport, len(p.members))
	for i, m := range p.members {
		list[i] = MemberReport{
			Server: m.ID, Name: m.Name, Addr: m.at.addr, Manager: m.Manager, Verdict: m.verdict,
			Unready: m.unready, Draining: m.draining, Kept: m.kept, In: m.in, Weight: m.had.Weight,
		}
		for _, w := range m.others {
			list[i].Others = append(list[i].Others, w.addr)
		}
	}
	return list
}

// Clone returns a table that shares nothing with this one.
func (t Table) Clone() Table {
	is := make(Table, len(t))
	for key, v := range t {
		v.Servers = maps.Clone(v.Servers)
		is[key] = v
	}
	return is
}

package lb

import (
	"cmp"
	"errors"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"time"

	"iwx/lib/fault"
)

// MaxPersistence is the longest that a client can stay with one server.
const MaxPersistence = 31 * 24 * time.Hour

// NewPolicy returns the policy of a service on a virtual address, with all that
// was not given as it is by default.
func NewPolicy(service Service, vip netip.Addr) Policy {
	p := Policy{Service: service.Name, VIP: vip, Port: service.Port, Persistence: service.Persistence}
	p.Check.Kind = service.Kind
	return p.Filled()
}

// Filled returns the policy with what has the zero value as it is by default;
// the forwarding stays open, so that the engine can be changed. Repeating it
// changes nothing.
func (p Policy) Filled() Policy {
	p.Scheduler = cmp.Or(p.Scheduler, "wlc")
	p.ServerPort = cmp.Or(p.ServerPort, p.Port)
	p.Fallback = cmp.Or(p.Fallback, ToManager)
	p.Check = p.Check.Filled()
	p.Weights = maps.Clone(p.Weights)
	maps.DeleteFunc(p.Weights, func(_ string, w int) bool { return w == DefaultWeight })
	if len(p.Weights) == 0 {
		p.Weights = nil
	}
	p.Only = slices.Sorted(slices.Values(p.Only))
	p.Only = slices.Compact(p.Only)
	return p
}

// Policy returns the policy of a virtual service, nil if there is none.
func (s *Setup) Policy(key netip.AddrPort) *Policy {
	for i := range s.Policies {
		if s.Policies[i].Key() == key {
			return &s.Policies[i]
		}
	}
	return nil
}

// HasVIP reports whether an address is one of the virtual ones.
func (s *Setup) HasVIP(addr netip.Addr) bool {
	return slices.ContainsFunc(s.VIPs, func(v VIP) bool { return v.Addr == addr })
}

// Add returns the setup with one policy more. Adding what is there and equal
// changes nothing, and changed is false. A policy that the engine cannot have,
// or another one for the same virtual service, is an error that says what to
// do instead.
func (s Setup) Add(p Policy, servers []Server) (is Setup, changed bool, err error) {
	p = p.Filled()
	if err := s.Validate(&p, servers); err != nil {
		return s, false, err
	}
	if old := s.Policy(p.Key()); old != nil {
		if reflect.DeepEqual(*old, p) {
			return s, false, nil
		}
		return s, false, fault.Hint(fault.New(fault.Failed, "%s: there is a policy for that virtual service already, with other values", old),
			"see it: iwx-lb show %[1]s --vip %[2]s\nchange it: iwx-lb edit %[1]s --vip %[2]s", old.Name(), old.VIP)
	}
	s.Policies = append(slices.Clone(s.Policies), p)
	slices.SortFunc(s.Policies, func(a, b Policy) int { return a.Key().Compare(b.Key()) })
	return s, true, nil
}

// Edit returns the setup with another policy in the place of the one for the
// same virtual service, which must be there. One that is equal changes nothing.
func (s Setup) Edit(p Policy, servers []Server) (is Setup, changed bool, err error) {
	p = p.Filled()
	old := s.Policy(p.Key())
	if old == nil {
		return s, false, noPolicy(&p)
	}
	if err := s.Validate(&p, servers); err != nil {
		return s, false, err
	}
	if reflect.DeepEqual(*old, p) {
		return s, false, nil
	}
	s.Policies = slices.Clone(s.Policies)
	*s.Policy(p.Key()) = p
	return s, true, nil
}

// Delete returns the setup without the policy of a virtual service.
func (s Setup) Delete(key netip.AddrPort) (is Setup, changed bool) {
	was := len(s.Policies)
	s.Policies = slices.DeleteFunc(slices.Clone(s.Policies), func(p Policy) bool { return p.Key() == key })
	return s, len(s.Policies) < was
}

func noPolicy(p *Policy) error {
	return fault.Hint(fault.New(fault.Failed, "%s: there is no such policy", p),
		"see those there are: iwx-lb list\nadd it: iwx-lb add %s --vip %s", p.Name(), p.VIP)
}

// UseEngine returns the setup with another engine, if that can have every
// policy; if not, the error names each that it cannot.
func (s Setup) UseEngine(name string) (is Setup, changed bool, err error) {
	ability, err := AbilityOf(name)
	if err != nil {
		return s, false, err
	}
	var faults []error
	for i := range s.Policies {
		p := &s.Policies[i]
		faults = append(faults, ability.validate(p, s.command(p)))
	}
	if err := errors.Join(faults...); err != nil {
		return s, false, err
	}
	changed = s.Engine != name
	s.Engine = name
	return s, changed, nil
}

// Validate reports what is wrong with a filled policy: with its values, for the
// engine, among the virtual addresses and the servers there are. Every fault is
// named, and the hint is for the first.
func (s *Setup) Validate(p *Policy, servers []Server) error {
	ability, err := AbilityOf(s.Engine)
	if err != nil {
		return err
	}
	command := s.command(p)
	return errors.Join(
		s.validVIP(p),
		validValues(p, command),
		ability.validate(p, command),
		validWeights(p, command, servers),
		validOnly(p, servers),
		validCheck(p),
	)
}

// command is what makes the policy another one, to be followed by flags.
func (s *Setup) command(p *Policy) string {
	verb := "edit"
	if s.Policy(p.Key()) == nil {
		verb = "add"
	}
	return "iwx-lb " + verb + " " + p.Name() + " --vip " + p.VIP.String()
}

func (s *Setup) validVIP(p *Policy) error {
	if s.HasVIP(p.VIP) {
		return nil
	}
	return fault.Hint(fault.New(fault.Usage, "%s: %s is not one of the virtual IPs", p, p.VIP), "iwx-lb vip add %s", p.VIP)
}

func validValues(p *Policy, command string) error {
	switch {
	case p.Port == 0 || p.ServerPort == 0:
		return fault.New(fault.Usage, "%s: port 0 is none", p)
	case !known(p.Service):
		return fault.New(fault.Usage, "%s: service %q has no port of its own", p, p.Service)
	case p.Persistence < 0 || p.Persistence > MaxPersistence || p.Persistence%time.Second != 0:
		return fault.Hint(fault.New(fault.Usage, "%s: persistence %v is not whole seconds from 0s to %v", p, p.Persistence, MaxPersistence),
			"%s --persistence 300s", command)
	case p.Fallback != ToManager && p.Fallback != ToAll && p.Fallback != ToNone:
		return fault.Hint(fault.New(fault.Usage, "%s: fallback %q is unknown", p, p.Fallback), "%s --fallback manager, all or reject", command)
	}
	return nil
}

// validate reports what the engine cannot have of a policy.
func (a *Ability) validate(p *Policy, command string) error {
	forwarding := a.forwarding(p)
	switch {
	case !slices.Contains(a.Schedulers, p.Scheduler):
		return fault.Hint(fault.New(fault.Usage, "%[1]s: %[3]s does not support scheduler %[2]q, only %[4]s", p, p.Scheduler, a.Engine, phrase(a.Schedulers)),
			"%s --scheduler %s", command, a.Schedulers[0])
	case !a.hasForwarding(p.Forwarding):
		return fault.Hint(fault.New(fault.Usage, "%[1]s: %[3]s does not support forwarding %[2]q, only %[4]s", p, p.Forwarding, a.Engine, phrase(words(a.Forwardings))),
			"%s --forwarding %s", command, a.Forwardings[0])
	case p.ServerPort != p.Port && !forwarding.Moves():
		return fault.Hint(fault.New(fault.Usage, "%s: server port %d differs from %d, which forwarding %s cannot do", p, p.ServerPort, p.Port, forwarding),
			"%s --server-port %d", command, p.Port)
	case p.Check.Proxy && forwarding != Proxy:
		return fault.Hint(fault.New(fault.Usage, "%s: forwarding %s sends no PROXY header, which its check would", p, forwarding),
			"leave --proxy-protocol away, or change the engine: iwx-lb engine haproxy")
	}
	return nil
}

func words[T ~string](list []T) []string {
	text := make([]string, len(list))
	for i, w := range list {
		text[i] = string(w)
	}
	return text
}

func validWeights(p *Policy, command string, servers []Server) error {
	for _, id := range slices.Sorted(maps.Keys(p.Weights)) {
		weight := p.Weights[id]
		name, known := nameOf(id, servers)
		switch {
		case !known:
			return noServer(p, id, "--weight", servers)
		case weight < 0 || weight > MaxWeight:
			return fault.Hint(fault.New(fault.Usage, "%s: weight %d of %s is out of range 0..%d", p, weight, name, MaxWeight),
				"%s --weight %s=%d", command, name, DefaultWeight)
		case len(p.Only) > 0 && !slices.Contains(p.Only, id):
			return fault.Hint(fault.New(fault.Usage, "%s: %s has a weight, and is not among its servers", p, name),
				"%s --weight %s=%d", command, name, DefaultWeight)
		}
	}
	return nil
}

func validOnly(p *Policy, servers []Server) error {
	for _, id := range p.Only {
		if _, known := nameOf(id, servers); !known {
			return noServer(p, id, "--only", servers)
		}
	}
	return nil
}

func noServer(p *Policy, id, flag string, servers []Server) error {
	var names []string
	for i := range servers {
		names = append(names, servers[i].Name)
	}
	return fault.Hint(fault.New(fault.Usage, "%s: %s %s is not a server of this cluster", p, flag, id), "its servers are %s", phrase(names))
}

func nameOf(id string, servers []Server) (string, bool) {
	for i := range servers {
		if servers[i].ID == id {
			return servers[i].Name, true
		}
	}
	return "", false
}

func validCheck(p *Policy) error {
	if err := p.Check.Validate(); err != nil {
		return fault.New(fault.Usage, "%s: %w", p, err)
	}
	return nil
}

package lbtool

import (
	"net/netip"
	"slices"
	"strings"

	"iwx/lib/cli"
	"iwx/lib/fault"
	"iwx/lib/lb"
)

// servicesOf returns the services that words name: "http", "8080", or a group,
// each once.
func servicesOf(words []string) ([]lb.Service, error) {
	var list []lb.Service
	for _, word := range words {
		services := lb.Group(word)
		if services == nil {
			one, err := lb.Lookup(word)
			if err != nil {
				return nil, err
			}
			services = []lb.Service{one}
		}
		for _, s := range services {
			if !slices.ContainsFunc(list, func(t lb.Service) bool { return t.Port == s.Port }) {
				list = append(list, s)
			}
		}
	}
	return list, nil
}

// vipsFor returns the virtual IPs that --vip means: the one that was given, else
// the only one there is of each family.
func (m *manager) vipsFor(given string) ([]netip.Addr, error) {
	if given != "" {
		addr, err := parseVIP(given)
		if err == nil && !m.holds(addr) {
			err = fault.Hint(fault.New(fault.Failed, "there is no virtual IP %s", addr), "iwx-lb vip add %[1]s", addr)
		}
		return []netip.Addr{addr}, err
	}
	var all []netip.Addr
	for _, v := range m.VIPs {
		all = append(all, v.Addr)
	}
	if len(all) == 0 {
		return nil, fault.Hint(fault.New(fault.Failed, "there is no virtual IP yet"), "iwx-lb vip add IP")
	}
	return all, oneOfEach(all, "virtual IP")
}

// oneOfEach refuses to choose between addresses of the same family.
func oneOfEach(addrs []netip.Addr, what string) error {
	var texts []string
	families := map[bool]int{}
	for _, a := range addrs {
		texts = append(texts, a.String())
		families[a.Is4()]++
	}
	if families[true] < 2 && families[false] < 2 {
		return nil
	}
	return fault.Hint(fault.New(fault.Usage, "there is more than one %s: %s", what, strings.Join(texts, ", ")), "add --vip %s", texts[0])
}

// chosen returns the policies that words and --vip mean. Of a group it is those
// there are; a service without a policy is an error, exit code 1.
func (m *manager) chosen(words []string, vip string) ([]lb.Policy, error) {
	var list []lb.Policy
	for _, word := range words {
		services, err := servicesOf([]string{word})
		if err != nil {
			return nil, err
		}
		found, err := m.policiesFor(services, vip)
		if err != nil {
			return nil, err
		}
		if found == nil {
			return nil, noPolicy(word, vip)
		}
		list = append(list, found...)
	}
	return list, nil
}

func noPolicy(word, vip string) error {
	if vip != "" {
		word += " on " + vip
	}
	return fault.Hint(fault.New(fault.Failed, "there is no policy for %s", word), "see those there are: iwx-lb list")
}

func (m *manager) policiesFor(services []lb.Service, vip string) ([]lb.Policy, error) {
	only, err := parseOnly(vip)
	if err != nil {
		return nil, err
	}
	var list []lb.Policy
	for _, s := range services {
		var at []netip.Addr
		for _, p := range m.Policies {
			if p.Port == s.Port && (vip == "" || p.VIP == only) {
				list, at = append(list, p), append(at, p.VIP)
			}
		}
		if err := oneOfEach(at, "policy for "+s.Name); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// phrase names policies in a sentence: "http, https on 192.0.2.80".
func phrase(policies []lb.Policy) string {
	var parts []string
	byVIP := map[netip.Addr][]string{}
	for i := range policies {
		p := &policies[i]
		byVIP[p.VIP] = append(byVIP[p.VIP], p.Name())
	}
	for i := range policies {
		if names := byVIP[policies[i].VIP]; names != nil {
			parts = append(parts, cli.Some(names, 10)+" on "+policies[i].VIP.String())
			delete(byVIP, policies[i].VIP)
		}
	}
	return strings.Join(parts, "; ")
}

// balanced are the names of those services that have a policy somewhere.
func (m *manager) balanced(services []lb.Service) (names []string) {
	for i := range m.Policies {
		p := &m.Policies[i]
		meant := slices.ContainsFunc(services, func(s lb.Service) bool { return s.Port == p.Port })
		if meant && !slices.Contains(names, p.Name()) {
			names = append(names, p.Name())
		}
	}
	return names
}

// parseOnly reads --vip where it narrows what is shown; the zero address is all.
func parseOnly(text string) (netip.Addr, error) {
	if text == "" {
		return netip.Addr{}, nil
	}
	return parseVIP(text)
}

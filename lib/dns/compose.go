package dns

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
)

// Compose returns all that is in the zone but its SOA: what it has by itself, and
// what the administrator has changed. The apex comes first, then the names in
// their order.
func (z *Zone) Compose(s *Surroundings) ([]Set, error) {
	own := map[Key]bool{}
	named, alias := map[string]bool{}, map[string]bool{} // names with data of the administrator's
	for i := range z.Sets {
		set := &z.Sets[i]
		own[set.Key()] = true
		if len(set.Data) > 0 {
			named[set.Name] = true
			alias[set.Name] = alias[set.Name] || set.Type == "CNAME" && set.Name != Apex
		}
	}
	list, err := z.natural(s)
	if err != nil {
		return nil, err
	}
	// What is the administrator's stands alone where a CNAME would have to.
	list = slices.DeleteFunc(list, func(set Set) bool {
		return own[set.Key()] || alias[set.Name] || set.Type == "CNAME" && named[set.Name]
	})
	for _, set := range z.Sets {
		if len(set.Data) > 0 {
			set.Own = true
			list = append(list, set)
		}
	}
	slices.SortFunc(list, compareSets)
	return list, nil
}

func compareSets(a, b Set) int {
	return cmp.Or(cmp.Compare(place(a.Name), place(b.Name)), cmp.Compare(rank(a.Type), rank(b.Type)), cmp.Compare(a.Type, b.Type))
}

// place sorts names as RFC 4034 §6.1 does, label by label from the right.
func place(name string) string {
	if name == Apex {
		return ""
	}
	labels := strings.Split(name, ".")
	slices.Reverse(labels)
	return strings.Join(labels, "\x00")
}

func rank(kind string) int {
	if i := slices.Index([]string{"NS", "A", "AAAA"}, kind); i >= 0 {
		return i
	}
	return 3
}

// natural is what the zone has by itself.
func (z *Zone) natural(s *Surroundings) ([]Set, error) {
	list := &sets{}
	list.nameServers(Apex, z.Name, s)
	for _, cut := range z.Cuts {
		list.nameServers(cut, cut+"."+z.Name, s)
	}
	if !z.Alone {
		made, err := fromTemplate(z.Name, s)
		if err != nil {
			return nil, err
		}
		list.list = append(list.list, slices.DeleteFunc(made, func(set Set) bool {
			return list.has(set.Key()) || z.beyond(set.Name)
		})...)
	}
	for _, host := range z.Hosts {
		// Other records of the administrator, such as TXT, do not say where the site
		// is.
		leads := func(set Set) bool {
			return set.Name == host && (set.Type == "A" || set.Type == "AAAA" || set.Type == "CNAME")
		}
		if !slices.ContainsFunc(list.list, leads) && !slices.ContainsFunc(z.Sets, leads) {
			list.addresses(host, s.Web)
		}
	}
	return list.list, nil
}

// beyond reports whether a name lies in a zone beneath this one.
func (z *Zone) beyond(name string) bool {
	return slices.ContainsFunc(z.Cuts, func(cut string) bool { return name == cut || strings.HasSuffix(name, "."+cut) })
}

// sets are collected.
type sets struct{ list []Set }

func (l *sets) has(key Key) bool {
	return slices.ContainsFunc(l.list, func(s Set) bool { return s.Key() == key })
}

// nameServers adds the NS records of a zone, at that name, with their glue.
func (l *sets) nameServers(name, zone string, s *Surroundings) {
	set := Set{Name: name, Type: "NS", TTL: DefaultTTL}
	for _, n := range s.Nameservers {
		set.Data = append(set.Data, n+".")
	}
	if len(set.Data) == 0 {
		for _, server := range s.Servers {
			if host := "ns-" + label(server.Name); len(server.Addrs) > 0 {
				set.Data = append(set.Data, host+"."+zone+".")
				l.addresses(under(host, name), server.Addrs)
			}
		}
	}
	if len(set.Data) > 0 {
		l.list = append(l.list, set)
	}
}

// label makes one label of a server's name, which may have dots.
func label(name string) string {
	return strings.NewReplacer(".", "-", "_", "-").Replace(strings.ToLower(name))
}

// under is a name beneath another of the same zone.
func under(name, parent string) string {
	if parent == Apex {
		return name
	}
	return name + "." + parent
}

// addresses adds the A and AAAA records of a name.
func (l *sets) addresses(name string, addrs []netip.Addr) {
	for _, kind := range []string{"A", "AAAA"} {
		set := Set{Name: name, Type: kind, TTL: DefaultTTL}
		for _, addr := range addrs {
			if addressType(addr) == kind {
				set.Data = append(set.Data, addr.Unmap().String())
			}
		}
		if len(set.Data) > 0 {
			l.list = append(l.list, set)
		}
	}
}

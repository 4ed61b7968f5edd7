package dns

import (
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// Doubts returns warnings about a change that is valid and mostly a mistake: a CNAME
// to a name that is not in the zone, and a site's name that no longer leads to where
// sites are served. before holds the zone's sets before the change.
func (z *Zone) Doubts(s *Surroundings, before []Set) (list []string, err error) {
	after, err := z.Compose(s)
	if err != nil {
		return nil, err
	}
	c := contentsOf(z.Name, after)
	known := contentsOf(z.Name, before).dangling(before)
	list = slices.DeleteFunc(c.dangling(after), func(doubt string) bool { return slices.Contains(known, doubt) })
	for _, was := range before {
		if was.Own || was.Type != "A" && was.Type != "AAAA" || !slices.Contains(z.Hosts, was.Name) {
			continue
		}
		now := c.at[was.Name][was.Type]
		kept := func(data string) bool { return now != nil && slices.Contains(now.Data, data) }
		if !slices.ContainsFunc(was.Data, kept) {
			list = append(list, fmt.Sprintf("%s is a name of a site, and its %s record of the cluster, %s, is replaced",
				whole(was.Name, z.Name), was.Type, strings.Join(was.Data, " ")))
		}
	}
	return list, nil
}

// dangling returns warnings about aliases to names in the zone that have no
// records.
func (c *contents) dangling(sets []Set) (list []string) {
	for i := range sets {
		s := &sets[i]
		if s.Type != "CNAME" && s.Type != "DNAME" || len(s.Data) == 0 {
			continue
		}
		target := strings.ToLower(s.Data[0]) // at most one
		if !dns.IsSubDomain(c.zone+".", target) {
			continue
		}
		name, err := ParseName(c.zone, target)
		if err == nil && c.find(name) == nil && !c.delegated(name) && !c.above(name) {
			list = append(list, fmt.Sprintf("%s is a %s of %s, which is not in the zone", whole(s.Name, c.zone), s.Type, strings.TrimSuffix(target, ".")))
		}
	}
	return list
}

// above reports whether a name below this one exists: this one then exists too,
// without records (RFC 4592 §2.2.2, an empty non-terminal).
func (c *contents) above(name string) bool {
	for other := range c.at {
		if strings.HasSuffix(other, "."+name) {
			return true
		}
	}
	return false
}

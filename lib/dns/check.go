package dns

import (
	"strings"

	"github.com/miekg/dns"

	"iwx/lib/fault"
)

// contents are the sets of a zone by name and type.
type contents struct {
	zone string
	at   map[string]map[string]*Set
}

func contentsOf(zone string, list []Set) *contents {
	c := &contents{zone: zone, at: map[string]map[string]*Set{}}
	for i := range list {
		s := &list[i]
		if c.at[s.Name] == nil {
			c.at[s.Name] = map[string]*Set{}
		}
		c.at[s.Name][s.Type] = s
	}
	return c
}

// check returns an error for what makes a zone invalid.
func check(zone string, list []Set) error {
	c := contentsOf(zone, list)
	if c.at[Apex]["NS"] == nil {
		return fault.Hint(fault.New(fault.Failed, "zone %s has no name server", zone), "set dns.nameservers in iwx.toml")
	}
	for i := range list {
		if err := c.checkSet(&list[i]); err != nil {
			return err
		}
	}
	return nil
}

func (c *contents) checkSet(s *Set) error {
	where := whole(s.Name, c.zone)
	switch {
	case s.Type == "CNAME" && s.Name == Apex:
		return fault.Hint(fault.New(fault.Usage, "%s is a zone itself and cannot be a CNAME", where), "give it A and AAAA records")
	case s.Type == "CNAME" && len(c.at[s.Name]) > 1:
		return fault.Hint(fault.New(fault.Usage, "%s has a CNAME and other records: a CNAME stands alone", where), "iwx-site dns list %s", c.zone) // RFC 1034 §3.6.2
	case (s.Type == "CNAME" || s.Type == "DNAME") && len(s.Data) > 1:
		return fault.New(fault.Usage, "%s has %d %s records: there can be one", where, len(s.Data), s.Type)
	}
	for _, data := range s.Data {
		if err := c.checkTarget(s, data); err != nil {
			return err
		}
	}
	return nil
}

// checkTarget wants the host that a record names, if it is in the zone, to be
// there with an address and under its own name: RFC 2181 §10.3.
func (c *contents) checkTarget(s *Set, data string) error {
	if s.Type != "MX" && s.Type != "NS" && s.Type != "SRV" {
		return nil
	}
	target := strings.ToLower(data[strings.LastIndexByte(data, ' ')+1:])
	if !dns.IsSubDomain(c.zone+".", target) {
		return nil
	}
	name, err := ParseName(c.zone, target)
	if err != nil {
		return err
	}
	at := c.find(name)
	what := whole(s.Name, c.zone) + " " + s.Type
	switch {
	case at["CNAME"] != nil:
		return fault.Hint(fault.New(fault.Usage, "%s names %s, which is a CNAME", what, target), "name the host that the CNAME stands for")
	case at["A"] == nil && at["AAAA"] == nil && !c.delegated(name):
		return fault.Hint(fault.New(fault.Usage, "%s names %s, which has no address", what, target), "iwx-site dns add %s %s A ADDRESS", c.zone, name)
	}
	return nil
}

// find returns what is at a name, or at the wildcard for it: RFC 4592.
func (c *contents) find(name string) map[string]*Set {
	if at := c.at[name]; at != nil || name == Apex {
		return at
	}
	for rest := above(name); ; rest = above(rest) {
		if rest == "" {
			return c.at["*"]
		}
		if at := c.at["*."+rest]; at != nil {
			return at
		}
	}
}

// delegated reports whether a name lies in a zone beneath this one.
func (c *contents) delegated(name string) bool {
	for rest := above(name); rest != ""; rest = above(rest) {
		if c.at[rest]["NS"] != nil {
			return true
		}
	}
	return false
}

// whole is a name with its zone.
func whole(name, zone string) string {
	if name == Apex {
		return zone
	}
	return name + "." + zone
}

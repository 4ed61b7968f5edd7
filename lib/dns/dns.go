// Package dns is the cluster's zones: which there are, what is in them by
// itself, what the administrator has changed, whether it is valid, and the zone
// file of it (RFC 1035 §5). It is the rules alone: package bind serves zones,
// and keeps their serials.
//
// A site's zone follows the cluster: its name servers are the manager and the
// nodes, and its addresses the virtual IPs. An RRset (RFC 2181 §5) that the
// administrator has changed follows no longer, the others still do.
package dns

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
)

// DefaultTTL is that of records that were given none, in seconds: addresses follow
// the cluster.
const DefaultTTL = 300

// Apex is the name of a zone's own records, as in zone files.
const Apex = "@"

// Set is an RRset: the records of one name and one type, which have one TTL.
type Set struct {
	Name string   `json:"name"` // relative to the zone, lower case, A-labels; "@", "www", "*.dev"
	Type string   `json:"type"` // "A", "MX"
	TTL  uint32   `json:"ttl"`  // seconds
	Data []string `json:"data"` // as in zone files, names with a final dot: "10 mail.example.org."
	Own  bool     `json:"-"`    // it is the administrator's
}

// Key is what there is one Set of in a zone.
type Key struct{ Name, Type string }

// Key returns the set's name and type.
func (s *Set) Key() Key { return Key{s.Name, s.Type} }

// Zone is a zone, as it is kept.
type Zone struct {
	Name  string `json:"name"`            // A-labels, lower case, no final dot
	Alone bool   `json:"alone,omitempty"` // no site's: by itself it has its SOA and name servers alone
	Sets  []Set  `json:"sets,omitempty"`  // the administrator's; one without Data takes away what there is by itself

	Hosts []string `json:"-"` // names of sites in the zone, relative to it
	Cuts  []string `json:"-"` // the zones of ours beneath it, relative to it
}

// Host is a name server of the cluster.
type Host struct {
	Name  string // in the cluster: "web1"
	Addrs []netip.Addr
}

// Surroundings are what zones are made from.
type Surroundings struct {
	Servers     []Host       // the manager first; each has a name in each zone, with glue
	Nameservers []string     // names that zones give as their name servers instead
	Hostmaster  string       // mail address; "" is hostmaster in each zone
	Web         []netip.Addr // at which sites are asked for
	Mail        []netip.Addr // at which mail is taken
	Template    string       // of a site's zone, see Fields; "" is DefaultTemplate
}

// Needed returns the zones to serve, by name: those that are kept, and one for
// each name of a site that lies in no other. A kept zone that is neither Alone
// nor of a name of a site is not needed; nor is one among others, which somebody
// else looks after.
func Needed(names []string, kept []Zone, others []string) []Zone {
	zones := map[string]*Zone{}
	for i := range kept {
		if z := kept[i]; z.Alone || slices.Contains(names, z.Name) {
			zones[z.Name] = &z
		}
	}
	sorted := slices.Clone(names)
	slices.SortFunc(sorted, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) })
	for _, name := range sorted {
		if parent := closest(name, zones); parent == "" {
			zones[name] = &Zone{Name: name}
		} else if parent != name {
			zones[parent].Hosts = append(zones[parent].Hosts, strings.TrimSuffix(name, "."+parent))
		}
	}
	return settled(zones, others)
}

// closest is the zone that a name lies in, "" if there is none.
func closest(name string, zones map[string]*Zone) string {
	for ; name != ""; name = above(name) {
		if zones[name] != nil {
			return name
		}
	}
	return ""
}

// above is the name without its first label.
func above(name string) string {
	_, rest, _ := strings.Cut(name, ".")
	return rest
}

// settled lists zones by name, each told of those beneath it.
func settled(zones map[string]*Zone, others []string) (list []Zone) {
	for name := range zones {
		if parent := closest(above(name), zones); parent != "" {
			zones[parent].Cuts = append(zones[parent].Cuts, strings.TrimSuffix(name, "."+parent))
		}
	}
	for _, z := range zones {
		slices.Sort(z.Hosts)
		slices.Sort(z.Cuts)
		if !slices.Contains(others, z.Name) {
			list = append(list, *z)
		}
	}
	slices.SortFunc(list, func(a, b Zone) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// Package dns is the zones of sites: which there are, and what a zone holds that
// nobody has changed. It follows RFC 1035 and RFC 1912.
//
// It serves nothing, which package bind has BIND do, and keeps nothing: a zone is
// rendered from the site and from what is around it, so that addresses and name
// servers follow the cluster.
package dns

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Host is a name server of the cluster.
type Host struct {
	Name  string // in the cluster, "web1"
	Addrs []netip.Addr
}

// Surroundings are what zones say of the cluster.
type Surroundings struct {
	Servers     []Host       // the manager first; each gets a name in each zone, with glue
	Nameservers []string     // fixed names in place of theirs, without final dots
	Hostmaster  string       // mail address; "" for hostmaster in each zone
	Web         []netip.Addr // where the sites are
	Mail        []netip.Addr // where their mail is
}

// Zone is the zone of a site.
type Zone struct {
	Name  string   // A-labels, without a final dot
	Hosts []string // names beneath it that the site answers to as well, "shop" and "www"
}

// Zones returns the zones for the names of one site: a name beneath another of them
// is in that one's zone. Each zone has a www.
func Zones(names []string) (zones []Zone) {
	names = slices.Clone(names)
	slices.SortStableFunc(names, func(a, b string) int { return strings.Count(a, ".") - strings.Count(b, ".") })
	for _, name := range names {
		i := slices.IndexFunc(zones, func(z Zone) bool { return strings.HasSuffix(name, "."+z.Name) })
		if i < 0 {
			zones = append(zones, Zone{Name: name, Hosts: []string{"www"}})
			continue
		}
		host := strings.TrimSuffix(name, "."+zones[i].Name)
		if !slices.Contains(zones[i].Hosts, host) {
			zones[i].Hosts = append(zones[i].Hosts, host)
		}
	}
	for i := range zones {
		slices.Sort(zones[i].Hosts)
	}
	return zones
}

// Times of a zone, in seconds, RFC 1912 §2.2. Nodes are told of changes; refresh and
// retry are for those that were not, and for servers elsewhere.
const (
	ttl     = 300
	refresh = 900
	retry   = 120
	expire  = 14 * 24 * 3600
)

// mailHost is what the MX names.
const mailHost = "mail"

// Render returns the zone file, RFC 1035 §5, with a serial.
func (z Zone) Render(in Surroundings, serial uint32) string {
	var b strings.Builder
	servers := in.nameservers()
	fmt.Fprintf(&b, "$ORIGIN %s.\n$TTL %d\n@ SOA %s %s %d %d %d %d %d\n", z.Name, ttl, first(servers), in.hostmaster(), serial, refresh, retry, expire, ttl)
	for _, name := range servers {
		fmt.Fprintf(&b, "@ NS %s\n", name)
	}
	if len(in.Nameservers) == 0 {
		for _, s := range in.Servers {
			addresses(&b, s.label(), s.Addrs)
		}
	}
	addresses(&b, "@", in.Web)
	for _, host := range z.Hosts {
		if host != mailHost || len(in.Mail) == 0 {
			addresses(&b, host, in.Web)
		}
	}
	if len(in.Mail) > 0 {
		fmt.Fprintf(&b, "@ MX 10 %s\n", mailHost)
		addresses(&b, mailHost, in.Mail)
	}
	return b.String()
}

// nameservers are names as they stand in a zone.
func (in Surroundings) nameservers() (names []string) {
	for _, name := range in.Nameservers {
		names = append(names, name+".")
	}
	if names == nil {
		for _, s := range in.Servers {
			names = append(names, s.label())
		}
	}
	return names
}

func first(names []string) string {
	if len(names) == 0 {
		return "@"
	}
	return names[0]
}

// label is the name of a server in a zone. Names in a cluster may have dots.
func (h Host) label() string {
	return "ns-" + strings.ToLower(strings.Map(func(r rune) rune {
		if r == '.' || r == '_' {
			return '-'
		}
		return r
	}, h.Name))
}

// hostmaster is a mail address as an SOA has it: the dots before the @ are escaped,
// RFC 1035 §8.
func (in Surroundings) hostmaster() string {
	user, domain, is := strings.Cut(in.Hostmaster, "@")
	if !is {
		return "hostmaster"
	}
	return strings.ReplaceAll(user, ".", `\.`) + "." + domain + "."
}

// addresses writes the address records of a name.
func addresses(b *strings.Builder, name string, list []netip.Addr) {
	for _, addr := range list {
		kind := "A"
		if addr.Is6() && !addr.Is4In6() {
			kind = "AAAA"
		}
		fmt.Fprintf(b, "%s %s %s\n", name, kind, addr.Unmap())
	}
}

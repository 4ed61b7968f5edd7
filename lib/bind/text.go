package bind

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// heading begins each file that is made here.
const heading = "// Made by iwx, and again with each change: see iwx(7).\n"

// keyStatement is the key of the transfers. The file has to be named's alone.
func keyStatement(key string) string {
	return fmt.Sprintf("key %q {\n\talgorithm hmac-sha256;\n\tsecret %q;\n};\n", KeyName, key)
}

// servers lists addresses with the key, each ended by a semicolon.
func servers(list []netip.Addr) string {
	var b strings.Builder
	for _, addr := range list {
		fmt.Fprintf(&b, " %s key %q;", addr, KeyName)
	}
	return b.String()
}

// primaryConf is the manager's configuration. Nodes are told at once of a change
// (notify-delay is 5 seconds by itself), and none but those with the key are given
// a zone.
func (s *Server) primaryConf(p *Primary) string {
	var b strings.Builder
	b.WriteString(heading + keyStatement(p.Key))
	fmt.Fprintf(&b, "primaries %q {%s };\n", NodesName, servers(p.Secondaries))
	stanza := func(name, allowed string) {
		fmt.Fprintf(&b, "zone %q {\n\ttype primary;\n\tfile %q;\n\tallow-query { %s };\n\tallow-transfer { key %q; };\n"+
			"\tnotify explicit;\n\talso-notify { %q; };\n\tnotify-delay 0;\n};\n", name, s.zoneFile(name), allowed, KeyName, NodesName)
	}
	stanza(Catalog, confidants)
	for _, z := range p.Zones {
		stanza(z.Name, "any;")
	}
	return b.String()
}

// confidants may see the catalog, which lists everybody's domains.
const confidants = `localhost; key "iwx";`

// primaryOptions lets a batch of zones reach the nodes in seconds: by themselves
// notifies go out at 20 a second. What the administrator has set stays as it is.
func primaryOptions(o opts) string {
	return o.unless("notify-rate 500;", "transfers-out 100;")
}

// secondaryConf is a node's configuration. The bounds of a secondary's patience
// are minutes by themselves, in which a node that was off would not know of new
// zones.
func (s *Server) secondaryConf(f *Secondary) string {
	return heading + keyStatement(f.Key) + fmt.Sprintf("zone %q {\n\ttype secondary;\n\tfile %q;\n\tprimaries {%s };\n"+
		"\tallow-query { %s };\n\tallow-transfer { none; };\n\tnotify no;\n\tmin-refresh-time 10;\n\tmin-retry-time 5;\n};\n",
		Catalog, filepath.Join(s.copies, Catalog+zoneSuffix), servers(f.Primaries), confidants)
}

// secondaryOptions has named follow the catalog, and fetch a batch of zones in
// seconds: by itself it asks for 20 a second and fetches 2 at a time.
func (s *Server) secondaryOptions(f *Secondary, o opts) string {
	return o.unless(
		fmt.Sprintf("allow-notify { key %q; };", KeyName),
		"serial-query-rate 500;", "transfers-per-ns 20;", "transfers-in 50;",
	) + fmt.Sprintf("catalog-zones {\n\tzone %q default-primaries {%s } zone-directory %q min-update-interval 0;\n};\n",
		Catalog, servers(f.Primaries), s.copies)
}

// unless returns the statements that the administrator has none of.
func (o opts) unless(statements ...string) string {
	text := heading
	for _, st := range statements {
		if word, _, _ := strings.Cut(st, " "); !o.names[word] {
			text += st + "\n"
		}
	}
	return text
}

// Times of the catalog zone, in seconds, RFC 1035 §3.3.13: a node that was off
// looks within retry, and serves what it has for expire without its manager.
const (
	catalogRefresh = 60
	catalogRetry   = 10
	catalogExpire  = 60 * 24 * 3600
)

// catalogText is the catalog zone, RFC 9432 §4. Anybody may ask the nodes for its
// members, whatever their options say (BIND's own extension).
func catalogText(members []string, serial uint32) string {
	var b strings.Builder
	fmt.Fprintf(&b, "$TTL 0\n@ SOA invalid. invalid. %d %d %d %d 0\n@ NS invalid.\nversion TXT \"2\"\nallow-query.ext APL 1:0.0.0.0/0 2:0::/0\n",
		serial, catalogRefresh, catalogRetry, catalogExpire)
	for _, name := range members {
		fmt.Fprintf(&b, "%s.zones PTR %s.\n", memberID(name), name)
	}
	return b.String()
}

// memberID is a label that stays with the zone: a changed one would have the nodes
// forget the zone and fetch it again, RFC 9432 §5.6.
func memberID(name string) string {
	sum := sha1.Sum([]byte(name))
	return hex.EncodeToString(sum[:])
}

// members are the names in the catalog, sorted.
func (p *Primary) members() []string {
	list := slices.Clone(p.Others)
	for _, z := range p.Zones {
		list = append(list, z.Name)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// next returns the zone to serve: the old text if it says the same, else one with a
// serial after the old one's (RFC 1982). That of one that was lost is the time,
// which is after all there were.
func (z Zone) next(old string, now time.Time) string {
	serial := serialOf(z.Name, old)
	if old != "" && z.Text(serial) == old {
		return old
	}
	after := uint32(now.Unix())
	if old != "" && !older(serial, after) {
		after = serial + 1
	}
	return z.Text(after)
}

// catalog is the catalog zone.
func (p *Primary) catalog() Zone {
	members := p.members()
	return Zone{Catalog, func(serial uint32) string { return catalogText(members, serial) }}
}

// serialOf reads the serial of a zone's text; 0 without one.
func serialOf(zone, text string) uint32 {
	parser := dns.NewZoneParser(strings.NewReader(text), dns.Fqdn(zone), "")
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		if soa, is := rr.(*dns.SOA); is {
			return soa.Serial
		}
	}
	return 0
}

package dns

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/net/idna"

	"iwx/lib/fault"
)

// Types are those of records that a zone may have, sorted. SOA is made by
// itself, and signatures are a signer's.
func Types() []string {
	return []string{"A", "AAAA", "CAA", "CNAME", "DNAME", "DS", "HTTPS", "LOC", "MX", "NAPTR", "NS", "OPENPGPKEY", "PTR",
		"SMIMEA", "SRV", "SSHFP", "SVCB", "TLSA", "TXT", "URI"}
}

// ParseType reads a type in either case.
func ParseType(text string) (string, error) {
	kind := strings.ToUpper(text)
	switch {
	case kind == "SOA":
		return "", fault.New(fault.Usage, "the SOA record is made by itself")
	case !slices.Contains(Types(), kind):
		return "", fault.Hint(fault.New(fault.Usage, "%.50q is not a type of record that a zone may have", text), "one of %s", strings.Join(Types(), ", "))
	}
	return kind, nil
}

// hostLabel is a label of letters, digits and hyphens, or of the underscore that
// RFC 8552 has for what is no host.
var hostLabel = regexp.MustCompile(`^[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?$`)

// ParseName reads the name of a record, relative to the zone or with the zone
// at its end, in any script.
func ParseName(zone, text string) (string, error) {
	bad := func(why string) error {
		return fault.Hint(fault.New(fault.Usage, "%.300q is not a name in zone %s: %s", text, zone, why), "@ is the zone itself, www is www.%s", zone)
	}
	name, err := asciiName(strings.TrimSuffix(text, "."))
	if err != nil {
		return "", bad("it does not keep to the rules for internationalised names")
	}
	switch in := strings.TrimSuffix(name, "."+zone); {
	case name == Apex || name == zone:
		return Apex, nil
	case in != name:
		name = in
	case strings.HasSuffix(text, "."):
		return "", bad("it is outside")
	}
	for i, l := range strings.Split(name, ".") {
		if (l != "*" || i > 0) && !hostLabel.MatchString(l) {
			return "", bad(fmt.Sprintf("%q cannot be a part of it", l))
		}
	}
	if _, ok := dns.IsDomainName(name + "." + zone + "."); !ok {
		return "", bad("it is too long")
	}
	return name, nil
}

// asciiName has the labels of other scripts as A-labels, and all in lower case.
func asciiName(name string) (string, error) {
	labels := strings.Split(name, ".")
	for i, l := range labels {
		if !strings.ContainsFunc(l, func(r rune) bool { return r >= 0x80 }) {
			labels[i] = strings.ToLower(l)
			continue
		}
		ascii, err := idna.Lookup.ToASCII(l)
		if err != nil {
			return "", err
		}
		labels[i] = ascii
	}
	return strings.Join(labels, "."), nil
}

// ParseTTL reads seconds, or a duration as "1h".
func ParseTTL(text string) (uint32, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		var d time.Duration
		d, err = time.ParseDuration(text)
		n = int64(d / time.Second)
		if d%time.Second != 0 {
			n = -1
		}
	}
	if err != nil || n < 0 || n > math.MaxInt32 { // RFC 2181 §8
		return 0, fault.Hint(fault.New(fault.Usage, "TTL %.50q is not a time of 0 to %d seconds", text, math.MaxInt32), "3600 and 1h are the same")
	}
	return uint32(n), nil
}

// ParseData reads what a record holds, as people write it: a name with a dot in
// it is a whole name, one without is in the zone; a text needs no quotes, and is
// split where it is longer than DNS has strings.
func ParseData(zone, kind string, words []string) (string, error) {
	text := strings.Join(words, " ")
	bad := func(why string) error {
		return fault.Hint(fault.New(fault.Usage, "%.300q is not valid in a record of type %s: %s", text, kind, why), "as in: %s", example(kind))
	}
	if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", bad("it has a control character in it")
	}
	if strings.TrimSpace(text) == "" {
		return "", bad("it is empty")
	}
	line := text
	if kind == "TXT" && !strings.HasPrefix(text, `"`) {
		line = quote(text)
	} else if endsInName(kind) {
		var err error
		if line, err = wholeName(text); err != nil {
			return "", bad("its name does not keep to the rules for internationalised names")
		}
	}
	records, err := parse(strings.NewReader(fmt.Sprintf("@ 0 IN %s %s\n", kind, line)), zone)
	if err != nil || len(records) != 1 || dns.TypeToString[records[0].Header().Rrtype] != kind {
		return "", bad(reason(err))
	}
	return rdata(records[0]), nil
}

// reason is what the library says, without its own name and the place.
func reason(err error) string {
	if err == nil {
		return "it is not one record"
	}
	text := strings.TrimPrefix(err.Error(), "dns: ")
	text, _, _ = strings.Cut(text, " at line: ")
	return text
}

// rdata is what a record holds, as in zone files.
func rdata(rr dns.RR) string { return strings.TrimPrefix(rr.String(), rr.Header().String()) }

// endsInName reports whether the last word of a record is a name.
func endsInName(kind string) bool {
	return slices.Contains([]string{"CNAME", "DNAME", "MX", "NS", "PTR", "SRV"}, kind)
}

// wholeName has the name at the end of a record be a whole one if it has a dot.
func wholeName(text string) (string, error) {
	fields := strings.Fields(text)
	last := &fields[len(fields)-1]
	name, err := asciiName(*last)
	if strings.Contains(name, ".") && !strings.HasSuffix(name, ".") {
		name += "."
	}
	*last = name
	return strings.Join(fields, " "), err
}

// longest is how long a string in a record can be, RFC 1035 §3.3.
const longest = 255

// quote writes a text as strings of a record.
func quote(text string) string {
	var b strings.Builder
	for part := range slices.Chunk([]byte(text), longest) {
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteByte('"')
		for _, c := range part {
			switch {
			case c == '"' || c == '\\':
				b.WriteByte('\\')
				b.WriteByte(c)
			case c < ' ' || c > '~':
				fmt.Fprintf(&b, `\%03d`, c)
			default:
				b.WriteByte(c)
			}
		}
		b.WriteByte('"')
	}
	return b.String()
}

// example is what a record of that type may hold.
func example(kind string) string {
	text, found := map[string]string{
		"A": "192.0.2.10", "AAAA": "2001:db8::10", "CAA": `0 issue "ca.example"`, "MX": "10 mail.example.org",
		"TXT": "v=spf1 mx -all", "SRV": "0 5 5060 sip.example.org",
	}[kind]
	if !found {
		return "www.example.org, or as a zone file has it"
	}
	return text
}

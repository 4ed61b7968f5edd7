package dns

import (
	"fmt"
	"strings"

	"github.com/miekg/dns"

	"iwx/lib/fault"
)

// Times of a zone in seconds, RFC 1035 §3.3.13. Servers are told of changes
// (RFC 1996), and look by themselves as often as this; the last is how long it is
// remembered that a name is not there, RFC 2308 §4.
const (
	refresh = 900
	retry   = 120
	expire  = 28 * 24 * 3600
	minimum = 300
)

// Render returns what writes the zone file, RFC 1035 §5, with a serial: the same
// text each time but for that. The error is what makes the zone invalid.
func Render(z *Zone, s *Surroundings) (func(serial uint32) string, error) {
	list, err := z.Compose(s)
	if err == nil {
		err = check(z.Name, list)
	}
	if err != nil {
		return nil, err
	}
	soa, err := newSOA(z.Name, s.Hostmaster, list)
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	for i := range list {
		for _, data := range list[i].Data {
			fmt.Fprintf(&b, "%s\t%d\tIN\t%s\t%s\n", list[i].Name, list[i].TTL, list[i].Type, data)
		}
	}
	text := b.String()
	return func(serial uint32) string {
		return fmt.Sprintf("$ORIGIN %s.\n@\t%d\tIN\tSOA\t%s %d %d %d %d %d\n%s", z.Name, DefaultTTL, soa, serial, refresh, retry, expire, minimum, text)
	}, nil
}

// newSOA is what a SOA record holds before the serial.
func newSOA(zone, hostmaster string, list []Set) (string, error) {
	box := "hostmaster." + zone + "."
	if local, domain, found := strings.Cut(hostmaster, "@"); found {
		box = strings.ReplaceAll(local, ".", `\.`) + "." + domain + "." // RFC 1035 §8
	}
	if _, ok := dns.IsDomainName(box); !ok {
		return "", fault.New(fault.Failed, "zone %s: hostmaster %s is no name in DNS", zone, hostmaster)
	}
	for i := range list {
		if list[i].Key() == (Key{Apex, "NS"}) {
			return list[i].Data[0] + " " + box, nil
		}
	}
	return "", fault.New(fault.Failed, "zone %s has no name server", zone)
}

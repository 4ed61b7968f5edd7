package dns

import (
	"errors"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"iwx/lib/fault"
)

// mostRecords bounds a zone file: a GENERATE line can make many of a few bytes.
const mostRecords = 100_000

// File is what was read from a zone file.
type File struct {
	Zone    string   // its name
	Sets    []Set    // what is in it but for the SOA and, at the apex, NS
	LeftOut []string // types of records that were there and are not kept

	at map[Key]int // in Sets
}

// Read reads a zone file, RFC 1035 §5. The name is the zone's, "" for that of its
// SOA. Files that it includes are not read.
func Read(r io.Reader, name string) (*File, error) {
	records, err := parse(r, name)
	if err != nil {
		return nil, fault.New(fault.Usage, "%s", strings.TrimPrefix(err.Error(), "dns: "))
	}
	f := &File{Zone: name, at: map[Key]int{}}
	if name == "" {
		if f.Zone, err = soaOf(records); err != nil {
			return nil, err
		}
	}
	for _, rr := range records {
		if err := f.take(rr); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// parse reads records; without an origin their names have to be whole.
func parse(r io.Reader, origin string) (list []dns.RR, err error) {
	if origin != "" {
		origin = dns.Fqdn(origin)
	}
	p := dns.NewZoneParser(r, origin, "")
	p.SetDefaultTTL(DefaultTTL)
	for rr, ok := p.Next(); ok; rr, ok = p.Next() {
		if list = append(list, rr); len(list) > mostRecords {
			return nil, errors.New("it holds more than 100000 records")
		}
	}
	return list, p.Err()
}

func soaOf(records []dns.RR) (string, error) {
	for _, rr := range records {
		if rr.Header().Rrtype == dns.TypeSOA {
			return strings.TrimSuffix(dns.CanonicalName(rr.Header().Name), "."), nil
		}
	}
	return "", fault.Hint(fault.New(fault.Usage, "no SOA record says which zone it is"), "--zone example.org")
}

// take puts a record into its set.
func (f *File) take(rr dns.RR) error {
	h := rr.Header()
	kind := dns.TypeToString[h.Rrtype]
	name, err := ParseName(f.Zone, h.Name)
	switch {
	case err != nil:
		return err
	case h.Class != dns.ClassINET:
		return fault.New(fault.Usage, "%s: class %s is not IN", h.Name, dns.ClassToString[h.Class])
	case strings.TrimSpace(rdata(rr)) == "": // which the library takes, for updates
		return fault.New(fault.Usage, "%s: the %s record holds nothing", h.Name, kind)
	case h.Ttl > math.MaxInt32:
		return fault.New(fault.Usage, "%s: TTL %d is out of range 0..%d", h.Name, h.Ttl, math.MaxInt32)
	case kind == "NS" && name == Apex || !slices.Contains(Types(), kind):
		if !slices.Contains(f.LeftOut, kind) {
			f.LeftOut = append(f.LeftOut, kind)
		}
		return nil
	}
	f.add(Set{Name: name, Type: kind, TTL: h.Ttl, Data: []string{rdata(rr)}})
	return nil
}

// add merges a set with the one there is, which has the lower TTL then.
func (f *File) add(s Set) {
	i, found := f.at[s.Key()]
	if !found {
		f.at[s.Key()] = len(f.Sets)
		f.Sets = append(f.Sets, s)
		return
	}
	f.Sets[i].TTL = min(f.Sets[i].TTL, s.TTL)
	if !slices.Contains(f.Sets[i].Data, s.Data[0]) {
		f.Sets[i].Data = append(f.Sets[i].Data, s.Data[0])
	}
}

package sitetool

import (
	"strings"

	"iwx/lib/cli"
	"iwx/lib/dns"
	"iwx/lib/fault"
)

// recordFlags say which records of which zone are meant.
type recordFlags struct {
	TTL  string `name:"ttl" placeholder:"TIME" help:"How long others may remember the records of that name and type: seconds, or as 1h."`
	Zone string `arg:"" complete:"zone" help:"The zone."`
	Name string `arg:"" help:"The name, relative to the zone: @ is the zone itself."`
	Type string `arg:"" help:"The type: A, AAAA, CNAME, MX, TXT, SRV, CAA and others."`
}

// parsed is what the flags say.
type parsed struct {
	key  dns.Key
	data string
	ttl  *uint32
}

// parse reads them for a zone; without words there is no data.
func (f *recordFlags) parse(zone string, words []string) (p parsed, err error) {
	if p.key.Name, err = dns.ParseName(zone, f.Name); err != nil {
		return p, err
	}
	if p.key.Type, err = dns.ParseType(f.Type); err != nil {
		return p, err
	}
	if len(words) > 0 {
		if p.data, err = dns.ParseData(zone, p.key.Type, words); err != nil {
			return p, err
		}
	}
	if f.TTL == "" {
		return p, nil
	}
	ttl, err := dns.ParseTTL(f.TTL)
	p.ttl = &ttl
	return p, err
}

// phrase is "www.example.org A 192.0.2.10".
func (p *parsed) phrase(zone string) string {
	name := zone
	if p.key.Name != dns.Apex {
		name = p.key.Name + "." + zone
	}
	return strings.TrimSpace(name + " " + p.key.Type + " " + p.data)
}

type dnsAddVerb struct {
	recordFlags
	Data []string `arg:"" empty:"" help:"What the record holds. A name with a dot in it is a whole one."`
}

// Examples implements cli.Exampled.
func (*dnsAddVerb) Examples() string {
	return `iwx-site dns add example.org shop A 192.0.2.10
		iwx-site dns add example.org @ TXT 'v=spf1 mx -all'
		iwx-site dns add example.org @ MX 20 mail.example.net`
}

// Run adds the record.
func (v *dnsAddVerb) Run(c *cli.Context) error {
	return v.run(c, v.Data, "added", func(zone *dns.Zone, in *dns.Surroundings, p *parsed) (bool, error) {
		return zone.Add(in, p.key, p.data, p.ttl)
	})
}

type dnsEditVerb struct {
	recordFlags
	Data []string `arg:"" empty:"" optional:"" help:"New data of the only record of that name and type. Without it, only --ttl changes."`
}

// Examples implements cli.Exampled.
func (*dnsEditVerb) Examples() string {
	return `iwx-site dns edit example.org www A 192.0.2.11
		iwx-site dns edit example.org @ MX --ttl 1h`
}

// Run has the records of a name and type be the one.
func (v *dnsEditVerb) Run(c *cli.Context) error {
	if len(v.Data) == 0 && v.TTL == "" {
		return fault.Hint(fault.New(fault.Usage, "neither new data for the record nor --ttl is given"), "iwx-site dns edit --help")
	}
	return v.run(c, v.Data, "changed", func(zone *dns.Zone, in *dns.Surroundings, p *parsed) (bool, error) {
		return zone.Edit(in, p.key, p.data, p.ttl)
	})
}

// run makes a change of records and tells of it.
func (f *recordFlags) run(c *cli.Context, words []string, what string, change func(*dns.Zone, *dns.Surroundings, *parsed) (bool, error)) error {
	z, err := holdZones(c)
	if err != nil {
		return err
	}
	defer z.close()
	zone, err := z.named(c, f.Zone)
	if err != nil {
		return err
	}
	p, err := f.parse(zone.Name, words)
	if err != nil {
		return err
	}
	before, err := zone.Compose(z.in)
	if err != nil {
		return err
	}
	changed, err := change(zone, z.in, &p)
	if err != nil {
		return err
	}
	if !changed {
		c.Notef("%s is so already; nothing changed", p.phrase(zone.Name))
		return nil
	}
	if err := z.keep(c, zone); err != nil {
		return err
	}
	c.Notef("%s %s", what, p.phrase(zone.Name))
	return z.doubt(c, zone, before)
}

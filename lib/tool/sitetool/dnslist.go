package sitetool

import (
	"strings"

	"iwx/lib/cli"
	"iwx/lib/dns"
)

type dnsListVerb struct {
	cli.Output
	Zone string `arg:"" optional:"" complete:"zone" help:"List the records of this zone."`
}

// Examples implements cli.Exampled.
func (*dnsListVerb) Examples() string {
	return `iwx-site dns list
		iwx-site dns list example.org`
}

// Run lists the zones, or the records of one.
func (v *dnsListVerb) Run(c *cli.Context) error {
	z, err := openZones(c)
	if err != nil {
		return err
	}
	defer z.close()
	if v.Zone != "" {
		return v.records(c, z)
	}
	if len(z.list) == 0 && v.Human() {
		c.Notef("no zones yet: iwx-site add example.org, or iwx-site dns import FILE")
		return nil
	}
	return zoneTable().Write(c, v.Output, z.list)
}

func (v *dnsListVerb) records(c *cli.Context, z *zones) error {
	zone, err := z.named(c, v.Zone)
	if err != nil {
		return err
	}
	sets, err := zone.Compose(z.in)
	if err != nil {
		return err
	}
	var list []record
	for _, set := range sets {
		for _, data := range set.Data {
			list = append(list, record{set, data})
		}
	}
	return recordTable().Write(c, v.Output, list)
}

// zoneTable is what there is to know of a zone.
func zoneTable() cli.Table[dns.Zone] {
	return cli.Table[dns.Zone]{Singular: "zone", Plural: "zones", Columns: []cli.Column[dns.Zone]{
		{Name: "zone", Value: func(z dns.Zone) any { return z.Name }},
		{Name: "site", Value: func(z dns.Zone) any { return !z.Alone }},
		{Name: "changed", Value: func(z dns.Zone) any { return len(z.Sets) }},
		{Name: "hosts", Value: func(z dns.Zone) any { return z.Hosts }, Rare: true, Cut: true},
	}}
}

// record is one record of a zone.
type record struct {
	dns.Set
	data string
}

func recordTable() cli.Table[record] {
	return cli.Table[record]{Singular: "record", Plural: "records", Columns: []cli.Column[record]{
		{Name: "name", Value: func(r record) any { return r.Name }},
		{Name: "type", Value: func(r record) any { return r.Type }},
		{Name: "ttl", Head: "TTL", Value: func(r record) any { return int(r.TTL) }},
		{Name: "data", Value: func(r record) any { return r.data }, Cut: true},
		{Name: "own", Value: func(r record) any { return r.Own }},
	}}
}

type dnsExportVerb struct {
	Zone string `arg:"" complete:"zone" help:"The zone."`
}

// Examples implements cli.Exampled.
func (*dnsExportVerb) Examples() string { return `iwx-site dns export example.org >example.org.zone` }

// Run prints the zone file, whose serial is the time: that of the zone that is
// served is lower.
func (v *dnsExportVerb) Run(c *cli.Context) error {
	z, err := openZones(c)
	if err != nil {
		return err
	}
	defer z.close()
	zone, err := z.named(c, v.Zone)
	if err != nil {
		return err
	}
	text, err := dns.Render(zone, z.in)
	if err != nil {
		return err
	}
	_, err = strings.NewReader(text(uint32(c.Now().Unix()))).WriteTo(c.Stdout)
	return err
}

package sitetool

import (
	"context"

	"iwx/lib/cli"
	"iwx/lib/dns"
)

type dnsDeleteVerb struct {
	cli.Yes
	Zone string   `arg:"" complete:"zone" help:"The zone."`
	Name string   `arg:"" optional:"" help:"The name, relative to the zone: @ is the zone itself."`
	Type string   `arg:"" optional:"" help:"Only records of this type."`
	Data []string `arg:"" empty:"" optional:"" help:"Only the record that holds this."`
}

// Examples implements cli.Exampled.
func (*dnsDeleteVerb) Examples() string {
	return `iwx-site dns delete example.org shop
		iwx-site dns delete example.org @ MX 20 mail.example.net
		iwx-site dns delete example.net --yes`
}

// Run deletes records; or without a name an imported zone, or what was changed of a
// site's.
func (v *dnsDeleteVerb) Run(c *cli.Context) error {
	z, err := holdZones(c)
	if err != nil {
		return err
	}
	defer z.close()
	zone, err := z.named(c, v.Zone)
	if err != nil {
		return err
	}
	if v.Name == "" {
		return v.whole(c, z, zone)
	}
	p, err := v.parse(zone.Name)
	if err != nil {
		return err
	}
	before, err := zone.Compose(z.in)
	if err != nil {
		return err
	}
	n, err := zone.Delete(z.in, p.key, p.data)
	if err != nil {
		return err
	}
	if err := z.keep(c, zone); err != nil {
		return err
	}
	c.Notef("deleted %s of %s", cli.Count(n, "record", "records"), p.phrase(zone.Name))
	return z.doubt(c, zone, before)
}

// parse reads what is meant, of which the type may be missing.
func (v *dnsDeleteVerb) parse(zone string) (parsed, error) {
	if v.Type == "" {
		name, err := dns.ParseName(zone, v.Name)
		return parsed{key: dns.Key{Name: name}}, err
	}
	f := recordFlags{Name: v.Name, Type: v.Type}
	return f.parse(zone, v.Data)
}

// whole deletes a zone of the administrator's, or what is his in a site's.
func (v *dnsDeleteVerb) whole(c *cli.Context, z *zones, zone *dns.Zone) error {
	what, done := "all that was changed of zone "+zone.Name, "took back"
	if zone.Alone {
		what, done = "zone "+zone.Name, "deleted"
	} else if len(zone.Sets) == 0 {
		c.Notef("nothing was changed of zone %s; it goes with its site", zone.Name)
		return nil
	}
	if err := c.Confirm(v.Yes.Yes, "delete %s?", what); err != nil {
		return err
	}
	if err := z.commit(c, zone.Name, func(ctx context.Context) error { return z.Store.DeleteZone(ctx, zone.Name) }); err != nil {
		return err
	}
	c.Notef("%s %s", done, what)
	return nil
}

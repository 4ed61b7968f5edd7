package sitetool

import (
	"bytes"
	"io"
	"slices"
	"strings"

	"iwx/lib/cli"
	"iwx/lib/dns"
	"iwx/lib/fault"
	"iwx/lib/input"
	"iwx/lib/site"
)

type dnsImportVerb struct {
	cli.Yes
	Zone string `placeholder:"ZONE" complete:"zone" help:"The zone; without it, the one that the file's SOA record is of."`
	File string `arg:"" complete:"file" help:"A zone file, or - for standard input."`
}

// Examples implements cli.Exampled.
func (*dnsImportVerb) Examples() string {
	return `iwx-site dns import example.net.zone
		iwx-site dns import --zone example.org - <old.zone`
}

// Run has the zone be what the file says, beside SOA and name servers, which are the
// cluster's.
func (v *dnsImportVerb) Run(c *cli.Context) error {
	z, err := holdZones(c)
	if err != nil {
		return err
	}
	defer z.close()
	file, err := v.read(c)
	if err != nil {
		return err
	}
	zone, old, err := v.zone(c, z, file)
	if err != nil {
		return err
	}
	if old {
		if err := c.Confirm(v.Yes.Yes, "replace the records of zone %s?", zone.Name); err != nil {
			return err
		}
	}
	if err := z.keep(c, zone); err != nil {
		return err
	}
	left := ""
	if len(file.LeftOut) > 0 {
		left = "; left out: " + strings.Join(file.LeftOut, ", ") + " at its apex or made by itself"
	}
	c.Notef("imported zone %s, %s%s", zone.Name, cli.Count(count(file.Sets), "record", "records"), left)
	return nil
}

// count is how many records sets have.
func count(sets []dns.Set) (n int) {
	for i := range sets {
		n += len(sets[i].Data)
	}
	return n
}

// mostZone is far above the size of a zone file.
const mostZone = 64 << 20

func (v *dnsImportVerb) read(c *cli.Context) (*dns.File, error) {
	var r io.Reader = c.Stdin
	where := "standard input"
	if v.File != "-" {
		f, err := input.Open(c, v.File)
		if err != nil {
			return nil, fault.WithCode(err, fault.Usage)
		}
		defer f.Close()
		r, where = f, v.File
	}
	name := ""
	if v.Zone != "" {
		var err error
		if name, err = site.ParseDomain(v.Zone); err != nil {
			return nil, err
		}
	}
	text, err := io.ReadAll(io.LimitReader(r, mostZone+1))
	if err == nil && len(text) > mostZone {
		err = fault.New(fault.Usage, "over %d bytes, which is too large for a zone", mostZone)
	}
	if err != nil {
		return nil, fault.New(0, "%s: %w", where, err)
	}
	file, err := dns.Read(bytes.NewReader(input.Text(text)), name)
	if err != nil {
		return nil, fault.New(0, "%s: %w", where, err)
	}
	_, err = site.ParseDomain(file.Zone)
	return file, err
}

// zone is what the file makes of a zone; old says that there was something else. A
// site's has nothing by itself then but its name servers and the names of sites.
func (v *dnsImportVerb) zone(c *cli.Context, z *zones, file *dns.File) (zone *dns.Zone, old bool, err error) {
	if err := z.ours(c, file.Zone); err != nil {
		return nil, false, err
	}
	zone = &dns.Zone{Name: file.Zone}
	if i := slices.IndexFunc(z.list, func(o dns.Zone) bool { return o.Name == file.Zone }); i >= 0 {
		zone, old = &z.list[i], true
	}
	zone.Alone, zone.Sets = true, file.Sets
	return zone, old, nil
}

package sitetool

import (
	"iwx/lib/bind"
	"iwx/lib/cli"
	"iwx/lib/daemon"
	"iwx/lib/fault"
	"iwx/lib/site"
	"iwx/lib/tool/local"
	"iwx/lib/tool/upkeep"
)

type dnsVerbs struct {
	List    dnsListVerb   `cmd:"" help:"List the zones, or the records of one."`
	Add     dnsAddVerb    `cmd:"" help:"Add a record."`
	Edit    dnsEditVerb   `cmd:"" help:"Replace the records of a name and type by one, or change their TTL."`
	Delete  dnsDeleteVerb `cmd:"" help:"Delete records, or a zone."`
	Import  dnsImportVerb `cmd:"" help:"Replace a zone by a zone file."`
	Export  dnsExportVerb `cmd:"" help:"Print a zone as a zone file."`
	Adopt   adoptVerb     `cmd:"" help:"Have the nodes serve a zone that is kept in BIND by hand, too."`
	Release releaseVerb   `cmd:"" help:"Take adopt back."`
}

type adoptVerb struct {
	Zone string `arg:"" name:"zone" help:"A zone of the manager's BIND, with a statement of its own in the configuration."`
}

// Examples implements cli.Exampled.
func (*adoptVerb) Examples() string { return `iwx-site dns adopt example.net` }

// Run puts the zone into the catalog that the nodes follow. The zone stays as it
// is, and the administrator's.
func (v *adoptVerb) Run(c *cli.Context) error {
	return changeZones(c, v.Zone, func(server *local.Server, named *bind.Server, key, zone string) error {
		if err := named.Adoptable(c, zone, key); err != nil {
			return err
		}
		if err := server.Store.AdoptZone(c, zone); err != nil {
			return err
		}
		told, err := named.Notifies(zone)
		if err == nil && !told {
			c.Notef("hint: the nodes get its changes late; add to its statement in BIND's configuration: %s", bind.Stanza())
		}
		c.Notef("adopted zone %s", zone)
		return err
	})
}

type releaseVerb struct {
	Zone string `arg:"" name:"zone" help:"A zone that was adopted."`
}

// Examples implements cli.Exampled.
func (*releaseVerb) Examples() string { return `iwx-site dns release example.net` }

// Run takes the zone out of the catalog again.
func (v *releaseVerb) Run(c *cli.Context) error {
	return changeZones(c, v.Zone, func(server *local.Server, _ *bind.Server, _, zone string) error {
		was, err := server.Store.ReleaseZone(c, zone)
		if err != nil {
			return err
		}
		if !was {
			c.Notef("zone %s was not adopted; nothing changed", zone)
			return nil
		}
		c.Notef("released zone %s", zone)
		return nil
	})
}

// notYet is the error where there is nothing that serves zones, or no reason yet.
func notYet(server *local.Server) error {
	hint := "set dns.provider = \"bind\" in " + server.Paths.Config
	if bind.Find(server.Root, nil) == nil {
		hint = "apt-get install bind9, and " + hint
	}
	return fault.Hint(fault.New(fault.Failed, "iwx does not serve DNS here yet"), "%s", hint)
}

// changeZones has a change made, and then served. It takes turns with the daemon,
// which serves the same.
func changeZones(c *cli.Context, name string, change func(server *local.Server, named *bind.Server, key, zone string) error) error {
	server, err := open(c)
	if err != nil {
		return err
	}
	defer server.Close()
	zone, err := site.ParseDomain(name)
	if err != nil {
		return err
	}
	lock, err := daemon.WaitLock(c, server.ProfileLock, lockWait, "applying this server's profile")
	if err != nil {
		return err
	}
	defer lock.Close()
	look, err := upkeep.Look(c, server)
	if err != nil {
		return err
	}
	if look.DNS == nil {
		return notYet(server)
	}
	named, err := upkeep.Names(server, c.Now)
	if err != nil {
		return err
	}
	want, err := look.Primary(c, server)
	if err != nil {
		return err
	}
	if err := named.Serve(c, want); err != nil {
		return err
	}
	if err := change(server, named, look.DNS.Key, zone); err != nil {
		return err
	}
	defer server.Poke()
	return upkeep.Zones(c, server, c.Now)
}

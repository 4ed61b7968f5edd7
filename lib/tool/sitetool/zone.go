package sitetool

import (
	"context"
	"errors"
	"slices"

	"iwx/lib/bind"
	"iwx/lib/cli"
	"iwx/lib/daemon"
	"iwx/lib/dns"
	"iwx/lib/fault"
	"iwx/lib/site"
	"iwx/lib/tool/local"
	"iwx/lib/tool/upkeep"
)

// zones are those of the cluster as they are now.
type zones struct {
	*local.Server
	look  *upkeep.Cluster
	in    *dns.Surroundings
	list  []dns.Zone
	close func()
}

// openZones opens this server, which has to be the manager, to read its zones. The
// caller must close them.
func openZones(c *cli.Context) (*zones, error) {
	server, err := open(c)
	if err != nil {
		return nil, err
	}
	z := &zones{Server: server, close: func() { server.Close() }}
	if err := z.read(c); err != nil {
		z.close()
		return nil, err
	}
	return z, nil
}

// holdZones is openZones for who changes them: nobody else does, and the daemon
// does not serve them meanwhile.
func holdZones(c *cli.Context) (*zones, error) {
	server, err := open(c)
	if err != nil {
		return nil, err
	}
	lock, err := daemon.WaitLock(c, server.ProfileLock, lockWait, "applying this server's profile")
	if err != nil {
		server.Close()
		return nil, err
	}
	z := &zones{Server: server, close: func() { lock.Close(); server.Close() }}
	if err := z.read(c); err != nil {
		z.close()
		return nil, err
	}
	return z, nil
}

func (z *zones) read(ctx context.Context) (err error) {
	if z.look, err = upkeep.Look(ctx, z.Server); err != nil {
		return err
	}
	if z.in, err = z.look.Surroundings(z.Server); err != nil {
		return err
	}
	z.list, err = z.look.Zones(ctx, z.Server)
	return err
}

// named returns the zone of that name.
func (z *zones) named(c *cli.Context, name string) (*dns.Zone, error) {
	domain, err := site.ParseDomain(name)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(z.list, func(o dns.Zone) bool { return o.Name == domain })
	if i < 0 {
		if err := z.ours(c, domain); err != nil {
			return nil, err
		}
		return nil, fault.Hint(fault.New(fault.Failed, "there is no zone %s", domain), "iwx-site dns list; a site's zone is made with the site, and others by iwx-site dns import")
	}
	return &z.list[i], nil
}

// ours fails if a zone is kept in BIND by hand: what is done to it here is not what
// is served.
func (z *zones) ours(ctx context.Context, zone string) error {
	adopted, err := z.Store.AdoptedZones(ctx)
	if err != nil {
		return err
	}
	if slices.Contains(adopted, zone) {
		return fault.Hint(byHand(zone), "change it there, and then: rndc reload %[1]s; to keep it here instead, first: iwx-site dns release %[1]s", zone)
	}
	return notByHand(served(z.look, z.Server), zone)
}

func byHand(zone string) error {
	return fault.New(fault.Failed, "zone %s is kept in BIND by hand", zone)
}

// notByHand fails if the administrator has a zone of that name in this BIND.
func notByHand(b *bind.Server, zone string) error {
	if b == nil {
		return nil
	}
	is, err := b.ByHand(zone)
	if err == nil && is {
		err = fault.Hint(byHand(zone), "iwx-site dns adopt %s has the nodes serve it as it is; to keep it here instead, take its statement out of BIND's configuration", zone)
	}
	return err
}

// served is the BIND that serves zones here; nil if none does.
func served(look *upkeep.Cluster, s *local.Server) *bind.Server {
	if look.Config.DNS.Provider == "none" {
		return nil
	}
	return bind.Find(s.Root, nil)
}

// keep has a changed zone written down and served. On an error all is as it was.
func (z *zones) keep(c *cli.Context, zone *dns.Zone) error {
	if err := z.ours(c, zone.Name); err != nil {
		return err
	}
	text, err := dns.Render(zone, z.in)
	if err != nil {
		return err
	}
	if b := served(z.look, z.Server); b != nil {
		if err := b.CheckZone(c, zone.Name, text(1)); err != nil {
			return err
		}
	}
	return z.commit(c, zone.Name, func(ctx context.Context) error { return z.Store.PutZone(ctx, zone) })
}

// doubt prints warnings about records that are served and mostly a mistake. before
// holds the zone's sets before the change.
func (z *zones) doubt(c *cli.Context, zone *dns.Zone, before []dns.Set) error {
	doubts, err := zone.Doubts(z.in, before)
	for _, doubt := range doubts {
		c.Warnf("%s", doubt)
	}
	if len(doubts) > 0 {
		c.Notef("hint: iwx-site dns list %s", zone.Name)
	}
	return err
}

// commit writes a zone down and has it served; what cannot be served is taken back.
func (z *zones) commit(c *cli.Context, name string, write func(context.Context) error) error {
	kept, err := z.Store.Zones(c)
	if err != nil {
		return err
	}
	if err := write(c); err != nil {
		return err
	}
	if err := upkeep.Zones(c, z.Server, c.Now); err != nil {
		return errors.Join(err, z.restore(c, name, kept))
	}
	z.Poke()
	if served(z.look, z.Server) == nil {
		c.Notef("hint: nothing serves zones here; iwx-site dns export %s prints this one", name)
	}
	return nil
}

// restore undoes commit, also for a run that is interrupted.
func (z *zones) restore(ctx context.Context, name string, kept []dns.Zone) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoLimit)
	defer cancel()
	if i := slices.IndexFunc(kept, func(o dns.Zone) bool { return o.Name == name }); i >= 0 {
		return z.Store.PutZone(ctx, &kept[i])
	}
	return z.Store.DeleteZone(ctx, name)
}

// completeZone offers the zones there are.
func completeZone(c *cli.Context, server *local.Server) (list []cli.Candidate) {
	look, err := upkeep.Look(c, server)
	if err != nil {
		return nil
	}
	zones, _ := look.Zones(c, server)
	for i := range zones {
		list = append(list, cli.Candidate{Value: zones[i].Name})
	}
	return list
}

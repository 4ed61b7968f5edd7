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
func (z *zones) named(name string) (*dns.Zone, error) {
	domain, err := site.ParseDomain(name)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(z.list, func(o dns.Zone) bool { return o.Name == domain })
	if i < 0 {
		return nil, fault.Hint(fault.New(fault.Failed, "there is no zone %s", domain), "iwx-site dns list; a site's zone is made with the site, and others by iwx-site dns import")
	}
	return &z.list[i], nil
}

// keep has a changed zone written down and served. On an error all is as it was.
func (z *zones) keep(c *cli.Context, zone *dns.Zone) error {
	text, err := dns.Render(zone, z.in)
	if err != nil {
		return err
	}
	if err := z.test(c, zone.Name, text(1)); err != nil {
		return err
	}
	return z.commit(c, zone.Name, func(ctx context.Context) error { return z.Store.PutZone(ctx, zone) })
}

// test has named-checkzone judge a zone, where there is a BIND.
func (z *zones) test(ctx context.Context, name, text string) error {
	b := bind.Find(z.Root, nil)
	if z.look.Config.DNS.Provider == "none" || b == nil {
		return nil
	}
	return b.CheckZone(ctx, name, text)
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
	if z.look.Config.DNS.Provider == "none" || bind.Find(z.Root, nil) == nil {
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

// checkZones tells what is wrong with the zones that the sites of a change would
// get, before anything is changed.
func (m *manager) checkZones(ctx context.Context, specs []site.Spec) error {
	look, err := upkeep.Look(ctx, m.Server)
	if err != nil || look.Config.DNS.Provider == "none" {
		return err
	}
	var names []string
	for i := range specs {
		if !specs[i].Gone {
			names = append(names, specs[i].Names()...)
		}
	}
	in, err := look.Surroundings(m.Server)
	if err != nil {
		return err
	}
	list, err := look.ZonesOf(ctx, m.Server, names)
	for i := range list {
		if _, err := dns.Render(&list[i], in); err != nil {
			return err
		}
	}
	return err
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

package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"

	"iwx/lib/dns"
	"iwx/lib/host"
	"iwx/lib/site"
	"iwx/lib/state"
)

// The sites of a large cluster, and the zones among theirs in which the administrator
// has changed something.
const (
	manySites = 1000
	manyZones = 200
	siteNodes = 8
)

// sites measures a cluster with DNS, first without sites and then with many. BIND does
// not run, which the servers report; what is measured does not wait for it.
func (b *bench) sites() error {
	c, err := b.startCluster("sites", siteNodes, "[dns]\nprovider = \"bind\"\n")
	if c != nil {
		defer c.stop()
	}
	if err != nil {
		return err
	}
	var adds, pages []spread
	for _, put := range []func() error{func() error { return nil }, c.putSites} {
		if err := put(); err != nil {
			return err
		}
		// What follows from the change once is not measured.
		if _, err := c.tool("manager", nil, "iwx-queue", "add", "--wait", "--", "/bin/true"); err != nil {
			return err
		}
		add, err := c.adds()
		if err != nil {
			return err
		}
		page, err := measure(21, c.page)
		if err != nil {
			return err
		}
		adds, pages = append(adds, add), append(pages, page)
	}
	for i, with := range []string{"DNS, no sites", fmt.Sprintf("DNS, %d sites", manySites)} {
		b.report(fmt.Sprintf("iwx-queue add --wait, %d nodes, %s", siteNodes, with), "", "%s", adds[i])
		b.report(fmt.Sprintf("iwx-node status, %d nodes, %s", siteNodes, with), "", "%s", pages[i])
	}
	for i, tool := range []string{"iwx-queue add --wait", "iwx-node status"} {
		of := [][]spread{adds, pages}[i]
		b.readme.row(fmt.Sprintf("`%s`, %d nodes with DNS, no site / 1,000 sites and 200 zones", tool, siteNodes), "%s / %s", figure(of[0].median()), figure(of[1].median()))
	}
	return nil
}

// page runs iwx-node status. Its verdict, exit code 3, is that nobody serves the zones.
func (c *cluster) page() error {
	_, err := c.tool("manager", nil, "iwx-node", "status")
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.ExitCode() == 3 {
		return nil
	}
	return err
}

// putSites writes sites and zones into the manager's state.
func (c *cluster) putSites() error {
	ctx := context.Background()
	store, err := state.OpenAt(ctx, host.At(filepath.Join(c.dir, "manager")))
	if err != nil {
		return err
	}
	defer store.Close()
	change := state.SiteChange{LastUID: 20000 + manySites, WebServer: "nginx"}
	for i := range manySites {
		domain, user := fmt.Sprintf("site%d.example", i), fmt.Sprintf("site%d", i)
		change.Specs = append(change.Specs, site.Spec{Site: site.Site{
			Domain: domain, Aliases: []string{"www." + domain}, User: user, UID: uint32(20001 + i), Home: "/srv/iwx/home/" + user,
		}})
	}
	if _, err := store.ChangeSites(ctx, &change); err != nil {
		return err
	}
	for _, spec := range change.Specs[:manyZones] {
		set := dns.Set{Name: dns.Apex, Type: "MX", TTL: dns.DefaultTTL, Data: []string{"10 mail.example.net."}}
		if err := store.PutZone(ctx, &dns.Zone{Name: spec.Domain, Sets: []dns.Set{set}}); err != nil {
			return err
		}
	}
	return nil
}

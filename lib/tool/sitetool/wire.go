package sitetool

import (
	"context"
	"encoding/json"
	"os"

	"iwx/lib/account"
	"iwx/lib/cli"
	"iwx/lib/fault"
	"iwx/lib/site"
	"iwx/lib/tool/local"
	"iwx/lib/tool/upkeep"
	"iwx/lib/vhost"
)

// none is the setting of site.web_server for no web server at all.
const none = "none"

// newApplier returns the site applier of this server. web names its web server, "" where
// nothing serves sites. The lock is held until the programs that it runs have
// ended, should this one be killed: nobody undoes what is still being done.
func newApplier(c *cli.Context, server *local.Server, web string, lock *os.File) (a *siteApplier, err error) {
	a = &siteApplier{accounts: account.Accounts{Root: server.Root, Lock: lock}, certificates: server.Certificates}
	if web == "" {
		return a, nil
	}
	a.reloads = upkeep.ReloadLimiter{Server: server, Now: c.Now}
	a.web, err = vhost.Named(server.Root, web)
	return a, err
}

// newApplier returns the site applier of the manager: its web server is the one of
// iwx.toml(5), or else the one that is there.
func (m *manager) newApplier(c *cli.Context) (a *siteApplier, err error) {
	if m.webName, err = webServerName(m.Server); err != nil {
		return nil, err
	}
	if a, err = newApplier(c, m.Server, m.webName, m.lock); err != nil {
		return nil, err
	}
	a.fetch, a.homes = m.Store.SiteCertificate, m.makeHomes
	return a, nil
}

// webServer is what serves the sites here; nil where nothing does.
func webServer(server *local.Server) *vhost.Server {
	name, err := webServerName(server)
	if err != nil || name == "" {
		return nil
	}
	web, err := vhost.Named(server.Root, name)
	if err != nil {
		return nil
	}
	return web
}

// webServerName names the web server of the manager, "" for none.
func webServerName(server *local.Server) (string, error) {
	name := server.Config.Site.WebServer
	if name == "" {
		found := vhost.Find(server.Root)
		if len(found) == 0 {
			return "", fault.Hint(fault.New(fault.Failed, "no web server is installed here, neither apache2, httpd nor nginx"),
				"install one on every server: iwx-queue run --baseline -- apt-get -y install apache2\nor have none: site.web_server = \"none\" in iwx.toml(5)")
		}
		name = found[0].Name
	}
	if name == none {
		return "", nil
	}
	return name, nil
}

// makeHomes makes the homes of the sites, for the web server's group to read.
func (m *manager) makeHomes(ctx context.Context, specs []site.Spec) error {
	homes := account.Homes{Root: m.Root}
	if m.web != nil {
		_, gid, err := m.web.Group()
		if err != nil {
			return err
		}
		homes.GID = gid
	}
	for i := range specs {
		if specs[i].Gone {
			continue
		}
		if err := homes.Make(ctx, &specs[i].Site); err != nil {
			return fault.New(0, "site %s: %w", specs[i].Domain, err)
		}
	}
	return nil
}

// removeHome removes a home with all that is in it.
func (m *manager) removeHome(ctx context.Context, s *site.Site) error {
	return account.Homes{Root: m.Root}.Remove(ctx, s)
}

// render makes the virtual host of a site; "" where nothing serves sites.
func (m *manager) render(s *site.Site) (string, error) {
	if err := site.CheckTemplate(s.Template); err != nil || m.web == nil {
		return "", err
	}
	return m.web.Render(s.Template, vhost.FieldsOf(m.Root, s))
}

// changes are what becomes of the virtual hosts of sites, and of strays.
func (a *siteApplier) changes(specs []site.Spec, strays []string) []vhost.Change {
	list := make([]vhost.Change, len(specs))
	for i := range specs {
		list[i] = vhost.Change{Domain: specs[i].Domain, Text: specs[i].VHost, Instead: a.begun[specs[i].Domain].Instead}
		if specs[i].Gone {
			list[i].Text = ""
		}
	}
	for _, domain := range strays {
		list = append(list, vhost.Change{Domain: domain})
	}
	return list
}

// marshalList encodes a list, never null.
func marshalList[T any](list []T) ([]byte, error) { return json.Marshal(append([]T{}, list...)) }

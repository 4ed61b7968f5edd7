package sitetool

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"syscall"

	"iwx/lib/cli"
	"iwx/lib/fault"
	"iwx/lib/host"
	"iwx/lib/site"
	"iwx/lib/tool/local"
)

// documentRoot is the directory of a home from which the web server serves.
const documentRoot = "public_html"

// plan is what there is already, and what is to come: the names, users and ids
// that a new site may not have.
type plan struct {
	m      *manager
	c      *cli.Context
	names  map[string]string // names of sites, and the domain of each
	users  map[string]bool   // of sites, of this server and of the nodes
	ids    map[uint32]bool   // likewise
	kept   map[uint32]bool   // of the owners of homes
	last   uint32            // the id that was given last
	change *change
}

// planNew turns requests into sites with every value resolved. All that is wrong
// is told at once, and nothing has been changed.
func (m *manager) planNew(c *cli.Context, requests []request) (*change, error) {
	p, err := m.newPlan(c)
	if err != nil {
		return nil, err
	}
	var wrong errorList
	for i := range requests {
		if err := p.add(&requests[i]); err != nil {
			wrong.add(fault.New(0, "%s%w", requests[i].where, err))
		}
	}
	p.change.LastUID = p.last
	return p.change, wrong.join()
}

func (m *manager) newPlan(c *cli.Context) (*plan, error) {
	p := &plan{m: m, c: c, names: map[string]string{}, kept: map[uint32]bool{}, change: &change{newHomes: map[string]bool{}}}
	p.change.Certificates = map[string][]byte{}
	here, err := host.ReadAccounts(m.Paths)
	if err != nil {
		return nil, err
	}
	p.users, p.ids = here.Names, here.IDs
	if p.last, err = m.Store.LastUID(c); err != nil {
		return nil, err
	}
	if err := p.addSites(); err != nil {
		return nil, err
	}
	if err := p.addHomes(); err != nil {
		return nil, err
	}
	return p, p.addNodes()
}

// addHomes takes the ids of the owners of homes: those kept of sites that are
// gone belong to nobody else.
func (p *plan) addHomes() error {
	homes := p.m.Config.Homes()
	entries, err := os.ReadDir(filepath.Join(p.m.Root, homes))
	if homes == "" || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		uid, found, err := p.m.ownerOf(path.Join(homes, e.Name()))
		if err != nil {
			return err
		}
		p.kept[uid] = found
	}
	return err
}

// addSites takes the names, users and ids of the sites there are.
func (p *plan) addSites() error {
	rows, err := p.m.Store.Sites(p.c)
	for i := range rows {
		p.claim(&rows[i].Site)
	}
	return err
}

func (p *plan) claim(s *site.Site) {
	for _, name := range s.Names() {
		p.names[name] = s.Domain
	}
	p.users[s.User], p.ids[s.UID] = true, true
}

// addNodes takes the users that the nodes had of their own when they joined.
func (p *plan) addNodes() error {
	nodes, err := p.m.Store.Members(p.c)
	for i := range nodes {
		for _, u := range nodes[i].Facts.Users {
			p.users[u.Name], p.ids[u.UID], p.ids[u.GID] = true, true, true
		}
	}
	return err
}

// add resolves one request.
func (p *plan) add(r *request) error {
	s := site.Site{Template: r.Template, Shell: noShell, CreatedAt: p.c.Now().UTC(), CreatedBy: local.Operator(p.c)}
	if r.Shell {
		s.Shell = loginShell
	}
	if err := p.name(&s, r); err != nil {
		return err
	}
	if err := p.userOf(&s, r); err != nil {
		return fault.New(0, "site %s: %w", s.Domain, err)
	}
	if err := p.certificate(&s, r.TLSCert, r.chain, r.TLSKey); err != nil {
		return fault.New(0, "site %s: %w", s.Domain, err)
	}
	p.claim(&s)
	return p.put(s)
}

// put takes a site into the change, with its virtual host.
func (p *plan) put(s site.Site) error {
	if err := s.Check(); err != nil {
		return err
	}
	text, err := p.m.render(&s)
	if err != nil {
		return fault.New(0, "site %s: %w", s.Domain, err)
	}
	p.change.Specs = append(p.change.Specs, site.Spec{Site: s, VHost: text})
	return nil
}

// name reads the domain and the aliases, which no other site has.
func (p *plan) name(s *site.Site, r *request) (err error) {
	if s.Domain, err = site.ParseDomain(r.domain); err != nil {
		return err
	}
	if s.Aliases, err = site.ParseAliases(s.Domain, r.Alias); err != nil {
		return fault.New(0, "alias of %s: %w", s.Domain, err)
	}
	if p.names[s.Domain] == s.Domain {
		return fault.Hint(fault.New(fault.Failed, "site %s is there already", s.Domain), "iwx-site show %[1]s; to change it: iwx-site edit %[1]s", s.Domain)
	}
	return p.free(s)
}

// free wants the site's names to be no other's.
func (p *plan) free(s *site.Site) error {
	for _, name := range s.Names() {
		if other := p.names[name]; other != "" && other != s.Domain {
			return fault.Hint(fault.New(fault.Failed, "%s is a name of site %s already", name, other), "iwx-site show %s", other)
		}
	}
	return nil
}

// userOf gives the site the user that the request is for.
func (p *plan) userOf(s *site.Site, r *request) error {
	if r.keep != nil {
		return p.keep(s, r.keep)
	}
	return p.user(s, r.User)
}

// user gives the site its user, id and home.
func (p *plan) user(s *site.Site, name string) error {
	if name == "" {
		name = site.UserFor(s.Domain, func(name string) bool { return p.users[name] })
	} else if err := site.CheckUser(name); err != nil {
		return err
	}
	if p.users[name] {
		return fault.Hint(fault.New(fault.Failed, "user %s exists already, on this server or a node", name), "choose another name: --user NAME")
	}
	p.home(s, name)
	return p.id(s)
}

func (p *plan) home(s *site.Site, user string) {
	s.User, s.Home = user, path.Join(p.m.Config.Homes(), user)
	s.Root = path.Join(s.Home, documentRoot)
}

// id gives the site an id: that of the home, if one was kept from a site that
// had the user before.
func (p *plan) id(s *site.Site) (err error) {
	uids := p.uids()
	owner, found, err := p.m.ownerOf(s.Home)
	switch {
	case err != nil:
		return err
	case !found:
		p.change.newHomes[s.Domain] = true
		s.UID, err = uids.Next(p.last, p.usedID)
		p.last = s.UID
		return err
	case owner < uids.First || owner > uids.Last || p.ids[owner]:
		return fault.Hint(fault.New(fault.Failed, "home %s is there already, and belongs to id %d", s.Home, owner),
			"move it away, or choose another user: --user NAME")
	}
	s.UID = owner
	return nil
}

func (p *plan) uids() site.UIDs {
	first, last := p.m.Config.Site.UIDs()
	return site.UIDs{First: first, Last: last}
}

func (p *plan) usedID(id uint32) bool { return p.ids[id] || p.kept[id] }

// ownerOf returns who owns a path of this server.
func (m *manager) ownerOf(name string) (uid uint32, found bool, err error) {
	info, err := os.Lstat(filepath.Join(m.Root, name))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	return info.Sys().(*syscall.Stat_t).Uid, true, nil
}

// covered wants the certificate that a site has to be for all of its names.
func (p *plan) covered(s *site.Site) error {
	pem, err := p.m.Store.SiteCertificate(p.c, s.Certificate)
	if err != nil {
		return err
	}
	return site.Covers(pem, s.Names())
}

// certificate reads the certificate that is asked for; two empty names are none.
func (p *plan) certificate(s *site.Site, cert, chain, key string) error {
	if cert == "" && key == "" {
		return nil
	}
	if cert == "" || key == "" {
		return fault.New(fault.Usage, "--tls-cert and --tls-key belong together")
	}
	pair, err := readCertificate(p.c, s.Names(), cert, chain, key)
	if err != nil {
		return err
	}
	s.Certificate = pair.Digest
	p.change.Certificates[pair.Digest] = pair.PEM
	return nil
}

package sitetool

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"

	"iwx/lib/account"
	"iwx/lib/cli"
	"iwx/lib/conf"
	"iwx/lib/fault"
	"iwx/lib/host"
	"iwx/lib/site"
)

// takeover is what a new site takes over from what was there.
type takeover struct {
	from    string // directory to copy, "" for one that is in its place already
	content *account.Content
	kept    *site.Kept   // the user stays
	instead []site.Aside // files that its virtual host takes the place of
}

// fillHomes copies what sites take over into their homes.
func (m *manager) fillHomes(ctx context.Context, ch *change) error {
	for i := range ch.Specs {
		s := &ch.Specs[i].Site
		from := ch.taken[s.Domain].from
		if from == "" {
			continue
		}
		homes, reader, err := m.servedBy()
		if err != nil {
			return err
		}
		if err := homes.Fill(ctx, from, reader, s); err != nil {
			return fault.New(0, "site %s: %w", s.Domain, err)
		}
	}
	return nil
}

// servedBy are the homes as the web server reads them, and who it is.
func (m *manager) servedBy() (h account.Homes, r account.Reader, err error) {
	if r.UID, err = m.web.User(); err != nil {
		return h, r, err
	}
	_, r.GID, err = m.web.Group()
	return account.Homes{Root: m.Root, GID: r.GID}, r, err
}

// keep gives the site a user that is there, with its id; the home is a new one
// on the share, unless it exists already.
func (p *plan) keep(s *site.Site, u *account.Account) error {
	if err := p.keepable(u); err != nil {
		return fault.Hint(fault.New(0, "its document root belongs to user %s, %w", u.Name, err),
			"have a user made for it: iwx-site import --new-user %s", s.Domain)
	}
	p.home(s, u.Name)
	s.UID, s.Shell = u.UID, u.Shell
	_, found, err := p.m.ownerOf(s.Home)
	p.change.newHomes[s.Domain] = !found
	return err
}

// keepable says why a user cannot become a site's.
func (p *plan) keepable(u *account.Account) error {
	if err := site.CheckUser(u.Name); err != nil {
		return fault.New(0, "and %w", err)
	}
	uids := p.uids()
	switch {
	case u.UID < uids.First || u.UID > uids.Last:
		return fault.New(fault.Failed, "whose id %d is not in site.uid_range %d-%d", u.UID, uids.First, uids.Last)
	case !u.Alone:
		return fault.New(fault.Failed, "who has no group of the same name and id alone")
	case u.Expires:
		return fault.New(fault.Failed, "whose account expires")
	}
	rows, err := p.m.Store.Sites(p.c)
	if err != nil {
		return err
	}
	for i := range rows {
		if rows[i].User == u.Name || rows[i].UID == u.UID {
			return fault.New(fault.Failed, "who is that of site %s", rows[i].Domain)
		}
	}
	for i := range p.change.Specs {
		if p.change.Specs[i].User == u.Name {
			return fault.New(fault.Failed, "as that of %s does, and a site has a user of its own", p.change.Specs[i].Domain)
		}
	}
	return p.freeOnNodes(u)
}

// freeOnNodes wants the user to be the same on every node, or not there.
func (p *plan) freeOnNodes(u *account.Account) error {
	nodes, err := p.m.Store.Members(p.c)
	for i := range nodes {
		for _, other := range nodes[i].Facts.Users {
			same := other.Name == u.Name
			if (same || other.UID == u.UID || other.GID == u.UID) && (!same || other.UID != u.UID || other.GID != u.UID) {
				return fault.New(fault.Failed, "and node %s has %s with id %s", nodes[i].Name, other.Name, ids(other))
			}
		}
	}
	return err
}

// ids is "1001", or "1001:100" where the group's is another.
func ids(u host.User) string {
	if u.UID == u.GID {
		return fmt.Sprint(u.UID)
	}
	return fmt.Sprintf("%d:%d", u.UID, u.GID)
}

// content looks through the document root, and sees whose it is.
func (i *importing) content(o *candidate) error {
	if o.Root == "" || !filepath.IsAbs(o.Root) || strings.Contains(o.Root, "$") {
		return nil
	}
	o.from = filepath.Clean(o.Root)
	dir, err := account.OpenContent(o.from)
	if err != nil {
		o.stay(fault.New(0, "has a document root that cannot be copied: %w", err))
		return nil
	}
	defer dir.Close()
	info, err := dir.Stat()
	if err != nil {
		return err
	}
	i.own(o, info.Sys().(*syscall.Stat_t).Uid)
	if o.from == "/" {
		o.stay(fault.New(fault.Failed, "has the whole server as its document root"))
		return nil
	}
	o.takeover.content, err = account.Survey(i.c, dir)
	if err != nil && i.c.Err() == nil {
		o.stay(err)
		return nil
	}
	return err
}

// own notes the owner of a document root, and whether it is a user that the site
// could keep: one of the system's is not.
func (i *importing) own(o *candidate, uid uint32) {
	o.owner = fmt.Sprint(uid)
	u := i.m.accounts.ByID(uid)
	if u == nil {
		return
	}
	o.owner = u.Name
	if uid >= host.FirstUID && uid <= host.LastUID && !i.verb.NewUser {
		o.request.keep, o.kept = u, &site.Kept{Home: u.Home, Shell: u.Shell}
	}
}

// place wants the files to have a place on the share, or to be in it.
func (i *importing) place(p *plan, o *candidate) error {
	homes := filepath.Join(i.m.Root, i.m.Config.Homes())
	switch {
	case o.from == filepath.Join(i.m.Root, o.site.Root) && o.kept != nil:
		o.from = ""
	case conf.Within(o.from, homes) || conf.Within(homes, o.from):
		return fault.New(fault.Failed, "has a document root among the homes of sites, which are in %s", homes)
	case !p.change.newHomes[o.site.Domain]:
		return fault.Hint(fault.New(fault.Failed, "would have the home %s, which is there already", o.site.Home), "move it away")
	}
	return nil
}

// room wants the share to have room for the files.
func (i *importing) room(ch *change) error {
	var need int64
	for _, t := range ch.taken {
		if t.from != "" {
			need += t.content.Bytes
		}
	}
	homes := i.m.Config.Homes()
	disk, err := host.FilesystemOf(filepath.Join(i.m.Root, homes))
	if err != nil {
		return err
	}
	if need > 0 && uint64(need) > disk.Free {
		return fault.Hint(fault.New(fault.Failed, "%s has room for %s, and the files are %s", homes, cli.Size(int64(disk.Free)), cli.Size(need)),
			"take over some of them: iwx-site import DOMAIN...")
	}
	return nil
}

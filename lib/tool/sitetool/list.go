package sitetool

import (
	"iwx/lib/cli"
	"iwx/lib/state"
)

type listVerb struct {
	cli.Output
}

// Run lists the sites.
func (v *listVerb) Run(c *cli.Context) error {
	server, err := open(c)
	if err != nil {
		return err
	}
	defer server.Close()
	sites, err := server.Store.Sites(c)
	if err != nil {
		return err
	}
	if len(sites) == 0 && v.Human() {
		c.Notef("no sites yet: iwx-site add example.org")
		return nil
	}
	return siteTable().Write(c, v.Output, sites)
}

// siteTable is what the manager knows of a site.
func siteTable() cli.Table[state.SiteRow] {
	return cli.Table[state.SiteRow]{Singular: "site", Plural: "sites", Columns: []cli.Column[state.SiteRow]{
		{Name: "domain", Value: func(s state.SiteRow) any { return s.Domain }},
		{Name: "user", Value: func(s state.SiteRow) any { return s.User }},
		{Name: "uid", Head: "UID", Value: func(s state.SiteRow) any { return s.UID }},
		{Name: "state", Value: func(s state.SiteRow) any { return stateMark(&s) }},
		{Name: "tls", Head: "TLS", Value: func(s state.SiteRow) any { return s.Certificate != "" }},
		{Name: "aliases", Value: func(s state.SiteRow) any { return s.Aliases }, Rare: true, Cut: true},
		{Name: "template", Value: func(s state.SiteRow) any { return s.Template }, Detail: true},
		{Name: "home", Value: func(s state.SiteRow) any { return s.Home }, Detail: true},
		{Name: "root", Value: func(s state.SiteRow) any { return s.Root }, Detail: true},
		{Name: "shell", Value: func(s state.SiteRow) any { return s.Shell }, Detail: true},
		{Name: "certificate", Value: func(s state.SiteRow) any { return s.Certificate }, Detail: true},
		{Name: "created_at", Value: func(s state.SiteRow) any { return cli.Date(s.CreatedAt) }, Detail: true},
		{Name: "created_by", Value: func(s state.SiteRow) any { return s.CreatedBy }, Detail: true},
		{Name: "entry", Value: func(s state.SiteRow) any { return cli.ID(s.Seq) }, Detail: true},
	}}
}

// stateMark says in a word what a site is.
func stateMark(s *state.SiteRow) cli.Mark {
	switch {
	case s.Gone:
		return cli.Mark{Text: "deleting", Level: cli.Warn}
	case s.Suspended:
		return cli.Mark{Text: "suspended", Level: cli.Warn}
	}
	return cli.Mark{Text: "active", Level: cli.Good}
}

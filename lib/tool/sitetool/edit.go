package sitetool

import (
	"slices"

	"iwx/lib/cli"
	"iwx/lib/fault"
	"iwx/lib/site"
	"iwx/lib/state"
	"iwx/lib/tool/await"
)

type editVerb struct {
	Alias    []string `sep:"none" placeholder:"DOMAIN" help:"Answer to this name too. May be repeated."`
	NoAlias  []string `sep:"none" placeholder:"DOMAIN" help:"Answer to this name no longer. May be repeated."`
	Template string   `placeholder:"NAME" complete:"template" help:"The template of its virtual host."`
	TLSCert  string   `name:"tls-cert" placeholder:"FILE" complete:"file" help:"Its certificate, in PEM, with those that it was signed with."`
	TLSKey   string   `name:"tls-key" placeholder:"FILE" complete:"file" help:"The key of the certificate, in PEM."`
	NoTLS    bool     `name:"no-tls" help:"Have no certificate any more."`
	Shell    bool     `xor:"shell" help:"Let the user log in."`
	NoShell  bool     `xor:"shell" help:"Let the user log in no longer."`
	await.Flags
	Domain string `arg:"" complete:"site" help:"The site."`
}

// Examples implements cli.Exampled.
func (*editVerb) Examples() string {
	return `iwx-site edit example.org --alias www.example.org
		iwx-site edit example.org --tls-cert new.pem --tls-key new.key
		iwx-site edit example.org --template wordpress`
}

// Run changes the site; what no flag names stays, and the virtual host is made
// anew of its template.
func (v *editVerb) Run(c *cli.Context) error {
	return changeOne(c, v.Domain, "changed site", v.Flags, v.edit)
}

func (v *editVerb) edit(p *plan, s *site.Site) error {
	if err := v.aliases(p, s); err != nil {
		return err
	}
	if v.Template != "" {
		s.Template = v.Template
	}
	switch {
	case v.Shell:
		s.Shell = loginShell
	case v.NoShell:
		s.Shell = noShell
	}
	if v.NoTLS {
		if v.TLSCert != "" || v.TLSKey != "" {
			return fault.New(fault.Usage, "--no-tls and --tls-cert: one of them")
		}
		s.Certificate = ""
	}
	if len(v.Alias) > 0 && v.TLSCert == "" && s.Certificate != "" {
		return p.covered(s)
	}
	return p.certificate(s, v.TLSCert, "", v.TLSKey)
}

func (v *editVerb) aliases(p *plan, s *site.Site) error {
	more, err := site.ParseAliases(s.Domain, v.Alias)
	if err != nil {
		return err
	}
	less, err := site.ParseAliases(s.Domain, v.NoAlias)
	if err != nil {
		return err
	}
	for _, name := range less {
		if !slices.Contains(s.Aliases, name) {
			return fault.New(fault.Usage, "%s is no alias of site %s", name, s.Domain)
		}
	}
	s.Aliases = slices.DeleteFunc(append(slices.Clone(s.Aliases), more...), func(name string) bool { return slices.Contains(less, name) })
	slices.Sort(s.Aliases)
	s.Aliases = slices.Compact(s.Aliases)
	return p.free(s)
}

type suspendVerb struct {
	await.Flags
	Domain string `arg:"" complete:"site" help:"The site."`
}

// Run has the site show a page that says so, and its user locked out. Nothing of
// it is deleted. One that is suspended already is no error.
func (v *suspendVerb) Run(c *cli.Context) error {
	return changeOne(c, v.Domain, "suspended site", v.Flags, func(_ *plan, s *site.Site) error {
		s.Suspended = true
		return nil
	})
}

type resumeVerb struct {
	await.Flags
	Domain string `arg:"" complete:"site" help:"The site."`
}

// Run takes suspend back. One that is not suspended is no error.
func (v *resumeVerb) Run(c *cli.Context) error {
	return changeOne(c, v.Domain, "resumed site", v.Flags, func(_ *plan, s *site.Site) error {
		s.Suspended = false
		return nil
	})
}

// changeOne has edit change one site, here and on the nodes. A change that
// changes nothing queues nothing.
func changeOne(c *cli.Context, name, done string, w await.Flags, edit func(*plan, *site.Site) error) error {
	m, err := openManager(c, name)
	if err != nil {
		return err
	}
	defer m.Close()
	row, err := find(c, m.Server, name)
	if err != nil {
		return err
	}
	if row.Gone {
		return fault.Hint(fault.New(fault.Failed, "site %s is being deleted", row.Domain), "iwx-site show %s", row.Domain)
	}
	p, err := m.newPlan(c)
	if err != nil {
		return err
	}
	s := row.Site
	if err := edit(p, &s); err != nil {
		return err
	}
	if err := p.put(s); err != nil {
		return err
	}
	if same(row, &p.change.Specs[0]) {
		c.Notef("site %s has these settings already; nothing changed", row.Domain)
		return nil
	}
	p.change.awaited = w.Wanted()
	op, err := m.carryOut(c, p.change)
	if err != nil {
		return err
	}
	return m.announce(c, done+" "+row.Domain, op, w)
}

// same reports whether a site would become what it is.
func same(row *state.SiteRow, spec *site.Spec) bool {
	a, b := row.Site, spec.Site
	return slices.Equal(a.Aliases, b.Aliases) && a.Template == b.Template && a.Certificate == b.Certificate &&
		a.Shell == b.Shell && a.Suspended == b.Suspended && row.VHost == spec.VHost
}

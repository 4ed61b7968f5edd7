package sitetool

import (
	"slices"
	"strings"

	"iwx/lib/cli"
	"iwx/lib/fault"
	"iwx/lib/state"
	"iwx/lib/tool/local"
	"iwx/lib/vhost"
)

type templateVerbs struct {
	List  templateListVerb  `cmd:"" help:"List the templates of virtual hosts."`
	Show  templateShowVerb  `cmd:"" help:"Print a template, or the virtual host it makes for a site."`
	Check templateCheckVerb `cmd:"" help:"Have the web server test the templates."`
	Apply templateApplyVerb `cmd:"" help:"Make the virtual hosts of all sites that use a template anew."`
}

type templateListVerb struct {
	cli.Output
}

// Examples implements cli.Exampled.
func (*templateListVerb) Examples() string {
	return `iwx-site template list
		iwx-site template list -H -o name,sites`
}

// Run lists the templates.
func (v *templateListVerb) Run(c *cli.Context) error {
	server, err := open(c)
	if err != nil {
		return err
	}
	defer server.Close()
	list, err := vhost.Templates(server.Root)
	if err != nil {
		return err
	}
	rows, err := server.Store.Sites(c)
	if err != nil {
		return err
	}
	syntax := syntaxOf(server)
	return templateTable(func(t vhost.Template) int {
		if t.Syntax != syntax {
			return 0
		}
		return len(using(rows, t.Name))
	}).Write(c, v.Output, list)
}

// templateTable is what there is to know of a template; sites counts those that
// use it.
func templateTable(sites func(vhost.Template) int) cli.Table[vhost.Template] {
	return cli.Table[vhost.Template]{Singular: "template", Plural: "templates", Columns: []cli.Column[vhost.Template]{
		{Name: "name", Value: func(t vhost.Template) any { return t.Name }},
		{Name: "syntax", Value: func(t vhost.Template) any { return t.Syntax }},
		{Name: "sites", Value: func(t vhost.Template) any { return sites(t) }},
		{Name: "from", Value: func(t vhost.Template) any { return from(&t) }},
		{Name: "hides", Value: func(t vhost.Template) any { return t.Hides }},
	}}
}

// from says where a template is from.
func from(t *vhost.Template) string {
	if t.File == "" {
		return "built in"
	}
	return t.File
}

// using are the sites that a template is of, without those that are being deleted.
func using(rows []state.SiteRow, template string) []state.SiteRow {
	return slices.DeleteFunc(slices.Clone(rows), func(s state.SiteRow) bool { return s.Gone || s.Template != template })
}

// syntaxOf is the language of the templates that sites are made of here, "" where
// nothing serves them.
func syntaxOf(server *local.Server) string {
	if web := webServer(server); web != nil {
		return web.Syntax
	}
	return ""
}

type templateShowVerb struct {
	Syntax string `enum:"apache,nginx," default:"" placeholder:"SYNTAX" help:"For which web server: apache, which is apache2 and httpd, or nginx. Without it, the one that serves the sites."`
	Site   string `placeholder:"DOMAIN" complete:"site" help:"Print the virtual host that it makes of this site."`
	Name   string `arg:"" complete:"template" help:"The template."`
}

// Examples implements cli.Exampled.
func (*templateShowVerb) Examples() string {
	return `iwx-site template show default > /etc/iwx/templates/shop.apache
		iwx-site template show shop --site example.org`
}

// Run prints the template as it is in its file, or as it is filled in.
func (v *templateShowVerb) Run(c *cli.Context) error {
	server, err := open(c)
	if err != nil {
		return err
	}
	defer server.Close()
	syntax := v.Syntax
	if syntax == "" {
		syntax = syntaxOf(server)
	}
	if syntax == "" {
		return fault.Hint(fault.New(fault.Usage, "nothing serves sites here: for which web server?"), "--syntax %s", strings.Join(vhost.Syntaxes(), ", or --syntax "))
	}
	t, err := vhost.FindTemplate(server.Root, v.Name, syntax)
	if err != nil {
		return err
	}
	if v.Site == "" {
		return c.Printf("%s", t.Text)
	}
	row, err := find(c, server, v.Site)
	if err != nil {
		return err
	}
	text, err := t.Render(vhost.FieldsOf(server.Root, &row.Site))
	if err != nil {
		return err
	}
	return c.Printf("%s", vhost.Place(server.Root, text))
}

// completeTemplate offers the templates of the web server that serves the sites.
func completeTemplate(server *local.Server) (list []cli.Candidate) {
	templates, _ := vhost.Templates(server.Root)
	syntax := syntaxOf(server)
	for i := range templates {
		if t := &templates[i]; syntax == "" || t.Syntax == syntax {
			list = append(list, cli.Candidate{Value: t.Name, Help: from(t)})
		}
	}
	return list
}

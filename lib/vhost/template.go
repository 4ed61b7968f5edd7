package vhost

import (
	"embed"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"

	"iwx/lib/fault"
	"iwx/lib/host"
	"iwx/lib/site"
)

//go:embed template
var builtin embed.FS

// Syntaxes are the languages that templates are written in, which is what their
// files end with.
func Syntaxes() []string { return []string{"apache", "nginx"} }

// Template is what the virtual hosts of sites are made of, in one language.
type Template struct {
	Name   string
	Syntax string // apache, for apache2 and httpd, or nginx
	File   string // the administrator's, "" for one that iwx brings
	Hides  bool   // the administrator's, where iwx brings one of the same name
	Text   string // text/template, with Fields
}

// String is its file, or its name with what it is for.
func (t *Template) String() string {
	if t.File != "" {
		return t.File
	}
	return t.Name + "." + t.Syntax
}

// TemplateFile is where the administrator keeps a template below root.
func TemplateFile(root, name, syntax string) string {
	return filepath.Join(host.At(root).Templates, name+"."+syntax)
}

// Templates returns all there are below root, by name.
func Templates(root string) (list []Template, err error) {
	names := map[string]bool{}
	own, err := os.ReadDir(host.At(root).Templates)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	brought, err := builtin.ReadDir("template")
	if err != nil {
		return nil, err
	}
	for _, e := range append(own, brought...) {
		names[e.Name()] = true
	}
	for file := range names {
		name, syntax, _ := strings.Cut(file, ".")
		if !slices.Contains(Syntaxes(), syntax) || site.CheckTemplate(name) != nil {
			continue // of zones, or an editor's
		}
		t, err := FindTemplate(root, name, syntax)
		if err != nil {
			return nil, err
		}
		list = append(list, *t)
	}
	slices.SortFunc(list, func(a, b Template) int { return strings.Compare(a.Name+"."+a.Syntax, b.Name+"."+b.Syntax) })
	return list, nil
}

// FindTemplate returns the template of that name and language: the
// administrator's, or else the one that iwx brings. An empty file is none, as the
// shell makes it before the template is printed that is to be copied there. An
// error names those there are.
func FindTemplate(root, name, syntax string) (*Template, error) {
	if err := site.CheckTemplate(name); err != nil {
		return nil, err
	}
	t := &Template{Name: name, Syntax: syntax, File: TemplateFile(root, name, syntax)}
	brought, missing := builtin.ReadFile("template/" + name + "." + syntax)
	text, err := os.ReadFile(t.File)
	switch {
	case err == nil && len(text) > 0:
		t.Text, t.Hides = string(text), missing == nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, err
	case missing != nil:
		return nil, noTemplate(root, name, syntax)
	default:
		t.Text, t.File = string(brought), ""
	}
	return t, nil
}

// noTemplate is the error for one that is not there.
func noTemplate(root, name, syntax string) error {
	list, err := Templates(root)
	if err != nil {
		return err
	}
	var names []string
	for i := range list {
		if list[i].Syntax == syntax {
			names = append(names, list[i].Name)
		}
	}
	return fault.Hint(fault.New(fault.Failed, "there is no template %q for %s", name, syntax),
		"there is: %s\nto write one: iwx-site template show default --syntax %s > %s", strings.Join(names, ", "), syntax, TemplateFile(root, name, syntax))
}

// rootMark stands in rendered text for the root directory of the server that it
// is written on, where the server that it is rendered on has one of its own.
const rootMark = "@IWX_ROOT@"

// Fields are what a template can use; iwx-site(8) describes them.
type Fields struct {
	Domain      string   // in A-labels
	Aliases     []string // likewise
	Names       []string // the domain and its aliases
	User        string   // of the site, and its group
	Home        string   // of the user
	Root        string   // document root
	Certificate string   // file with the certificate and its key, "" for none
	Suspended   bool     // a page that says so is to be shown instead
}

// FieldsOf returns the fields of a site on the server whose files are below root.
func FieldsOf(root string, one *site.Site) Fields {
	mark := ""
	if root != "" {
		mark = rootMark
	}
	f := Fields{
		Domain: one.Domain, Aliases: one.Aliases, Names: one.Names(), User: one.User,
		Home: mark + one.Home, Root: mark + one.Root, Suspended: one.Suspended,
	}
	if one.Certificate != "" {
		f.Certificate = mark + filepath.Join(host.At("").Certificates, one.Certificate+".pem")
	}
	return f
}

// Place is rendered text as it is written on the server whose files are below root.
func Place(root, text string) string { return strings.ReplaceAll(text, rootMark, root) }

// Render makes the virtual host of a site.
func (t *Template) Render(f Fields) (string, error) {
	parsed, err := template.New(filepath.Base(t.String())).Option("missingkey=error").Parse(t.Text)
	if err != nil {
		return "", fault.New(fault.Failed, "template %s: %w", t, err)
	}
	var b strings.Builder
	if err := parsed.Execute(&b, f); err != nil {
		return "", fault.New(fault.Failed, "template %s: %w", t, err)
	}
	if strings.TrimSpace(b.String()) == "" {
		return "", fault.New(fault.Failed, "template %s: it makes nothing of %s", t, f.Domain)
	}
	return b.String(), nil
}

// Render makes the virtual host of a site from the template of that name.
func (s *Server) Render(name string, f Fields) (string, error) {
	t, err := FindTemplate(s.Root, name, s.Syntax)
	if err != nil {
		return "", err
	}
	return t.Render(f)
}

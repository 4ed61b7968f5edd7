package vhost

import (
	"embed"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"iwx/lib/fault"
	"iwx/lib/host"
	"iwx/lib/site"
)

//go:embed template
var builtin embed.FS

// rootMark stands in rendered text for the root directory of the server that it
// is written on, where the server that it is rendered on has one of its own.
const rootMark = "@IWX_ROOT@"

// Fields are what a template can use.
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

// FieldsOf returns the fields of a site.
func (s *Server) FieldsOf(one *site.Site) Fields {
	mark := ""
	if s.Root != "" {
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

// place is text as it is written on this server.
func (s *Server) place(text string) string { return strings.ReplaceAll(text, rootMark, s.Root) }

// Render makes the virtual host of a site from the template of that name: the
// administrator's, or else the one that iwx brings.
func (s *Server) Render(name string, f Fields) (string, error) {
	text, from, err := s.template(name)
	if err != nil {
		return "", err
	}
	t, err := template.New(filepath.Base(from)).Option("missingkey=error").Parse(text)
	if err != nil {
		return "", fault.New(fault.Failed, "template %s: %w", from, err)
	}
	var b strings.Builder
	if err := t.Execute(&b, f); err != nil {
		return "", fault.New(fault.Failed, "template %s: %w", from, err)
	}
	return b.String(), nil
}

// template returns the text of a template, and where it is from.
func (s *Server) template(name string) (text, from string, err error) {
	from = filepath.Join(host.At(s.Root).Templates, name+"."+s.syntax)
	data, err := os.ReadFile(from)
	if errors.Is(err, fs.ErrNotExist) {
		from = name
		data, err = builtin.ReadFile("template/" + name + "." + s.syntax)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return "", "", fault.Hint(fault.New(fault.Failed, "there is no template %q for %s", name, s.Name),
			"write it to %s, or use the one called default", filepath.Join(host.At(s.Root).Templates, name+"."+s.syntax))
	}
	return string(data), from, err
}

package dns

import (
	_ "embed"
	"net/netip"
	"strings"
	"text/template"

	"iwx/lib/fault"
)

//go:embed default.zone
var builtin string

// DefaultTemplate returns the text of a site's zone where the administrator has
// written none. A template is a zone file with text/template in it, whose fields
// are Fields; it gives neither SOA nor NS at the apex.
func DefaultTemplate() string { return builtin }

// Fields are what a template is rendered with.
type Fields struct {
	Domain string    // of the zone, without a final dot
	Web    []Address // at which sites are asked for
	Mail   []Address // at which mail is taken
}

// Address is an address with the type of its record.
type Address struct {
	Type string // A or AAAA
	Addr netip.Addr
}

func addresses(list []netip.Addr) (out []Address) {
	for _, addr := range list {
		out = append(out, Address{addressType(addr), addr.Unmap()})
	}
	return out
}

func addressType(addr netip.Addr) string {
	if addr.Is4() || addr.Is4In6() {
		return "A"
	}
	return "AAAA"
}

// fromTemplate is what a site's zone has by itself, beside SOA and name servers.
func fromTemplate(zone string, s *Surroundings) ([]Set, error) {
	text := s.Template
	if text == "" {
		text = DefaultTemplate()
	}
	bad := func(err error) error { return fault.New(fault.Failed, "template of zones: %w", err) }
	t, err := template.New("default.zone").Option("missingkey=error").Parse(text)
	if err != nil {
		return nil, bad(err)
	}
	var b strings.Builder
	if err := t.Execute(&b, Fields{Domain: zone, Web: addresses(s.Web), Mail: addresses(s.Mail)}); err != nil {
		return nil, bad(err)
	}
	f, err := Read(strings.NewReader(b.String()), zone)
	if err != nil {
		return nil, bad(err)
	}
	return f.Sets, nil
}

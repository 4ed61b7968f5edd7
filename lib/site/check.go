package site

import (
	"encoding/json"
	"path"
	"regexp"
	"slices"
	"strings"

	"iwx/lib/fault"
)

// templateName is a name that is a file's too.
var templateName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`)

// digest is what names a certificate with its key.
var digest = regexp.MustCompile(`^[0-9a-f]{32}$`)

// CheckTemplate wants a name that a template can have.
func CheckTemplate(name string) error {
	if !templateName.MatchString(name) {
		return fault.Hint(fault.New(fault.Usage, "template %.100q: a name has lower-case letters, digits, - and _", name), "iwx-site template list")
	}
	return nil
}

// CheckShell wants the absolute path of a program.
func CheckShell(shell string) error {
	if !cleanPath(shell) || strings.ContainsAny(shell, ":\n") {
		return fault.New(fault.Usage, "shell %.100q is not the absolute path of a program", shell)
	}
	return nil
}

// cleanPath reports whether a path is absolute and in its shortest form, and has
// nothing in it that ends a line or a field.
func cleanPath(p string) bool {
	return path.IsAbs(p) && path.Clean(p) == p && !strings.ContainsAny(p, ":\n\x00")
}

// Check reports what is wrong with a site: what came from another server is
// believed no more than what was typed.
func (s *Site) Check() error {
	bad := func(what string, value any) error {
		return fault.New(fault.Usage, "site %.300q: %s %.300q will not do", s.Domain, what, value)
	}
	for _, name := range s.Names() {
		if parsed, err := ParseDomain(name); err != nil || parsed != name {
			return bad("name", name)
		}
	}
	for _, err := range []error{CheckUser(s.User), CheckTemplate(s.Template), CheckShell(s.Shell)} {
		if err != nil {
			return fault.New(0, "site %s: %w", s.Domain, err)
		}
	}
	switch {
	case s.UID < 1000 || s.UID > 64999:
		return fault.New(fault.Usage, "site %s: id %d is out of range 1000..64999", s.Domain, s.UID)
	case !cleanPath(s.Home) || s.Home == "/":
		return bad("home", s.Home)
	case !cleanPath(s.Root) || !strings.HasPrefix(s.Root, s.Home+"/"):
		return bad("document root", s.Root)
	case s.Certificate != "" && !digest.MatchString(s.Certificate):
		return bad("certificate", s.Certificate)
	}
	return nil
}

// Servers are the web servers that virtual hosts are made for.
func Servers() []string { return []string{"apache2", "httpd", "nginx"} }

// Encode returns the order as apply reads it.
func (o *Order) Encode() ([]byte, error) { return json.Marshal(o) }

// DecodeOrder reads an order and checks it; fields that it does not know are
// passed over, as a newer manager may have some.
func DecodeOrder(data []byte) (*Order, error) {
	o := &Order{}
	if err := json.Unmarshal(data, o); err != nil {
		return nil, fault.New(fault.Usage, "the order cannot be read: %w", err)
	}
	return o, o.check()
}

func (o *Order) check() error {
	if o.WebServer != "" && !slices.Contains(Servers(), o.WebServer) {
		return fault.New(fault.Usage, "web server %.100q is none of %s", o.WebServer, strings.Join(Servers(), ", "))
	}
	domains, users, ids := map[string]bool{}, map[string]bool{}, map[uint32]bool{}
	for i := range o.Specs {
		s := &o.Specs[i]
		if err := s.Check(); err != nil {
			return err
		}
		if domains[s.Domain] || users[s.User] || ids[s.UID] {
			return fault.New(fault.Usage, "site %s: its domain, user %s or id %d is in the order twice", s.Domain, s.User, s.UID)
		}
		domains[s.Domain], users[s.User], ids[s.UID] = true, true, true
	}
	return nil
}

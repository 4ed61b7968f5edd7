package vhost

import (
	"net/netip"
	"testing"
)

func prefixes(list ...string) (all []netip.Prefix) {
	for _, text := range list {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

// TestForwarded holds that real servers take the file, of both families, and that
// nothing is left of it.
func TestForwarded(t *testing.T) {
	for name, s := range installed(t) {
		t.Run(name, func(t *testing.T) {
			for _, from := range [][]netip.Prefix{prefixes("192.0.2.10/32"), prefixes("192.0.2.0/24", "2001:db8::1/128", "2001:db8:1::/64"), nil} {
				c := s.Forwarded(from)
				if err := s.Put(t.Context(), []Change{c}); err != nil {
					t.Fatal(err)
				}
				if what := s.Differs(c.Domain, c.Text); what != "" {
					t.Error(what)
				}
				if (c.Text == "") != (from == nil) {
					t.Errorf("%v: %q", from, c.Text)
				}
			}
		})
	}
}

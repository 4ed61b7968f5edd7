package vhost

import (
	"fmt"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"iwx/lib/site"
)

// TestAllBut holds that every address is in exactly one of the networks, but those
// of the list.
func TestAllBut(t *testing.T) {
	for _, list := range [][]netip.Prefix{nil, prefixes("192.0.2.10/32"), prefixes("192.0.2.10/32", "192.0.2.9/32", "198.51.100.0/24"), prefixes("0.0.0.0/0", "2001:db8::1/128")} {
		rest := allBut(list)
		for _, text := range []string{"192.0.2.10", "192.0.2.9", "192.0.2.8", "192.0.2.11", "198.51.100.7", "0.0.0.0", "255.255.255.255", "::1", "2001:db8::1", "2001:db8::2"} {
			addr, want := netip.MustParseAddr(text), 1
			for _, p := range list {
				if p.Contains(addr) {
					want = 0
				}
			}
			n := 0
			for _, p := range rest {
				if p.Contains(addr) {
					n++
				}
			}
			if n != want {
				t.Errorf("%v: %s is in %d of the others, want %d", list, text, n, want)
			}
		}
	}
}

// TestProxied holds for real servers: sites of iwx are covered, one by hand is
// not, and the server's own test passes with and without.
func TestProxied(t *testing.T) {
	at := netip.MustParseAddrPort("127.0.0.1:10443")
	for name, s := range installed(t) {
		t.Run(name, func(t *testing.T) {
			if some, err := s.Covered(t.Context(), 10443); some || err != nil {
				t.Fatalf("without sites: %v, %v", some, err)
			}
			one := secure(t, s)
			c := s.Proxied(at, prefixes("192.0.2.10/32", "2001:db8::10/128"))
			if err := s.Put(t.Context(), []Change{c, {Domain: one.Domain, Text: render(t, s, one)}}); err != nil {
				t.Fatal(err)
			}
			if some, err := s.Covered(t.Context(), 10443); !some || err != nil {
				t.Fatalf("a site of iwx: %v, %v", some, err)
			}
			if err := s.Looked(); err != nil || s.Unlooked() {
				t.Errorf("looked at, and it does not know: %v", err)
			}
			hand := "<VirtualHost *:443>\nServerName shop.example\nSSLEngine on\nSSLCertificateFile CERT\n</VirtualHost>\n"
			if s.Syntax == "nginx" {
				hand = "server { # one {\n listen 443 ssl; server_name \"shop.example\"; ssl_certificate CERT; ssl_certificate_key CERT; location / { return 200 'a;b}'; } }\n"
			}
			by := filepath.Join(s.at(s.sites), "hand.conf")
			write(t, by, strings.ReplaceAll(hand, "CERT", filepath.Join(s.Root, "cert.pem")))
			if _, err := s.Covered(t.Context(), 10443); err == nil || !strings.Contains(err.Error(), "shop.example") || !strings.Contains(err.Error(), "is at port 443 and not at port 10443") {
				t.Errorf("one by hand: %v", err)
			}
			if !s.Unlooked() {
				t.Error("one was added, and nobody is to look")
			}
			gone := s.Proxied(netip.AddrPort{}, nil)
			if err := s.Put(t.Context(), []Change{gone}); err != nil || s.Differs(gone.Domain, "") != "" {
				t.Errorf("%v", err)
			}
		})
	}
}

// secure returns a site with a certificate, which is where the server has it.
func secure(t *testing.T, s *Server) *site.Site {
	t.Helper()
	one := example()
	one.Certificate = "test"
	for _, path := range []string{filepath.Join(s.Root, "cert.pem"), filepath.Join(s.Root, "var/lib/iwx/certificates/test.pem")} {
		write(t, path, "")
		if out, err := exec.Command("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
			"-subj", "/CN=example.org", "-keyout", path+".key", "-out", path+".crt").CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if out, err := exec.Command("sh", "-c", fmt.Sprintf("cat %[1]s.crt %[1]s.key >%[1]s", path)).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	return one
}

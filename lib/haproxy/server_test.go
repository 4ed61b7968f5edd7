package haproxy

import (
	"strings"
	"testing"

	"iwx/lib/lb"
)

// TestServerNames holds that what a name tells is read back, and that a server
// which expects the PROXY protocol gets it, whatever the others do.
func TestServerNames(t *testing.T) {
	at := addr("[2001:db8::11]:10443")
	for _, want := range []lb.Real{
		{Name: "web1", Weight: 7}, {Name: "web1.example", Weight: 7, Local: true},
		{Name: "web1", Weight: 7, Proxy: true}, {Name: "web1", Weight: 7, Local: true, Proxy: true},
	} {
		s := server{name: serverName(at, want), weight: want.Weight}
		is, ours := parseName("192.0.2.10:443", s.name)
		is.weight = s.weight
		if !ours || is.addr != at || is.real() != want {
			t.Errorf("%s: %v %+v", s.name, is.addr, is.real())
		}
		if proxied := strings.HasSuffix(serverValues(at, lb.Virtual{}, want), " send-proxy-v2"); proxied != want.Proxy {
			t.Errorf("%s: the PROXY protocol: %v", s.name, proxied)
		}
	}
}

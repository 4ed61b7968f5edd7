package dns_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	miekg "github.com/miekg/dns"

	"iwx/lib/dns"
)

func addrs(list ...string) (out []netip.Addr) {
	for _, a := range list {
		out = append(out, netip.MustParseAddr(a))
	}
	return out
}

// TestZones: a name beneath another is in its zone.
func TestZones(t *testing.T) {
	for _, tt := range []struct{ names, want string }{
		{"example.org", "[{example.org [www]}]"},
		{"example.org www.example.org shop.example.org", "[{example.org [shop www]}]"},
		{"www.example.org example.org", "[{example.org [www]}]"},
		{"shop.example.org", "[{shop.example.org [www]}]"},
		{"example.org example.net a.b.example.net", "[{example.org [www]} {example.net [a.b www]}]"},
		{"example.org notexample.org", "[{example.org [www]} {notexample.org [www]}]"},
	} {
		if got := fmt.Sprint(dns.Zones(strings.Fields(tt.names))); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.names, got, tt.want)
		}
	}
}

// records are those of a zone file, as another library reads it.
func records(t *testing.T, text string) string {
	t.Helper()
	parser := miekg.NewZoneParser(strings.NewReader(text), "", "")
	var b strings.Builder
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		b.WriteString(strings.ReplaceAll(rr.String(), "\t", " ") + "\n")
	}
	if err := parser.Err(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestRender(t *testing.T) {
	zone := dns.Zone{Name: "example.org", Hosts: []string{"www"}}
	in := dns.Surroundings{
		Servers: []dns.Host{{"Manager", addrs("192.0.2.9")}, {"web1.lan", addrs("192.0.2.11", "2001:db8::11")}},
		Web:     addrs("192.0.2.80", "2001:db8::80"), Mail: addrs("192.0.2.25"),
	}
	want := `example.org. 300 IN SOA ns-manager.example.org. hostmaster.example.org. 7 900 120 1209600 300
example.org. 300 IN NS ns-manager.example.org.
example.org. 300 IN NS ns-web1-lan.example.org.
ns-manager.example.org. 300 IN A 192.0.2.9
ns-web1-lan.example.org. 300 IN A 192.0.2.11
ns-web1-lan.example.org. 300 IN AAAA 2001:db8::11
example.org. 300 IN A 192.0.2.80
example.org. 300 IN AAAA 2001:db8::80
www.example.org. 300 IN A 192.0.2.80
www.example.org. 300 IN AAAA 2001:db8::80
example.org. 300 IN MX 10 mail.example.org.
mail.example.org. 300 IN A 192.0.2.25
`
	if got := records(t, zone.Render(in, 7)); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	in = dns.Surroundings{Servers: in.Servers, Nameservers: []string{"ns1.example.net"}, Hostmaster: "dns.team@example.net", Web: addrs("192.0.2.80")}
	want = `example.org. 300 IN SOA ns1.example.net. dns\.team.example.net. 8 900 120 1209600 300
example.org. 300 IN NS ns1.example.net.
example.org. 300 IN A 192.0.2.80
www.example.org. 300 IN A 192.0.2.80
`
	if got := records(t, zone.Render(in, 8)); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

package conf

import (
	"slices"
	"testing"
)

func TestDNS(t *testing.T) {
	c, err := Parse("iwx.toml", []byte("[dns]\nprovider = \"none\"\nnameservers = \"NS1.example.net. ns2.example.net\"\nhostmaster = \"dns@example.net\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got := c.DNS.Names(); !slices.Equal(got, []string{"ns1.example.net", "ns2.example.net"}) {
		t.Errorf("names %q", got)
	}
	for line, want := range map[string]string{
		`provider = "powerdns"`:    `iwx.toml:2: dns.provider: "powerdns" is neither bind nor none`,
		`nameservers = "ns1 a_b."`: `iwx.toml:2: dns.nameservers: "ns1" is not the name of a host, such as ns1.example.net`,
		`hostmaster = "root"`:      `iwx.toml:2: dns.hostmaster: "root" is not a mail address, such as hostmaster@example.net`,
	} {
		if _, err := Parse("iwx.toml", []byte("[dns]\n"+line+"\n")); err == nil || err.Error() != want {
			t.Errorf("%s: got  %v\nwant %s", line, err, want)
		}
	}
}

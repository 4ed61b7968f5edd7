package upkeep_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"iwx/lib/bind"
	"iwx/lib/profile"
	"iwx/lib/tool/upkeep"
)

// TestDNS holds who serves zones how, and that the key is the nodes' alone.
func TestDNS(t *testing.T) {
	c := shop(t, 2)
	if documents, err := c.Documents(); err != nil || slices.Contains(kinds(documents["n0"]), "dns zones") {
		t.Fatalf("without zones a node gets %q, %v", kinds(documents["n0"]), err)
	}
	c.Identity.Address = netip.MustParseAddr("192.0.2.9")
	address := "192.0.2.80"
	c.DNS = &upkeep.DNS{Key: "c2VjcmV0", Others: []string{"b.example"}, Zones: func() ([]bind.Zone, error) {
		return []bind.Zone{{Name: "a.example", Text: func(uint32) string { return "www A " + address }}}, nil
	}}
	documents, err := c.Documents()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := specOf(documents["n0"]), `{"primaries":["192.0.2.9","192.0.2.10"],"key":"c2VjcmV0"}`; got != want {
		t.Errorf("a node: got  %s\nwant %s", got, want)
	}
	p, err := c.Primary()
	if err != nil {
		t.Fatal(err)
	}
	if want := []netip.Addr{netip.MustParseAddr("192.0.2.11"), netip.MustParseAddr("192.0.2.12")}; !slices.Equal(p.Secondaries, want) || p.Key != "c2VjcmV0" {
		t.Errorf("the manager serves %+v", p)
	}
	seen := map[string]bool{}
	look := func() {
		t.Helper()
		own, err := c.Manager()
		spec := specOf(own)
		if err != nil || spec == "" || strings.Contains(spec, "c2VjcmV0") || seen[spec] {
			t.Errorf("the manager gets %q, %v", spec, err)
		}
		seen[spec] = true
	}
	look()
	address = "192.0.2.81"
	look()
	c.Members = c.Members[:1]
	look()
	c.DNS.Others = nil
	look()
}

func specOf(doc profile.Document) string {
	for _, item := range doc.Items {
		if item.Kind == upkeep.KindDNS {
			return string(item.Spec)
		}
	}
	return ""
}

package dns_test

import (
	"fmt"
	"testing"

	"iwx/lib/dns"
)

// BenchmarkThousand renders the zones of a thousand sites.
func BenchmarkThousand(b *testing.B) {
	var names []string
	for i := range 1000 {
		names = append(names, fmt.Sprintf("site%d.example", i), fmt.Sprintf("www.site%d.example", i))
	}
	for b.Loop() {
		for _, z := range dns.Needed(names, nil, nil) {
			if _, err := dns.Render(&z, around()); err != nil {
				b.Fatal(err)
			}
		}
	}
}

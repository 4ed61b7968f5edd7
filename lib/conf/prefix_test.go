package conf

import (
	"fmt"
	"testing"
)

func TestEndpointAllow(t *testing.T) {
	tests := []struct{ text, want, fault string }{
		{"", "[]", ""},
		{" 192.0.2.1  2001:db8::/64 ", "[192.0.2.1/32 2001:db8::/64]", ""},
		{"lb.example", "", `"lb.example" is neither an address nor a network such as 192.0.2.0/24`},
		{"192.0.2.1/24", "", `"192.0.2.1/24" is an address within 192.0.2.0/24; write one of the two`},
		{"192.0.2.1, 192.0.2.2", "", `"192.0.2.1," is neither an address nor a network such as 192.0.2.0/24`},
	}
	for _, tt := range tests {
		c, err := Parse("f", fmt.Appendf(nil, "lb.endpoint_allow = %q", tt.text))
		switch {
		case tt.fault == "" && (err != nil || fmt.Sprint(c.LB.Allowed()) != tt.want):
			t.Errorf("%q: %v, %v", tt.text, c.LB.Allowed(), err)
		case tt.fault != "" && (err == nil || err.Error() != "f:1: lb.endpoint_allow: "+tt.fault):
			t.Errorf("%q: %v", tt.text, err)
		}
	}
}

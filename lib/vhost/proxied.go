package vhost

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// proxied is the name of the file that has the server listen where HTTPS comes
// with a header of the PROXY protocol.
const proxied = "proxied"

// Proxied returns the change by which the server serves what it has at port 443
// at another address as well, where the PROXY protocol is expected from the
// balancers and nobody else's word is taken; for no address, the one that undoes
// it. Covered tells whether the server is fit for it.
//
// In apache the port is told to expect the protocol by a virtual host that comes
// last, so that it never answers. Whoever is no balancer is an exception, that is,
// served as an ordinary client (mod_remoteip).
func (s *Server) Proxied(at netip.AddrPort, balancers []netip.Prefix) Change {
	switch {
	case !at.IsValid():
		return Change{Domain: proxied}
	case s.Syntax == "nginx":
		return Change{Domain: proxied, Text: clientsNotice + fmt.Sprintf("listen %s ssl proxy_protocol;\n", at) +
			realIPFrom(balancers) + "real_ip_header proxy_protocol;\n"}
	}
	return Change{Domain: proxied, Text: clientsNotice + s.remoteIP() + fmt.Sprintf(`Listen %s
<VirtualHost *:%d>
	ServerName proxied.iwx.invalid
	RemoteIPProxyProtocol On
	RemoteIPProxyProtocolExceptions %s
	<Location "/">
		Require all denied
	</Location>
</VirtualHost>
`, at, at.Port(), strings.Join(Addresses(allBut(balancers)), " "))}
}

// Unproxied returns the change by which Proxied waits: nothing is at port 443.
func (s *Server) Unproxied() Change {
	return Change{Domain: proxied, Text: clientsNotice + "# Nothing is at port 443.\n"}
}

// Listens reports whether the server was told to listen, under any Proxied.
func (s *Server) Listens() bool {
	return s.Differs(proxied, "") != "" && s.Differs(proxied, s.Unproxied().Text) != ""
}

// allBut returns networks that have in them all addresses but those of the list.
func allBut(list []netip.Prefix) (rest []netip.Prefix) {
	for _, half := range []string{"0.0.0.0/1", "128.0.0.0/1", "::/1", "8000::/1"} {
		rest = append(rest, without(netip.MustParsePrefix(half), list)...)
	}
	return rest
}

// without returns networks that have in them what of p is in none of the list.
func without(p netip.Prefix, list []netip.Prefix) []netip.Prefix {
	switch {
	case slices.ContainsFunc(list, func(q netip.Prefix) bool { return q.Bits() <= p.Bits() && q.Overlaps(p) }):
		return nil
	case !slices.ContainsFunc(list, p.Overlaps):
		return []netip.Prefix{p}
	}
	low := netip.PrefixFrom(p.Addr(), p.Bits()+1)
	bytes := p.Addr().AsSlice()
	bytes[p.Bits()/8] |= 0x80 >> (p.Bits() % 8)
	upper, _ := netip.AddrFromSlice(bytes)
	return append(without(low, list), without(netip.PrefixFrom(upper, low.Bits()), list)...)
}

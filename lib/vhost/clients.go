package vhost

import (
	"net/netip"
	"strings"
)

// forwarded is the name of the file that says who is believed about the client
// of a request. It is no domain: that has a dot.
const forwarded = "clients"

// clientsNotice begins the files that are no site's.
const clientsNotice = "# Made by iwx-queued(8), see iwx-lb(8): changes are overwritten.\n"

// Forwarded returns the change by which the server takes the client's address
// from X-Forwarded-For, where a request comes from one of the balancers; without
// any, the one that undoes it. Balancers append the address to the field, and
// only their own part of it is believed: what the client wrote before it is not.
func (s *Server) Forwarded(balancers []netip.Prefix) Change {
	switch {
	case len(balancers) == 0:
		return Change{Domain: forwarded}
	case s.Syntax == "nginx":
		return Change{Domain: forwarded, Text: clientsNotice + realIPFrom(balancers) + "real_ip_header X-Forwarded-For;\n"}
	}
	return Change{Domain: forwarded, Text: clientsNotice + s.remoteIP() +
		"RemoteIPHeader X-Forwarded-For\nRemoteIPInternalProxy " + strings.Join(Addresses(balancers), " ") + "\n"}
}

// realIPFrom names balancers to ngx_http_realip_module.
func realIPFrom(balancers []netip.Prefix) string {
	var b strings.Builder
	for _, from := range Addresses(balancers) {
		b.WriteString("set_real_ip_from " + from + ";\n")
	}
	return b.String()
}

// remoteIP loads mod_remoteip, which a2enmod(8) may not have.
func (s *Server) remoteIP() string {
	path := "modules/mod_remoteip.so" // below its ServerRoot, as RHEL has it
	if s.Name == "apache2" {
		path = "/usr/lib/apache2/modules/mod_remoteip.so"
	}
	return "<IfModule !remoteip_module>\n\tLoadModule remoteip_module " + path + "\n</IfModule>\n"
}

// Addresses returns addresses and networks as programs read them: one alone has no
// mask.
func Addresses(list []netip.Prefix) []string {
	text := make([]string, len(list))
	for i, p := range list {
		text[i] = p.String()
		if p.IsSingleIP() {
			text[i] = p.Addr().String()
		}
	}
	return text
}

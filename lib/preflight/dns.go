package preflight

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// dnsPort is where a name server is asked.
const dnsPort = 53

// dns looks for BIND, and for somebody else where it is to answer. Which servers
// serve zones is told by the manager's settings; a node that is not told otherwise by
// its own is one of them.
func (s Server) dns(context.Context) Result {
	switch {
	case s.Paths.Own():
		return ownRoot()
	case s.DNS.Provider == "none":
		return skip("[dns] provider is none in %s", s.Paths.Config)
	}
	r := s.present(part{"BIND", []string{"etc/bind/named.conf", "etc/named.conf"}, "bind9", "bind"})
	if r.Status == OK {
		return s.nameServer()
	}
	r.Detail += ": this server cannot serve zones"
	r.Remedy += "; or " + s.leaveDNS()
	return r
}

// leaveDNS is what to do where BIND is not wanted.
func (s Server) leaveDNS() string {
	return fmt.Sprintf("leave DNS alone: [dns] provider = \"none\" in %s", s.Paths.Config)
}

// nameServer reports who has port 53 of an address that named listens at. The stub
// of systemd-resolved(8) is in nobody's way: no interface has 127.0.0.53.
func (s Server) nameServer() Result {
	for _, a := range s.Facts.Addresses {
		if a.Addr().IsLinkLocalUnicast() {
			continue
		}
		at := netip.AddrPortFrom(a.Addr(), dnsPort)
		for _, transport := range []string{"udp", "tcp"} {
			for _, p := range owners(s.Sys, listening(s.Sys, transport, at)) {
				if !s.isNamed(p) {
					return warn(s.stop(p)+"; or "+s.leaveDNS(),
						"port %d/%s on %s is taken by %s (pid %d), and BIND cannot answer there", dnsPort, transport, at.Addr(), p.name, p.pid)
				}
			}
		}
	}
	return ok("BIND is installed, and no other program uses port %d", dnsPort)
}

// isNamed reports whether a process is BIND's, whose threads have names of their
// own.
func (s Server) isNamed(p program) bool {
	exe, _ := os.Readlink(s.process(p, "exe"))
	return p.name == "named" || filepath.Base(exe) == "named"
}

// stop is how to end a process for good: its unit, if it has one, by cgroups(7).
func (s Server) stop(p program) string {
	group, _ := os.ReadFile(s.process(p, "cgroup"))
	for line := range strings.Lines(string(group)) {
		if unit := path.Base(strings.TrimSpace(line)); strings.HasSuffix(unit, ".service") {
			return "systemctl disable --now " + unit
		}
	}
	return "stop it"
}

// process is a file of proc(5).
func (s Server) process(p program, file string) string {
	return filepath.Join(s.Sys, fmt.Sprintf("proc/%d", p.pid), file)
}

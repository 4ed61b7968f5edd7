package preflight

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"iwx/lib/fault"
	"iwx/lib/lb"
)

// The names of the checks of load balancing. Those of a server by itself that
// matter to it too have the same names as there.
const (
	NameEngine     = "engine"
	NameSchedulers = "schedulers"
	NameVIPs       = "virtual-ips"
	NameListeners  = "listeners"
	NameForwarding = "forwarding"
)

// Balance is what the probes of load balancing look at: the manager, and what is
// asked for.
type Balance struct {
	Server
	Setup lb.Setup
	IPVS  func(ctx context.Context) error              // whether the kernel can balance, ipvs.Available
	Nodes []string                                     // by name
	Cross func(ctx context.Context) ([]Crossed, error) // tries what the network between them lets through, once
}

// Probes returns the probes of the engine that was chosen, in the order in which
// to show them.
func (b Balance) Probes() []Probe {
	return append([]Probe{
		{NameEngine, b.engine}, {NameSchedulers, b.schedulers}, {NameVIPs, b.vips}, {NameListeners, b.listeners},
		{NameForwarding, b.forwarding}, {NameContainer, b.balancingContainer}, {NameFirewall, b.balancedFirewall}, {NameSELinux, b.proxySELinux},
	}, b.crossings()...)
}

// is reports whether an engine of this name is to balance.
func (b Balance) is(engine string) bool { return b.Setup.Engine == engine && !b.Setup.External }

func (b Balance) engine(ctx context.Context) Result {
	switch {
	case b.Setup.External:
		return ok("an external balancer is used, and nothing is needed here")
	case b.Setup.Engine == "":
		return fail("iwx-lb engine NAME", "no engine was chosen")
	case b.is("haproxy"):
		return b.needs("haproxy", "usr/sbin/haproxy", "usr/bin/haproxy", "usr/local/sbin/haproxy")
	}
	if b.Paths.Own() {
		return fail("iwx-lb engine haproxy", "below a root directory of its own the kernel is left alone")
	}
	if err := b.IPVS(ctx); err != nil {
		return fail(fault.HintOf(err), "%v", err)
	}
	return ok("the kernel has ipvs")
}

// needs looks for a program, which a package of the same name brings.
func (b Balance) needs(name string, files ...string) Result {
	s := b.Server
	s.Paths.Root = "" // the program is the machine's
	r := s.present(part{name, files, name, name})
	if r.Status == Warn {
		r.Status = Fail
	}
	return r
}

// schedulers looks for the kernel's modules of those in use. One that is not to
// be seen may be part of the kernel.
func (b Balance) schedulers(context.Context) Result {
	dir := "lib/modules/" + b.Facts.Kernel
	if !b.is("ipvs") || len(b.Setup.Policies) == 0 || !b.exists(dir) {
		return skip("nothing to look for")
	}
	builtin := b.read(dir + "/modules.builtin")
	var missing []string
	for i := range b.Setup.Policies {
		module := "ip_vs_" + b.Setup.Policies[i].Scheduler
		if !slices.Contains(missing, module) && !strings.Contains(builtin, "/"+module+".ko") && !b.exists(dir+"/kernel/net/netfilter/ipvs/"+module+".ko*") {
			missing = append(missing, module)
		}
	}
	if missing != nil {
		return fail("iwx-lb edit SERVICE --scheduler wlc", "the kernel has no module %s", strings.Join(missing, " "))
	}
	return ok("the kernel has every scheduler that is used")
}

// vips looks whether the manager holds the virtual addresses.
func (b Balance) vips(context.Context) Result {
	switch {
	case b.Setup.External || b.Paths.Own():
		return skip("the manager holds none")
	case len(b.Setup.VIPs) == 0:
		return warn("iwx-lb vip add IP", "there is no virtual IP yet")
	}
	var missing []string
	for _, v := range b.Setup.VIPs {
		if _, held := b.Facts.Find(v.Addr); !held {
			missing = append(missing, v.Addr.String())
		}
	}
	if missing != nil {
		return fail("see why: iwx-cluster-setup status", "the manager does not hold %s", strings.Join(missing, " "))
	}
	return ok("the manager holds %s", plural(len(b.Setup.VIPs), "virtual IP"))
}

func plural(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// listeners names who is in HAProxy's way, which listens at the virtual services
// itself, and the line to change. In the kernel's way is nobody.
func (b Balance) listeners(context.Context) Result {
	if !b.is("haproxy") {
		return skip("no service of this server conflicts with %s", balancer(b.Setup))
	}
	var found, remedies []string
	for i := range b.Setup.Policies {
		at := b.Setup.Policies[i].Key()
		p, taken := listenerOn(b.Sys, at)
		if !taken || p.name == "haproxy" {
			continue
		}
		found = append(found, fmt.Sprintf("%s (pid %d) has port %d", p.name, p.pid, at.Port()))
		if line := b.moveAway(p.name, at); !slices.Contains(remedies, line) {
			remedies = append(remedies, line)
		}
	}
	if found != nil {
		return fail(strings.Join(remedies, "; "), "%s of a virtual IP, so that HAProxy cannot listen there", strings.Join(found, ", "))
	}
	return ok("every virtual service is free for HAProxy")
}

// balancer is who balances, for sentences.
func balancer(s lb.Setup) string {
	if s.External {
		return "an external balancer"
	}
	return s.Engine
}

// moveAway is how a service listens at this server's own address alone, so that
// the virtual one is free.
func (b Balance) moveAway(program string, at netip.AddrPort) string {
	own := "the server's own address"
	for _, a := range b.Facts.Addresses {
		if a.Prefix.Contains(at.Addr()) && !b.Setup.HasVIP(a.Addr()) && a.Addr() != b.QuorumIP {
			own = a.Addr().String()
			break
		}
	}
	switch program {
	case "apache2", "httpd":
		return fmt.Sprintf("in apache's configuration (ports.conf or httpd.conf) write: Listen %s", hostPort(own, at.Port()))
	case "nginx":
		return fmt.Sprintf("in nginx's configuration write: listen %s;", hostPort(own, at.Port()))
	case "master":
		return fmt.Sprintf("in /etc/postfix/main.cf write: inet_interfaces = %s, localhost", own)
	case "dovecot":
		return fmt.Sprintf("in /etc/dovecot/dovecot.conf write: listen = %s, 127.0.0.1", own)
	}
	return fmt.Sprintf("have %s listen on %s alone", program, own)
}

func hostPort(host string, port uint16) string {
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return fmt.Sprintf("%s:%d", host, port)
}

// forwarding looks whether the kernel passes on packets, which translation of
// addresses needs: the nodes' answers come back through the manager.
func (b Balance) forwarding(context.Context) Result {
	if !b.is("ipvs") || b.Paths.Own() {
		return skip("no packets are translated")
	}
	var off []string
	for i := range b.Setup.Policies {
		p := &b.Setup.Policies[i]
		file, setting := "proc/sys/net/ipv4/ip_forward", "net.ipv4.ip_forward"
		if p.VIP.Is6() {
			file, setting = "proc/sys/net/ipv6/conf/all/forwarding", "net.ipv6.conf.all.forwarding"
		}
		if p.Forwarding == lb.NAT && b.read(file) == "0" && !slices.Contains(off, setting+"=1") {
			off = append(off, setting+"=1")
		}
	}
	if off != nil {
		return fail("the manager's profile sets "+strings.Join(off, " ")+"; see why it did not: iwx-cluster-setup status", "addresses are translated (nat), and the kernel passes no packets on")
	}
	return ok("the kernel forwards packets")
}

func (b Balance) balancingContainer(ctx context.Context) Result {
	if b.is("haproxy") || b.Setup.External {
		return ok("%s works in a container as well", balancer(b.Setup))
	}
	return b.container(ctx)
}

// balancedFirewall looks at the ports of the policies alone.
func (b Balance) balancedFirewall(ctx context.Context) Result {
	s := b.Server
	s.Services = []uint16{}
	for i := range b.Setup.Policies {
		s.Services = append(s.Services, b.Setup.Policies[i].Port)
	}
	if len(s.Services) == 0 {
		return skip("no service is balanced yet")
	}
	return s.firewall(ctx)
}

// proxySELinux matters where HAProxy is used; the rest is not balancing's.
func (b Balance) proxySELinux(context.Context) Result {
	const boolean = "haproxy_connect_any"
	current, _, _ := strings.Cut(b.read("sys/fs/selinux/booleans/"+boolean), " ")
	switch {
	case !b.is("haproxy") || b.Paths.Own():
		return skip("SELinux has no say in it")
	case b.read("sys/fs/selinux/enforce") == "1" && current == "0":
		return fail("setsebool -P "+boolean+"=1", "SELinux enforces with %s off, so that HAProxy reaches no server", boolean)
	}
	return ok("SELinux lets HAProxy connect")
}

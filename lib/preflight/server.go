package preflight

import (
	"context"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"iwx/lib/conf"
	"iwx/lib/host"
)

// Role is what a server is to become.
type Role string

// The roles.
const (
	Manager Role = "manager"
	Node    Role = "node"
)

// MinFree is the room in bytes that state, journal and output of commands need
// at the start.
const MinFree = 256 << 20

// Server is what the probes look at. All of it is given, so that a fabricated
// server can be probed too.
type Server struct {
	Paths    host.Paths
	Facts    host.Facts
	Role     Role
	QuorumIP netip.Addr // the manager's, and the zero value on a node
	Port     uint16     // of the manager's API, as in iwx.toml
	// EndpointPort is the port of the health endpoint, as in iwx.toml.
	EndpointPort uint16
	Existing     Existing // what the state file says that this server is
	Storage      conf.Storage
	DNS          conf.DNS
	WebServer    string   // [site] web_server of iwx.toml, "" for the installed one
	Services     []uint16 // the only ports that the firewall must allow; nil: all that iwx may need

	// Sys holds proc, sys and sbin; "/" but in tests.
	Sys string
	// Command runs a program and returns its standard output. A program that
	// is not there is an error that wraps exec.ErrNotFound.
	Command func(ctx context.Context, name string, args ...string) ([]byte, error)
	// Holder asks the link who else holds an address, see host.Holder.
	Holder func(ctx context.Context, link string, addr netip.Addr) (net.HardwareAddr, error)
}

// Existing is the role and cluster that an earlier setup gave this server.
type Existing struct {
	Role    Role   // "" for none
	Cluster string // name, for the message
	Same    bool   // it is what is being asked for again
}

// Probes returns all probes for the role, in the order in which to show them.
func (s Server) Probes() []Probe {
	probes := []Probe{
		{NameRoot, s.root}, {NameSystemd, s.systemd}, {NameOS, s.os}, {NameState, s.state},
	}
	if s.Role == Manager {
		probes = append(probes, Probe{NameAddresses, s.addresses}, Probe{NameQuorumIP, s.quorumIP}, Probe{NamePorts, s.ports})
	}
	probes = append(probes, Probe{NameDisk, s.disk}, Probe{NameClockSync, s.clockSync}, Probe{NameSourcePorts, s.sourcePorts},
		Probe{NameContainer, s.container}, Probe{NameFirewall, s.firewall}, Probe{NameSELinux, s.selinux})
	probes = append(probes, s.storageProbes()...)
	probes = append(probes, Probe{NameWebServer, s.webServer}, Probe{NameDNS, s.dns})
	if s.Role == Manager {
		probes = append(probes, Probe{NameIPVS, s.ipvs})
	}
	return probes
}

// ownRoot is the answer of a probe that has nothing to say about a server
// under a root directory of its own.
func ownRoot() Result { return skip("a root directory of its own is used") }

func (s Server) root(context.Context) Result {
	switch {
	case s.Paths.Own():
		return ok("a root directory of its own is used: %s", s.Paths.Root)
	case s.Facts.UID != 0:
		return fail("run it as root: sudo iwx-cluster-setup …", "the effective user id is %d", s.Facts.UID)
	}
	return ok("running as root")
}

func (s Server) systemd(context.Context) Result {
	switch {
	case s.Paths.Own():
		return ownRoot()
	case !s.Facts.Systemd:
		return warn("start iwx-queued by the means of this system", "systemd is not PID 1 here")
	}
	return ok("systemd is PID 1")
}

func (s Server) os(context.Context) Result {
	if s.Facts.OS.ID == "" || s.Facts.OS.ID == "linux" {
		return warn("", "no os-release says which system this is")
	}
	return ok("%s, %s, Linux %s", s.Facts.OS, s.Facts.Arch, s.Facts.Kernel)
}

func (s Server) state(context.Context) Result {
	e := s.Existing
	switch {
	case e.Role == "":
		return ok("not part of a cluster yet")
	case e.Same:
		return ok("already set up as the %s of %s", e.Role, e.Cluster)
	}
	return fail("iwx-cluster-setup reset", "already the %s of cluster %s", e.Role, e.Cluster)
}

// addresses wants two, since the quorum IP cannot be a virtual IP too.
// Link-local ones are of no use to a service, loopback ones only below a root.
func (s Server) addresses(context.Context) Result {
	var usable []string
	here := false
	for _, a := range s.Facts.Addresses {
		if a.Addr().IsLinkLocalUnicast() || a.Loopback && !s.Paths.Own() {
			continue
		}
		usable = append(usable, a.Prefix.String())
		here = here || a.Addr() == s.QuorumIP
	}
	list := strings.Join(usable, " ")
	switch {
	case len(usable) < 2:
		return fail("ip address add ADDRESS/BITS dev DEVICE",
			"a manager needs two addresses, the quorum IP and one for services; found: %s", orNone(list))
	case !here:
		return fail("iwx-cluster-setup manager --quorum-ip one of these", "%s is not among %s", s.QuorumIP, list)
	}
	return ok("%s", list)
}

func (s Server) quorumIP(ctx context.Context) Result {
	if !s.QuorumIP.IsValid() {
		return fail("iwx-cluster-setup manager --quorum-ip IP", "no quorum IP is given")
	}
	a, found := s.Facts.Find(s.QuorumIP)
	switch {
	case !found:
		return fail("ip -brief address", "%s is not on any interface here", s.QuorumIP)
	case a.Loopback && !s.Paths.Own():
		return fail("choose an address that the nodes can reach", "%s is a loopback address", s.QuorumIP)
	case s.Paths.Own():
		return ok("%s on %s", a.Prefix, a.Interface)
	}
	return s.soleHolder(ctx, a)
}

// soleHolder fails if another host on the link has the quorum IP too: a second
// manager, or an old one that is back. The nodes would talk to either.
func (s Server) soleHolder(ctx context.Context, a host.Address) Result {
	other, err := s.Holder(ctx, a.Interface, a.Addr())
	switch {
	case err != nil:
		return warn("run it as root: sudo iwx-cluster-setup …", "%v", err)
	case other != nil:
		return fail("find it: ip neighbour show "+a.Addr().String()+"; take the address from it, or choose another one",
			"another host on %s, %s, has %s too", a.Interface, other, a.Addr())
	}
	return ok("%s on %s", a.Prefix, a.Interface)
}

func (s Server) disk(context.Context) Result {
	dir := s.Paths.Lib
	f, err := host.FilesystemOf(dir)
	switch {
	case err != nil:
		return fail("", "%v", err)
	case !f.Local:
		return fail("mount a local file system there", "%s would be on %s, and the state needs a local file system", dir, f.Type)
	case f.Free < MinFree:
		return fail("df -h "+dir, "%s has %d MiB free, %d MiB are needed", dir, f.Free>>20, MinFree>>20)
	}
	return ok("%d MiB free for %s", f.Free>>20, dir)
}

// clockSync asks the kernel whether anything disciplines its clock, adjtimex(2).
// Containers and some VMs have their clock kept from outside, so this is never
// more than a warning.
func (s Server) container(context.Context) Result {
	switch {
	case s.Paths.Own():
		return ownRoot()
	case s.Facts.Container == "":
		return ok("not a container")
	case s.Role == Manager:
		return warn("use a machine or VM for the manager",
			"this is a container (%s), where the kernel's load balancer and NFS server mostly do not work", s.Facts.Container)
	}
	return warn("use a machine or VM if mounts fail", "this is a container (%s), where NFS mounts are mostly refused", s.Facts.Container)
}

// selinux names the booleans that are off and needed: the web server reads
// sites over NFS, and HAProxy connects to the services' ports.
func (s Server) selinux(context.Context) Result {
	if s.Paths.Own() {
		return ownRoot()
	}
	if s.read("sys/fs/selinux/enforce") != "1" {
		return ok("SELinux does not enforce here")
	}
	var off []string
	for _, boolean := range []string{"httpd_use_nfs", "haproxy_connect_any"} {
		// "current pending"; a policy without the boolean has no file.
		current, _, _ := strings.Cut(s.read("sys/fs/selinux/booleans/"+boolean), " ")
		if current == "0" {
			off = append(off, boolean)
		}
	}
	if off != nil {
		return warn("setsebool -P "+strings.Join(off, "=1 ")+"=1", "SELinux enforces with %s off", strings.Join(off, " and "))
	}
	return ok("SELinux enforces, and allows what iwx needs")
}

// read returns a small file below Sys without surrounding space, "" if it
// cannot be read.
func (s Server) read(name string) string {
	data, err := os.ReadFile(filepath.Join(s.Sys, name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

func orNone(list string) string {
	if list == "" {
		return "none"
	}
	return list
}

// Command runs a program with nothing on standard input and in the C locale,
// for Server.Command, and kills it when ctx ends.
func Command(ctx context.Context, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}
	cmd.WaitDelay = time.Second // a grandchild may hold the pipe
	return cmd.Output()
}

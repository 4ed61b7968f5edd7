package preflight

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"iwx/lib/conf"
	"iwx/lib/host"
)

// fake is a manager as it should be, with a Sys of its own and no programs.
func fake(t *testing.T) Server {
	t.Helper()
	return Server{
		Paths: host.At(""),
		Role:  Manager,
		Facts: host.Facts{
			OS: host.OS{ID: "debian", Version: "12"}, Arch: "amd64", Kernel: "6.1.0", Systemd: true,
			Addresses: []host.Address{
				{Prefix: netip.MustParsePrefix("127.0.0.1/8"), Interface: "lo", Loopback: true},
				{Prefix: netip.MustParsePrefix("192.0.2.1/24"), Interface: "eth0"},
				{Prefix: netip.MustParsePrefix("192.0.2.2/24"), Interface: "eth0"},
				{Prefix: netip.MustParsePrefix("fe80::1/64"), Interface: "eth0"},
			},
		},
		QuorumIP: netip.MustParseAddr("192.0.2.1"),
		Port:     2480,
		Sys:      t.TempDir(),
		Command: func(_ context.Context, name string, _ ...string) ([]byte, error) {
			return nil, &exec.Error{Name: name, Err: exec.ErrNotFound}
		},
		Holder: func(context.Context, string, netip.Addr) (net.HardwareAddr, error) { return nil, nil },
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestProbes(t *testing.T) {
	lo := host.Address{Prefix: netip.MustParsePrefix("127.0.0.1/8"), Interface: "lo", Loopback: true}
	lo2 := host.Address{Prefix: netip.MustParsePrefix("127.0.0.2/8"), Interface: "lo", Loopback: true}
	tests := []struct {
		name   string
		change func(s *Server)
		check  string
		want   Status
		detail string // part of it
		remedy string
	}{
		{"root", nil, NameRoot, OK, "running as root", ""},
		{"user", func(s *Server) { s.Facts.UID = 1000 }, NameRoot, Fail, "1000", "sudo"},
		{"user below a root", func(s *Server) { s.Facts.UID = 1000; s.Paths = host.At("/tmp/r") }, NameRoot, OK, "/tmp/r", ""},
		{"systemd", nil, NameSystemd, OK, "PID 1", ""},
		{"no systemd", func(s *Server) { s.Facts.Systemd = false }, NameSystemd, Warn, "not PID 1", "iwx-queued"},
		{"systemd below a root", func(s *Server) { s.Paths = host.At("/tmp/r") }, NameSystemd, Skip, "root directory", ""},
		{"os", nil, NameOS, OK, "debian 12, amd64, Linux 6.1.0", ""},
		{"unknown os", func(s *Server) { s.Facts.OS = host.OS{ID: "linux"} }, NameOS, Warn, "os-release", ""},
		{"no state", nil, NameState, OK, "not part", ""},
		{"same state", func(s *Server) { s.Existing = Existing{Manager, "c1", true} }, NameState, OK, "already set up as the manager of c1", ""},
		{"other state", func(s *Server) { s.Existing = Existing{Node, "c2", false} }, NameState, Fail, "already the node of cluster c2", "reset"},
		{"addresses", nil, NameAddresses, OK, "192.0.2.1/24 192.0.2.2/24", ""},
		{"one address", func(s *Server) { s.Facts.Addresses = s.Facts.Addresses[:2] }, NameAddresses, Fail, "192.0.2.1/24", "ip address add"},
		{"no address", func(s *Server) { s.Facts.Addresses = nil }, NameAddresses, Fail, "none", "ip address add"},
		{"quorum IP elsewhere", func(s *Server) { s.QuorumIP = netip.MustParseAddr("192.0.2.9") }, NameAddresses, Fail, "192.0.2.9 is not among", "--quorum-ip"},
		{"loopback below a root", func(s *Server) {
			s.Paths = host.At("/tmp/r")
			s.Facts.Addresses = []host.Address{lo, lo2}
			s.QuorumIP = lo2.Addr()
		}, NameAddresses, OK, "127.0.0.2/8", ""},
		{"quorum IP", nil, NameQuorumIP, OK, "192.0.2.1/24 on eth0", ""},
		{"no quorum IP", func(s *Server) { s.QuorumIP = netip.Addr{} }, NameQuorumIP, Fail, "no quorum IP", "--quorum-ip"},
		{"quorum IP absent", func(s *Server) { s.QuorumIP = netip.MustParseAddr("192.0.2.9") }, NameQuorumIP, Fail, "192.0.2.9", "ip -brief"},
		{"quorum IP on loopback", func(s *Server) { s.QuorumIP = lo.Addr() }, NameQuorumIP, Fail, "loopback", "nodes can reach"},
		{"quorum IP of a second manager", func(s *Server) {
			s.Holder = func(_ context.Context, link string, addr netip.Addr) (net.HardwareAddr, error) {
				if link != "eth0" || addr != s.QuorumIP {
					return nil, errors.New("not what was to be asked")
				}
				return net.HardwareAddr{2, 0, 0, 0, 0, 7}, nil
			}
		}, NameQuorumIP, Fail, "another host on eth0, 02:00:00:00:00:07, has 192.0.2.1 too", "choose another"},
		{"loopback quorum IP below a root", func(s *Server) { s.QuorumIP = lo.Addr(); s.Paths = host.At("/tmp/r") }, NameQuorumIP, OK, "lo", ""},
		{"no container", nil, NameContainer, OK, "not a container", ""},
		{"container", func(s *Server) { s.Facts.Container = "lxc" }, NameContainer, Warn, "lxc", "VM"},
		{"node in a container", func(s *Server) { s.Facts.Container = "lxc"; s.Role = Node }, NameContainer, Warn, "NFS mounts", "VM"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := fake(t)
			if tt.change != nil {
				tt.change(&s)
			}
			checkOne(t, s, tt.check, Result{tt.want, tt.detail, tt.remedy})
		})
	}
}

// checkOne makes one probe of s and compares: want's texts are parts.
func checkOne(t *testing.T, s Server, name string, want Result) {
	t.Helper()
	i := slices.IndexFunc(s.Probes(), func(p Probe) bool { return p.Name == name })
	if i < 0 {
		t.Fatalf("no probe %s for a %s", name, s.Role)
	}
	got := s.Probes()[i].Run(t.Context())
	if got.Status != want.Status || !strings.Contains(got.Detail, want.Detail) || !strings.Contains(got.Remedy, want.Remedy) {
		t.Errorf("%s: %+v, want %+v", name, got, want)
	}
	if (got.Status == OK || got.Status == Skip) && got.Remedy != "" {
		t.Errorf("%s: a remedy without an ill: %+v", name, got)
	}
}

func TestEveryProbeHasAKnownName(t *testing.T) {
	for _, role := range []Role{Manager, Node} {
		s := fake(t)
		s.Role = role
		for _, p := range s.Probes() {
			if !slices.Contains(Names(), p.Name) {
				t.Errorf("%s: probe %q is not among Names", role, p.Name)
			}
		}
	}
}

func TestWholeServerBelowARoot(t *testing.T) {
	s := fake(t)
	s.Paths = host.At(t.TempDir())
	s.Facts.Addresses = []host.Address{
		{Prefix: netip.MustParsePrefix("127.0.0.1/8"), Interface: "lo", Loopback: true},
		{Prefix: netip.MustParsePrefix("127.0.0.2/8"), Interface: "lo", Loopback: true},
	}
	s.QuorumIP, s.Port = netip.MustParseAddr("127.0.0.2"), freePort(t, "127.0.0.2")
	if err := Err(Run(t.Context(), s.Probes(), 10*time.Second)); err != nil {
		t.Error(err)
	}
}

func freePort(t *testing.T, addr string) uint16 {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(addr, "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return uint16(l.Addr().(*net.TCPAddr).Port)
}

func TestPorts(t *testing.T) {
	for _, listen := range []string{"127.0.0.1", "0.0.0.0", "::"} {
		t.Run(listen, func(t *testing.T) {
			l, err := net.Listen("tcp", net.JoinHostPort(listen, "0"))
			if err != nil {
				t.Skip(err) // no IPv6 here
			}
			defer l.Close()
			s := fake(t)
			s.Sys = "/"
			s.QuorumIP = netip.MustParseAddr("127.0.0.1")
			s.Port = uint16(l.Addr().(*net.TCPAddr).Port)
			checkOne(t, s, NamePorts, Result{Fail, fmt.Sprintf("(pid %d)", os.Getpid()), "[cluster] port"})
			s.Sys = t.TempDir() // as without root
			checkOne(t, s, NamePorts, Result{Fail, "another program", "ss -ltnp"})
			l.Close()
			checkOne(t, s, NamePorts, Result{OK, "free", ""})
		})
	}
	absent := fake(t) // an address that is not up yet, IP_FREEBIND
	checkOne(t, absent, NamePorts, Result{OK, "free on 192.0.2.1", ""})
	absent.QuorumIP = netip.MustParseAddr("2001:db8::1")
	checkOne(t, absent, NamePorts, Result{OK, "free on 2001:db8::1", ""})
}

func TestPortTakenByOurDaemon(t *testing.T) {
	s := fake(t)
	table := "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n" +
		"   0: 0100007F:09B0 00000000:0000 01 00000000:00000000 00:00000000 00000000     0        0 11 1 0\n" +
		"   1: 010200C0:09B0 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 77 1 0\n"
	write(t, filepath.Join(s.Sys, "proc/self/net/tcp"), table)
	write(t, filepath.Join(s.Sys, "proc/42/comm"), "iwx-queued\n")
	if err := os.MkdirAll(filepath.Join(s.Sys, "proc/42/fd"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("socket:[77]", filepath.Join(s.Sys, "proc/42/fd/5")); err != nil {
		t.Fatal(err)
	}
	addr := netip.AddrPortFrom(s.QuorumIP, s.Port)
	if got := s.portTaken(addr); got.Status != Fail || !strings.Contains(got.Detail, "iwx-queued (pid 42)") {
		t.Errorf("a daemon of another cluster: %+v", got)
	}
	s.Existing = Existing{Manager, "c1", true}
	if got := s.portTaken(addr); got.Status != OK {
		t.Errorf("our own daemon: %+v", got)
	}
	if p, found := listenerOn(s.Sys, netip.MustParseAddrPort("127.0.0.1:2480")); found {
		t.Errorf("a connection was taken for a listener: %v", p)
	}
}

func TestDisk(t *testing.T) {
	s := fake(t)
	s.Paths = host.At(t.TempDir())
	checkOne(t, s, NameDisk, Result{OK, "MiB free for " + s.Paths.Lib, ""})
	s.Paths.Lib = "/proc/iwx" // a file system without room
	checkOne(t, s, NameDisk, Result{Fail, "has 0 MiB free, 256 MiB are needed", "df -h"})
}

// A tmpfs of one megabyte, mounted where tests may do that.
func TestSmallDisk(t *testing.T) {
	s := fake(t)
	s.Paths.Lib = t.TempDir()
	if err := unix.Mount("tmpfs", s.Paths.Lib, "tmpfs", 0, "size=1m"); err != nil {
		t.Skip(err) // not root, or a container
	}
	defer unix.Unmount(s.Paths.Lib, 0)
	checkOne(t, s, NameDisk, Result{Fail, "has 1 MiB free", "df -h"})
}

func TestClockSync(t *testing.T) {
	if r := fake(t).clockResult(unix.STA_PLL); r.Status != OK {
		t.Errorf("synchronised: %+v", r)
	}
	// The hint works with what is installed; a minimal Debian has nothing.
	for _, tt := range []struct{ os, file, remedy string }{
		{"debian", "", "apt-get -y install systemd-timesyncd"},
		{"debian", "lib/systemd/systemd-timesyncd", "systemctl enable --now systemd-timesyncd"},
		{"debian", "usr/sbin/chronyd", "systemctl enable --now chrony;"},
		{"debian", "usr/sbin/ntpd", "systemctl enable --now ntpsec"},
		{"fedora", "", "dnf -y install chrony && systemctl enable --now chronyd"},
		{"rhel", "usr/sbin/chronyd", "systemctl enable --now chronyd;"},
		{"arch", "", "install chrony"},
	} {
		s := fake(t)
		s.Facts.OS.ID = tt.os
		if tt.file != "" {
			write(t, filepath.Join(s.Sys, tt.file), "")
		}
		if r := s.clockResult(unix.STA_UNSYNC | unix.STA_PLL); r.Status != Warn || !strings.HasPrefix(r.Remedy, tt.remedy) {
			t.Errorf("%s with %q: %+v, want %s", tt.os, tt.file, r, tt.remedy)
		}
	}
	s := fake(t)
	s.Facts.Container = "lxc"
	if r := s.clockResult(unix.STA_UNSYNC); !strings.Contains(r.Remedy, "the machine that runs this container") {
		t.Errorf("in a container: %+v", r)
	}
	if r := fake(t).clockSync(t.Context()); !strings.HasSuffix(r.Detail, "synchronised") {
		t.Errorf("this machine: %+v", r)
	}
}

func TestSourcePorts(t *testing.T) {
	for _, tt := range []struct {
		name, bounds, reserved string
		want                   Result
	}{
		{"the kernel's own", "32768\t60999\n", "\n", Result{OK, "cannot take a port", ""}},
		{"widened", "1024 65535", "", Result{Warn, "2480,2481,10025,10110,10143,10443,10465,10587,10993,10995", "=2480,2481,10025"}},
		{"widened above the API", "10000 65535", "", Result{Warn, "of the cluster: 10025,", "=10025,"}},
		{"reserved in part", "1024 65535", "8080,10000-10999", Result{Warn, "of the cluster: 2480,2481", "=8080,10000-10999,2480,2481 "}},
		{"reserved", "1024 65535", "2480-2481,10000-10999", Result{OK, "cannot take a port", ""}},
		{"unknown", "", "", Result{Skip, "", ""}},
		{"nonsense", "a b", "", Result{Warn, `"a b"`, ""}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := fake(t)
			s.EndpointPort = 2481
			if tt.bounds != "" {
				write(t, filepath.Join(s.Sys, sourceRangeFile), tt.bounds)
				write(t, filepath.Join(s.Sys, reservedFile), tt.reserved)
			}
			checkOne(t, s, NameSourcePorts, tt.want)
		})
	}
	// A node has no API to be in the way of.
	s := fake(t)
	s.Role = Node
	write(t, filepath.Join(s.Sys, sourceRangeFile), "1024 9999")
	checkOne(t, s, NameSourcePorts, Result{OK, "", ""})
}

func TestSELinux(t *testing.T) {
	tests := []struct {
		files          map[string]string
		want           Status
		detail, remedy string
	}{
		{nil, OK, "does not enforce", ""},
		{map[string]string{"enforce": "0"}, OK, "does not enforce", ""},
		{map[string]string{"enforce": "1"}, OK, "allows", ""},
		{map[string]string{"enforce": "1", "booleans/httpd_use_nfs": "1 1"}, OK, "allows", ""},
		{map[string]string{"enforce": "1\n", "booleans/httpd_use_nfs": "0 1"}, Warn, "httpd_use_nfs off", "setsebool -P httpd_use_nfs=1"},
		{map[string]string{"enforce": "1", "booleans/httpd_use_nfs": "0 0", "booleans/haproxy_connect_any": "0 0"},
			Warn, "httpd_use_nfs and haproxy_connect_any", "setsebool -P httpd_use_nfs=1 haproxy_connect_any=1"},
	}
	for _, tt := range tests {
		s := fake(t)
		for name, text := range tt.files {
			write(t, filepath.Join(s.Sys, "sys/fs/selinux", name), text)
		}
		checkOne(t, s, NameSELinux, Result{tt.want, tt.detail, tt.remedy})
	}
}

func TestPackages(t *testing.T) {
	rocky := host.OS{ID: "rocky", Version: "9.4", Like: []string{"rhel", "fedora"}}
	tests := []struct {
		name   string
		role   Role
		os     host.OS
		files  []string
		check  string
		want   Status
		remedy string
	}{
		{"client missing", Node, host.OS{ID: "ubuntu", Like: []string{"debian"}}, nil, NameNFSClient, Fail, "apt-get -y install nfs-common"},
		{"client there", Node, host.OS{}, []string{"usr/sbin/mount.nfs"}, NameNFSClient, OK, ""},
		{"server missing", Manager, rocky, nil, NameNFSServer, Fail, "dnf -y install nfs-utils"},
		{"server missing somewhere", Manager, host.OS{ID: "arch"}, nil, NameNFSServer, Fail, "nfs-kernel-server or nfs-utils"},
		{"server there", Manager, rocky, []string{"sbin/rpc.nfsd"}, NameNFSServer, OK, ""},
		{"client without its module", Node, rocky, []string{"sbin/mount.nfs", "lib/modules/6.1.0/modules.dep"}, NameNFSClient, Fail, "CONFIG_NFS_V4_2"},
		{"client with its module", Node, rocky, []string{"sbin/mount.nfs", "lib/modules/6.1.0/kernel/fs/nfs/nfsv4.ko.xz"}, NameNFSClient, OK, ""},
		{"no ip_vs", Manager, rocky, nil, NameIPVS, Warn, "CONFIG_IP_VS"},
		{"ip_vs loadable", Manager, rocky, []string{"lib/modules/6.1.0/kernel/net/netfilter/ipvs/ip_vs.ko.xz"}, NameIPVS, Warn, "dnf -y install ipvsadm"},
		{"ip_vs loaded", Manager, rocky, []string{"proc/net/ip_vs", "sbin/ipvsadm"}, NameIPVS, OK, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := fake(t)
			s.Role, s.Facts.OS, s.Storage = tt.role, tt.os, conf.Default().Storage
			for _, f := range tt.files {
				write(t, filepath.Join(s.Sys, f), "")
			}
			checkOne(t, s, tt.check, Result{tt.want, "", tt.remedy})
		})
	}
	s := fake(t)
	write(t, filepath.Join(s.Sys, "lib/modules/6.1.0/modules.builtin"), "kernel/net/netfilter/ipvs/ip_vs.ko\n")
	checkOne(t, s, NameIPVS, Result{Warn, "ipvsadm is not installed", "apt-get"})
}

func TestCommand(t *testing.T) {
	out, err := Command(t.Context(), "sh", "-c", "echo $LC_ALL $HOME; cat")
	if err != nil || string(out) != "C\n" {
		t.Errorf("%q, %v", out, err)
	}
	if _, err := Command(t.Context(), "no-such-program"); !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Command(ctx, "sleep", "60"); err == nil {
		t.Error("a command of an ended context ran")
	}
}

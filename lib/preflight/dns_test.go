package preflight

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"iwx/lib/host"
)

// socket fabricates a process with a socket, in a table of /proc/net; program is its
// executable, cgroup the path of its own.
func socket(t *testing.T, s Server, table, local, state, program, cgroup string) {
	t.Helper()
	pid := 100 + len(program)
	header := "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
	write(t, filepath.Join(s.Sys, "proc/self/net", table), header+
		fmt.Sprintf("   0: %s 00000000:0000 %s 00000000:00000000 00:00000000 00000000     0        0 77 2 0\n", local, state))
	dir := filepath.Join(s.Sys, fmt.Sprintf("proc/%d", pid))
	write(t, filepath.Join(dir, "comm"), filepath.Base(program)+"\n")
	write(t, filepath.Join(dir, "cgroup"), "0::"+cgroup+"\n")
	link(t, "socket:[77]", filepath.Join(dir, "fd/5"))
	link(t, program, filepath.Join(dir, "exe"))
}

func link(t *testing.T, to, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(to, path); err != nil {
		t.Fatal(err)
	}
}

func TestDNS(t *testing.T) {
	installed := func(t *testing.T, s *Server) { write(t, filepath.Join(s.Sys, "etc/bind/named.conf"), "") }
	on := func(table, local, state, program, cgroup string) func(*testing.T, *Server) {
		return func(t *testing.T, s *Server) {
			installed(t, s)
			socket(t, *s, table, local, state, program, cgroup)
		}
	}
	asked := func(provider string) func(*testing.T, *Server) {
		return func(_ *testing.T, s *Server) { s.DNS.Provider = provider }
	}
	const dnsmasq, unit = "/usr/sbin/dnsmasq", "/system.slice/dnsmasq.service"
	tests := []struct {
		name   string
		change func(*testing.T, *Server)
		want   Result
	}{
		{"left alone", func(t *testing.T, s *Server) {
			on("udp", "00000000:0035", "07", dnsmasq, unit)(t, s)
			s.DNS.Provider = "none"
		}, Result{Skip, "[dns] provider is none", ""}},
		{"below a root", func(_ *testing.T, s *Server) { s.Paths = host.At("/tmp/r") }, Result{Skip, "root directory", ""}},
		{"no BIND, none asked for", asked(""), Result{Warn, "BIND is not installed: this server cannot serve zones", "apt-get -y install bind9; or leave DNS alone"}},
		{"no BIND", asked("bind"), Result{Warn, "BIND is not installed", "apt-get -y install bind9; or leave DNS alone: [dns] provider = \"none\" in /etc/iwx/iwx.toml"}},
		{"BIND", installed, Result{OK, "no other program uses port 53", ""}},
		{"BIND that runs", on("udp", "010200C0:0035", "07", "/usr/sbin/named", "/system.slice/named.service"), Result{OK, "no other program", ""}},
		{"the stub of systemd-resolved", on("udp", "3500007F:0035", "07", "/usr/lib/systemd/systemd-resolved", "/system.slice/systemd-resolved.service"), Result{OK, "no other program", ""}},
		{"another port", on("udp", "00000000:0036", "07", dnsmasq, unit), Result{OK, "no other program", ""}},
		{"a question of a client", on("udp", "010200C0:0035", "01", dnsmasq, unit), Result{OK, "no other program", ""}},
		{"dnsmasq on all", on("udp", "00000000:0035", "07", dnsmasq, unit),
			Result{Warn, "port 53/udp on 127.0.0.1 is taken by dnsmasq (pid 117)", "systemctl disable --now dnsmasq.service; or leave DNS alone"}},
		{"dnsmasq on one, over TCP", on("tcp", "020200C0:0035", "0A", dnsmasq, unit), Result{Warn, "port 53/tcp on 192.0.2.2 is taken by dnsmasq", "dnsmasq.service"}},
		{"of IPv6, on all", on("udp6", "00000000000000000000000000000000:0035", "07", dnsmasq, unit), Result{Warn, "taken by dnsmasq", "dnsmasq.service"}},
		{"started by hand", on("tcp", "00000000:0035", "0A", "/opt/coredns", "/user.slice/user-0.slice/session-1.scope"), Result{Warn, "taken by coredns", "stop it; or leave"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := fake(t)
			tt.change(t, &s)
			for _, role := range []Role{Manager, Node} {
				s.Role = role
				checkOne(t, s, NameDNS, tt.want)
			}
		})
	}
}

// This machine's own /proc tells of sockets of both transports.
func TestRealSockets(t *testing.T) {
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	for transport, at := range map[string]string{"udp": udp.LocalAddr().String(), "tcp": tcp.Addr().String()} {
		list := owners("/", listening("/", transport, netip.MustParseAddrPort(at)))
		if !slices.ContainsFunc(list, func(p program) bool { return p.pid == os.Getpid() }) {
			t.Errorf("%s %s is not found to be this process's: %v", transport, at, list)
		}
	}
}

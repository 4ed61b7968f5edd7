package preflight

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"iwx/lib/fault"
	"iwx/lib/host"
	"iwx/lib/lb"
)

// balanced is a cluster with http on a virtual IP.
func balanced(t *testing.T, engine string) Balance {
	t.Helper()
	vip := netip.MustParseAddr("192.0.2.80")
	b := Balance{Server: fake(t), IPVS: func(context.Context) error { return nil }, Setup: lb.Setup{
		Engine: engine, VIPs: []lb.VIP{{Addr: vip}},
		Policies: []lb.Policy{{Service: "http", VIP: vip, Port: 80, Scheduler: "wlc"}},
	}}
	b.Facts.Addresses = append(b.Facts.Addresses, host.Address{Prefix: netip.MustParsePrefix("192.0.2.80/32"), Interface: "eth0"})
	return b
}

// find runs one of the probes.
func (b Balance) find(t *testing.T, name string) Result {
	t.Helper()
	i := slices.IndexFunc(b.Probes(), func(p Probe) bool { return p.Name == name })
	if i < 0 {
		t.Fatalf("no probe is called %s", name)
	}
	return b.Probes()[i].Run(t.Context())
}

func TestBalance(t *testing.T) {
	const modules = "lib/modules/6.1.0/kernel/net/netfilter/ipvs/"
	absent := func(b *Balance) {
		b.IPVS = func(context.Context) error {
			return fault.Hint(errors.New("this kernel has no ipvs"), "modprobe ip_vs")
		}
	}
	nat := func(b *Balance) { b.Setup.Policies[0].Forwarding = lb.NAT }
	tests := []struct {
		name, engine string
		files        map[string]string
		change       func(*Balance)
		check        string
		want         Result
	}{
		{"in the kernel", "ipvs", nil, nil, NameEngine, Result{OK, "the kernel has ipvs", ""}},
		{"not in the kernel", "ipvs", nil, absent, NameEngine, Result{Fail, "this kernel has no ipvs", "modprobe ip_vs"}},
		{"none", "", nil, nil, NameEngine, Result{Fail, "no engine was chosen", "iwx-lb engine NAME"}},
		{"external", "ipvs", nil, func(b *Balance) { absent(b); b.Setup.External = true }, NameEngine, Result{OK, "external", ""}},
		{"haproxy", "haproxy", map[string]string{"usr/sbin/haproxy": ""}, absent, NameEngine, Result{OK, "haproxy is installed", ""}},
		{"no haproxy", "haproxy", nil, nil, NameEngine, Result{Fail, "haproxy is not installed", "apt-get -y install haproxy"}},
		{"schedulers", "ipvs", map[string]string{modules + "ip_vs_wlc.ko": ""}, nil, NameSchedulers, Result{OK, "every scheduler", ""}},
		{"no scheduler", "ipvs", map[string]string{modules + "ip_vs_rr.ko": ""}, nil, NameSchedulers, Result{Fail, "no module ip_vs_wlc", "--scheduler"}},
		{"held", "ipvs", nil, nil, NameVIPs, Result{OK, "1 virtual IP", ""}},
		{"not held", "ipvs", nil, func(b *Balance) { b.Facts.Addresses = nil }, NameVIPs, Result{Fail, "does not hold 192.0.2.80", "iwx-cluster-setup status"}},
		{"no VIP", "ipvs", nil, func(b *Balance) { b.Setup.VIPs = nil }, NameVIPs, Result{Warn, "no virtual IP", "iwx-lb vip add"}},
		{"nat", "ipvs", map[string]string{"proc/sys/net/ipv4/ip_forward": "0\n"}, nat, NameForwarding, Result{Fail, "passes no packets on", "sets net.ipv4.ip_forward=1"}},
		{"nat passed on", "ipvs", map[string]string{"proc/sys/net/ipv4/ip_forward": "1\n"}, nat, NameForwarding, Result{OK, "", ""}},
		{"dr", "ipvs", map[string]string{"proc/sys/net/ipv4/ip_forward": "0\n"}, nil, NameForwarding, Result{OK, "", ""}},
		{"in a container", "ipvs", nil, func(b *Balance) { b.Facts.Container = "lxc" }, NameContainer, Result{Warn, "lxc", "machine or VM"}},
		{"a proxy in a container", "haproxy", nil, func(b *Balance) { b.Facts.Container = "lxc" }, NameContainer, Result{OK, "", ""}},
		{"selinux", "haproxy", map[string]string{"sys/fs/selinux/enforce": "1", "sys/fs/selinux/booleans/haproxy_connect_any": "0 0"}, nil,
			NameSELinux, Result{Fail, "reaches no server", "setsebool -P haproxy_connect_any=1"}},
		{"selinux and the kernel", "ipvs", map[string]string{"sys/fs/selinux/enforce": "1", "sys/fs/selinux/booleans/haproxy_connect_any": "0 0"}, nil, NameSELinux, Result{Skip, "", ""}},
		{"firewall", "ipvs", nil, func(b *Balance) { b.Command = drops }, NameFirewall, Result{Warn, "names 80/tcp", "--dports 80"}},
		{"listeners of the kernel", "ipvs", nil, nil, NameListeners, Result{Skip, "", ""}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := balanced(t, tt.engine)
			for name, text := range tt.files {
				write(t, filepath.Join(b.Sys, name), text)
			}
			if tt.change != nil {
				tt.change(&b)
			}
			got := b.find(t, tt.check)
			if got.Status != tt.want.Status || !strings.Contains(got.Detail, tt.want.Detail) || !strings.Contains(got.Remedy, tt.want.Remedy) || got.Status == OK && got.Remedy != "" {
				t.Errorf("%+v, want %+v", got, tt.want)
			}
		})
	}
}

// drops is a firewall that lets nothing but ssh in.
func drops(_ context.Context, name string, args ...string) ([]byte, error) {
	if name == "iptables" {
		return []byte("-P INPUT DROP\n-A INPUT -p tcp --dport 22 -j ACCEPT\n"), nil
	}
	return nil, errors.New("not here")
}

// TestListeners has this very process in HAProxy's way, and each of the services
// that iwx balances.
func TestListeners(t *testing.T) {
	l, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	b := balanced(t, "haproxy")
	b.Sys = "/"
	b.Setup.Policies[0].Port = uint16(l.Addr().(*net.TCPAddr).Port)
	want := fmt.Sprintf("(pid %d) has port %d of a virtual IP", os.Getpid(), b.Setup.Policies[0].Port)
	if got := b.find(t, NameListeners); got.Status != Fail || !strings.Contains(got.Detail, want) || !strings.Contains(got.Remedy, "listen on 192.0.2.2 alone") {
		t.Errorf("%+v", got)
	}
	l.Close()
	if got := b.find(t, NameListeners); got.Status != OK {
		t.Errorf("%+v", got)
	}
	for program, line := range map[string]string{
		"apache2": "Listen 192.0.2.2:80", "nginx": "listen 192.0.2.2:80;",
		"master": "inet_interfaces = 192.0.2.2, localhost", "dovecot": "listen = 192.0.2.2, 127.0.0.1",
	} {
		if got := b.moveAway(program, netip.MustParseAddrPort("192.0.2.80:80")); !strings.HasSuffix(got, line) {
			t.Errorf("%s: %s", program, got)
		}
	}
}

package vip_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"iwx/lib/fault"
	"iwx/lib/host"
	"iwx/lib/profile"
	"iwx/lib/testenv"
	"iwx/lib/vip"
)

// server is a network namespace.
type server struct {
	t   *testing.T
	pid int
	*vip.Applier
}

// link returns two servers, joined by an interface eth0 in each, with the
// addresses 192.0.2.1 and .2, 2001:db8::1 and ::2.
func link(t *testing.T) (manager, node *server) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("making network namespaces needs root")
	}
	manager, node = newServer(t), newServer(t)
	manager.ip("link add eth0 address 02:00:00:00:00:01 type veth peer name eth0 address 02:00:00:00:00:02 netns " + strconv.Itoa(node.pid))
	for i, s := range []*server{manager, node} {
		n := strconv.Itoa(i + 1)
		s.ip("link set lo up")
		s.ip("link set eth0 up")
		s.ip("address add 192.0.2." + n + "/24 dev eth0")
		s.ip("address add 2001:db8::" + n + "/64 dev eth0 nodad")
	}
	return manager, node
}

// newServer starts a process in a namespace of its own, and ends it with the
// test.
func newServer(t *testing.T) *server {
	t.Helper()
	cmd := exec.Command("unshare", "-n", "sh", "-c", "echo; exec cat")
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() { in.Close(); cmd.Wait() })
	_, err = out.Read(make([]byte, 1))
	must(t, err)
	s := &server{t: t, pid: cmd.Process.Pid}
	s.Applier = &vip.Applier{
		Notes: filepath.Join(t.TempDir(), "notes"), Sys: "/proc/sys", Holder: host.Holder, Announce: host.Announce,
		Command: func(_ context.Context, name string, args ...string) ([]byte, error) {
			return nil, errors.New("not expected")
		},
	}
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// do runs f on a thread in the server's namespace, and waits for it.
func (s *server) do(f func()) {
	s.t.Helper()
	done := make(chan error, 1)
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		ns, err := os.Open("/proc/" + strconv.Itoa(s.pid) + "/ns/net")
		if err == nil {
			defer ns.Close()
			err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
		}
		if err == nil {
			f()
		}
		done <- err
	}()
	must(s.t, <-done)
}

// ip runs ip(8) in the namespace and returns what it prints.
func (s *server) ip(line string) string {
	s.t.Helper()
	args := append([]string{"-t", strconv.Itoa(s.pid), "-n", "ip"}, strings.Fields(line)...)
	out, err := exec.Command("nsenter", args...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("ip %s: %v\n%s", line, err, out)
	}
	return string(out)
}

func (s *server) addresses(link string) string { return s.ip("-brief address show dev " + link) }

func item(t *testing.T, addr string, spec vip.Spec) profile.Item {
	t.Helper()
	i, err := vip.Item(netip.MustParseAddr(addr), spec)
	must(t, err)
	return i
}

// check is Check in the namespace.
func (s *server) check(i profile.Item) (change string, err error) {
	s.t.Helper()
	s.do(func() { change, err = s.Check(s.t.Context(), i) })
	return change, err
}

// apply is Apply in the namespace; what was applied is as it should be.
func (s *server) apply(i profile.Item) {
	s.t.Helper()
	var err error
	s.do(func() { err = s.Apply(s.t.Context(), i) })
	must(s.t, err)
	if change, err := s.check(i); change != "" || err != nil {
		s.t.Errorf("after %s was applied: %q, %v", i, change, err)
	}
}

func (s *server) remove(i profile.Item) {
	s.t.Helper()
	var err error
	s.do(func() { err = s.Remove(s.t.Context(), i) })
	must(s.t, err)
}

// holder asks the link who has an address.
func (s *server) holder(addr string) (at net.HardwareAddr) {
	s.t.Helper()
	var err error
	s.do(func() { at, err = host.Holder(s.t.Context(), "eth0", netip.MustParseAddr(addr)) })
	must(s.t, err)
	return at
}

// setting returns a kernel's setting, and sets one that is given a value.
func (s *server) setting(name string, value ...string) (is string) {
	s.t.Helper()
	path := "/proc/sys/net/ipv4/conf/" + name
	var err error
	s.do(func() {
		if len(value) > 0 {
			err = os.WriteFile(path, []byte(value[0]), 0o644)
			return
		}
		var data []byte
		data, err = os.ReadFile(path)
		is = strings.TrimSpace(string(data))
	})
	must(s.t, err)
	return is
}

// unnoted holds that nothing is left to take back.
func (s *server) unnoted() {
	s.t.Helper()
	if data, err := os.ReadFile(s.Notes); !errors.Is(err, os.ErrNotExist) {
		s.t.Errorf("it is still noted: %s", data)
	}
}

func both() []string { return []string{"192.0.2.80", "2001:db8::80"} }

func TestAnnounced(t *testing.T) {
	for _, addr := range both() {
		t.Run(addr, func(t *testing.T) {
			manager, node := link(t)
			want := item(t, addr, vip.Spec{Role: vip.Announced})
			if change, err := manager.check(want); change != "hold "+addr+" on eth0" || err != nil {
				t.Errorf("%q, %v", change, err)
			}
			node.ip("neighbour replace " + addr + " lladdr 02:00:00:00:00:99 nud stale dev eth0")
			manager.apply(want)
			if got := manager.addresses("eth0"); !strings.Contains(got, " "+addr+"/") {
				t.Errorf("%s", got)
			}
			await(t, func() bool { return strings.Contains(node.ip("neighbour show "+addr), "02:00:00:00:00:01") })
			if at := node.holder(addr); at.String() != "02:00:00:00:00:01" {
				t.Errorf("the link says that %s has it", at)
			}
			manager.remove(want)
			manager.remove(want)
			if got := manager.addresses("eth0"); strings.Contains(got, addr) || node.holder(addr) != nil {
				t.Errorf("it is still there: %s", got)
			}
			manager.unnoted()
		})
	}
}

// await waits until what something else brings about has come.
func await(t *testing.T, come func() bool) {
	t.Helper()
	testenv.Until(t, "it comes", come)
}

func TestInUseByAnotherHost(t *testing.T) {
	for _, addr := range both() {
		manager, node := link(t)
		node.apply(item(t, addr, vip.Spec{Role: vip.Announced}))
		var err, usable error
		manager.do(func() {
			err = manager.Apply(t.Context(), item(t, addr, vip.Spec{Role: vip.Announced}))
			here, _ := host.Addresses()
			usable = vip.Usable(t.Context(), here, netip.MustParseAddr(addr), host.Holder)
		})
		want := "virtual IP " + addr + " is in use: another host on eth0, 02:00:00:00:00:02, has it"
		if err == nil || err.Error() != want || usable == nil || usable.Error() != want {
			t.Errorf("%v; %v", err, usable)
		}
		if strings.Contains(manager.addresses("eth0"), addr) {
			t.Error("both have it")
		}
		manager.unnoted()
	}
}

// TestPutBack takes the address away, as networkd does, and waits until it is
// there again.
func TestPutBack(t *testing.T) {
	manager, _ := link(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	looks := make(chan struct{}, 1)
	watcher := &vip.Watcher{
		Wanted: func(context.Context) ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr("192.0.2.80"), netip.MustParseAddr("2001:db8::80")}, nil
		},
		Look: func() {
			select {
			case looks <- struct{}{}:
			default:
			}
		},
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		manager.do(func() { watcher.Run(ctx) })
	}()
	for _, way := range []string{"", "address delete 192.0.2.80/32 dev eth0", "address flush dev eth0 scope global deprecated", "link set eth0 down"} {
		if way != "" {
			manager.ip(way)
		}
		select {
		case <-looks:
		case <-time.After(testenv.Wait()):
			t.Fatalf("%q was not noticed", way)
		}
		manager.ip("link set eth0 up")
		manager.ip("address replace 2001:db8::1/64 dev eth0 nodad") // which went with the link
		for _, addr := range both() {
			manager.apply(item(t, addr, vip.Spec{Role: vip.Announced}))
		}
	}
	stop()
	<-ended
}

// TestPutBackAtOnce: what was here a moment ago is not asked for.
func TestPutBackAtOnce(t *testing.T) {
	manager, _ := link(t)
	want := item(t, "192.0.2.80", vip.Spec{Role: vip.Announced})
	manager.apply(want)
	manager.ip("address delete 192.0.2.80/32 dev eth0")
	manager.Holder = func(context.Context, string, netip.Addr) (net.HardwareAddr, error) {
		return nil, errors.New("the link was asked")
	}
	manager.apply(want)
}

func TestSilent(t *testing.T) {
	manager, node := link(t)
	for _, addr := range both() {
		want := item(t, addr, vip.Spec{Role: vip.Silent})
		if change, err := node.check(want); change != "hold "+addr+" on lo, in silence" || err != nil {
			t.Errorf("%q, %v", change, err)
		}
		node.apply(want)
		if !strings.Contains(node.addresses("lo"), addr) {
			t.Error("it is not on lo")
		}
		if at := manager.holder(addr); at != nil {
			t.Errorf("%s: %s answers", addr, at)
		}
	}
	if ignore, announce := node.setting("all/arp_ignore"), node.setting("all/arp_announce"); ignore != "1" || announce != "2" {
		t.Errorf("arp_ignore %s, arp_announce %s", ignore, announce)
	}
	if !strings.Contains(node.ip("-6 address show dev lo"), "deprecated") {
		t.Error("the node may choose the virtual address for connections of its own")
	}
	node.setting("all/arp_ignore", "0")
	if change, err := node.check(item(t, "192.0.2.80", vip.Spec{Role: vip.Silent})); change != "set net.ipv4.conf.all.arp_ignore to 1" || err != nil {
		t.Errorf("%q, %v", change, err)
	}
	for _, addr := range both() {
		node.remove(item(t, addr, vip.Spec{Role: vip.Silent}))
	}
	if got := node.addresses("lo"); strings.Contains(got, "80/") {
		t.Error(got)
	}
	node.unnoted()
}

// TestLoud holds that the test above can fail: without the settings a server
// answers for what is on lo.
func TestLoud(t *testing.T) {
	manager, node := link(t)
	node.ip("address add 192.0.2.80/32 dev lo")
	if at := manager.holder("192.0.2.80"); at == nil {
		t.Error("this kernel is quiet by itself")
	}
}

// TestOrder: the address comes after what keeps it quiet, and goes before it.
func TestOrder(t *testing.T) {
	_, node := link(t)
	want := item(t, "192.0.2.80", vip.Spec{Role: vip.Silent})
	ignore := filepath.Join(node.fakeSettings(), "net/ipv4/conf/all/arp_ignore")
	breakFile := func() { must(t, errors.Join(os.RemoveAll(ignore), os.Mkdir(ignore, 0o755))) }
	breakFile()
	var err error
	node.do(func() { err = node.Apply(t.Context(), want) })
	if err == nil || strings.Contains(node.addresses("lo"), "192.0.2.80") {
		t.Errorf("it is on lo and not quiet: %v", err)
	}
	node.fakeSettings()
	node.apply(want)
	breakFile()
	node.do(func() { err = node.Remove(t.Context(), want) })
	if err == nil || strings.Contains(node.addresses("lo"), "192.0.2.80") {
		t.Errorf("it is on lo still: %v", err)
	}
	node.fakeSettings()
	must(t, os.WriteFile(ignore, []byte("1"), 0o644))
	node.remove(want)
	if text, err := os.ReadFile(ignore); err != nil || strings.TrimSpace(string(text)) != "0" {
		t.Errorf("%q, %v", text, err)
	}
	node.unnoted()
}

// fakeSettings gives the server settings in plain files, as after a boot.
func (s *server) fakeSettings() (dir string) {
	s.Sys = filepath.Join(filepath.Dir(s.Notes), "sys")
	all := filepath.Join(s.Sys, "net/ipv4/conf/all")
	must(s.t, os.RemoveAll(s.Sys))
	must(s.t, os.MkdirAll(all, 0o755))
	for _, name := range []string{"arp_ignore", "arp_announce", "rp_filter"} {
		must(s.t, os.WriteFile(filepath.Join(all, name), []byte("0\n"), 0o644))
	}
	return s.Sys
}

// TestSharedSettings: the last address that needs a setting takes it back, to
// what it was.
func TestSharedSettings(t *testing.T) {
	_, node := link(t)
	node.setting("all/arp_announce", "1")
	first, second := item(t, "192.0.2.80", vip.Spec{Role: vip.Silent}), item(t, "192.0.2.81", vip.Spec{Role: vip.Silent})
	node.apply(first)
	node.apply(second)
	node.remove(first)
	if node.setting("all/arp_ignore") != "1" || node.setting("all/arp_announce") != "2" {
		t.Error("the second address is not quiet any more")
	}
	node.remove(second)
	if node.setting("all/arp_ignore") != "0" || node.setting("all/arp_announce") != "1" {
		t.Error("the settings are not as they were")
	}
}

// TestWhatWasThereStays holds for an administrator's addresses and settings, and
// for those that he changed since.
func TestWhatWasThereStays(t *testing.T) {
	manager, node := link(t)
	manager.ip("address add 192.0.2.80/24 dev eth0")
	announced := item(t, "192.0.2.80", vip.Spec{Role: vip.Announced})
	if change, err := manager.check(announced); change != "" || err != nil {
		t.Errorf("%q, %v", change, err)
	}
	manager.apply(announced)
	manager.remove(announced)
	if got := manager.addresses("eth0"); !strings.Contains(got, "192.0.2.80/24") {
		t.Errorf("it is gone: %s", got)
	}
	manager.unnoted()

	node.setting("all/arp_ignore", "2")
	silent := item(t, "192.0.2.80", vip.Spec{Role: vip.Silent})
	node.ip("address add 192.0.2.80/32 dev lo")
	node.apply(silent)
	node.setting("all/arp_announce", "1") // by somebody else
	node.remove(silent)
	if node.setting("all/arp_ignore") != "2" || node.setting("all/arp_announce") != "1" || !strings.Contains(node.addresses("lo"), "192.0.2.80") {
		t.Error("what was there before has changed")
	}
	node.unnoted()
}

func TestOnANodesInterface(t *testing.T) {
	_, node := link(t)
	node.ip("address add 192.0.2.80/32 dev eth0")
	_, err := node.check(item(t, "192.0.2.80", vip.Spec{Role: vip.Silent}))
	if err == nil || err.Error() != "virtual IP 192.0.2.80 is on eth0 of this server, which answers for it" || fault.HintOf(err) != "ip address delete 192.0.2.80/32 dev eth0" {
		t.Errorf("%v; %s", err, fault.HintOf(err))
	}
}

// TestDirect: the manager's own connections come from its own address, so that a
// silent server can answer them, and the answers are let in.
func TestDirect(t *testing.T) {
	manager, _ := link(t)
	manager.setting("all/rp_filter", "1")
	manager.setting("eth0/accept_local", "0")
	for addr, own := range map[string]string{"192.0.2.80": "192.0.2.1", "2001:db8::80": "2001:db8::1"} {
		source := func() string {
			_, after, _ := strings.Cut(manager.ip("route get "+addr), " src ")
			return strings.Fields(after)[0]
		}
		manager.apply(item(t, addr, vip.Spec{Role: vip.Announced, Direct: true}))
		if source() != own {
			t.Errorf("connections to %s come from %s", addr, source())
		}
		manager.ip("address delete " + addr + " dev eth0")
		manager.apply(item(t, addr, vip.Spec{Role: vip.Announced, Direct: true}))
		if addr == "192.0.2.80" && (manager.setting("eth0/rp_filter") != "2" || manager.setting("eth0/accept_local") != "1") {
			t.Error("the answers are not let in")
		}
		manager.apply(item(t, addr, vip.Spec{Role: vip.Announced}))
		if source() != addr {
			t.Errorf("connections to %s come from %s still", addr, source())
		}
		manager.apply(item(t, addr, vip.Spec{Role: vip.Announced, Direct: true}))
		manager.remove(item(t, addr, vip.Spec{Role: vip.Announced, Direct: true}))
		if got := manager.ip("route show table local") + manager.ip("-6 route show table local"); strings.Contains(got, addr) {
			t.Errorf("routes are left: %s", got)
		}
	}
	if manager.setting("eth0/rp_filter") != "0" || manager.setting("eth0/accept_local") != "0" || manager.setting("all/rp_filter") != "1" {
		t.Error("the settings are not as they were")
	}
	manager.unnoted()
}

// TestPass: packets are passed on while the address is translated, and no longer.
func TestPass(t *testing.T) {
	manager, _ := link(t)
	manager.fakeSettings()
	read := func(name string) string {
		data, err := os.ReadFile(filepath.Join(manager.Sys, name))
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(data))
	}
	const four, six, ra = "net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding", "net/ipv6/conf/eth0/accept_ra"
	for name, was := range map[string]string{four: "0", six: "0", ra: "1"} {
		path := filepath.Join(manager.Sys, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(was+"\n"), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	list := []profile.Item{
		item(t, "192.0.2.80", vip.Spec{Role: vip.Announced, Pass: true}),
		item(t, "2001:db8::80", vip.Spec{Role: vip.Announced, Pass: true}),
	}
	for _, it := range list {
		manager.apply(it)
	}
	if got := read(four) + read(six) + read(ra); got != "112" {
		t.Errorf("the settings are %s", got)
	}
	for _, it := range list {
		manager.remove(it)
	}
	if got := read(four) + read(six) + read(ra); got != "001" {
		t.Errorf("afterwards the settings are %s", got)
	}
	manager.unnoted()
}

// TestTunnel has a device of another kind stand for the module's, which not every
// kernel has.
func TestTunnel(t *testing.T) {
	_, node := link(t)
	node.setting("all/rp_filter", "1")
	var loaded []string
	node.Command = func(_ context.Context, name string, args ...string) ([]byte, error) {
		loaded = append(loaded, name+" "+strings.Join(args, " "))
		node.ip("link add tunl0 type veth peer name other")
		return nil, nil
	}
	want := item(t, "192.0.2.80", vip.Spec{Role: vip.Silent, Tunnel: true})
	node.apply(want)
	if !slices.Equal(loaded, []string{"modprobe ipip"}) || node.setting("tunl0/rp_filter") != "2" || !strings.Contains(node.ip("link show tunl0"), ",UP") {
		t.Errorf("%q, %s", loaded, node.ip("link show tunl0"))
	}
	node.apply(item(t, "192.0.2.80", vip.Spec{Role: vip.Silent}))
	if strings.Contains(node.ip("link show tunl0"), ",UP") || node.setting("tunl0/rp_filter") == "2" {
		t.Error("the tunnel is still open")
	}
	node.remove(want)
	node.unnoted()
}

func TestUsable(t *testing.T) {
	here := []host.Address{
		{Prefix: netip.MustParsePrefix("127.0.0.1/8"), Interface: "lo", Loopback: true},
		{Prefix: netip.MustParsePrefix("192.0.2.1/24"), Interface: "eth0"},
		{Prefix: netip.MustParsePrefix("192.0.2.130/25"), Interface: "eth1"},
		{Prefix: netip.MustParsePrefix("192.0.2.81/32"), Interface: "eth0"},
		{Prefix: netip.MustParsePrefix("fe80::1/64"), Interface: "eth0"},
		{Prefix: netip.MustParsePrefix("2001:db8::1/64"), Interface: "eth0"},
	}
	nets := "choose a free address of 192.0.2.0/24 (eth0) or 192.0.2.128/25 (eth1) or 2001:db8::/64 (eth0)"
	tests := []struct{ addr, link, want, hint string }{
		{"192.0.2.80", "eth0", "", ""},
		{"192.0.2.200", "eth1", "", ""},
		{"192.0.2.81", "eth0", "", ""}, // it is here already
		{"2001:db8::80", "eth0", "", ""},
		{"198.51.100.1", "", "virtual IP 198.51.100.1 is in none of this server's networks", nets},
		{"127.0.0.5", "", "virtual IP 127.0.0.5 is in none of this server's networks", nets},
		{"fe80::5", "", "virtual IP fe80::5 is in none of this server's networks", nets},
		{"192.0.2.1", "eth0", "192.0.2.1 is this server's own address on eth0", "choose a free address of 192.0.2.0/24"},
		{"192.0.2.0", "eth0", "192.0.2.0 stands for all of the network 192.0.2.0/24", "choose a free address of it"},
		{"192.0.2.255", "eth1", "192.0.2.255 stands for all of the network 192.0.2.128/25", "choose a free address of it"},
	}
	for _, tt := range tests {
		asked := ""
		err := vip.Usable(t.Context(), here, netip.MustParseAddr(tt.addr), func(_ context.Context, link string, _ netip.Addr) (net.HardwareAddr, error) {
			asked = link
			return nil, nil
		})
		text, hint := "", ""
		if err != nil {
			text, hint = err.Error(), fault.HintOf(err)
		}
		if text != tt.want || hint != tt.hint || asked != "" && asked != tt.link {
			t.Errorf("%s: %q, hint %q, %s asked", tt.addr, text, hint, asked)
		}
		if link, _ := vip.Network(here, netip.MustParseAddr(tt.addr)); link.Interface != tt.link {
			t.Errorf("%s belongs on %s", tt.addr, link.Interface)
		}
	}
}

// TestNoNetwork: at boot the interface may be late.
func TestNoNetwork(t *testing.T) {
	manager, _ := link(t)
	manager.ip("address flush dev eth0")
	_, err := manager.check(item(t, "192.0.2.80", vip.Spec{Role: vip.Announced}))
	if err == nil || !strings.Contains(err.Error(), "is in none of this server's networks") {
		t.Error(err)
	}
}

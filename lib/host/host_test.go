package host

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"iwx/lib/fault"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestPaths(t *testing.T) {
	for _, root := range []string{"", "/"} {
		p := At(root)
		if p.Own() || p.State != "/var/lib/iwx/state.db" || p.Wake != "/run/iwx/wake" {
			t.Errorf("At(%q) = %+v", root, p)
		}
	}
	p := At("/tmp/web1")
	if !p.Own() || p.PKI != "/tmp/web1/var/lib/iwx/pki" || p.Config != "/tmp/web1/etc/iwx/iwx.toml" {
		t.Errorf("At(/tmp/web1) = %+v", p)
	}
}

func TestReadRoot(t *testing.T) {
	root := t.TempDir()
	if _, err := Read(root); !errors.Is(err, fs.ErrNotExist) || fault.HintOf(err) == "" {
		t.Fatalf("Read of an empty root: %v, hint %q", err, fault.HintOf(err))
	}
	id, err := EnsureMachineID(root)
	if err != nil {
		t.Fatal(err)
	}
	if err := SetHostname(root, "web1.example.net"); err != nil {
		t.Fatal(err)
	}
	write(t, At(root).OSRelease, "ID=rocky\nVERSION_ID=\"9.4\"\nID_LIKE=\"rhel centos fedora\"\n")
	write(t, At(root).Passwd, "root:x:0:0::/root:/bin/sh\nanna:x:1000:100::/:/bin/sh\n")

	f, err := Read(root, netip.MustParseAddr("127.0.0.7"))
	if err != nil {
		t.Fatal(err)
	}
	if f.MachineID != id || f.Hostname != "web1.example.net" {
		t.Errorf("identity %q %q", f.MachineID, f.Hostname)
	}
	if f.OS.String() != "rocky 9.4" || !f.OS.IsLike("rhel") || f.OS.IsLike("debian") {
		t.Errorf("os %+v", f.OS)
	}
	if want := []User{{"anna", 1000, 100}}; !slices.Equal(f.Users, want) {
		t.Errorf("users %v, want %v", f.Users, want)
	}
	if len(f.Addresses) != 1 || !f.Addresses[0].Loopback || f.Addresses[0].Prefix.String() != "127.0.0.7/8" {
		t.Errorf("addresses %v", f.Addresses)
	}
	if f.Kernel == "" || len(f.BootID) != 36 || f.Arch == "" || f.UID != os.Geteuid() {
		t.Errorf("facts of the machine: %+v", f)
	}
	if _, err := Read(root, netip.MustParseAddr("203.0.113.9")); fault.CodeOf(err) != fault.Usage {
		t.Errorf("absent address: %v", err)
	}
}

func TestFactsJSON(t *testing.T) {
	want := Facts{
		MachineID: "0123456789abcdef0123456789abcdef",
		OS:        OS{ID: "debian", Version: "12"},
		Addresses: []Address{{Prefix: netip.MustParsePrefix("192.0.2.7/24"), Interface: "eth0"}},
		Users:     []User{{"anna", 1000, 100}},
	}
	data, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{`"machine_id":"0123`, `"prefix":"192.0.2.7/24"`, `"version":"12"`, `"uid":1000`} {
		if !strings.Contains(string(data), field) {
			t.Errorf("%s is not in %s", field, data)
		}
	}
	var got Facts
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if a, ok := got.Find(netip.MustParseAddr("::ffff:192.0.2.7")); !ok || a != want.Addresses[0] {
		t.Errorf("Find after a round trip: %v %v", a, ok)
	}
}

func TestEnsureMachineID(t *testing.T) {
	root, other := t.TempDir(), t.TempDir()
	first, err := EnsureMachineID(root)
	if err != nil {
		t.Fatal(err)
	}
	again, err := EnsureMachineID(root)
	if err != nil || again != first {
		t.Errorf("second call: %q %v, want %q", again, err, first)
	}
	if second, err := EnsureMachineID(other); err != nil || second == first {
		t.Errorf("two roots share %q (%v)", second, err)
	}
}

func TestUnfitMachineID(t *testing.T) {
	for _, text := range []string{
		"", "uninitialized\n", "0123", strings.Repeat("0", 32),
		strings.Repeat("A", 32), strings.Repeat("g", 32), strings.Repeat("a", 34),
	} {
		root := t.TempDir()
		write(t, At(root).MachineID, text)
		if id, err := EnsureMachineID(root); err == nil {
			t.Errorf("machine-id %q was accepted as %q", text, id)
		}
	}
}

func TestSetHostname(t *testing.T) {
	if err := SetHostname("", "web1"); fault.CodeOf(err) != fault.Usage {
		t.Errorf("the server's own name: %v", err)
	}
	for _, name := range []string{"", "-web", "we b", "a..b", "web/1", strings.Repeat("a", 64)} {
		if err := SetHostname(t.TempDir(), name); fault.CodeOf(err) != fault.Usage {
			t.Errorf("host name %q: %v", name, err)
		}
	}
}

func TestContainer(t *testing.T) {
	tests := []struct{ file, text, want string }{
		{"run/systemd/container", "lxc\n", "lxc"},
		{"proc/1/environ", "PATH=/bin\x00container=systemd-nspawn\x00", "systemd-nspawn"},
		{"proc/1/environ", "PATH=/bin\x00container=\x00", ""},
		{".dockerenv", "", "docker"},
		{"run/.containerenv", "", "podman"},
		{"etc/other", "", ""},
	}
	for _, tt := range tests {
		sys := t.TempDir()
		write(t, filepath.Join(sys, tt.file), tt.text)
		if got := (source{sys: sys}).container(); got != tt.want {
			t.Errorf("%s %q: container %q, want %q", tt.file, tt.text, got, tt.want)
		}
	}
}

func TestBooted(t *testing.T) {
	sys := t.TempDir()
	if (source{sys: sys}).booted() {
		t.Error("booted without /run/systemd/system")
	}
	write(t, filepath.Join(sys, "run/systemd/system/x"), "")
	if !(source{sys: sys}).booted() {
		t.Error("not booted with /run/systemd/system")
	}
}

func TestOSRelease(t *testing.T) {
	tests := []struct{ text, want string }{
		{"ID=debian\nVERSION_ID=\"12\"\n", "debian 12"},
		{"# ID=no\nNAME=\"A=B\"\nID='ubuntu'\nVERSION_ID=\"24.04\"", "ubuntu 24.04"},
		{"ID=arch\n", "arch"},
		{"", "linux"},
	}
	for _, tt := range tests {
		if got := parseOSRelease(tt.text).String(); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.text, got, tt.want)
		}
	}
}

func TestUsers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "passwd")
	if users, services, err := readUsers(path); err != nil || users != nil || services != nil {
		t.Errorf("no file: %v %v", users, err)
	}
	write(t, path, strings.Join([]string{
		"www-data:x:33:33::/:/bin/sh", "first:x:1000:1000::/:/bin/sh", "last:x:64999:5::/:/bin/sh",
		"nobody:x:65534:65534::/:/bin/sh", "+nis:x:1001:1::/:", "#gone:x:1002:1::/:", "short:x:1003",
		"neg:x:-1:1::/:", "huge:x:99999999999:1::/:", "nogid:x:1004:x::/:", "",
	}, "\n"))
	users, services, err := readUsers(path)
	if want := []User{{"first", 1000, 1000}, {"last", 64999, 5}}; err != nil || !slices.Equal(users, want) {
		t.Errorf("users %v (%v), want %v", users, err, want)
	}
	if want := []User{{"www-data", 33, 33}}; !slices.Equal(services, want) {
		t.Errorf("services %v, want %v", services, want)
	}
}

func TestInterfaces(t *testing.T) {
	all, err := addresses(nil)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(all, func(a Address) bool { return a.Loopback && a.Interface == "lo" }) {
		t.Errorf("no loopback address among %v", all)
	}
}

func TestFilesystem(t *testing.T) {
	dir := t.TempDir()
	here, err := FilesystemOf(dir)
	if err != nil || here.Free == 0 {
		t.Fatalf("%+v %v", here, err)
	}
	below, err := FilesystemOf(filepath.Join(dir, "not/yet/there"))
	if err != nil || below.Local != here.Local || below.Type != here.Type {
		t.Errorf("a path to come: %+v %v, want as %+v", below, err, here)
	}
	proc, err := FilesystemOf("/proc/self")
	if err != nil || !proc.Local || proc.Free != 0 {
		t.Errorf("/proc: %+v %v", proc, err)
	}
}

func TestRemoteType(t *testing.T) {
	// Magic numbers from linux/magic.h; -0xacb2be is CIFS sign-extended.
	for magic, want := range map[int64]string{
		0x6969: "nfs", 0xff534d42: "cifs", -0xacb2be: "cifs", 0xfe534d42: "cifs", 0x01021997: "9p", 0x65735546: "fuse",
		0xef53: "", 0x9123683e: "", 0x58465342: "", 0x01021994: "",
	} {
		if got := remoteType(magic); got != want {
			t.Errorf("remoteType(%#x) = %q, want %q", magic, got, want)
		}
	}
}

package nfs

import (
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

func addrs(text ...string) []netip.Addr {
	var list []netip.Addr
	for _, one := range text {
		list = append(list, netip.MustParseAddr(one))
	}
	return list
}

func TestSource(t *testing.T) {
	tests := []struct{ server, export, source, host, endpoint string }{
		{"192.0.2.10", "/srv/iwx", "192.0.2.10:/srv/iwx", "192.0.2.10", "192.0.2.10:2049"},
		{"2001:db8::1", "/", "[2001:db8::1]:/", "2001:db8::1", "[2001:db8::1]:2049"},
		{"nfs.example.com", "/volume1/a", "nfs.example.com:/volume1/a", "nfs.example.com", "nfs.example.com:2049"},
	}
	for _, tt := range tests {
		source := Source(tt.server, tt.export)
		if source != tt.source || Server(source) != tt.host || Endpoint(source) != tt.endpoint {
			t.Errorf("%s %s: %s, %s, %s", tt.server, tt.export, source, Server(source), Endpoint(source))
		}
	}
}

// TestFSID holds the identity of an export: clients have it in their handles.
func TestFSID(t *testing.T) {
	if got := FSID("0123456789abcdef", "/srv/iwx"); got != "d63114c5-99c0-8e29-9f9c-1f067aa39c25" {
		t.Errorf("it has become %s", got)
	}
	seen := map[string]bool{}
	for _, id := range []string{FSID("a", "/b"), FSID("a", "/c"), FSID("b", "/b"), FSID("a\x00/b", "")} {
		if seen[id] {
			t.Errorf("%s is there twice", id)
		}
		seen[id] = true
	}
}

func TestUnitName(t *testing.T) {
	tests := map[string]string{
		"/": "-", "/srv/iwx": "srv-iwx", "/var/www-data": `var-www\x2ddata`, "/srv/.hidden": "srv-.hidden",
		"/.hidden": `\x2ehidden`, "/srv/a_b+c": `srv-a_b\x2bc`, "/home": "home",
	}
	for path, want := range tests {
		if got := UnitName(path, "mount"); got != want+".mount" {
			t.Errorf("%s: %s", path, got)
		}
	}
	if _, err := exec.LookPath("systemd-escape"); err != nil {
		return // the table above is what it said elsewhere
	}
	for path := range tests {
		out, err := exec.Command("systemd-escape", "--path", "--suffix=automount", path).Output()
		if got := UnitName(path, "automount"); err != nil || got != strings.TrimSpace(string(out)) {
			t.Errorf("%s: %s, and systemd-escape says %s, %v", path, got, out, err)
		}
	}
}

func TestExports(t *testing.T) {
	x := parseExports("")
	x.set("/srv/b", exportSpec{FSID: "id-b", Clients: addrs("192.0.2.11", "2001:db8::2")})
	x.set("/srv/a", exportSpec{FSID: "id-a", Clients: addrs("192.0.2.11")})
	x.made = append(x.made, "/srv/a")
	want := exportsHead + `# made: /srv/a
/srv/a -rw,sync,no_subtree_check,root_squash,fsid=id-a 192.0.2.11
/srv/b -rw,sync,no_subtree_check,root_squash,fsid=id-b 192.0.2.11 2001:db8::2
`
	if x.text() != want {
		t.Errorf("got\n%s", x.text())
	}
	if again := parseExports(want); again.text() != want {
		t.Errorf("read again:\n%s", again.text())
	}
	// A line without clients would be for everybody.
	x.set("/srv/a", exportSpec{FSID: "id-a"})
	if strings.Contains(x.text(), "\n/srv/a") {
		t.Errorf("exported to the world:\n%s", x.text())
	}
	x.made = nil
	delete(x.lines, "/srv/b")
	if x.text() != "" {
		t.Errorf("nothing is left, but\n%s", x.text())
	}
}

func TestTable(t *testing.T) {
	table := ParseTable("/srv/iwx\t192.0.2.12(rw,sync,wdelay,hide)\n/srv/iwx\t192.0.2.11(rw,sync)\n/opt\t*(ro)\n\n# x\ngarbage\n")
	if !table.Serves("/srv/iwx", addrs("192.0.2.11", "192.0.2.12")) || !table.Serves("/srv/none", nil) {
		t.Errorf("got %v", table)
	}
	for _, clients := range [][]netip.Addr{nil, addrs("192.0.2.11"), addrs("192.0.2.11", "192.0.2.13"), addrs("192.0.2.11", "192.0.2.12", "192.0.2.13")} {
		if table.Serves("/srv/iwx", clients) {
			t.Errorf("serves %v", clients)
		}
	}
}

func TestMounts(t *testing.T) {
	list := ParseMounts(`22 28 0:20 / /proc rw,nosuid shared:12 - proc proc rw
90 28 0:40 / /srv/iwx rw,relatime shared:40 - autofs systemd-1 rw,fd=44
91 90 0:41 / /srv/iwx rw,nosuid,nodev shared:41 master:1 - nfs4 192.0.2.10:/srv/iwx rw,vers=4.2,hard
92 28 8:1 / /srv/my\040files rw - ext4 /dev/vdb rw
broken
`)
	if got := At(list, "/srv/iwx"); len(got) != 2 || got[0] != (Mounted{"/srv/iwx", "nfs4", "192.0.2.10:/srv/iwx"}) || got[1].Type != "autofs" {
		t.Errorf("got %v", got)
	}
	if got := At(list, "/srv/my files"); len(got) != 1 || got[0].nfs() || got[0].Source != "/dev/vdb" {
		t.Errorf("got %v", got)
	}
	if !slices.ContainsFunc(list, func(m Mounted) bool { return m.Path == "/proc" }) || len(list) != 4 {
		t.Errorf("got %v", list)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("1 2 0:1 / /a\\040b rw - nfs4 s:/x rw\n")
	f.Add("/srv/iwx\t192.0.2.1(rw)\n# made: /x\n/srv/a -rw 192.0.2.1\n\\0\\99")
	f.Fuzz(func(t *testing.T, text string) {
		for _, m := range ParseMounts(text) {
			if m.Type == "" || strings.ContainsAny(m.Type, " \n") {
				t.Errorf("type %q", m.Type)
			}
		}
		for path, clients := range ParseTable(text) {
			if len(clients) == 0 || slices.Contains(clients, "") {
				t.Errorf("%q to %q", path, clients)
			}
		}
		x := parseExports(text)
		if again := parseExports(x.text()); again.text() != x.text() {
			t.Errorf("not the same when read again:\n%q\n%q", x.text(), again.text())
		}
	})
}

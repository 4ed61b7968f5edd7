package join

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"iwx/lib/host"
	"iwx/lib/preflight"
)

func address(prefix string) host.Address {
	p := netip.MustParsePrefix(prefix)
	return host.Address{Prefix: p, Interface: "eth0", Loopback: p.Addr().IsLoopback()}
}

// fitting are a manager and a candidate that pass every check.
func fitting() (Manager, Candidate) {
	m := Manager{
		Facts: host.Facts{
			MachineID: strings.Repeat("a", 32), OS: host.OS{ID: "debian", Version: "12"}, Arch: "amd64",
			Addresses: []host.Address{address("127.0.0.1/8"), address("192.0.2.1/24"), address("198.51.100.1/24")},
			Users:     []host.User{{Name: "anna", UID: 1000, GID: 1000}, {Name: "bert", UID: 1001, GID: 1001}},
		},
		QuorumIP: netip.MustParseAddr("192.0.2.1"),
		Version:  "0.4.0",
	}
	c := Candidate{
		Name: "web2",
		Facts: host.Facts{
			MachineID: strings.Repeat("b", 32), OS: m.Facts.OS, Arch: "amd64",
			Addresses: []host.Address{address("127.0.0.1/8"), address("192.0.2.7/24")},
			Users:     []host.User{{Name: "anna", UID: 1000, GID: 100}, {Name: "carl", UID: 1002, GID: 1002}},
		},
		Version: "0.4.2",
		Skew:    -4 * time.Second,
	}
	return m, c
}

func TestFitting(t *testing.T) {
	m, c := fitting()
	checks := Compare(m, c, []Member{{"web1", strings.Repeat("c", 32)}})
	for _, check := range checks {
		if check.Status != preflight.OK {
			t.Errorf("%+v", check)
		}
		if !slices.Contains(preflight.Names(), check.Name) {
			t.Errorf("%q is not a known name", check.Name)
		}
	}
	if len(checks) != 8 {
		t.Errorf("%d checks, want 8", len(checks))
	}
}

func TestCompare(t *testing.T) {
	rocky := func(version string) host.OS {
		return host.OS{ID: "rocky", Version: version, Like: []string{"rhel", "centos", "fedora"}}
	}
	id := func(letter string) string { return strings.Repeat(letter, 32) }
	tests := []struct {
		name   string
		change func(m *Manager, c *Candidate)
		check  string
		want   preflight.Status
		detail string
		remedy string
	}{
		{"other release", func(_ *Manager, c *Candidate) { c.Facts.OS.Version = "11" }, "os-version", preflight.Fail, "debian 12, the node debian 11", "install debian 12"},
		{"other system", func(_ *Manager, c *Candidate) { c.Facts.OS = host.OS{ID: "ubuntu", Version: "12"} }, "os-version", preflight.Fail, "ubuntu", "install debian 12"},
		{"minor of rhel", func(m *Manager, c *Candidate) { m.Facts.OS, c.Facts.OS = rocky("9.3"), rocky("9.4") }, "os-version", preflight.Warn, "rocky 9.3", "dnf"},
		{"major of rhel", func(m *Manager, c *Candidate) { m.Facts.OS, c.Facts.OS = rocky("8.9"), rocky("9.4") }, "os-version", preflight.Fail, "rocky 8.9", "install"},
		{"minor of ubuntu", func(m *Manager, c *Candidate) {
			m.Facts.OS, c.Facts.OS = host.OS{ID: "ubuntu", Version: "24.04"}, host.OS{ID: "ubuntu", Version: "24.10"}
		}, "os-version", preflight.Fail, "24.10", "install"},
		{"arch", func(_ *Manager, c *Candidate) { c.Facts.Arch = "arm64" }, "arch", preflight.Fail, "amd64, the node arm64", "architecture"},
		{"other segment", func(_ *Manager, c *Candidate) { c.Facts.Addresses[1] = address("203.0.113.7/24") }, "segment", preflight.Fail, "192.0.2.0/24, the node has 127.0.0.1/8 203.0.113.7/24", "ADDRESS/24"},
		{"segment of another address of the manager", func(_ *Manager, c *Candidate) { c.Facts.Addresses[1] = address("198.51.100.7/24") }, "segment", preflight.Fail, "198.51.100.7/24", "192.0.2.0/24"},
		{"quorum IP gone", func(m *Manager, _ *Candidate) { m.QuorumIP = netip.MustParseAddr("192.0.2.99") }, "segment", preflight.Fail, "192.0.2.99", "ip -brief"},
		{"all on loopback", func(m *Manager, c *Candidate) {
			m.QuorumIP = netip.MustParseAddr("127.0.0.1")
			c.Facts.Addresses = []host.Address{address("127.0.0.2/8")}
		}, "segment", preflight.OK, "127.0.0.2 is in 127.0.0.0/8", ""},
		{"no addresses", func(_ *Manager, c *Candidate) { c.Facts.Addresses = nil }, "segment", preflight.Fail, "192.0.2.0/24", "ip address add"},
		{"clock at the limit", func(_ *Manager, c *Candidate) { c.Skew = MaxSkew }, "clock", preflight.OK, "", ""},
		{"clock ahead", func(_ *Manager, c *Candidate) { c.Skew = 95 * time.Second }, "clock", preflight.Fail, "95 s ahead of", "iwx-cluster-setup preflight"},
		{"clock behind", func(_ *Manager, c *Candidate) { c.Skew = -6 * time.Second }, "clock", preflight.Fail, "6 s behind", "iwx-cluster-setup preflight"},
		{"next minor", func(_ *Manager, c *Candidate) { c.Version = "0.5.0" }, "version", preflight.OK, "0.5.0", ""},
		{"last minor", func(_ *Manager, c *Candidate) { c.Version = "v0.3.9-rc1" }, "version", preflight.OK, "0.3.9", ""},
		{"two minors on", func(_ *Manager, c *Candidate) { c.Version = "0.6.0" }, "version", preflight.Fail, "0.6.0", "install iwx 0.4.0"},
		{"other major", func(_ *Manager, c *Candidate) { c.Version = "1.4.0" }, "version", preflight.Fail, "1.4.0", "install"},
		{"no number", func(_ *Manager, c *Candidate) { c.Version = "dev" }, "version", preflight.Fail, "dev", "install"},
		{"no number on both", func(m *Manager, c *Candidate) { m.Version, c.Version = "dev", "dev" }, "version", preflight.OK, "dev", ""},
		{"manager's machine-id", func(m *Manager, c *Candidate) { c.Facts.MachineID = m.Facts.MachineID }, "machine-id", preflight.Fail, "the manager's", "systemd-machine-id-setup"},
		{"member's machine-id", func(_ *Manager, c *Candidate) { c.Facts.MachineID = id("c") }, "machine-id", preflight.Fail, "already a member as web1", "iwx-node delete web1"},
		{"no machine-id", func(_ *Manager, c *Candidate) { c.Facts.MachineID = "" }, "machine-id", preflight.Fail, "no machine-id", "systemd-machine-id-setup"},
		{"joins again", func(_ *Manager, c *Candidate) { c.Name, c.Facts.MachineID = "web1", id("c") }, "machine-id", preflight.OK, "", ""},
		{"joins again, name", func(_ *Manager, c *Candidate) { c.Name, c.Facts.MachineID = "web1", id("c") }, "name", preflight.OK, "", ""},
		{"name taken", func(_ *Manager, c *Candidate) { c.Name = "WEB1" }, "name", preflight.Fail, "web1", "iwx-node delete web1"},
		{"same uid", func(_ *Manager, c *Candidate) { c.Facts.Users[1].UID = 1001 }, "uids", preflight.Fail, "uid 1001 is bert on the manager and carl on the node", "usermod"},
		{"same name", func(_ *Manager, c *Candidate) { c.Facts.Users[0].UID = 1005 }, "uids", preflight.Fail, "anna has uid 1000 on the manager and 1005 on the node", "usermod"},
		{"service", func(m *Manager, c *Candidate) {
			m.Facts.Services, c.Facts.Services = []host.User{{Name: "postfix", UID: 104, GID: 110}}, []host.User{{Name: "postfix", UID: 105, GID: 110}}
		}, "uids", preflight.Fail, "postfix has uid 104 on the manager and 105 on the node", "usermod"},
		{"service's group", func(m *Manager, c *Candidate) {
			m.Facts.Services, c.Facts.Services = []host.User{{Name: "vmail", UID: 104, GID: 110}}, []host.User{{Name: "vmail", UID: 104, GID: 111}}
		}, "uids", preflight.Fail, "vmail has gid 110 on the manager and 111 on the node", "groupmod"},
		{"services of one alone", func(m *Manager, c *Candidate) {
			m.Facts.Services, c.Facts.Services = []host.User{{Name: "bind", UID: 104, GID: 110}}, []host.User{{Name: "vmail", UID: 104, GID: 110}}
		}, "uids", preflight.OK, "", ""},
		{"no users", func(m *Manager, c *Candidate) { m.Facts.Users, c.Facts.Users = nil, nil }, "uids", preflight.OK, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, c := fitting()
			tt.change(&m, &c)
			checks := Compare(m, c, []Member{{"web1", id("c")}})
			i := slices.IndexFunc(checks, func(c preflight.Check) bool { return c.Name == tt.check })
			got := checks[i]
			if got.Status != tt.want || !strings.Contains(got.Detail, tt.detail) || !strings.Contains(got.Remedy, tt.remedy) {
				t.Errorf("%+v, want %s …%s… …%s…", got, tt.want, tt.detail, tt.remedy)
			}
			if got.Status != preflight.OK && got.Remedy == "" {
				t.Errorf("no remedy: %+v", got)
			}
		})
	}
}

func TestAllConflictsAreListed(t *testing.T) {
	m, c := fitting()
	c.Facts.Users = []host.User{{Name: "anna", UID: 1001}, {Name: "dora", UID: 1000}}
	got := compareUsers(m.Facts, c.Facts).Detail
	want := "anna has uid 1000 on the manager and 1001 on the node; " +
		"uid 1000 is anna on the manager and dora on the node; uid 1001 is bert on the manager and anna on the node"
	if got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

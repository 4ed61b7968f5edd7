package upkeep

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"iwx/lib/cluster"
	"iwx/lib/conf"
	"iwx/lib/profile"
)

// storageOf returns the storage items of the manager and of a node, by the
// settings in text.
func storageOf(t *testing.T, text string, own bool, members ...string) (manager, node string) {
	t.Helper()
	config, err := conf.Parse("iwx.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	c := &Cluster{
		Identity: &cluster.Identity{ClusterID: "0123456789abcdef", Manager: netip.MustParseAddrPort("192.0.2.10:2480")},
		Config:   config, Own: own,
	}
	for _, address := range members {
		n := cluster.Roster{ID: address}
		if address != "" {
			n.Address = netip.MustParseAddr(address)
		}
		c.Members = append(c.Members, n)
	}
	exports, err := c.exports()
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := c.mounts(true)
	if err != nil {
		t.Fatal(err)
	}
	mounts, err := c.mounts(false)
	if err != nil {
		t.Fatal(err)
	}
	return lines(append(exports, theirs...)), lines(mounts)
}

func lines(items []profile.Item) string {
	var b strings.Builder
	for _, i := range items {
		fmt.Fprintf(&b, "%s %s\n", i, i.Spec)
	}
	return b.String()
}

// TestExportsOfMove: a member that moves has both its addresses, once each, and
// so does one that takes over the address of another.
func TestExportsOfMove(t *testing.T) {
	config, err := conf.Parse("iwx.toml", []byte("[storage]\nenabled = true\n"))
	if err != nil {
		t.Fatal(err)
	}
	a, b, c := netip.MustParseAddr("192.0.2.11"), netip.MustParseAddr("192.0.2.77"), netip.MustParseAddr("192.0.2.12")
	for want, members := range map[string][]cluster.Roster{
		`"clients":["192.0.2.11","192.0.2.12","192.0.2.77"]`: {{ID: "1", Address: b, Former: a}, {ID: "2", Address: c}},
		`"clients":["192.0.2.12","192.0.2.77"]`:              {{ID: "1", Address: b}, {ID: "2", Address: c}},
		`"clients":["192.0.2.11","192.0.2.77"]`:              {{ID: "1", Address: b, Former: a}, {ID: "2", Address: a}},
	} {
		is := &Cluster{Identity: &cluster.Identity{ClusterID: "0123456789abcdef"}, Config: config, Members: members}
		items, err := is.exports()
		if err != nil {
			t.Fatal(err)
		}
		if got := lines(items); !strings.Contains(got, want) {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestStorageItems(t *testing.T) {
	const fsid = "d63114c5-99c0-8e29-9f9c-1f067aa39c25"
	tests := []struct {
		name, text    string
		own           bool
		members       []string
		manager, node string
	}{
		{"by default", "", false, []string{"192.0.2.12", "192.0.2.11", "192.0.2.12", ""},
			`export /srv/iwx {"fsid":"` + fsid + `","clients":["192.0.2.11","192.0.2.12"]}` + "\n",
			`mount /srv/iwx {"source":"192.0.2.10:/srv/iwx"}` + "\n"},
		{"no nodes", "", false, nil, `export /srv/iwx {"fsid":"` + fsid + `","clients":[]}` + "\n", `mount /srv/iwx {"source":"192.0.2.10:/srv/iwx"}` + "\n"},
		{"switched off", "storage.enabled = false", false, []string{"192.0.2.12"}, "", ""},
		{"below a root", "", true, []string{"192.0.2.12"}, "", ""},
		{"outside", "storage.server = \"nfs1\"\n[[storage.share]]\nexport = \"/vol\"\n[[storage.share]]\npath = \"/var/vmail\"\n", false, []string{"192.0.2.12"},
			`mount /srv/iwx {"source":"nfs1:/vol"}` + "\n" + `mount /var/vmail {"source":"nfs1:/var/vmail"}` + "\n",
			`mount /srv/iwx {"source":"nfs1:/vol"}` + "\n" + `mount /var/vmail {"source":"nfs1:/var/vmail"}` + "\n"},
	}
	for _, tt := range tests {
		manager, node := storageOf(t, tt.text, tt.own, tt.members...)
		if manager != tt.manager || node != tt.node {
			t.Errorf("%s: got\n%s\n%s", tt.name, manager, node)
		}
	}
}

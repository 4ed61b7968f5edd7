package conf

import (
	"reflect"
	"strings"
	"testing"
)

func TestShares(t *testing.T) {
	tests := []struct {
		name, text string
		want       []Share
	}{
		{"none", "[storage]\nserver = \"nfs1\"\n", []Share{{Path: "/srv/iwx"}}},
		{"one with its default", "[[storage.share]]\n", []Share{{Path: "/srv/iwx"}}},
		{"home, asked for", "[[storage.share]]\npath = \"/home\"\n", []Share{{Path: "/home"}}},
		{"several", "[storage]\nserver = \"192.0.2.7\"\n[[storage.share]]\npath = \"/srv/a\"\nexport = \"/\"\n[[storage.share]]\npath = \"/srv/ab\"\n",
			[]Share{{Path: "/srv/a", Export: "/"}, {Path: "/srv/ab"}}},
		{"inline", "storage.share = [{path = \"/var/www\"}, {}]\n", []Share{{Path: "/var/www"}, {Path: "/srv/iwx"}}},
	}
	for _, tt := range tests {
		c, err := Parse("f", []byte(tt.text))
		if err != nil || !reflect.DeepEqual(c.Storage.Shares, tt.want) {
			t.Errorf("%s: %+v, %v", tt.name, c.Storage.Shares, err)
		}
	}
}

func TestShareFaults(t *testing.T) {
	share := func(paths ...string) string {
		text := ""
		for _, p := range paths {
			text += "[[storage.share]]\npath = \"" + p + "\"\n"
		}
		return text
	}
	tests := []struct{ name, text, want string }{
		{"not absolute", share("srv/iwx"), `f:2: storage.share.path: "srv/iwx" is not an absolute path`},
		{"not clean", share("/srv/a", "/srv//b/../c/"), `f:4: storage.share.path: "/srv//b/../c/" is not in its shortest form, /srv/c`},
		{"blank", share("/srv/my files"), `f:2: storage.share.path: "/srv/my files" has characters other than letters, digits and . _ + -`},
		{"root", share("/"), "f:2: storage.share.path: / is a system directory; share one below it"},
		{"system", share("/usr"), "f:2: storage.share.path: /usr is a system directory, or in one (/usr)"},
		{"below a system directory", share("/var/lib/iwx/shared"), "f:2: storage.share.path: /var/lib/iwx/shared is a system directory, or in one (/var/lib/iwx)"},
		{"nested", share("/srv/a/b/c", "/srv/a"), "f:2: storage.share.path: /srv/a/b/c lies in another share, /srv/a"},
		{"twice", share("/srv/a", "/srv/b", "/srv/a"), "f:6: storage.share.path: /srv/a is there twice"},
		{"each on its line", share("x", "/srv/a", "/proc"), "f:2: storage.share.path: \"x\" is not an absolute path\nf:6: storage.share.path: /proc is a system directory, or in one (/proc)"},
		{"inline", "\nstorage.share = [{path = \"/srv/a\"}, {path = \"b\"}]\n", `f:2: storage.share.path: "b" is not an absolute path`},
		{"export without a server", "[[storage.share]]\nexport = \"/a\"\n", "f:2: storage.share.export: is for an NFS server outside the cluster, and storage.server names none"},
		{"typo", "[[storage.share]]\npth = \"/a\"\n", "f:2: storage.share.pth: unknown key, did you mean storage.share.path?"},
		{"one table", "[storage.share]\npath = \"/a\"\n", "f:1: storage.share: is a list of tables, write [[storage.share]] for each"},
		{"empty list", "storage.share = []\n", "f:1: storage.share: is a list of tables, write [[storage.share]] for each"},
		{"server with an export", "storage.server = \"nfs1:/srv\"\n", `f:1: storage.server: "nfs1:/srv" is neither an address nor a host name`},
	}
	for _, tt := range tests {
		if _, err := Parse("f", []byte(tt.text)); err == nil || err.Error() != tt.want {
			t.Errorf("%s: got\n%v\nwant\n%s", tt.name, err, tt.want)
		}
	}
}

func TestPaths(t *testing.T) {
	s := Default().Storage
	if got := strings.Join(s.Paths(), " "); got != "/srv/iwx" {
		t.Errorf("got %s", got)
	}
	if s.Enabled = false; s.Paths() != nil {
		t.Errorf("not shared: %v", s.Paths())
	}
	if got := (Share{Path: "/srv/a", Export: "/vol/a"}).Source() + (Share{Path: "/srv/b"}).Source(); got != "/vol/a/srv/b" {
		t.Errorf("sources %s", got)
	}
}

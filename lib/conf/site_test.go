package conf

import (
	"strings"
	"testing"
)

func TestSite(t *testing.T) {
	c, err := Parse("iwx.toml", []byte("[site]\nuid_range = \"30000 - 30009\"\nweb_server = \"nginx\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	if first, last := c.Site.UIDs(); first != 30000 || last != 30009 || c.Homes() != "/srv/iwx/home" {
		t.Errorf("%d-%d, homes in %q", first, last, c.Homes())
	}
	for text, want := range map[string]string{
		`uid_range = "30000"`:       "is not FIRST-LAST",
		`uid_range = "30009-30000"`: "is not FIRST-LAST",
		`uid_range = "999-30000"`:   "is not FIRST-LAST",
		`uid_range = "1000-65000"`:  "is not FIRST-LAST",
		`web_server = "caddy"`:      "neither apache2, httpd, nginx nor none",
		`home = "home"`:             "not an absolute path",
		`home = "/etc/homes"`:       "is a system directory",
	} {
		if _, err := Parse("iwx.toml", []byte("[site]\n"+text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestHomes(t *testing.T) {
	for text, want := range map[string]string{
		``:                                    "/srv/iwx/home",
		"[[storage.share]]\npath=\"/data\"":   "/data/home",
		"[storage]\nenabled=false":            "",
		"[site]\nhome=\"/srv/iwx/customers\"": "/srv/iwx/customers",
	} {
		c, err := Parse("iwx.toml", []byte(text))
		if err != nil || c.Homes() != want {
			t.Errorf("%q: %q, %v; want %q", text, c.Homes(), err, want)
		}
	}
}

package conf

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Site is the [site] table.
type Site struct {
	UIDRange       string        `toml:"uid_range" default:"20000-29999" rule:"uids" doc:"The ids that users and groups of sites get, FIRST-LAST, the same on every server."`
	WebServer      string        `toml:"web_server" default:"" rule:"web_server" doc:"What serves the sites: apache2, httpd, nginx or none. Empty: the one that is installed."`
	ReloadInterval time.Duration `toml:"reload_interval" default:"5s" min:"0" max:"10m" doc:"The least time between two reloads of a server's web server: changes that come sooner share the next one. 0 reloads at once each time."`
	Home           string        `toml:"home" default:"" rule:"home" doc:"The directory that the sites' homes are made in, on a share. Empty: home in the first share."`
}

// UIDs returns the ids that sites may get, both included.
func (s Site) UIDs() (first, last uint32) {
	first, last, _ = readUIDs(s.UIDRange)
	return first, last
}

// Homes returns the directory that the sites' homes are made in; "" where
// nothing is shared.
func (c *Config) Homes() string {
	if shares := c.Storage.Paths(); c.Site.Home == "" && len(shares) > 0 {
		return path.Join(shares[0], "home")
	}
	return c.Site.Home
}

// The ids that can be given to sites: those of ordinary users, Debian Policy
// §9.2.2.
const (
	leastUID = 1000
	mostUID  = 64999
)

func readUIDs(text string) (first, last uint32, err error) {
	bad := fmt.Errorf("%q is not FIRST-LAST, two numbers from %d to %d", text, leastUID, mostUID)
	low, high, _ := strings.Cut(text, "-")
	from, err1 := strconv.ParseUint(strings.TrimSpace(low), 10, 32)
	to, err2 := strconv.ParseUint(strings.TrimSpace(high), 10, 32)
	if err1 != nil || err2 != nil || from < leastUID || to > mostUID || from > to {
		return 0, 0, bad
	}
	return uint32(from), uint32(to), nil
}

func checkUIDs(text string) string {
	if _, _, err := readUIDs(text); err != nil {
		return err.Error()
	}
	return ""
}

// WebServers are the values of site.web_server beside the empty one.
func WebServers() []string { return []string{"apache2", "httpd", "nginx", "none"} }

func checkWebServer(name string) string {
	if name == "" || slices.Contains(WebServers(), name) {
		return ""
	}
	return fmt.Sprintf("%q is neither apache2, httpd, nginx nor none", name)
}

// checkHome wants a directory that a share could hold.
func checkHome(p string) string {
	if p == "" {
		return ""
	}
	return checkShare(p)
}

package tool_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// importRounds is how many times an import is killed at a random moment.
const importRounds = 16

// importFiles is how many files the site has that is taken over.
const importFiles = 50

// importable gives a manager a virtual host to take over, whose files belong to
// user ann. Repeating it brings back what an import has changed.
func (s server) importable() {
	s.t.Helper()
	enabled := filepath.Join(s.root, "etc/apache2/sites-enabled/old.conf")
	os.Remove(enabled + ".iwx-imported")
	www := filepath.Join(s.root, "home/ann/www")
	s.write(enabled, fmt.Sprintf("<VirtualHost *:80>\nServerName old.example\nDocumentRoot %s\n</VirtualHost>\n", www))
	for i := range importFiles {
		s.write(filepath.Join(www, fmt.Sprint("page", i)), "hello")
	}
	if err := os.Chown(www, 20500, 20500); err != nil {
		s.t.Fatal(err)
	}
	for file, line := range map[string]string{
		"passwd": "ann:x:20500:20500::/home/ann:/bin/bash\n", "group": "ann:x:20500:\n",
		"shadow": "ann:!:20000:0:99999:7:::\n", "gshadow": "ann:!::\n",
	} {
		path := filepath.Join(s.root, "etc", file)
		text, err := os.ReadFile(path)
		if err != nil {
			s.t.Fatal(err)
		}
		if !bytes.Contains(text, []byte("ann:")) {
			s.write(path, string(text)+line)
		}
	}
}

func (s server) write(path, text string) {
	s.t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

// imported fails unless the virtual host was taken over wholly, or not at all. It
// reports which.
func (s server) imported(round int) bool {
	s.t.Helper()
	taken := s.sites()["old.example"] == "ann"
	for path, want := range map[string]bool{
		"etc/apache2/sites-enabled/old.conf":              !taken,
		"etc/apache2/sites-enabled/old.conf.iwx-imported": taken,
		"etc/apache2/sites-enabled/iwx-old.example.conf":  taken,
		"srv/iwx/home/ann":                                taken,
		"var/lib/iwx/vhosts.old":                          false,
		"home/ann/www/page0":                              true,
		"srv/iwx/home/first":                              true,
		"etc/passwd":                                      true,
		"srv/iwx/home/old.example":                        false,
	} {
		if _, err := os.Lstat(filepath.Join(s.root, path)); (err == nil) != want {
			s.t.Errorf("round %d, taken over: %v; %s is there: %v", round, taken, path, err == nil)
		}
	}
	home, files := "/home/ann", 0
	if taken {
		home, files = "/srv/iwx/home/ann", importFiles
	}
	if n := len(s.names("srv/iwx/home/ann/public_html")); n != files {
		s.t.Errorf("round %d: %d files, want %d", round, n, files)
	}
	passwd, err := os.ReadFile(filepath.Join(s.root, "etc/passwd"))
	if want := fmt.Sprintf("ann:x:20500:20500::%s:/bin/bash\n", home); err != nil || !bytes.Contains(passwd, []byte(want)) {
		s.t.Errorf("round %d: %v, and not %q in\n%s", round, err, want, passwd)
	}
	return taken
}

// TestImportSurvivesKills kills iwx-site import at random moments. The next run
// that changes sites leaves the old virtual host with its user as they were, or
// the site with all of its files.
func TestImportSurvivesKills(t *testing.T) {
	m := siteServer(t)
	m.run("", "iwx-site", "add", "first.example")
	taken, rounds := 0, often(importRounds)
	var limit time.Duration
	for round := range rounds {
		m.importable()
		if round == 0 {
			limit = took(t, func() { m.run("", "iwx-site", "import", "--yes", "old.example") })
		} else {
			survived := false
			one := took(t, func() { _, survived = m.killed(limit, "iwx-site", "import", "--yes", "old.example") })
			if survived {
				limit = min(limit, one) // the machine is less busy than it was
			}
		}
		m.run("", "iwx-site", "resume", "first.example")
		if m.imported(round) {
			taken++
			m.run("", "iwx-site", "delete", "old.example", "--purge", "--yes")
		}
	}
	if taken == rounds && !testing.Short() {
		t.Errorf("none of %d runs was killed in time", rounds)
	}
	t.Logf("%d of %d runs came through, within %v", taken, rounds, limit.Round(time.Millisecond))
}

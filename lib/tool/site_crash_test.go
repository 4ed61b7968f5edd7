package tool_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"iwx/lib/testenv"
)

// siteRounds is how many times each verb of iwx-site is killed at a random moment.
const siteRounds = 24

// often is how many rounds a test of chance has: few with -short.
func often(rounds int) int {
	if testing.Short() {
		return max(2, rounds/8)
	}
	return rounds
}

// siteServer is a manager with a web server of its own that is not running: its
// configuration is tested all the same.
func siteServer(t *testing.T) server {
	t.Helper()
	testenv.NeedRoot(t)
	testenv.Need(t, "apache2")
	block := testBlock(t)
	m := server{t, filepath.Join(t.TempDir(), "mgr"), block + "2"}
	m.run("", "iwx-cluster-setup", "manager", "--quorum-ip", block+"1", "--address", m.address, "--name", "demo")
	for _, dir := range []string{"etc/apache2/sites-enabled", "run/apache2", "var/log/apache2", "srv/iwx"} {
		if err := os.MkdirAll(filepath.Join(m.root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	config := strings.NewReplacer("ROOT", m.root, "ADDR", m.address).Replace(apacheConfig)
	if err := os.WriteFile(filepath.Join(m.root, "etc/apache2/apache2.conf"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	return m
}

// sites are the domains that the state has, with their users.
func (s server) sites() map[string]string {
	s.t.Helper()
	users := map[string]string{}
	for line := range strings.Lines(s.run("", "iwx-site", "list", "-H", "-o", "domain,user")) {
		domain, user, _ := strings.Cut(strings.TrimSpace(line), "\t")
		users[domain] = user
	}
	return users
}

// whole fails unless users, homes, virtual hosts and queue entries are exactly
// those of the sites, after work that is settled.
func (s server) whole(round int) {
	s.t.Helper()
	sites := s.sites()
	var vhosts, users, homes []string
	for domain, user := range sites {
		vhosts, users, homes = append(vhosts, "iwx-"+domain+".conf"), append(users, user), append(homes, user)
	}
	same := func(what string, has, want []string) {
		slices.Sort(has)
		slices.Sort(want)
		if !slices.Equal(has, want) {
			s.t.Fatalf("round %d: %s: %q, and the sites are %v", round, what, has, sites)
		}
	}
	same("virtual hosts", s.names("etc/apache2/sites-enabled"), vhosts)
	same("homes", s.names("srv/iwx/home"), homes)
	same("users", s.accounts("passwd"), users)
	same("groups", s.accounts("group"), users)
	if left := s.names("var/lib/iwx/vhosts.old"); len(left) > 0 {
		s.t.Fatalf("round %d: old virtual hosts are left: %q", round, left)
	}
}

// names are the entries of a directory; none of one that is not there.
func (s server) names(dir string) (list []string) {
	entries, err := os.ReadDir(filepath.Join(s.root, dir))
	if err != nil && !os.IsNotExist(err) {
		s.t.Fatal(err)
	}
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

func (s server) accounts(file string) (list []string) {
	data, err := os.ReadFile(filepath.Join(s.root, "etc", file))
	if err != nil {
		return nil
	}
	for line := range bytes.Lines(data) {
		name, _, _ := strings.Cut(string(line), ":")
		list = append(list, name)
	}
	return list
}

// TestSiteSurvivesKills kills iwx-site at random moments of each of its verbs.
// The next run leaves nothing half made.
func TestSiteSurvivesKills(t *testing.T) {
	m := siteServer(t)
	limit := took(t, func() { m.run("", "iwx-site", "add", "first.example") })
	killed, rounds := 0, often(siteRounds)
	for round := range rounds {
		for _, args := range [][]string{
			{"add", "second.example"},
			{"edit", "first.example", "--alias", "www.first.example"},
			{"delete", "second.example", "--purge", "--yes"},
			{"edit", "first.example", "--no-alias", "www.first.example"},
		} {
			if _, survived := m.killed(limit, "iwx-site", args...); !survived {
				killed++
			}
		}
		// Any verb that changes sites settles what is left; this one changes
		// nothing more.
		m.run("", "iwx-site", "resume", "first.example")
		m.whole(round)
	}
	if killed < rounds {
		t.Errorf("only %d runs of %d were killed", killed, 4*rounds)
	}
	t.Logf("%d of %d runs were killed, within %v", killed, 4*rounds, limit.Round(time.Millisecond))
}

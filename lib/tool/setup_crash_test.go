package tool_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"iwx/lib/testenv"
)

// crashRounds is how many times each verb is killed at random moments and then
// run to its end.
const crashRounds = 6

// server is a root directory with its address, for tests that kill.
type server struct {
	t       *testing.T
	root    string
	address string
}

// run runs a tool on the server and wants it to succeed.
func (s server) run(stdin, tool string, args ...string) (stdout string) {
	s.t.Helper()
	var out, errs bytes.Buffer
	cmd := s.command(tool, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	if err := cmd.Run(); err != nil {
		s.t.Fatalf("%s %q: %v\n%s", tool, args, err, &errs)
	}
	return out.String()
}

func (s server) command(tool string, args ...string) *exec.Cmd {
	cmd := exec.Command(tool, append([]string{"--root", s.root}, args...)...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + s.t.TempDir(), "GORACE=" + raceOptions}
	return cmd
}

// killed runs a tool and kills it after a random part of limit. It returns what
// the tool had printed, and whether it was faster.
func (s server) killed(limit time.Duration, tool string, args ...string) (stdout string, survived bool) {
	s.t.Helper()
	var out bytes.Buffer
	cmd := s.command(tool, args...)
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	kill := time.AfterFunc(rand.N(limit), func() { cmd.Process.Kill() })
	defer kill.Stop()
	err := cmd.Wait()
	return out.String(), err == nil
}

// crash kills a verb several times, each a little later than its last work
// began, and then lets it end. It returns all that was printed.
func (s server) crash(limit time.Duration, args ...string) string {
	var all strings.Builder
	for range 4 {
		out, _ := s.killed(limit, "iwx-cluster-setup", args...)
		all.WriteString(out)
	}
	return all.String() + s.run("", "iwx-cluster-setup", args...)
}

// daemon runs iwx-queued until the test ends, or until the function returned is
// called.
func (s server) daemon() (end func()) {
	s.t.Helper()
	cmd := s.command("iwx-queued")
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	end = func() {
		cmd.Process.Signal(syscall.SIGTERM)
		<-ended
	}
	s.t.Cleanup(end)
	s.until("the daemon works", func() bool { return works(s.root) })
	return end
}

func (s server) until(what string, done func() bool) {
	s.t.Helper()
	testenv.Until(s.t, what, done)
}

// took is how long a verb takes on this machine, now: the moments of the kills
// are spread over that.
func took(t *testing.T, do func()) time.Duration {
	t.Helper()
	start := time.Now()
	do()
	return time.Since(start) * 5 / 4
}

// TestSetupSurvivesKills kills every verb that changes a server, at random
// moments, and then runs it to its end.
func TestSetupSurvivesKills(t *testing.T) {
	buildShim(t)
	block := testBlock(t)
	dir := t.TempDir()
	calibrate := server{t, filepath.Join(dir, "calibrate"), block + "9"}
	setup := []string{"manager", "--quorum-ip", block + "8", "--address", calibrate.address}
	managerTime := took(t, func() { calibrate.run("", "iwx-cluster-setup", setup...) })
	resetTime := took(t, func() { calibrate.run("", "iwx-cluster-setup", "reset", "--yes") })
	for round := range often(crashRounds) {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			m := server{t, filepath.Join(t.TempDir(), "mgr"), block + "2"}
			printed := m.crash(managerTime, "manager", "--quorum-ip", block+"1", "--address", m.address, "--name", "demo")
			key := lastKey(t, printed)
			endManager := m.daemon()
			n := server{t, filepath.Join(t.TempDir(), "web1"), block + "11"}
			joinOnce(t, m, n, managerTime)

			saved := filepath.Join(dir, fmt.Sprintf("backup%d", round))
			m.crash(resetTime, "backup", "--force", saved)
			endManager()
			restoreElsewhere(t, m, saved, key, managerTime)

			n.crash(resetTime, "reset", "--yes")
			m.crash(resetTime, "reset", "--yes", "--force")
			for _, s := range []server{n, m} {
				if left, err := filepath.Glob(s.root + "/*/lib/iwx"); err != nil || len(left) > 0 {
					t.Errorf("left: %v %v", left, err)
				}
			}
		})
	}
}

// lastKey returns the recovery key that was shown last.
func lastKey(t *testing.T, printed string) string {
	t.Helper()
	at := strings.LastIndex(printed, "AGE-SECRET-KEY-")
	if at < 0 {
		t.Fatalf("no recovery key was shown:\n%s", printed)
	}
	return printed[at:]
}

// joinOnce joins a node under kills, and wants one member to come of it.
func joinOnce(t *testing.T, m, n server, limit time.Duration) {
	t.Helper()
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte(m.run("", "iwx-node", "add", "web1")), 0o600); err != nil {
		t.Fatal(err)
	}
	n.crash(limit, "node", "--address", n.address, token)
	if list := m.run("", "iwx-node", "list", "--all", "-H", "-o", "node,membership"); list != "web1\tmember\n" {
		t.Errorf("members: %q", list)
	}
	end := n.daemon()
	m.run("", "iwx-queue", "add", "--wait", "--", "/bin/true")
	end()
}

// restoreElsewhere restores a backup under kills on a fresh server, which takes
// the manager's place.
func restoreElsewhere(t *testing.T, m server, file, key string, limit time.Duration) {
	t.Helper()
	other := server{t, filepath.Join(t.TempDir(), "other"), m.address}
	keyFile := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(keyFile, []byte(key), 0o600); err != nil {
		t.Fatal(err)
	}
	other.crash(limit, "restore", file, "--key", keyFile, "--address", other.address)
	end := other.daemon()
	defer end()
	// The node is not there, so the exit code is 3.
	status, err := other.command("iwx-cluster-setup", "status", "-H", "-o", "role,head,manager").Output()
	if string(status) != "manager\t2\tanswers\n" {
		t.Errorf("the restored manager: %q, %v", status, err)
	}
}

// testBlock is claimBlock for a test that is no script.
func testBlock(t *testing.T) string {
	t.Helper()
	for a := 20; a < 250; a++ {
		block := fmt.Sprintf("127.%d.77.", a)
		l, err := net.Listen("tcp", block+"254:2480")
		if err != nil {
			continue
		}
		t.Cleanup(func() { l.Close() })
		return block
	}
	t.Fatal("no block of loopback addresses is free")
	return ""
}

// Package testenv checks what tests need of their machine: programs, root, and time.
// Only tests import it.
//
// A test that needs something this machine lacks is skipped with a message, so that go
// test ./... passes on any machine with Go. In CI a skip is a failure
// (testscripts/test).
package testenv

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// scaleVariable is the environment variable that multiplies the deadlines of all
// tests: "4" on a machine that is slow or busy.
const scaleVariable = "IWX_TEST_SCALE"

// Limit returns d, multiplied by IWX_TEST_SCALE, as the deadline for something that
// takes at most a tenth of d on an idle machine. It panics if IWX_TEST_SCALE is set and
// is not a number above 0.
func Limit(d time.Duration) time.Duration {
	text := os.Getenv(scaleVariable)
	if text == "" {
		return d
	}
	scale, err := strconv.ParseFloat(text, 64)
	if err != nil || scale <= 0 {
		panic(scaleVariable + "=" + text + " is not a number above 0")
	}
	return time.Duration(scale * float64(d))
}

// Wait returns the deadline for one event, which takes a few seconds at most on an idle
// machine.
func Wait() time.Duration { return Limit(time.Minute) }

// Until polls done until it reports true, and fails the test after [Wait]. what is a
// sentence: "the poll is held open".
func Until(t testing.TB, what string, done func() bool) {
	t.Helper()
	late := time.After(Wait())
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("not within %v: %s", Wait(), what)
		}
	}
}

// Need skips the test unless the programs are installed.
func Need(t testing.TB, programs ...string) {
	t.Helper()
	for _, name := range programs {
		if !Installed(name) {
			t.Skipf("%s is not installed; testscripts/prepare installs it", name)
		}
	}
}

// Installed reports whether a program is in PATH or in /usr/sbin, where daemons are.
func Installed(program string) bool {
	if _, err := exec.LookPath(program); err == nil {
		return true
	}
	_, err := os.Stat(filepath.Join("/usr/sbin", program))
	return err == nil
}

// NeedRoot skips the test unless it runs as root.
func NeedRoot(t testing.TB) {
	t.Helper()
	if !Root() {
		t.Skip("this takes root")
	}
}

// Root reports whether the tests run as root.
func Root() bool { return os.Geteuid() == 0 }

// Package testenv is what tests need of the machine that they run on: programs,
// root, and time. Only tests import it.
//
// A test that needs something this machine lacks is skipped and says so, so that go
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

// Limit is a deadline for something that takes no longer than a tenth of d on a
// quiet machine. It panics if IWX_TEST_SCALE is set and is no number above 0.
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

// Wait is how long a test waits for one event. What a test waits for takes a few
// seconds at most on a quiet machine.
func Wait() time.Duration { return Limit(time.Minute) }

// Until asks again and again until done reports true, and fails the test if that is
// not within [Wait]. what is a sentence: "the poll is held open".
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

// Installed reports whether a program is in PATH or, as servers' programs are, in
// /usr/sbin.
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

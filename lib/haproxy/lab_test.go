//go:build lab

package haproxy

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"iwx/lib/host"
	"iwx/lib/lb"
	"iwx/lib/testenv"
)

// These tests run the instance of the server itself, as a unit of systemd: the lab
// runs them on a server of its own.

func systemctl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("systemctl", args...).CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// TestUnit goes through the life of the unit: started, reloaded, killed, and let
// go with its last connection.
func TestUnit(t *testing.T) {
	e := New(host.At(""))
	t.Cleanup(func() { systemctl(t, "disable", "--now", unitName) })
	key, other := addr("192.0.2.10:143"), addr("[2001:db8::10]:80") // that no interface has yet
	a, b := newEcho(t, "web1", "127.0.0.1"), newEcho(t, "web2", "127.0.0.1")
	want := table1(key, lb.Virtual{Persistence: time.Minute}, reals{a.addr: a.real(100), b.addr: b.real(100)})
	apply(t, e, want)
	t.Cleanup(func() { run(t, "ip", "address", "delete", "192.0.2.10/32", "dev", "lo") })
	run(t, "ip", "address", "add", "192.0.2.10/32", "dev", "lo")
	if got := systemctl(t, "is-enabled", unitName); got != "enabled" {
		t.Errorf("the unit is %s", got)
	}
	workerIs(t, masterStatus(t, e).workers[0], "haproxy")

	testenv.Until(t, "the table can be handed on", func() bool {
		answer, err := e.stats.ask(t.Context(), "show peers")
		return err == nil && strings.Contains(answer, "resync_timeout=<PAST>")
	})
	held := mustDial(t, key)
	want[other] = table1(other, lb.Virtual{HTTP: true}, reals{b.addr: b.real(100)})[other]
	apply(t, e, want)
	for range 6 {
		if got := mustDial(t, key).server; got != held.server {
			t.Errorf("with %s, and after a reload with %s", held.server, got)
		}
	}
	if got := systemctl(t, "is-active", unitName); got != "active" {
		t.Errorf("after a reload the unit is %s", got)
	}
	if out := systemctl(t, "reload", unitName); out != "" {
		t.Errorf("systemctl reload: %s", out)
	}

	testenv.Until(t, "the master is there, to be killed", func() bool {
		is, err := e.master.status(t.Context())
		return err == nil && signal(is.pid, syscall.SIGKILL) == nil
	})
	testenv.Until(t, "systemd starts it again, and it is the same", func() bool {
		is, err := e.Observe(t.Context())
		if err != nil || !reflect.DeepEqual(is, want) {
			return false
		}
		c, err := dial(key)
		return err == nil && c.Close() == nil
	})

	testenv.Until(t, "it lets clients in as before", func() bool {
		held, _ = dial(key)
		return held != nil
	})
	apply(t, e, lb.Table{})
	if err := held.say("hello"); err != nil {
		t.Errorf("a connection from before: %v", err)
	}
	held.Close()
	testenv.Until(t, "the unit ends", func() bool { return systemctl(t, "is-active", unitName) == "inactive" })
	if got := systemctl(t, "is-enabled", unitName); got != "disabled" {
		t.Errorf("the unit is %s", got)
	}
}

func workerIs(t *testing.T, pid int, user string) {
	t.Helper()
	want, err := exec.Command("id", "-u", user).Output()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, uids, _ := strings.Cut(string(text), "\nUid:")
	if field := strings.Fields(uids); field[0] != strings.TrimSpace(string(want)) || field[1] != field[0] {
		t.Errorf("the worker runs as %v, want %s", field[:4], user)
	}
}

package queuedtool

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"iwx/lib/attempt"
	"iwx/lib/cluster"
	"iwx/lib/fault"
	"iwx/lib/queue"
	"iwx/lib/replay"
)

func lookup(env []string, key string) string {
	for _, kv := range env {
		if v, found := strings.CutPrefix(kv, key+"="); found {
			return v
		}
	}
	return ""
}

// TestSpec: what a command is given on a node.
func TestSpec(t *testing.T) {
	r := &resolver{root: "/srv/root", node: "web1", program: "/opt/iwx/sbin/iwx-queued"}
	c := &queue.Command{
		Argv: []string{"printf", "\xff"}, Env: []string{"LANG=C", "PATH=/only", "EXTRA=a=b"},
		Dir: "/tmp", Umask: 0o27, Stdin: []byte("in"), Timeout: time.Minute,
	}
	spec, err := r.spec(queue.OpID{Epoch: 2, Seq: 7}, 3, c)
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"PATH": "/only", "LANG": "C", "EXTRA": "a=b", "IWX_OP_ID": "2:7", "IWX_NODE": "web1", "IWX_ATTEMPT": "3",
		"IWX_ROOT": "/srv/root", "SHELL": "/bin/sh", "DEBIAN_FRONTEND": "noninteractive", "DPKG_FORCE": "confdef,confold",
	} {
		if got := lookup(spec.Env, key); got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	keys := map[string]bool{}
	for _, kv := range spec.Env {
		key, _, _ := strings.Cut(kv, "=")
		if keys[key] {
			t.Errorf("%s stands twice", key)
		}
		keys[key] = true
	}
	want := attempt.Spec{
		Argv: c.Argv, Env: spec.Env, Dir: "/tmp", Umask: 0o27, Stdin: []byte("in"), Timeout: time.Minute, KillAfter: attempt.KillAfter,
	}
	if !slices.Equal(spec.Argv, want.Argv) || spec.Dir != want.Dir || spec.Umask != want.Umask || string(spec.Stdin) != "in" ||
		spec.Timeout != want.Timeout || spec.KillAfter != want.KillAfter || spec.SetUser {
		t.Errorf("got %+v, want %+v", spec, want)
	}
}

// TestSpecPath: the tools are found beside the daemon, wherever it is.
func TestSpecPath(t *testing.T) {
	for program, want := range map[string]string{
		"/opt/iwx/sbin/iwx-queued": "/opt/iwx/sbin:" + searchPath,
		"/usr/sbin/iwx-queued":     searchPath,
		"":                         searchPath,
	} {
		r := &resolver{program: program}
		spec, err := r.spec(queue.OpID{Epoch: 1, Seq: 1}, 1, &queue.Command{Argv: []string{"true"}})
		if err != nil {
			t.Fatal(err)
		}
		if got := lookup(spec.Env, "PATH"); got != want {
			t.Errorf("beside %q PATH is %q, want %q", program, got, want)
		}
		if lookup(spec.Env, "IWX_ROOT") != "" {
			t.Error("IWX_ROOT is set on a server without a root of its own")
		}
	}
}

// TestSpecUser: a user becomes numbers, by name or number.
func TestSpecUser(t *testing.T) {
	r := &resolver{}
	spec := func(user string) (attempt.Spec, error) {
		return r.spec(queue.OpID{Epoch: 1, Seq: 1}, 1, &queue.Command{Argv: []string{"true"}, User: user})
	}
	if _, err := spec("nobody-of-that-name"); err == nil || !strings.Contains(err.Error(), `no user "nobody-of-that-name"`) {
		t.Errorf("an unknown user: %v", err)
	}
	got, err := spec("daemon")
	if os.Getuid() != 0 {
		if err == nil || !strings.Contains(err.Error(), "is not root") {
			t.Errorf("another user, not as root: %v", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if !got.SetUser || got.UID != 1 || got.GID != 1 || lookup(got.Env, "HOME") != "/usr/sbin" || lookup(got.Env, "USER") != "daemon" {
		t.Errorf("daemon is %+v", got)
	}
	if byNumber, err := spec("1"); err != nil || byNumber.UID != 1 || lookup(byNumber.Env, "USER") != "daemon" {
		t.Errorf("by number: %+v, %v", byNumber, err)
	}
	if own, err := spec("root"); err != nil || own.SetUser {
		t.Errorf("root as root: %+v, %v", own, err)
	}
}

// TestSpecDirectoryUser: a user that is in no file is found through getent(1).
func TestSpecDirectoryUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can run commands as others")
	}
	dir := t.TempDir()
	script := "#!/bin/sh\ncase \"$1 $2\" in\n'passwd ldapuser') echo 'ldapuser:*:70001:70002::/home/ldap:/bin/sh';;\n" +
		"'initgroups ldapuser') echo 'ldapuser 70002 70003';;\n'passwd slow') exit 3;;\n*) exit 2;;\nesac\n"
	if err := os.WriteFile(filepath.Join(dir, "getent"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	r := &resolver{}
	got, err := r.spec(queue.OpID{Epoch: 1, Seq: 1}, 1, &queue.Command{Argv: []string{"true"}, User: "ldapuser"})
	if err != nil || !got.SetUser || got.UID != 70001 || got.GID != 70002 || !slices.Equal(got.Groups, []uint32{70002, 70003}) ||
		lookup(got.Env, "HOME") != "/home/ldap" || lookup(got.Env, "USER") != "ldapuser" {
		t.Errorf("%+v, %v", got, err)
	}
	t.Setenv("PATH", t.TempDir())
	_, err = r.spec(queue.OpID{Epoch: 1, Seq: 1}, 1, &queue.Command{Argv: []string{"true"}, User: "ldapuser"})
	if err == nil || !strings.Contains(err.Error(), `no user "ldapuser" on this node in its files; cannot query the name service: getent(1) is not installed`) {
		t.Errorf("nobody to ask: %v", err)
	}
	t.Setenv("PATH", dir)
	_, err = r.spec(queue.OpID{Epoch: 1, Seq: 1}, 1, &queue.Command{Argv: []string{"true"}, User: "slow"})
	if err == nil || strings.Contains(err.Error(), "no user") || fault.CodeOf(err) != fault.Busy {
		t.Errorf("a directory that does not answer: %v", err)
	}
}

// TestListenBeforeTheAddressIsThere: the order of things at boot does not
// matter.
func TestListenBeforeTheAddressIsThere(t *testing.T) {
	for _, at := range []string{"192.0.2.250:0", "[2001:db8::250]:0"} {
		l, err := listen(t.Context(), netip.MustParseAddrPort(at))
		if err != nil {
			t.Errorf("%s: %v", at, err)
			continue
		}
		l.Close()
	}
	l, err := listen(t.Context(), netip.MustParseAddrPort("127.0.0.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = listen(t.Context(), netip.MustParseAddrPort(l.Addr().String()))
	if err == nil || !strings.Contains(fault.HintOf(err), "ss -ltnp") {
		t.Errorf("a port that is taken: %v, hint %q", err, fault.HintOf(err))
	}
}

func TestVerdict(t *testing.T) {
	halted := cluster.Status{Word: replay.WordHalted, Done: 3, Head: 5, Blocked: &cluster.Blocked{Seq: 4, Error: "no space"}}
	for _, c := range []struct {
		status cluster.Status
		code   fault.Code
		text   string
	}{
		{cluster.Status{Word: replay.WordCurrent}, fault.OK, ""},
		{cluster.Status{Word: replay.WordPaused, Done: 3, Head: 5}, fault.Unhealthy, "the queue is paused at entry 3 of 5"},
		{halted, fault.Unhealthy, "the queue is halted at entry 4: no space"},
	} {
		err := verdict(c.status)
		if fault.CodeOf(err) != c.code || err != nil && err.Error() != c.text {
			t.Errorf("%+v: %v", c.status, err)
		}
	}
}

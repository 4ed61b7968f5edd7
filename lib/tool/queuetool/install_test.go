package queuetool

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"iwx/lib/cluster"
	"iwx/lib/host"
	"iwx/lib/testenv"
)

// newNode makes a node with a file to install over, /etc/conf, which holds
// "old".
func newNode(t *testing.T) *rig {
	r := newServer(t, &cluster.Identity{Role: cluster.RoleNode, ClusterID: "00c1", ClusterName: "alpha", Name: "web1", NodeID: "id-web1"})
	if err := os.MkdirAll(filepath.Join(r.root, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	r.write("conf", "old")
	return r
}

func (r *rig) write(name, content string) {
	r.Helper()
	r.ok(os.WriteFile(filepath.Join(r.root, "etc", name), []byte(content), 0o600))
}

// install replays a push of content to /etc/conf under the op id.
func (r *rig) install(op, content string, more ...string) (code int, stdout, stderr string) {
	r.Setenv("IWX_OP_ID", op)
	r.stdin = strings.NewReader(content)
	args := []string{"install", "--path", "/etc/conf", "--mode", "0640", "--uid", uidText(os.Getuid), "--gid", uidText(os.Getgid)}
	return r.run(append(args, more...)...)
}

func uidText(id func() int) string { return strconv.Itoa(id()) }

// holds checks that /etc/conf has the content, "" for not being there, and that
// nothing is left beside it.
func (r *rig) holds(content string) {
	r.Helper()
	got, err := os.ReadFile(filepath.Join(r.root, "etc/conf"))
	if err != nil && !os.IsNotExist(err) || string(got) != content {
		r.Errorf("/etc/conf holds %q (%v), want %q", got, err, content)
	}
	names, err := filepath.Glob(filepath.Join(r.root, "etc/.conf*"))
	if err != nil || len(names) > 0 {
		r.Errorf("left over: %q, %v", names, err)
	}
}

func TestInstall(t *testing.T) {
	r := newNode(t)
	if code, out, stderr := r.install("1:7", "new", "--reload", "echo reloaded"); code != 0 || out != "reloaded\n" || stderr != "" {
		t.Errorf("exit %d: %s%s", code, out, stderr)
	}
	r.holds("new")
	info, err := os.Stat(filepath.Join(r.root, "etc/conf"))
	if err != nil || info.Mode() != 0o640 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	// The same entry again is nothing, whatever has become of the file.
	r.write("conf", "edited")
	if code, out, stderr := r.install("1:7", "new", "--reload", "echo reloaded"); code != 0 || out+stderr != "" {
		t.Errorf("again: exit %d: %s%s", code, out, stderr)
	}
	r.holds("edited")
	if code, _, _ := r.install("1:8", "new"); code != 0 {
		t.Errorf("another entry: exit %d", code)
	}
	r.holds("new")
}

// TestInstallReloadsUntilItSucceeds reloads at every attempt, though the file is
// in place since the first.
func TestInstallReloadsUntilItSucceeds(t *testing.T) {
	r := newNode(t)
	fixed := filepath.Join(r.root, "fixed")
	reload := "echo reloading; test -e " + fixed
	for range 2 {
		if code, out, stderr := r.install("1:7", "new", "--reload", reload); code != 1 || out != "reloading\n" || !strings.Contains(stderr, "/etc/conf is in place, and the reload failed") {
			t.Errorf("exit %d: %s%s", code, out, stderr)
		}
		r.holds("new")
	}
	r.ok(os.WriteFile(fixed, nil, 0o600))
	if code, out, _ := r.install("1:7", "new", "--reload", reload); code != 0 || out != "reloading\n" {
		t.Errorf("fixed: exit %d: %s", code, out)
	}
}

func TestInstallBringsTheOldFileBack(t *testing.T) {
	for _, old := range []string{"old", "", "new"} {
		r := newNode(t)
		if r.write("conf", old); old == "" {
			r.ok(os.Remove(filepath.Join(r.root, "etc/conf")))
		}
		for range 2 {
			if code, out, stderr := r.install("1:7", "new", "--check", "echo checking; exit 9", "--reload", "echo reloading"); code != 9 || out != "checking\n" {
				t.Errorf("exit %d: %s%s", code, out, stderr)
			}
			r.holds(old)
		}
	}
}

// TestInstallAfterACrash finds the old file that an attempt kept which was
// killed during its check.
func TestInstallAfterACrash(t *testing.T) {
	for _, old := range []string{"old", ""} {
		r := newNode(t)
		conf, kept := filepath.Join(r.root, "etc/conf"), "etc/.conf.iwx-1-7.old"
		if old == "" {
			kept = "etc/.conf.iwx-1-7.none"
			r.ok(os.Remove(conf))
			r.ok(os.WriteFile(filepath.Join(r.root, kept), nil, 0o600))
		} else {
			r.ok(os.Rename(conf, filepath.Join(r.root, kept)))
		}
		r.write("conf", "new")
		if code, _, _ := r.install("1:7", "new", "--check", "exit 9"); code != 9 {
			t.Errorf("exit %d", code)
		}
		r.holds(old)
	}
}

func TestInstallRefuses(t *testing.T) {
	r := newNode(t)
	r.want("! iwx-queue: only nodes run install, for push: IWX_OP_ID is not set\n! hint: iwx-queue push FILE\nexit 2\n",
		"install", "--path", "/etc/conf", "--mode", "0644")
	t.Setenv("IWX_OP_ID", "7")
	r.want("! iwx-queue: op id \"7\" is not EPOCH:SEQ\nexit 2\n", "install", "--path", "/etc/conf", "--mode", "0644")
	t.Setenv("IWX_OP_ID", "1:7")
	for _, path := range []string{"etc/conf", "/etc/../etc/conf", "/etc/"} {
		r.want("! iwx-queue: path \""+path+"\" is not absolute and clean\nexit 2\n", "install", "--path", path, "--mode", "0644")
	}
	r.want("! iwx-queue: mode \"rw\" is not an octal number from 0 to 7777\nexit 2\n", "install", "--path", "/etc/conf", "--mode", "rw")
	r.want(`
		! iwx-queue: /srv/a b/conf: there is no directory /srv/a b on this node
		! hint: iwx-queue add -- install -d '/srv/a b'
		exit 1
		`, "install", "--path", "/srv/a b/conf", "--mode", "0644")
	r.want("! iwx-queue: ROOT/etc is a directory on this node\nexit 1\n", "install", "--path", "/etc", "--mode", "0644")
	r.holds("old")
}

func TestPushTakesTheFileAsItIs(t *testing.T) {
	r := newRig(t, "web1")
	dir := filepath.Join(host.At(r.root).Root, "etc")
	r.ok(os.MkdirAll(dir, 0o755))
	r.write("set", "content")
	r.ok(os.Chmod(filepath.Join(dir, "set"), 0o750|os.ModeSetgid))
	for i, name := range []string{"/etc/set", filepath.Join(dir, "set")} {
		code, _, stderr := r.run("push", name)
		if code != 0 {
			t.Fatalf("exit %d: %s", code, stderr)
		}
		rec, err := r.store.Record(t.Context(), uint64(i+1))
		r.ok(err)
		command, line := whole(rec.Body, false)
		if !strings.HasPrefix(line, "iwx-queue install --path /etc/set --mode 2750 ") || !command.Rerun || string(command.Stdin) != "content" {
			t.Errorf("%s (rerun %v, %q)", line, command.Rerun, command.Stdin)
		}
	}
}

// TestPushAsksAboutAttributes: what a file is allowed by its capabilities, or who else may
// read it by its list, does not get lost without a word.
func TestPushAsksAboutAttributes(t *testing.T) {
	testenv.NeedRoot(t)
	r := newRig(t, "web1")
	r.ok(os.MkdirAll(filepath.Join(r.root, "etc"), 0o755))
	for name, value := range map[string]string{
		"security.capability": "\x01\x00\x00\x02\x00\x20\x00\x00" + strings.Repeat("\x00", 12), // cap_net_raw, effective
		"system.posix_acl_access": "\x02\x00\x00\x00" + "\x01\x00\x06\x00\xff\xff\xff\xff" + "\x02\x00\x04\x00\x01\x00\x00\x00" + // user 1: r
			"\x04\x00\x04\x00\xff\xff\xff\xff" + "\x10\x00\x04\x00\xff\xff\xff\xff" + "\x20\x00\x00\x00\xff\xff\xff\xff",
	} {
		r.write("file", "content")
		path := filepath.Join(r.root, "etc", "file")
		if err := unix.Setxattr(path, name, []byte(value), 0); err != nil {
			t.Skipf("this file system has no %s: %v", name, err)
		}
		if code, _, stderr := r.run("push", "/etc/file"); code != 2 || !strings.Contains(stderr, "which push leaves behind") || !strings.Contains(stderr, "hint: give it ") {
			t.Errorf("%s: exit %d: %s", name, code, stderr)
		}
		if code, _, stderr := r.run("push", "--yes", "/etc/file"); code != 0 {
			t.Errorf("%s, --yes: exit %d: %s", name, code, stderr)
		}
		r.ok(os.Remove(path))
	}
	r.write("file", "content")
	if err := unix.Setxattr(filepath.Join(r.root, "etc", "file"), "user.note", []byte("x"), 0); err != nil {
		t.Skipf("this file system has no user attributes: %v", err)
	}
	if code, _, stderr := r.run("push", "/etc/file"); code != 0 {
		t.Errorf("a note of the user's: exit %d: %s", code, stderr)
	}
}

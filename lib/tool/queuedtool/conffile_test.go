package queuedtool

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"iwx/lib/queue"
)

// TestConffile: an upgrade does not stop at a configuration file that was changed
// here, and keeps it; an option selects the package's file.
func TestConffile(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("dpkg installs for root only")
	}
	if _, err := exec.LookPath("dpkg-deb"); err != nil {
		t.Skip("this is no Debian: ", err)
	}
	var debs [3]string
	for version := range debs {
		tree := t.TempDir()
		write(t, filepath.Join(tree, "DEBIAN/control"), fmt.Sprintf("Package: iwx-test\nVersion: %d\nArchitecture: all\nMaintainer: a <a@example.org>\nDescription: a test\n", version))
		write(t, filepath.Join(tree, "DEBIAN/conffiles"), "/etc/test.conf\n")
		write(t, filepath.Join(tree, "etc/test.conf"), fmt.Sprintf("version %d\n", version))
		debs[version] = filepath.Join(t.TempDir(), "test.deb")
		if out, err := exec.Command("dpkg-deb", "-b", tree, debs[version]).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	root := t.TempDir()
	conffile := filepath.Join(root, "etc/test.conf")
	write(t, filepath.Join(root, "var/lib/dpkg/status"), "")
	for _, dir := range []string{"info", "updates"} {
		if err := os.MkdirAll(filepath.Join(root, "var/lib/dpkg", dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for version, tt := range []struct {
		env  []string
		want string
	}{{nil, "version 0\n"}, {nil, "changed here\n"}, {[]string{"DPKG_FORCE=confnew"}, "version 2\n"}} {
		r := &resolver{node: "web1"}
		spec, err := r.spec(queue.OpID{Epoch: 1, Seq: 1}, 1, &queue.Command{Argv: []string{"dpkg", "--root=" + root, "-i", debs[version]}, Env: tt.env})
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(spec.Argv[0], spec.Argv[1:]...)
		cmd.Env = spec.Env
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("version %d: %v: %s", version, err, out)
		}
		if b, err := os.ReadFile(conffile); string(b) != tt.want || err != nil {
			t.Errorf("version %d: %q, %v; want %q", version, b, err, tt.want)
		}
		write(t, conffile, "changed here\n")
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

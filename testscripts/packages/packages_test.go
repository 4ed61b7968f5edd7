// Package packages_test makes the Debian and the RPM package as `make packages`
// does, and looks into them: whether all is in that belongs in, whether lintian
// is content, and whether making them again gives the same bytes.
package packages_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"iwx/lib/cli"
	"iwx/lib/testenv"
)

const root = "../.." // of the repository

// pkg is a package of one of the formats.
type pkg struct{ dir, deb, rpm string }

// build makes the packages in a directory of their own, by a shell that was set
// up by setup.
func build(t *testing.T, setup string) pkg {
	t.Helper()
	dir := t.TempDir()
	run(t, "sh", "-c", setup+`make -s packages BIN="$0/bin" DIST="$0"`, dir)
	return pkg{dir, only(t, dir, "*.deb"), only(t, dir, "*.rpm")}
}

func only(t *testing.T, dir, pattern string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(found) != 1 {
		t.Fatalf("%s: %v, %v", pattern, found, err)
	}
	return found[0]
}

// run runs a program at the root of the repository, and returns what it says.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// know makes go test know of what make reads: it would repeat the verdict of an
// earlier run otherwise.
func know(t *testing.T) {
	t.Helper()
	for _, dir := range []string{"cmd", "lib", "man", "completions", "packaging", "Makefile", "README.md", "LICENSE", "go.mod"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, _ fs.DirEntry, err error) error {
			if err == nil {
				_, err = os.Lstat(path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestPackages(t *testing.T) {
	testenv.Need(t, "make", "dpkg-deb", "rpm", "lintian")
	know(t)
	p := build(t, "")
	t.Run("deb", func(t *testing.T) {
		same(t, debFiles(t, p.deb), append(files(t, "/usr/share/zsh/vendor-completions"), "-rw-r--r-- /usr/share/lintian/overrides/iwx"))
	})
	t.Run("rpm", func(t *testing.T) { same(t, rpmFiles(t, p.rpm), files(t, "/usr/share/zsh/site-functions")) })
	t.Run("scripts", func(t *testing.T) { scripts(t, p) })
	t.Run("version", func(t *testing.T) { version(t, p) })
	t.Run("lintian", func(t *testing.T) { lintian(t, p) })
	t.Run("again", func(t *testing.T) {
		again := build(t, "umask 077; export TZ=Asia/Tokyo LC_ALL=C; ")
		run(t, "cmp", p.deb, again.deb)
		run(t, "cmp", p.rpm, again.rpm)
	})
}

// files are those that a package has to have, as "MODE PATH": one for each of
// the sources.
func files(t *testing.T, zsh string) (want []string) {
	t.Helper()
	add := func(mode, dir, name string) { want = append(want, mode+" "+dir+"/"+name) }
	for _, name := range names(t, "cmd") {
		dir := "/usr/sbin"
		if name == "iwx-attempt" {
			dir = "/usr/libexec/iwx"
		}
		add("-rwxr-xr-x", dir, name)
	}
	const plain = "-rw-r--r--"
	for _, name := range names(t, "man") {
		add(plain, "/usr/share/man/man"+filepath.Ext(name)[1:], name+".gz")
	}
	for _, name := range names(t, "completions") {
		switch filepath.Ext(name) {
		case ".bash":
			add(plain, "/usr/share/bash-completion/completions", strings.TrimSuffix(name, ".bash"))
		case ".fish":
			add(plain, "/usr/share/fish/vendor_completions.d", name)
		default:
			add(plain, zsh, name)
		}
	}
	for _, name := range names(t, "packaging/systemd") {
		add(plain, "/usr/lib/systemd/system", name)
	}
	for _, name := range []string{"sysusers.d/iwx.conf", "tmpfiles.d/iwx.conf", "modprobe.d/iwx.conf", "sysctl.d/60-iwx.conf"} {
		add(plain, "/usr/lib", name)
	}
	for _, name := range []string{"README.md", "changelog.gz", "copyright", "licenses.gz"} {
		add(plain, "/usr/share/doc/iwx", name)
	}
	return want
}

// names returns what is in a directory of the repository, which is something.
func names(t *testing.T, dir string) (list []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(root, dir))
	if err != nil || len(entries) == 0 {
		t.Fatalf("%s: %d entries, %v", dir, len(entries), err)
	}
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

// debFiles are those of a Debian package, and all of them root's.
func debFiles(t *testing.T, path string) (list []string) {
	t.Helper()
	for line := range strings.Lines(run(t, "dpkg-deb", "-c", path)) {
		f := strings.Fields(line) // mode, owner, size, date, time, ./path
		if len(f) != 6 || f[1] != "root/root" {
			t.Errorf("dpkg-deb: %s", line)
		} else if f[0][0] != 'd' {
			list = append(list, f[0]+" "+strings.TrimPrefix(f[5], "."))
		}
	}
	return list
}

func rpmFiles(t *testing.T, path string) (list []string) {
	t.Helper()
	run(t, "rpm", "-K", "--nosignature", path)
	for line := range strings.Lines(run(t, "rpm", "-qp", "--qf", `[%{FILEMODES:perms} %{FILEUSERNAME}/%{FILEGROUPNAME} %{FILENAMES}\n]`, path)) {
		f := strings.Fields(line)
		if len(f) != 3 || f[1] != "root/root" {
			t.Errorf("rpm: %s", line)
		} else if f[0][0] != 'd' {
			list = append(list, f[0]+" "+f[2])
		}
	}
	return list
}

func same(t *testing.T, have, want []string) {
	t.Helper()
	for _, f := range want {
		if !slices.Contains(have, f) {
			t.Errorf("missing: %s", f)
		}
	}
	for _, f := range have {
		if !slices.Contains(want, f) {
			t.Errorf("too much: %s", f)
		}
	}
}

// scripts wants every one of the scripts in the packages, as a shell can read
// them, and with nothing left to fill in.
func scripts(t *testing.T, p pkg) {
	control := filepath.Join(p.dir, "control")
	run(t, "dpkg-deb", "-e", p.deb, control)
	for _, name := range names(t, "packaging/deb") {
		checkScript(t, filepath.Join(control, name))
	}
	all := run(t, "rpm", "-qp", "--scripts", p.rpm)
	for _, name := range names(t, "packaging/rpm") {
		path := filepath.Join(p.dir, "stage", "scripts", "rpm", name)
		text := checkScript(t, path)
		if !strings.Contains(all, strings.TrimSpace(text)) {
			t.Errorf("the RPM package has no %s", name)
		}
	}
}

func checkScript(t *testing.T, path string) (text string) {
	t.Helper()
	run(t, "sh", "-n", path)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(data), "@SCHEMA@") || strings.Contains(string(data), "@VERSION@") {
		t.Errorf("%s is not filled in", path)
	}
	return string(data)
}

// version wants one version: that of the programs, which is the newest of the
// changelog.
func version(t *testing.T, p pkg) {
	changelog, err := os.ReadFile(filepath.Join(root, "packaging/changelog"))
	if err != nil || !strings.HasPrefix(string(changelog), "iwx ("+cli.Version+") ") {
		t.Errorf("packaging/changelog does not begin with version %s (%v)", cli.Version, err)
	}
	for what, got := range map[string]string{
		"deb": run(t, "dpkg-deb", "-f", p.deb, "Version"),
		"rpm": run(t, "rpm", "-qp", "--qf", "%{VERSION}", p.rpm),
	} {
		if strings.TrimSpace(got) != cli.Version {
			t.Errorf("%s: version %q, want %q", what, got, cli.Version)
		}
	}
	for _, name := range names(t, "cmd") {
		if name == "iwx-attempt" {
			continue // it has no flags
		}
		if got := run(t, filepath.Join(p.dir, "bin", name), "--version"); !strings.Contains(got, cli.Version) {
			t.Errorf("%s: version %q", name, got)
		}
	}
}

func lintian(t *testing.T, p pkg) {
	if _, err := exec.LookPath("lintian"); err != nil {
		t.Fatal("lintian is missing: apt-get install -y lintian")
	}
	run(t, "lintian", "--no-cfg", "--allow-root", "--fail-on", "error,warning", p.deb)
}

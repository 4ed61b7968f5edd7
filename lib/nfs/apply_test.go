package nfs

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"iwx/lib/profile"
)

// pid1 is a systemd that mounts by writing a line into a mountinfo file.
type pid1 struct {
	dir, info  string
	source     string // what the mount unit to be started says
	dead       bool   // the server does not answer
	busy       bool   // somebody uses the mount
	forgot     bool   // the server does not know what is mounted
	unexported bool   // nor can it be mounted
	state      string // of the NFS server
	lazy       int    // mounts that were detached
	onMount    func() // when the mount unit starts
	calls      []string
}

func (p *pid1) systemd(_ context.Context, use func(Units) error) error { return use(p) }

func (p *pid1) call(text string) error {
	p.calls = append(p.calls, text)
	return nil
}

func (p *pid1) Reload(context.Context) error { return p.call("reload") }

func (p *pid1) Enable(_ context.Context, units ...string) error {
	dir := filepath.Join(p.dir, "remote-fs.target.wants")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	err := os.Symlink("x", filepath.Join(dir, units[0]))
	if errors.Is(err, os.ErrExist) {
		err = nil
	}
	return errors.Join(err, p.call("enable "+units[0]))
}

func (p *pid1) Disable(_ context.Context, units ...string) error {
	return errors.Join(os.Remove(filepath.Join(p.dir, "remote-fs.target.wants", units[0])), p.call("disable "+units[0]))
}

func (p *pid1) Start(_ context.Context, unit string) error {
	p.call("start " + unit)
	if !strings.HasSuffix(unit, ".mount") {
		return nil
	}
	if p.onMount != nil {
		p.onMount()
	}
	if p.dead {
		return errors.New("job timeout")
	}
	text, err := os.ReadFile(filepath.Join(p.dir, unit))
	if err != nil {
		return err
	}
	unitText := string(text)
	value := func(key string) string {
		_, rest, _ := strings.Cut(unitText, "\n"+key+"=")
		line, _, _ := strings.Cut(rest, "\n")
		return line
	}
	return os.WriteFile(p.info, []byte("9 1 0:1 / "+value("Where")+" rw - nfs4 "+value("What")+" rw\n"), 0o600)
}

func (p *pid1) Stop(_ context.Context, unit string) error {
	p.call("stop " + unit)
	if text, err := os.ReadFile(filepath.Join(p.dir, unit)); err == nil && strings.Contains(string(text), "LazyUnmount=yes") {
		p.lazy++
	}
	if p.busy {
		return errors.New("job failed")
	}
	return os.WriteFile(p.info, nil, 0o600)
}

func (p *pid1) health() Health {
	switch {
	case p.dead:
		return Health{Word: Hung}
	case p.forgot:
		return Health{Word: Missing, Error: "stat: cannot read file system information for '/srv/iwx': Stale file handle"}
	}
	return Health{Word: Healthy}
}

func (p *pid1) ActiveState(context.Context, string) (string, error) { return p.state, nil }

// mounter returns an applier below a directory, and its systemd.
func mounter(t *testing.T) (*Mounter, *pid1) {
	p := &pid1{dir: t.TempDir(), info: write(t, "mountinfo", "")}
	return &Mounter{
		UnitDir: p.dir, Mountinfo: p.info, Systemd: p.systemd,
		SourcePorts: sourceRange(t, "", ""), Services: []uint16{80, 587, 993, 995},
		Try: func(context.Context, string) error {
			if p.dead || p.unexported {
				return errors.New("Connection refused")
			}
			return nil
		},
		Look: func(context.Context, Mount) Health { return p.health() },
	}, p
}

func item(t *testing.T, server, at string) profile.Item {
	t.Helper()
	i, err := MountItem(server, "/srv/iwx", at)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func check(t *testing.T, a profile.Applier, i profile.Item, want string) {
	t.Helper()
	if change, err := a.Check(t.Context(), i); err != nil || change != want {
		t.Errorf("check: %q, %v; want %q", change, err, want)
	}
}

func TestMountComesAndGoes(t *testing.T) {
	m, p := mounter(t)
	at := filepath.Join(t.TempDir(), "iwx")
	i := item(t, "192.0.2.10", at)
	check(t, m, i, "mount 192.0.2.10:/srv/iwx at "+at)
	for range 2 { // again is nothing
		if err := m.Apply(t.Context(), i); err != nil {
			t.Fatal(err)
		}
		check(t, m, i, "")
	}
	// The manager's address changes.
	moved := item(t, "192.0.2.99", at)
	check(t, m, moved, "mount 192.0.2.99:/srv/iwx at "+at)
	if err := m.Apply(t.Context(), moved); err != nil {
		t.Fatal(err)
	}
	check(t, m, moved, "")
	for range 2 {
		if err := m.Remove(t.Context(), moved); err != nil {
			t.Fatal(err)
		}
	}
	left, err := filepath.Glob(filepath.Join(p.dir, "*mount"))
	if _, stat := os.Stat(at); err != nil || len(left) > 0 || !os.IsNotExist(stat) {
		t.Errorf("left: %v, %v, %v", left, stat, err)
	}
}

// TestUnitsOfAnotherVersion: neighbouring versions of iwx take each other's units for
// their own, so that an upgrade or a downgrade can change them and take them back.
func TestUnitsOfAnotherVersion(t *testing.T) {
	const head = "# Written by iwx-queued for the shared storage, see iwx(7). iwx-cluster-setup reset\n# removes it; what is changed here is changed back.\n"
	m, p := mounter(t)
	at := filepath.Join(t.TempDir(), "iwx")
	i := item(t, "192.0.2.10", at)
	if err := m.Apply(t.Context(), i); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"mount", "automount"} {
		name := filepath.Join(p.dir, UnitName(at, suffix))
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		_, body, _ := strings.Cut(string(text), "\n\n")
		if err := os.WriteFile(name, []byte(head+"\n"+strings.ReplaceAll(body, "StartLimitIntervalSec=0\n", "")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	check(t, m, i, "mount 192.0.2.10:/srv/iwx at "+at)
	if err := m.Apply(t.Context(), i); err != nil {
		t.Fatal(err)
	}
	check(t, m, i, "")
	if text, err := os.ReadFile(filepath.Join(p.dir, UnitName(at, "mount"))); !strings.HasPrefix(string(text), head) {
		t.Errorf("an older version takes it for an administrator's: %v\n%s", err, text)
	}
	if err := m.Remove(t.Context(), i); err != nil {
		t.Fatal(err)
	}
	if left, err := filepath.Glob(filepath.Join(p.dir, "*.*mount")); err != nil || left != nil {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestMountPointThatWasThereStays(t *testing.T) {
	m, _ := mounter(t)
	at := t.TempDir()
	i := item(t, "192.0.2.10", at)
	if err := m.Apply(t.Context(), i); err != nil {
		t.Fatal(err)
	}
	if err := m.Remove(t.Context(), i); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(at); err != nil {
		t.Error(err)
	}
}

// TestMountObstacles holds that a mount point in use is told and left alone.
func TestMountObstacles(t *testing.T) {
	tests := []struct {
		name  string
		block func(m *Mounter, at string) error
		want  string
	}{
		{"files", func(_ *Mounter, at string) error { return os.WriteFile(filepath.Join(at, "mine"), nil, 0o600) }, "is not empty"},
		{"another mount", func(m *Mounter, at string) error {
			return os.WriteFile(m.Mountinfo, []byte("9 1 8:1 / "+at+" rw - ext4 /dev/vdb rw\n"), 0o600)
		}, "/dev/vdb (ext4) is mounted at "},
		{"a unit of somebody else's", func(m *Mounter, at string) error {
			return os.WriteFile(filepath.Join(m.UnitDir, UnitName(at, "mount")), []byte("[Mount]\n"), 0o600)
		}, "is not ours"},
	}
	for _, tt := range tests {
		m, p := mounter(t)
		at := t.TempDir()
		if err := tt.block(m, at); err != nil {
			t.Fatal(err)
		}
		i := item(t, "192.0.2.10", at)
		_, err := m.Check(t.Context(), i)
		if err2 := m.Apply(t.Context(), i); err == nil || err2 == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, %v", tt.name, err, err2)
		}
		if err := m.Remove(t.Context(), i); err != nil || p.calls != nil {
			t.Errorf("%s: touched: %v, %v", tt.name, p.calls, err)
		}
	}
}

// TestForeignMount holds that an administrator's own mount of the same does.
func TestForeignMount(t *testing.T) {
	m, p := mounter(t)
	at := t.TempDir()
	if err := os.WriteFile(m.Mountinfo, []byte("9 1 0:1 / "+at+" rw - nfs4 192.0.2.10:/srv/iwx rw\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	i := item(t, "192.0.2.10", at)
	check(t, m, i, "")
	if err := m.Remove(t.Context(), i); err != nil || p.calls != nil {
		t.Errorf("touched: %v, %v", p.calls, err)
	}
}

func TestMountFails(t *testing.T) {
	m, p := mounter(t)
	p.dead = true
	at := filepath.Join(t.TempDir(), "iwx")
	i := item(t, "192.0.2.10", at)
	if err := m.Apply(t.Context(), i); err == nil || err.Error() != "mount 192.0.2.10:/srv/iwx: Connection refused" {
		t.Errorf("got %v", err)
	}
	if !slices.Contains(p.calls, "start "+UnitName(at, "automount")) {
		t.Errorf("no automount: %v", p.calls)
	}
	check(t, m, i, "mount 192.0.2.10:/srv/iwx at "+at)
}

func TestMountInUse(t *testing.T) {
	m, p := mounter(t)
	at := filepath.Join(t.TempDir(), "iwx")
	i := item(t, "192.0.2.10", at)
	if err := m.Apply(t.Context(), i); err != nil {
		t.Fatal(err)
	}
	p.busy = true
	if err := m.Remove(t.Context(), i); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("got %v", err)
	}
	check(t, m, i, "")
	// What can no longer be asked is detached.
	p.busy, p.dead = false, true
	if err := m.Remove(t.Context(), i); err != nil {
		t.Error(err)
	}
}

// TestServerOnAnotherDisk holds that a share whose server was restored elsewhere
// is mounted anew, once that can be done, although it is in use.
func TestServerOnAnotherDisk(t *testing.T) {
	m, p := mounter(t)
	at := filepath.Join(t.TempDir(), "iwx")
	i := item(t, "192.0.2.10", at)
	if err := m.Apply(t.Context(), i); err != nil {
		t.Fatal(err)
	}
	p.forgot, p.unexported = true, true
	check(t, m, i, "")
	p.unexported, p.calls = false, nil
	check(t, m, i, "mount 192.0.2.10:/srv/iwx at "+at+" again: its file handle is stale")
	if err := m.Apply(t.Context(), i); err != nil {
		t.Fatal(err)
	}
	stop := slices.Index(p.calls, "stop "+UnitName(at, "mount"))
	start := slices.Index(p.calls, "start "+UnitName(at, "mount"))
	if stop < 0 || start < stop || p.lazy != 1 {
		t.Errorf("%v, detached %d times", p.calls, p.lazy)
	}
	p.forgot = false
	check(t, m, i, "")
}

func exporter(t *testing.T) (*Exporter, *pid1) {
	dir := t.TempDir()
	p := &pid1{dir: t.TempDir()}
	e := &Exporter{File: filepath.Join(dir, "exports.d", "iwx.exports"), Table: filepath.Join(dir, "etab"), Systemd: p.systemd}
	e.Command = func(_ context.Context, name string, args ...string) ([]byte, error) {
		p.call(name + " " + strings.Join(args, " "))
		text, err := readFile(e.File)
		table := ""
		for path, line := range parseExports(text).lines {
			for _, client := range strings.Fields(line)[2:] {
				table += path + "\t" + client + "(rw)\n"
			}
		}
		return nil, errors.Join(err, os.WriteFile(e.Table, []byte(table), 0o600))
	}
	return e, p
}

func export(t *testing.T, path string, clients ...string) profile.Item {
	t.Helper()
	i, err := ExportItem("0123456789abcdef", path, addrs(clients...))
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func TestExportFollowsTheNodes(t *testing.T) {
	e, p := exporter(t)
	a, b := t.TempDir(), t.TempDir()
	other := export(t, b, "192.0.2.11")
	if err := e.Apply(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	for _, clients := range [][]string{{"192.0.2.11"}, {"192.0.2.11", "192.0.2.12"}, {"192.0.2.12"}, nil} {
		i := export(t, a, clients...)
		if change, err := e.Check(t.Context(), i); err != nil || change == "" {
			t.Errorf("%v: %q, %v", clients, change, err)
		}
		if err := e.Apply(t.Context(), i); err != nil {
			t.Fatal(err)
		}
		check(t, e, i, "")
		check(t, e, other, "")
	}
	if !slices.Contains(p.calls, "start "+ServerUnit) {
		t.Errorf("the server was not started: %v", p.calls)
	}
	for _, i := range []profile.Item{export(t, a), other} {
		if err := e.Remove(t.Context(), i); err != nil {
			t.Fatal(err)
		}
	}
	if exists(e.File) || !exists(a) {
		t.Errorf("the file is still there, or the share is not")
	}
}

// TestExportOutOfForce holds that exports which somebody has taken back are
// made again.
func TestExportOutOfForce(t *testing.T) {
	e, p := exporter(t)
	i := export(t, t.TempDir(), "192.0.2.11")
	if err := e.Apply(t.Context(), i); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(e.Table, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p.state = "active"
	check(t, e, i, "export "+i.Name+" to 192.0.2.11")
	p.state = "inactive" // its table is empty then, and an administrator has stopped it
	check(t, e, i, "")
}

func TestExportOfNothing(t *testing.T) {
	e, p := exporter(t)
	i := export(t, filepath.Join(t.TempDir(), "none"), "192.0.2.11")
	_, err := e.Check(t.Context(), i)
	if err2 := e.Apply(t.Context(), i); err == nil || err2 == nil || !strings.HasSuffix(err.Error(), "does not exist") || p.calls != nil {
		t.Errorf("%v, %v, %v", err, err2, p.calls)
	}
}

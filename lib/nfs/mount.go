package nfs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"iwx/lib/atomicfile"
	"iwx/lib/fault"
	"iwx/lib/profile"
)

const (
	errNotEmpty = syscall.ENOTEMPTY
	errBusy     = syscall.EBUSY
)

// UnitDir is where an administrator's units are, systemd.unit(5).
const UnitDir = "/etc/systemd/system"

// Mountinfo is where the kernel tells what is mounted, proc(5).
const Mountinfo = "/proc/self/mountinfo"

// Mounter is the applier of KindMount: a mount unit and an automount unit.
type Mounter struct {
	UnitDir   string // UnitDir but in tests
	Mountinfo string // Mountinfo but in tests
	Systemd   Systemd
	// SourcePorts is SourcePortsDir except in tests. Services are the ports that
	// mounts must not connect from.
	SourcePorts string
	Services    []uint16
	// Try mounts a source somewhere out of the way and takes it off again, to
	// find out why systemd could not.
	Try func(ctx context.Context, source string) error
	// Look tells how what is mounted is doing, see Prober.
	Look func(ctx context.Context, m Mount) Health
}

// mounting is one item at work.
type mounting struct {
	*Mounter
	Mount
	here []Mounted // at the mount point, the last mounted first
}

func (m *Mounter) begin(item profile.Item) (*mounting, error) {
	var spec mountSpec
	if err := item.Decode(&spec); err != nil {
		return nil, err
	}
	g := &mounting{Mounter: m, Mount: Mount{Path: item.Name, Source: spec.Source}}
	return g, g.look()
}

// look reads what is mounted at the mount point.
func (g *mounting) look() error {
	info, err := os.ReadFile(g.Mountinfo)
	g.here = At(ParseMounts(string(info)), g.Path)
	return err
}

// Check implements profile.Applier. That a server does not answer is the
// Prober's to tell: nothing here would mend it.
func (m *Mounter) Check(ctx context.Context, item profile.Item) (change string, err error) {
	g, err := m.begin(item)
	if err != nil {
		return "", err
	}
	switch {
	case g.mounted() && !g.ours(): // an administrator's own mount of the same share is accepted
		return m.portsToSet()
	case g.mounted() && g.hasUnits() && !g.forgotten(ctx):
		return m.portsToSet()
	case g.mounted() && g.hasUnits():
		return fmt.Sprintf("mount %s at %s again: its file handle is stale", g.Source, g.Path), nil
	}
	if err := g.obstacle(); err != nil {
		return "", err
	}
	return fmt.Sprintf("mount %s at %s", g.Source, g.Path), nil
}

// mounted reports whether the source is mounted and on top.
func (g *mounting) mounted() bool {
	return len(g.here) > 0 && g.here[0].nfs() && g.here[0].Source == g.Source
}

// forgotten reports whether the server has forgotten what is mounted, and can be
// mounted anew: it has been restored on another disk. One that only exports it
// no longer, or not yet again, cannot be, and knows it again when it does.
func (g *mounting) forgotten(ctx context.Context) bool {
	return g.Look(ctx, g.Mount).stale() && g.Try(ctx, g.Source) == nil
}

func (g *mounting) file(suffix string) string {
	return filepath.Join(g.UnitDir, UnitName(g.Path, suffix))
}

// wants is the link that starts the automount at boot, systemctl(1) enable.
func (g *mounting) wants() string {
	return filepath.Join(g.UnitDir, "remote-fs.target.wants", UnitName(g.Path, "automount"))
}

// ours reports whether the mount unit is one of ours.
func (g *mounting) ours() bool {
	text, err := readFile(g.file("mount"))
	return err == nil && strings.HasPrefix(text, unitHead)
}

// hasUnits reports whether the units are there as they should be, and start at
// boot.
func (g *mounting) hasUnits() bool {
	mount, err := readFile(g.file("mount"))
	automount, err2 := readFile(g.file("automount"))
	_, err3 := os.Lstat(g.wants())
	return errors.Join(err, err2, err3) == nil && automount == automountUnit(g.Path) &&
		strings.TrimSuffix(mount, madeNote) == mountUnit(g.Source, g.Path, false)
}

// obstacle tells what keeps the mount point from being used: somebody else's
// unit or mount, or files that would be hidden.
func (g *mounting) obstacle() error {
	if text, err := readFile(g.file("mount")); err != nil || text != "" && !strings.HasPrefix(text, unitHead) {
		return errors.Join(err, fmt.Errorf("%s is not ours: remove it, or share another path", g.file("mount")))
	}
	if len(g.here) > 0 && g.ours() {
		return nil // our automount, or what it mounted under an earlier spec
	}
	return CheckMountPoint("/", g.here, g.Mount)
}

// CheckMountPoint tells what keeps a mount from its place below sys, which is
// "/" but in tests: another mount, of those in mounted, or files that it would
// hide. What it is to mount is in nobody's way; without a source, no NFS is.
func CheckMountPoint(sys string, mounted []Mounted, m Mount) error {
	for _, other := range At(mounted, m.Path) {
		if other.Type == "autofs" || other.nfs() && (m.Source == "" || other.Source == m.Source) {
			return nil
		}
		err := fmt.Errorf("%s (%s) is mounted at %s", other.Source, other.Type, m.Path)
		return fault.Hint(err, "umount %s, and take it out of /etc/fstab", m.Path)
	}
	entries, err := os.ReadDir(filepath.Join(sys, m.Path))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case len(entries) > 0:
		err := fmt.Errorf("%s is not empty, and a mount would hide its content, such as %s", m.Path, entries[0].Name())
		return fault.Hint(err, "move away the content of %s", m.Path)
	}
	return nil
}

// Apply implements profile.Applier. Source ports that cannot be set do not keep it
// from mounting: in a container, say, they are those of the host.
func (m *Mounter) Apply(ctx context.Context, item profile.Item) error {
	g, err := m.begin(item)
	if err != nil {
		return err
	}
	ports := m.setSourcePorts() // before the mount, which takes one of them
	return cmp.Or(g.apply(ctx), ports)
}

func (g *mounting) apply(ctx context.Context) error {
	if g.mounted() && !g.ours() {
		return nil
	}
	if err := g.obstacle(); err != nil {
		return err
	}
	return g.Systemd(ctx, func(units Units) error {
		if len(g.here) > 0 && g.here[0].nfs() && (!g.mounted() || g.forgotten(ctx)) {
			if err := g.unmount(ctx, units, g.here[0].Source); err != nil {
				return err
			}
		}
		if err := g.install(ctx, units); err != nil {
			return err
		}
		return g.mount(ctx, units)
	})
}

// install writes the units. That the mount point was made is noted before it is.
func (g *mounting) install(ctx context.Context, units Units) error {
	text := mountUnit(g.Source, g.Path, false)
	old, err := readFile(g.file("mount"))
	if err != nil {
		return err
	}
	_, missing := os.Lstat(g.Path)
	if strings.HasSuffix(old, madeNote) || errors.Is(missing, fs.ErrNotExist) {
		text += madeNote
	}
	if err := atomicfile.Write(g.file("mount"), []byte(text), 0o644); err != nil {
		return err
	}
	if err := atomicfile.Write(g.file("automount"), []byte(automountUnit(g.Path)), 0o644); err != nil {
		return err
	}
	if errors.Is(missing, fs.ErrNotExist) {
		if err := atomicfile.MkdirAll(g.Path, 0o755); err != nil {
			return err
		}
	}
	if err := units.Reload(ctx); err != nil {
		return err
	}
	return units.Enable(ctx, UnitName(g.Path, "automount"))
}

// mount starts both units. Where the mount fails, the automount stays: it tries
// again when somebody wants the path, and keeps what is written meanwhile from
// landing on this server's disk.
func (g *mounting) mount(ctx context.Context, units Units) error {
	if err := units.Start(ctx, UnitName(g.Path, "automount")); err != nil {
		return err
	}
	err := units.Start(ctx, UnitName(g.Path, "mount"))
	if err == nil {
		return nil
	}
	if why := g.Try(ctx, g.Source); why != nil {
		return fmt.Errorf("mount %s: %w", g.Source, why)
	}
	// By now it can be mounted: the server has learnt of this client meanwhile.
	return units.Start(ctx, UnitName(g.Path, "mount"))
}

// unmount takes off what is mounted. One that is in use stays, and so does
// its error; one whose server is dead, or has forgotten it, is detached.
func (g *mounting) unmount(ctx context.Context, units Units, source string) error {
	if h := g.Look(ctx, Mount{Path: g.Path, Source: source}); h.Word == Hung || h.stale() {
		if err := atomicfile.Write(g.file("mount"), []byte(mountUnit(source, g.Path, true)+g.made()), 0o644); err != nil {
			return err
		}
		if err := units.Reload(ctx); err != nil {
			return err
		}
	}
	stop := units.Stop(ctx, UnitName(g.Path, "mount"))
	if err := g.look(); err != nil {
		return err
	}
	if len(g.here) > 0 && g.here[0].nfs() {
		return errors.Join(fmt.Errorf("%s is in use, and %s stays mounted: fuser -vm %s", g.Path, source, g.Path), stop)
	}
	return nil
}

// made is the note in the unit that the mount point was made for it.
func (g *mounting) made() string {
	if text, err := readFile(g.file("mount")); err == nil && strings.HasSuffix(text, madeNote) {
		return madeNote
	}
	return ""
}

// Remove implements profile.Applier. Without units of ours there is nothing to
// take back: the mount, if there is one, is an administrator's.
func (m *Mounter) Remove(ctx context.Context, item profile.Item) error {
	g, err := m.begin(item)
	if err != nil {
		return err
	}
	if !g.ours() {
		return nil
	}
	made := g.made() != ""
	err = m.Systemd(ctx, func(units Units) error {
		if len(g.here) > 0 && g.here[0].nfs() {
			if err := g.unmount(ctx, units, g.here[0].Source); err != nil {
				return err
			}
		}
		return g.uninstall(ctx, units, made)
	})
	return err
}

// uninstall removes the units, the mount unit last: it is what says that there
// is something of ours.
func (g *mounting) uninstall(ctx context.Context, units Units, made bool) error {
	automount := UnitName(g.Path, "automount")
	if err := units.Stop(ctx, automount); err != nil {
		return err
	}
	if err := units.Disable(ctx, automount); err != nil {
		return err
	}
	if made {
		if err := removeEmpty(g.Path); err != nil {
			return err
		}
	}
	for _, suffix := range []string{"automount", "mount"} {
		if err := os.Remove(g.file(suffix)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return units.Reload(ctx)
}

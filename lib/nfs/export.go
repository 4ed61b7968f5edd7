package nfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"iwx/lib/atomicfile"
	"iwx/lib/fault"
	"iwx/lib/profile"
)

// Files of the NFS server.
const (
	ExportsFile = "/etc/exports.d/iwx.exports" // ours, exports(5)
	TableFile   = "/var/lib/nfs/etab"          // what is in force, exportfs(8)
	ServerUnit  = "nfs-server.service"
)

// exportLimit is how long exportfs(8) may take; it works on files and the
// kernel's tables, and may resolve names of lines that are not ours.
const exportLimit = 20 * time.Second

// Units is what is needed of systemd. The methods block until it is done.
type Units interface {
	Reload(ctx context.Context) error
	Enable(ctx context.Context, units ...string) error
	Disable(ctx context.Context, units ...string) error
	Start(ctx context.Context, unit string) error
	Stop(ctx context.Context, unit string) error
	ActiveState(ctx context.Context, unit string) (string, error)
}

// Systemd opens a connection to systemd for one use.
type Systemd func(ctx context.Context, use func(Units) error) error

// Command runs a program and returns its standard output; the error of one that
// fails is an *exec.ExitError.
type Command func(ctx context.Context, name string, args ...string) ([]byte, error)

// Exporter is the applier of KindExport: one line of ExportsFile for each path.
type Exporter struct {
	File    string // ExportsFile but in tests
	Table   string // TableFile but in tests
	Command Command
	Systemd Systemd
}

// Check implements profile.Applier. An NFS server that an administrator has
// stopped, which empties its table, stays so: it shows in the health of every
// mount.
func (e *Exporter) Check(ctx context.Context, item profile.Item) (change string, err error) {
	spec, err := e.spec(item)
	if err != nil {
		return "", err
	}
	text, err := readFile(e.File)
	if err != nil {
		return "", err
	}
	wanted := parseExports(text)
	wanted.set(item.Name, spec)
	if wanted.text() != text || !exists(item.Name) {
		return describe(item.Name, spec.Clients), nil
	}
	if in, err := e.inForce(); err != nil || in.Serves(item.Name, spec.Clients) {
		return "", err
	}
	running := false
	err = e.Systemd(ctx, func(units Units) error {
		state, err := units.ActiveState(ctx, ServerUnit)
		running = state == "active"
		return err
	})
	if err != nil || !running {
		return "", err
	}
	return describe(item.Name, spec.Clients), nil
}

// spec reads the item and looks whether there is such a directory.
func (e *Exporter) spec(item profile.Item) (spec exportSpec, err error) {
	if err := item.Decode(&spec); err != nil {
		return spec, err
	}
	slices.SortFunc(spec.Clients, netip.Addr.Compare)
	return spec, CheckShare("/", item.Name)
}

// CheckShare tells what is wrong with the directory of a share, below sys, on
// the server that exports it. The default one need not be there: it is made.
func CheckShare(sys, path string) error {
	info, err := os.Lstat(filepath.Join(sys, path))
	switch {
	case errors.Is(err, fs.ErrNotExist) && path == DefaultShare:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return fault.Hint(fault.New(fault.Failed, "the share %s does not exist", path), "make it: mkdir -p %s", path)
	case err != nil:
		return err
	case !info.IsDir():
		return fault.New(fault.Failed, "the share %s is not a directory", path)
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// inForce is what the NFS server exports at present.
func (e *Exporter) inForce() (ExportTable, error) {
	text, err := readFile(e.Table)
	return ParseTable(text), err
}

// readFile returns a file's text, "" if there is no file.
func readFile(path string) (string, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return string(data), err
}

// Apply implements profile.Applier. It also lets the NFS server start, now and
// at boot, when there is something new to export.
func (e *Exporter) Apply(ctx context.Context, item profile.Item) error {
	spec, err := e.spec(item)
	if err != nil {
		return err
	}
	err = e.change(ctx, func(x *exports) error {
		x.set(item.Name, spec)
		return e.makeShare(item.Name, x)
	})
	if err != nil || len(spec.Clients) == 0 {
		return err
	}
	return e.Systemd(ctx, func(units Units) error { return startServer(ctx, units) })
}

func startServer(ctx context.Context, units Units) error {
	if state, err := units.ActiveState(ctx, ServerUnit); err != nil || state == "active" {
		return err
	}
	if err := units.Enable(ctx, ServerUnit); err != nil {
		return err
	}
	return units.Start(ctx, ServerUnit)
}

// makeShare makes the default directory, noting first that it was made.
func (e *Exporter) makeShare(path string, x *exports) error {
	if exists(path) {
		return nil
	}
	if !slices.Contains(x.made, path) {
		x.made = append(x.made, path)
		if err := e.write(*x); err != nil {
			return err
		}
	}
	return atomicfile.MkdirAll(path, 0o755)
}

// Remove implements profile.Applier. What is in the directory stays.
func (e *Exporter) Remove(ctx context.Context, item profile.Item) error {
	return e.change(ctx, func(x *exports) error {
		delete(x.lines, item.Name)
		i := slices.Index(x.made, item.Name)
		if i < 0 {
			return nil
		}
		x.made = slices.Delete(x.made, i, i+1)
		return removeEmpty(item.Name)
	})
}

// change edits the file that is ours and lets the NFS server take it up.
func (e *Exporter) change(ctx context.Context, edit func(*exports) error) error {
	text, err := readFile(e.File)
	if err != nil {
		return err
	}
	x := parseExports(text)
	if err := edit(&x); err != nil {
		return err
	}
	if err := e.write(x); err != nil {
		return err
	}
	ctx, cancel := fault.Within(ctx, exportLimit, "exportfs -ra")
	defer cancel()
	if _, err := e.Command(ctx, "exportfs", "-ra"); err != nil {
		if late := fault.Late(ctx, err); late != err {
			return late
		}
		return fmt.Errorf("exportfs -ra: %w", withStderr(err))
	}
	return nil
}

// write replaces the file, or removes it when there is nothing to be in it.
func (e *Exporter) write(x exports) error {
	if x.text() == "" {
		err := os.Remove(e.File)
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return err
	}
	if err := os.MkdirAll(filepath.Dir(e.File), 0o755); err != nil {
		return err
	}
	return atomicfile.Write(e.File, []byte(x.text()), 0o644)
}

// removeEmpty removes a directory unless something is in it or on it.
func removeEmpty(dir string) error {
	err := os.Remove(dir)
	for _, harmless := range []error{fs.ErrNotExist, errNotEmpty, errBusy} {
		if errors.Is(err, harmless) {
			return nil
		}
	}
	return err
}

package queuetool

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"iwx/lib/atomicfile"
	"iwx/lib/cli"
	"iwx/lib/fault"
	"iwx/lib/host"
	"iwx/lib/queue"
	"iwx/lib/tool/local"
)

// installVerb is what a node replays of a push: the content is on its standard
// input.
type installVerb struct {
	Path   string `required:"" help:"Absolute path of the file."`
	Mode   string `required:"" help:"Octal mode."`
	Owner  string `help:"Owner by name, if this server has it."`
	UID    uint32 `name:"uid" help:"Owner by number, if not."`
	Group  string `help:"Group by name, if this server has it."`
	GID    uint32 `name:"gid" help:"Group by number, if not."`
	Check  string `help:"Command that must succeed with the file in place."`
	Reload string `help:"Command to run then."`
}

// Run writes the file and runs the commands. Repeating it is safe, also after a
// crash at any point: the op id is recorded last, and until it is, both commands
// run again.
func (v *installVerb) Run(c *cli.Context) error {
	if c.Getenv("IWX_OP_ID") == "" {
		return fault.Hint(fault.New(fault.Usage, "only nodes run install, for push: IWX_OP_ID is not set"), "iwx-queue push FILE")
	}
	op, err := queue.ParseOpID(c.Getenv("IWX_OP_ID"))
	if err != nil {
		return err
	}
	content, err := readAll(c.Stdin, "standard input")
	if err != nil {
		return err
	}
	server, err := local.Open(c)
	if err != nil {
		return err
	}
	defer server.Close()
	digest := v.digest(content)
	if done, err := server.Store.OpDone(c, op, digest); done || err != nil {
		return err
	}
	f, err := v.file(c, server.Root, op, content)
	if err != nil {
		return err
	}
	if err := f.install(c, v.Check); err != nil {
		return err
	}
	if err := shell(c, v.Reload); err != nil {
		return fault.New(0, "%s is in place, and the reload failed: %w", v.Path, err)
	}
	return server.Store.RecordOp(c, op, digest, c.Now())
}

// digest tells two uses of install under one op id apart.
func (v *installVerb) digest(content []byte) queue.Hash {
	h := sha256.New()
	for _, field := range [][]byte{
		[]byte(v.Path), []byte(v.Mode), []byte(v.Owner), []byte(v.Group), fmt.Appendf(nil, "%d:%d", v.UID, v.GID),
		[]byte(v.Check), []byte(v.Reload), content,
	} {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(field))))
		h.Write(field)
	}
	return queue.Hash(h.Sum(nil))
}

// file resolves what is to be written on this server.
func (v *installVerb) file(c *cli.Context, root string, op queue.OpID, content []byte) (*installed, error) {
	if !filepath.IsAbs(v.Path) || filepath.Clean(v.Path) != v.Path {
		return nil, fault.New(fault.Usage, "path %q is not absolute and clean", v.Path)
	}
	mode, err := parseMode(v.Mode)
	if err != nil {
		return nil, err
	}
	f := &installed{path: filepath.Join(root, v.Path), content: content, mode: fileMode(mode), uid: int(v.UID), gid: int(v.GID)}
	dir, base := filepath.Split(f.path)
	f.saved = filepath.Join(dir, fmt.Sprintf(".%s.iwx-%d-%d.old", base, op.Epoch, op.Seq))
	f.absent = filepath.Join(dir, fmt.Sprintf(".%s.iwx-%d-%d.none", base, op.Epoch, op.Seq))
	switch u, err := host.LookupUser(c, v.Owner); {
	case err == nil && v.Owner != "":
		f.uid = int(u.UID)
	case err != nil && !errors.Is(err, host.ErrNoAccount):
		return nil, err
	}
	switch _, gid, err := host.LookupGroup(c, v.Group); {
	case err == nil && v.Group != "":
		f.gid = int(gid)
	case err != nil && !errors.Is(err, host.ErrNoAccount):
		return nil, err
	}
	switch info, err := os.Stat(dir); {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fault.Hint(fault.New(fault.Failed, "%s: there is no directory %s on this node", v.Path, filepath.Dir(v.Path)),
			"iwx-queue add -- install -d %s", queue.Quote(filepath.Dir(v.Path)))
	case err != nil:
		return nil, err
	case !info.IsDir():
		return nil, fault.New(fault.Failed, "%s: %s is not a directory on this node", v.Path, filepath.Dir(v.Path))
	}
	return f, nil
}

// fileMode turns permission bits into Go's.
func fileMode(mode uint32) fs.FileMode {
	m := fs.FileMode(mode & 0o777)
	for bit, flag := range map[uint32]fs.FileMode{syscall.S_ISUID: fs.ModeSetuid, syscall.S_ISGID: fs.ModeSetgid, syscall.S_ISVTX: fs.ModeSticky} {
		if mode&bit != 0 {
			m |= flag
		}
	}
	return m
}

// installed is a file on its way into place. While its check runs, the old file
// is kept beside it, so that it can come back after a crash too.
type installed struct {
	path     string
	content  []byte
	mode     fs.FileMode
	uid, gid int
	saved    string // the old file, while there is one to bring back
	absent   string // marks that there was none
}

// install puts the file in place, checked.
func (f *installed) install(c *cli.Context, check string) error {
	if info, err := os.Lstat(f.path); err == nil && info.IsDir() {
		return fault.New(fault.Failed, "%s is a directory on this node", f.path)
	}
	if check == "" {
		return f.write()
	}
	if err := f.save(); err != nil {
		return err
	}
	err := f.write()
	if err == nil {
		err = shell(c, check)
	}
	if err == nil {
		return f.forget()
	}
	if back := f.restore(); back != nil {
		return errors.Join(err, back)
	}
	return fault.New(0, "the check failed and the old %s is back: %w", f.path, err)
}

// save keeps the old file beside the new one. One that an earlier attempt kept
// is the old file still.
func (f *installed) save() error {
	for _, name := range []string{f.saved, f.absent} {
		if _, err := os.Lstat(name); err == nil {
			return nil
		}
	}
	err := os.Link(f.path, f.saved)
	if errors.Is(err, fs.ErrNotExist) {
		return atomicfile.Write(f.absent, nil, 0o600)
	}
	if err != nil {
		return err
	}
	return atomicfile.SyncDir(filepath.Dir(f.path))
}

// restore brings the old file back, or takes the new one away if there was none.
func (f *installed) restore() error {
	err := os.Rename(f.saved, f.path)
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.Remove(f.path); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	}
	if err == nil {
		// rename(2) leaves both names where they are the same file.
		err = f.forget()
	}
	if err != nil {
		return err
	}
	return atomicfile.SyncDir(filepath.Dir(f.path))
}

// forget removes what was saved.
func (f *installed) forget() error {
	for _, name := range []string{f.saved, f.absent} {
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// write makes the file what it is to be; one that is so already is not touched.
func (f *installed) write() error {
	if f.equal() {
		return nil
	}
	temp, err := atomicfile.Create(f.path, f.mode)
	if err != nil {
		return err
	}
	defer temp.Close()
	if _, err := temp.Write(f.content); err != nil {
		return fmt.Errorf("write %s: %w", f.path, err)
	}
	if err := temp.Chown(f.uid, f.gid); err != nil {
		return fmt.Errorf("owner %d:%d of %s: %w", f.uid, f.gid, f.path, errors.Unwrap(err))
	}
	return temp.Commit()
}

// equal reports whether the file is in place as it is to be.
func (f *installed) equal() bool {
	info, err := os.Lstat(f.path)
	if err != nil || info.Mode() != f.mode || info.Size() != int64(len(f.content)) {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(stat.Uid) != f.uid || int(stat.Gid) != f.gid {
		return false
	}
	content, err := os.ReadFile(f.path)
	return err == nil && bytes.Equal(content, f.content)
}

// shell runs a command line with sh(1); "" is nothing to do. The error of one
// that fails carries its exit code.
func shell(c *cli.Context, line string) error {
	if line == "" {
		return nil
	}
	cmd := exec.CommandContext(context.WithoutCancel(c), "/bin/sh", "-c", line)
	_, cmd.Stdout, cmd.Stderr = c.Streams()
	return runShell(cmd, line)
}

func runShell(cmd *exec.Cmd, line string) error {
	err := cmd.Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return err
	}
	code, err := exitStatus(exit.ProcessState, err)
	if err != nil {
		return err
	}
	return fault.New(code, "%s: exit %d", queue.Quote(line), code)
}

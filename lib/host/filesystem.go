package host

import (
	"errors"
	"io/fs"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Filesystem is what a path lies on.
type Filesystem struct {
	Type  string // "nfs", "fuse", …; "local" for every one that is not remote
	Local bool   // file locks and mmap work as SQLite needs them, sqlite.org/wal.html
	Free  uint64 // bytes an unprivileged writer has left
}

// FilesystemOf returns the file system that path lies on, or would lie on if
// it were created: the nearest directory that exists is asked. It blocks
// without limit on a mount whose server is dead, so call it with a deadline
// around it.
func FilesystemOf(path string) (Filesystem, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return Filesystem{}, err
	}
	var st unix.Statfs_t
	for {
		err := unix.Statfs(path, &st)
		if err == nil {
			break
		}
		parent := filepath.Dir(path)
		if !errors.Is(err, unix.ENOENT) || parent == path {
			return Filesystem{}, &fs.PathError{Op: "statfs", Path: path, Err: err}
		}
		path = parent
	}
	kind := remoteType(int64(st.Type))
	if kind == "" {
		kind = "local"
	}
	return Filesystem{Type: kind, Local: kind == "local", Free: st.Bavail * uint64(st.Bsize)}, nil
}

// remoteType names a file system that is not this machine's own, by the magic
// numbers of statfs(2) and linux/magic.h; "" for all others. The conversion to
// uint32 undoes the sign extension of 32-bit machines.
func remoteType(magic int64) string {
	switch uint32(magic) {
	case unix.NFS_SUPER_MAGIC:
		return "nfs"
	case unix.CIFS_SUPER_MAGIC, unix.SMB2_SUPER_MAGIC, unix.SMB_SUPER_MAGIC:
		return "cifs"
	case unix.V9FS_MAGIC:
		return "9p"
	case unix.FUSE_SUPER_MAGIC:
		return "fuse"
	case unix.CEPH_SUPER_MAGIC:
		return "ceph"
	case unix.AFS_SUPER_MAGIC, unix.AFS_FS_MAGIC:
		return "afs"
	case unix.CODA_SUPER_MAGIC:
		return "coda"
	case unix.OCFS2_SUPER_MAGIC:
		return "ocfs2"
	case 0x0bd00bd0:
		return "lustre"
	case 0x01161970:
		return "gfs2"
	case 0x00c0ffee: // user-mode Linux, a directory of its host
		return "hostfs"
	}
	return ""
}

package account

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"iwx/lib/fault"
	"iwx/lib/site"
)

// Content is what there is to copy of a directory.
type Content struct {
	Bytes, Files int64
	LeftOut      []string // sockets, devices and the like, relative to the directory
	Outside      []string // links that lead out of it, likewise
}

// mostListed bounds the lists of a Content.
const mostListed = 100

func note(list *[]string, name string) {
	if len(*list) < mostListed {
		*list = append(*list, name)
	}
}

// OpenContent opens a directory of a user's, whose way there must be free of
// links: a user's would lead root anywhere. The caller must Close it.
func OpenContent(dir string) (*os.File, error) {
	how := &unix.OpenHow{Flags: unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_SYMLINKS}
	fd, err := unix.Openat2(unix.AT_FDCWD, dir, how)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fault.New(fault.Failed, "%s is not there", dir)
	case errors.Is(err, unix.ELOOP):
		return nil, fault.Hint(fault.New(fault.Failed, "%s has a link on its way, and links of users are not followed", dir),
			"name the directory itself in the configuration, if it is the one that is meant")
	case err != nil:
		return nil, &fs.PathError{Op: "open", Path: dir, Err: err}
	}
	return os.NewFile(uintptr(fd), dir), nil
}

// Survey looks through an open directory. It follows no link, and opens nothing
// but directories.
func Survey(ctx context.Context, dir *os.File) (*Content, error) {
	c := &Content{}
	return c, c.add(ctx, dir, ".")
}

func (c *Content) add(ctx context.Context, dir *os.File, at string) error {
	return each(ctx, dir, func(name string, st *unix.Stat_t) error {
		c.Files++
		where := path.Join(at, name)
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFREG:
			c.Bytes += st.Size
		case unix.S_IFDIR:
			sub, err := openIn(dir, name, unix.O_RDONLY|unix.O_DIRECTORY)
			if err != nil {
				return err
			}
			defer sub.Close()
			return c.add(ctx, sub, where)
		case unix.S_IFLNK:
			to, err := linkIn(dir, name)
			if path.IsAbs(to) || strings.HasPrefix(path.Join(at, to)+"/", "../") {
				note(&c.Outside, where)
			}
			return err
		default:
			c.Files--
			note(&c.LeftOut, where)
		}
		return nil
	})
}

// each calls do for everything in a directory. What goes meanwhile is passed over.
func each(ctx context.Context, dir *os.File, do func(name string, st *unix.Stat_t) error) error {
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		var st unix.Stat_t
		err := unix.Fstatat(int(dir.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW)
		if err == nil {
			err = do(name, &st)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return inDir(dir, name, err)
		}
	}
	return nil
}

// inDir names what an error is about, unless it says so.
func inDir(dir *os.File, name string, err error) error {
	if e := (*fs.PathError)(nil); errors.As(err, &e) || errors.Is(err, context.Canceled) {
		return err
	}
	return &fs.PathError{Op: "copy", Path: filepath.Join(dir.Name(), name), Err: err}
}

// openIn opens a name of a directory, and no link.
func openIn(dir *os.File, name string, flags int) (*os.File, error) {
	fd, err := unix.Openat(int(dir.Fd()), name, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), filepath.Join(dir.Name(), name)), nil
}

func linkIn(dir *os.File, name string) (string, error) {
	buffer := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(int(dir.Fd()), name, buffer)
	return string(buffer[:max(n, 0)]), err
}

// Reader is who reads the content of a site and is not its user: the web server.
type Reader struct{ UID, GID int }

// Fill copies a directory into the document root of a site, whose home was made
// for it and is nobody else's yet. All of it is the user's then, with the web
// server's group, which may do what it could before; links are copied as they
// are, and never followed; sockets and devices are left out. What is there
// already is an error. When it returns, all is on the disk.
func (h Homes) Fill(ctx context.Context, from string, was Reader, s *site.Site) error {
	source, err := OpenContent(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := OpenContent(filepath.Join(h.Root, s.Root))
	if err != nil {
		return err
	}
	defer target.Close()
	c := &copying{was: was, uid: int(s.UID), gid: h.GID}
	if err := c.directory(ctx, source, target); err != nil {
		return err
	}
	return unix.Syncfs(int(target.Fd()))
}

// copying is one run of Fill.
type copying struct {
	was      Reader
	uid, gid int
}

// directory copies what is in one directory into another.
func (c *copying) directory(ctx context.Context, from, to *os.File) error {
	return each(ctx, from, func(name string, st *unix.Stat_t) error {
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFREG:
			return c.file(from, to, name)
		case unix.S_IFDIR:
			return c.subdirectory(ctx, from, to, name)
		case unix.S_IFLNK:
			return c.link(from, to, name)
		}
		return nil
	})
}

func (c *copying) subdirectory(ctx context.Context, from, to *os.File, name string) error {
	source, err := openIn(from, name, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer source.Close()
	if err := unix.Mkdirat(int(to.Fd()), name, 0o700); err != nil {
		return err
	}
	target, err := openIn(to, name, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer target.Close()
	if err := c.directory(ctx, source, target); err != nil {
		return err
	}
	return c.finish(source, target, unix.S_ISGID)
}

func (c *copying) file(from, to *os.File, name string) error {
	source, err := openIn(from, name, unix.O_RDONLY)
	if err != nil {
		return err
	}
	defer source.Close()
	if info, err := source.Stat(); err != nil || !info.Mode().IsRegular() {
		return err // it is no longer what it was
	}
	target, err := openIn(to, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL)
	if err != nil {
		return err
	}
	defer target.Close()
	if _, err := target.ReadFrom(source); err != nil {
		return err
	}
	return c.finish(source, target, 0)
}

func (c *copying) link(from, to *os.File, name string) error {
	leads, err := linkIn(from, name)
	if err != nil {
		return err
	}
	if err := unix.Symlinkat(leads, int(to.Fd()), name); err != nil {
		return err
	}
	return unix.Fchownat(int(to.Fd()), name, c.uid, c.gid, unix.AT_SYMLINK_NOFOLLOW)
}

// finish gives a copy its owner, mode and time, in this order: the mode goes with
// a change of owner, and so does the time with a write.
func (c *copying) finish(source, target *os.File, extra uint32) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(source.Fd()), &st); err != nil {
		return err
	}
	if err := target.Chown(c.uid, c.gid); err != nil {
		return err
	}
	if err := unix.Fchmod(int(target.Fd()), c.mode(&st)|extra); err != nil {
		return err
	}
	const now = "" // of the descriptor itself
	return unix.UtimesNanoAt(int(target.Fd()), now, []unix.Timespec{st.Atim, st.Mtim}, unix.AT_EMPTY_PATH)
}

// mode is that of a copy: the web server, now the group, may what it might before
// as owner, group or another.
func (c *copying) mode(st *unix.Stat_t) uint32 {
	old := st.Mode & 0o777
	could := old & 0o7
	switch {
	case int(st.Uid) == c.was.UID:
		could = old >> 6
	case int(st.Gid) == c.was.GID:
		could = old >> 3 & 0o7
	}
	return old&0o707 | could<<3
}

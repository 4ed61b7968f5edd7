package account

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"iwx/lib/fault"
	"iwx/lib/site"
)

// The modes of what is made for a site. The web server's group comes through
// the home and reads the document root, and so does what the user writes there
// (the group is inherited); neighbours come nowhere.
const (
	parentMode = 0o711
	homeMode   = 0o710
	rootMode   = 0o750 | fs.ModeSetgid
)

// Homes are the homes of a server, which only the manager makes: they lie on
// the shared storage.
type Homes struct {
	Root string // "" for the server itself
	GID  int    // of the web server's group
}

// Make makes the home of a site and its document root, owned by the user. What
// is there already keeps its content and mode. It is idempotent, and follows no
// link of the user's.
func (h Homes) Make(_ context.Context, s *site.Site) error {
	parent := filepath.Join(h.Root, path.Dir(s.Home))
	if err := os.MkdirAll(parent, parentMode); err != nil {
		return err
	}
	dir, err := os.OpenRoot(parent)
	if err != nil {
		return err
	}
	defer dir.Close()
	home := path.Base(s.Home)
	if err := h.make(dir, home, homeMode, s); err != nil {
		return err
	}
	inside, err := filepath.Rel(s.Home, s.Root)
	if err != nil {
		return err
	}
	return h.make(dir, path.Join(home, inside), rootMode, s)
}

// make makes one directory; one that is there stays as it is.
func (h Homes) make(dir *os.Root, name string, mode fs.FileMode, s *site.Site) error {
	err := dir.Mkdir(name, 0o700)
	if errors.Is(err, fs.ErrExist) {
		return isDirectory(dir, name)
	}
	if err != nil {
		return err
	}
	if err := dir.Chown(name, int(s.UID), h.GID); err != nil {
		return err
	}
	return dir.Chmod(name, mode)
}

func isDirectory(dir *os.Root, name string) error {
	info, err := dir.Lstat(name)
	if err == nil && !info.IsDir() {
		err = fault.New(fault.Failed, "%s is there, and no directory", filepath.Join(dir.Name(), name))
	}
	return err
}

// Remove removes the home of a site with all that is in it; links are removed,
// never followed. It is idempotent.
func (h Homes) Remove(_ context.Context, s *site.Site) error {
	dir, err := os.OpenRoot(filepath.Join(h.Root, path.Dir(s.Home)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.RemoveAll(path.Base(s.Home))
}

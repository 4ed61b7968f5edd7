package vhost

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"iwx/lib/atomicfile"
	"iwx/lib/fault"
	"iwx/lib/site"
)

// isAside reports whether the server does not find the file.
func isAside(a site.Aside) bool {
	_, err := os.Lstat(a.From)
	return errors.Is(err, fs.ErrNotExist)
}

// setAside has the server find the file no more, or again. Repeating it is safe;
// nothing is ever overwritten.
func setAside(a site.Aside, aside bool) (err error) {
	if isAside(a) == aside {
		return nil
	}
	switch {
	case a.Link != "" && aside:
		var to string
		if to, err = os.Readlink(a.From); err == nil && to != a.Link {
			err = fault.New(fault.Failed, "%s leads to %s, and did to %s", a.From, to, a.Link)
		}
		if err == nil {
			err = os.Remove(a.From)
		}
	case a.Link != "":
		err = os.Symlink(a.Link, a.From)
	case aside:
		err = rename(a.From, a.To)
	default:
		if err = rename(a.To, a.From); errors.Is(err, fs.ErrNotExist) {
			return nil // somebody has removed it meanwhile
		}
	}
	if err != nil {
		return err
	}
	if a.To != "" {
		err = atomicfile.SyncDir(filepath.Dir(a.To))
	}
	return errors.Join(err, atomicfile.SyncDir(filepath.Dir(a.From)))
}

// rename renames a file to a name that nothing has.
func rename(from, to string) error {
	if err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE); err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}

// instead is the name, in the directory of old files, of the list of those that
// a Put sets aside or brings back.
const instead = "instead"

// moved is where a file of that list was before.
type moved struct {
	site.Aside
	Was bool `json:"was"` // set aside
}

// saveAsides writes that list, if there is anything in it.
func (s *Server) saveAsides(changes []Change) error {
	var list []moved
	for _, c := range changes {
		for _, a := range c.Instead {
			list = append(list, moved{a, isAside(a)})
		}
	}
	if len(list) == 0 {
		return nil
	}
	text, err := json.Marshal(list)
	if err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(s.undo, instead), text, 0o600)
}

// restoreAsides has the files of the list where they were.
func (s *Server) restoreAsides() error {
	text, err := os.ReadFile(filepath.Join(s.undo, instead))
	if err != nil {
		return err
	}
	var list []moved
	if err := json.Unmarshal(text, &list); err != nil {
		return err
	}
	for _, m := range list {
		if err := setAside(m.Aside, m.Was); err != nil {
			return err
		}
	}
	return nil
}

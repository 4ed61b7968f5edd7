package vhost

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"iwx/lib/atomicfile"
	"iwx/lib/fault"
	"iwx/lib/site"
)

// Change is what becomes of the virtual host of one domain.
type Change struct {
	Domain  string       // or the name of a file that is no site's
	Text    string       // "" removes it
	Instead []site.Aside // files that it takes the place of: set aside for a text, brought back without
}

// Put writes virtual hosts, sets aside what they take the place of, tests the server's whole configuration once, and
// brings all old files back if that fails; the error carries the server's own
// message. Nothing is reloaded. What is as it should be already is not tested
// again. A Put that was killed is undone by the next, or by a Reload before that. The
// caller keeps others from calling Put and Reload meanwhile.
func (s *Server) Put(ctx context.Context, changes []Change) error {
	if err := s.restore(); err != nil {
		return err
	}
	changes, err := s.different(changes)
	if err != nil || len(changes) == 0 {
		return err
	}
	if err := s.save(changes); err != nil {
		return err
	}
	err = s.write(changes)
	if err == nil {
		err = s.Test(ctx)
	}
	if err != nil {
		return errors.Join(err, s.restore())
	}
	return s.forget()
}

// Differs reports what is not as it should be about the virtual host of a domain,
// "" for nothing.
func (s *Server) Differs(domain, text string) string {
	is, err := os.ReadFile(s.File(domain))
	switch {
	case errors.Is(err, fs.ErrNotExist) && text != "":
		return "its virtual host is missing: " + s.File(domain)
	case errors.Is(err, fs.ErrNotExist):
		return ""
	case err != nil:
		return err.Error()
	case text == "":
		return "its virtual host should be gone: " + s.File(domain)
	case string(is) != Place(s.Root, text):
		return "its virtual host was changed: " + s.File(domain)
	}
	return ""
}

// Strays returns the domains that have a virtual host of iwx here, by the name of
// its file, and that are not known. A name without a dot is no site's, see forwarded.
func (s *Server) Strays(known func(domain string) bool) (domains []string, err error) {
	entries, err := os.ReadDir(s.at(s.sites))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, e := range entries {
		name, ours := strings.CutPrefix(e.Name(), filePrefix)
		domain, whole := strings.CutSuffix(name, fileSuffix)
		if ours && whole && strings.Contains(domain, ".") && !e.IsDir() && !known(domain) {
			domains = append(domains, domain)
		}
	}
	return domains, err
}

// different returns the changes that change something.
func (s *Server) different(changes []Change) (list []Change, err error) {
	for _, c := range changes {
		if strings.ContainsAny(c.Domain, "/\x00") {
			return nil, fault.New(fault.Usage, "%q is no domain", c.Domain)
		}
		moves := slices.ContainsFunc(c.Instead, func(a site.Aside) bool { return isAside(a) != (c.Text != "") })
		if moves || s.Differs(c.Domain, c.Text) != "" {
			list = append(list, c)
		}
	}
	return list, nil
}

// The names in the directory of old files: each old file under its own, an
// empty one with this ending where there was none, the list of files that are
// moved, and the last one says that all are there.
const (
	wasNone  = ".none"
	complete = "complete"
)

// save copies the old files aside, where they survive a crash.
func (s *Server) save(changes []Change) error {
	if err := atomicfile.MkdirAll(s.undo, 0o700); err != nil {
		return err
	}
	for _, c := range changes {
		name := filepath.Join(s.undo, filepath.Base(s.File(c.Domain)))
		old, err := os.ReadFile(s.File(c.Domain))
		if errors.Is(err, fs.ErrNotExist) {
			name, old, err = name+wasNone, nil, nil
		}
		if err == nil {
			err = os.WriteFile(name, old, 0o600)
		}
		if err != nil {
			return err
		}
	}
	if err := s.saveAsides(changes); err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(s.undo, complete), []byte(s.Name), 0o600)
}

// write brings the new files into place.
func (s *Server) write(changes []Change) error {
	for _, c := range changes {
		var err error
		if c.Text == "" {
			err = remove(s.File(c.Domain))
		} else {
			err = atomicfile.Write(s.File(c.Domain), []byte(Place(s.Root, c.Text)), 0o644)
		}
		for i := 0; i < len(c.Instead) && err == nil; i++ {
			err = setAside(c.Instead[i], c.Text != "")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// restore brings old files back, if a Put left any: it failed, or was killed
// before its test had passed.
func (s *Server) restore() error {
	if err := s.sweep(); err != nil {
		return err
	}
	name, err := os.ReadFile(filepath.Join(s.undo, complete))
	if errors.Is(err, fs.ErrNotExist) {
		return s.forget() // nothing was written yet
	}
	if err != nil || string(name) != s.Name {
		return err
	}
	entries, err := os.ReadDir(s.undo)
	if err != nil {
		return err
	}
	for _, e := range entries {
		switch e.Name() {
		case complete:
		case instead:
			err = s.restoreAsides()
		default:
			err = s.bringBack(e.Name())
		}
		if err != nil {
			return err
		}
	}
	return s.forget()
}

// sweep removes the temporary files of a Put that was killed while it wrote.
func (s *Server) sweep() error {
	names, err := filepath.Glob(filepath.Join(s.at(s.sites), ".*iwx-*.tmp"))
	for _, name := range names {
		err = errors.Join(err, remove(name))
	}
	return err
}

func (s *Server) bringBack(name string) error {
	if file, none := strings.CutSuffix(name, wasNone); none {
		return remove(filepath.Join(s.at(s.sites), file))
	}
	old, err := os.ReadFile(filepath.Join(s.undo, name))
	if err != nil {
		return err
	}
	path := filepath.Join(s.at(s.sites), name)
	if is, err := os.ReadFile(path); err == nil && bytes.Equal(is, old) {
		return nil
	}
	return atomicfile.Write(path, old, 0o644)
}

// forget removes the old files: the mark first, which makes them count.
func (s *Server) forget() error {
	if err := remove(filepath.Join(s.undo, complete)); err != nil {
		return err
	}
	return os.RemoveAll(s.undo)
}

func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

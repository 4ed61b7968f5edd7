package bind

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"iwx/lib/atomicfile"
)

// Serve has BIND serve as the primary what is wanted, and nothing else of ours. On
// an error all is as it was, unless named itself could not be told, which the next
// call does.
func (s *Server) Serve(ctx context.Context, want *Primary) error {
	p, err := s.serve(want, s.Now())
	if err != nil || p.empty() {
		return err
	}
	if err := s.modern(ctx); err != nil {
		return err
	}
	if err := s.mkdir(s.zones, false); err != nil {
		return err
	}
	texts := map[string]string{}
	for _, name := range slices.Concat(p.fresh, p.changed) {
		if texts[name], err = p.planned(s.zoneFile(name)); err != nil {
			return err
		}
	}
	if err := s.checkZones(ctx, texts); err != nil {
		return err
	}
	return s.apply(ctx, p)
}

// Unserved says in words what Serve would do; "" if nothing.
func (s *Server) Unserved(want *Primary) (change string, err error) {
	return change, s.difference(&change, func() (*plan, error) { return s.serve(want, s.Now()) })
}

// Follow has BIND serve as a secondary what the manager's does. Errors are as with
// Serve.
func (s *Server) Follow(ctx context.Context, want *Secondary) error {
	p, err := s.follow(want)
	if err != nil || p.empty() {
		return err
	}
	if err := s.modern(ctx); err != nil {
		return err
	}
	if err := s.mkdir(s.copies, true); err != nil {
		return err
	}
	return s.apply(ctx, p)
}

// Unfollowed says in words what Follow would do; "" if nothing.
func (s *Server) Unfollowed(want *Secondary) (change string, err error) {
	return change, s.difference(&change, func() (*plan, error) { return s.follow(want) })
}

func (s *Server) difference(change *string, make func() (*plan, error)) error {
	p, err := make()
	if err == nil && !p.empty() {
		*change = p.String()
	}
	return err
}

// Leave takes all of ours out of BIND, which goes on with what is the
// administrator's.
func (s *Server) Leave(ctx context.Context) error {
	p, err := s.leave()
	if err != nil || p.empty() {
		return err
	}
	if err := s.apply(ctx, p); err != nil {
		return err
	}
	return errors.Join(os.RemoveAll(s.zones), os.RemoveAll(s.copies))
}

// mkdir makes a directory of named's: it reads the zones of a primary, and writes
// those of a secondary.
func (s *Server) mkdir(dir string, writable bool) error {
	mode := fs.FileMode(0o755)
	if writable {
		mode = 0o770
	}
	if err := atomicfile.MkdirAll(dir, mode); err != nil {
		return err
	}
	if !writable {
		return nil
	}
	return s.toNamed(func(uid, gid int) error { return os.Chown(dir, uid, gid) })
}

// toNamed gives something to named's group, which is that of its configuration.
// Who is not root runs named as himself.
func (s *Server) toNamed(chown func(uid, gid int) error) error {
	info, err := os.Stat(s.dir)
	if err != nil || os.Geteuid() != 0 {
		return err
	}
	return chown(-1, int(info.Sys().(*syscall.Stat_t).Gid))
}

// apply writes, has the whole configuration checked, and tells named. What is
// noted as pending first is done by the next call if this one ends too soon.
func (s *Server) apply(ctx context.Context, p *plan) error {
	if err := atomicfile.Write(s.pending(), nil, 0o600); err != nil {
		return err
	}
	back, err := s.writeAll(p)
	if err == nil {
		err = s.checkConf(ctx)
	}
	if err != nil {
		if err := errors.Join(err, back()); p.pending {
			return err
		}
		return errors.Join(err, os.Remove(s.pending()))
	}
	if err := s.tell(ctx, p); err != nil {
		return err
	}
	return os.Remove(s.pending())
}

// writeAll writes the files of the plan. back makes them what they were.
func (s *Server) writeAll(p *plan) (back func() error, err error) {
	var undo []write
	back = func() error {
		var errs []error
		for _, w := range undo {
			errs = append(errs, s.put(w))
		}
		return errors.Join(errs...)
	}
	for _, w := range p.write {
		was, err := before(w.path)
		if err != nil {
			return back, err
		}
		undo = append([]write{was}, undo...)
		if err := s.put(w); err != nil {
			return back, err
		}
	}
	return back, nil
}

// before is what makes a file again what it is.
func before(path string) (write, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return write{path: path, remove: true}, nil
	}
	if err != nil {
		return write{}, err
	}
	text, err := read(path)
	return write{path: path, text: text, mode: info.Mode().Perm()}, err
}

// put writes a file, or removes it. One that is there keeps its owner, one that is
// new is named's to read. Links are followed: configurations are kept elsewhere.
func (s *Server) put(w write) error {
	if w.remove {
		err := os.Remove(w.path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	path := w.path
	if to, err := filepath.EvalSymlinks(path); err == nil {
		path = to
	}
	f, err := atomicfile.Create(path, w.mode)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.WriteString(w.text); err != nil {
		return err
	}
	if err := s.own(f, path); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return f.Commit()
}

func (s *Server) own(f *atomicfile.File, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return s.toNamed(f.Chown)
	}
	if os.Geteuid() != 0 {
		return nil
	}
	st := info.Sys().(*syscall.Stat_t)
	return f.Chown(int(st.Uid), int(st.Gid))
}

package bind

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"iwx/lib/fault"
)

// plan is the way from what is there to what is wanted.
type plan struct {
	write   []write
	conf    bool     // the configuration is another
	fresh   []string // zones that named does not know yet
	changed []string // zones that it has in another state
	gone    []string // files of zones that are not wanted any more
	catalog bool
	pending bool // named was not told of an earlier change
}

// write is a file to be written, or removed.
type write struct {
	path   string
	text   string
	mode   fs.FileMode
	remove bool
}

// empty reports whether all is as it is wanted.
func (p *plan) empty() bool { return len(p.write) == 0 && !p.pending }

// String says what is to be done, in a few words.
func (p *plan) String() string {
	var parts []string
	for _, part := range []struct {
		verb  string
		zones []string
	}{{"serve", p.fresh}, {"change", p.changed}, {"drop", p.gone}} {
		switch n := len(part.zones); {
		case n == 1:
			parts = append(parts, part.verb+" the zone "+part.zones[0])
		case n > 1:
			parts = append(parts, fmt.Sprintf("%s %d zones", part.verb, n))
		}
	}
	if p.conf {
		parts = append(parts, "configure BIND")
	}
	if p.catalog {
		parts = append(parts, "change the catalog of zones")
	}
	if parts == nil {
		return "notify BIND of the changes"
	}
	return strings.Join(parts, ", ")
}

// read returns a file's text; "" without one.
func read(path string) (string, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return string(data), err
}

// file adds a file to the plan unless it is as it should be, and reports whether
// it did.
func (p *plan) file(path, text string, mode fs.FileMode) (bool, error) {
	info, err := os.Stat(path)
	if err == nil && info.Mode().Perm() == mode {
		if was, err := read(path); err != nil || was == text {
			return false, err
		}
	}
	p.write = append(p.write, write{path: path, text: text, mode: mode})
	return true, nil
}

// Modes of our files: the configuration holds the key, and named reads it by its
// group.
const (
	confMode = 0o640
	zoneMode = 0o644
)

// configure plans our two files, and the lines that include them.
func (s *Server) configure(p *plan, conf string, options func(opts) string) error {
	o, err := s.readOptions()
	if err != nil {
		return err
	}
	text := options(o)
	if o.names["catalog-zones"] && strings.Contains(text, "catalog-zones") {
		return fault.Hint(fault.New(fault.Failed, "%s has catalog-zones of its own, and BIND takes one statement alone", o.file),
			"take it out of %s, or leave DNS alone with dns.provider = \"none\"", o.file)
	}
	if o.file == "" {
		conf += "options {\n" + includeLine(s.options()) + "};\n"
	}
	for _, f := range []write{{path: s.ours(), text: conf}, {path: s.options(), text: text}} {
		other, err := p.file(f.path, f.text, confMode)
		if err != nil {
			return err
		}
		p.conf = p.conf || other
	}
	if o.file != "" {
		if err := p.line(o.file, includeLine(s.options()), o.inside); err != nil {
			return err
		}
	}
	return p.line(s.include, includeLine(s.ours()), -1)
}

// line plans a line in a file of the administrator's, whose mode stays.
func (p *plan) line(path, line string, at int) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	text, err := p.planned(path)
	if err != nil {
		return err
	}
	if at < 0 {
		at = len(text)
	}
	if with := withLine(text, line, at); with != text {
		p.replace(write{path: path, text: with, mode: info.Mode().Perm()})
		p.conf = true
	}
	return nil
}

// planned is the text that a file is to have.
func (p *plan) planned(path string) (string, error) {
	for _, w := range p.write {
		if w.path == path {
			return w.text, nil
		}
	}
	return read(path)
}

// replace has one write for each file.
func (p *plan) replace(w write) {
	p.write = slices.DeleteFunc(p.write, func(other write) bool { return other.path == w.path })
	p.write = append(p.write, w)
}

// serve plans what a primary needs. A zone that the administrator has as well stays
// his: BIND takes no second statement.
func (s *Server) serve(all *Primary, now time.Time) (*plan, error) {
	byHand, err := s.byHand(s.config, 0)
	if err != nil {
		return nil, err
	}
	want := *all
	want.Zones = slices.DeleteFunc(slices.Clone(all.Zones), func(z Zone) bool { return byHand[z.Name] })
	return s.serveOurs(&want, now)
}

func (s *Server) serveOurs(want *Primary, now time.Time) (*plan, error) {
	p := &plan{}
	if err := s.configure(p, s.primaryConf(want), primaryOptions); err != nil {
		return nil, err
	}
	for _, z := range want.Zones {
		if err := validName(z.Name); err != nil {
			return nil, err
		}
		if err := s.planZone(p, z, now); err != nil {
			return nil, err
		}
	}
	if err := s.planZone(p, want.catalog(), now); err != nil {
		return nil, err
	}
	p.pending = exists(s.pending())
	return p, s.strays(p, want)
}

func (s *Server) planZone(p *plan, z Zone, now time.Time) error {
	path := s.zoneFile(z.Name)
	old, err := read(path)
	if err != nil {
		return err
	}
	other, err := p.file(path, z.next(old, now), zoneMode)
	switch {
	case err != nil || !other:
		return err
	case z.Name == Catalog:
		p.catalog = true
	case old != "":
		p.changed = append(p.changed, z.Name)
	default:
		p.fresh = append(p.fresh, z.Name)
	}
	return nil
}

// validName keeps what is no name of a zone out of BIND's configuration.
func validName(name string) error {
	if name == "" || strings.ContainsAny(name, "\"\\{}; \t\r\n") || strings.HasSuffix(name, ".") || strings.EqualFold(name, Catalog) {
		return fault.New(fault.Failed, "%q is not a name of a zone", name)
	}
	return nil
}

// strays plans that files of zones that are not wanted go.
func (s *Server) strays(p *plan, want *Primary) error {
	keep := map[string]bool{s.zoneFile(Catalog): true}
	for _, z := range want.Zones {
		keep[s.zoneFile(z.Name)] = true
	}
	files, err := filepath.Glob(filepath.Join(s.zones, "*"+zoneSuffix))
	for _, path := range files {
		if !keep[path] {
			p.gone = append(p.gone, strings.TrimSuffix(filepath.Base(path), zoneSuffix))
			p.write = append(p.write, write{path: path, remove: true})
		}
	}
	return err
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// follow plans what a secondary needs.
func (s *Server) follow(want *Secondary) (*plan, error) {
	p := &plan{pending: exists(s.pending())}
	return p, s.configure(p, s.secondaryConf(want), func(o opts) string { return s.secondaryOptions(want, o) })
}

// leave plans that all of ours goes.
func (s *Server) leave() (*plan, error) {
	p := &plan{pending: exists(s.pending())}
	o, err := s.readOptions()
	if err != nil {
		return nil, err
	}
	for _, path := range slices.Compact([]string{o.file, s.include}) {
		if err := s.withoutOurs(p, path); err != nil {
			return nil, err
		}
	}
	for _, path := range []string{s.ours(), s.options()} {
		if exists(path) {
			p.write = append(p.write, write{path: path, remove: true})
			p.conf = true
		}
	}
	return p, s.strays(p, &Primary{})
}

// withoutOurs takes our lines out of a file of the administrator's.
func (s *Server) withoutOurs(p *plan, path string) error {
	info, err := os.Stat(path)
	if path == "" || err != nil {
		return nil // it went, and our lines with it
	}
	was, err := p.planned(path)
	if err != nil {
		return err
	}
	text := withoutLine(withoutLine(was, includeLine(s.ours())), includeLine(s.options()))
	if text != was {
		p.replace(write{path: path, text: text, mode: info.Mode().Perm()})
		p.conf = true
	}
	return nil
}

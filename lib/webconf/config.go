// Package webconf reads what apache2, httpd or nginx is configured to serve: which
// virtual hosts there are, and what each is made of.
//
// The configuration is read here rather than asked for (apache2ctl -S, nginx -T):
// these tell names and files, or the text, but not what a virtual host is made of,
// and nothing of a server whose configuration is broken; and reading starts nothing.
// Words, quotes, comments, includes, apache's variables and the sections that ask
// for a module are understood. What apache's environment defines (envvars),
// mod_macro, and conditions that only the running server knows are not evaluated:
// the server's own test has the last word, in package vhost.
package webconf

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"iwx/lib/fault"
)

// directive is one of a configuration: in apache's a line or a section, in
// nginx's what ends with a semicolon or has a block.
type directive struct {
	name string // apache's in lower case
	text string // as it is written, shortened, to be shown
	args []string
	body []directive // of a section or block
	file string      // that it stands in
	line int
}

// The bounds of what is read: servers have the like themselves (apache's
// AP_MAX_INCLUDE_DEPTH is 20), and a circle of includes is to end.
const (
	mostNested = 20
	mostFiles  = 10000
	mostBytes  = 16 << 20 // of one file
)

// config is the configuration of a server as it is read, file by file.
type config struct {
	base    string                                  // what relative names are relative to
	parse   func(text string) ([]directive, error)  // one file; its errors are *syntaxError
	expand  func(c *config, d *directive) (is bool) // puts variables in; whether only the content counts
	defined map[string]string                       // apache's variables
	files   int                                     // read so far
	globs   []string                                // the patterns of includes, absolute
	listed  map[string]bool                         // files that a pattern has brought in
}

// syntaxError is a line that cannot be read.
type syntaxError struct {
	line int
	what string
}

// Error implements error.
func (e *syntaxError) Error() string { return e.what }

// read returns the directives of a file, with those of the files that it
// includes in their place.
func (c *config) read(path string, depth int) ([]directive, error) {
	if c.files++; c.files > mostFiles || depth > mostNested {
		return nil, fault.New(fault.Failed, "%s: includes are nested too deep, or are too many", path)
	}
	text, err := readBounded(path)
	if err != nil {
		return nil, err
	}
	list, err := c.parse(string(text))
	if bad := (*syntaxError)(nil); errors.As(err, &bad) {
		return nil, fault.New(fault.Failed, "%s:%d: %w", path, bad.line, err)
	}
	return c.resolve(list, path, depth)
}

func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, mostBytes+1))
	if err == nil && len(text) > mostBytes {
		err = fault.New(fault.Failed, "%s is too large for a configuration", path)
	}
	return text, err
}

// resolve replaces what stands for something else: includes, and sections that
// only say when their content counts.
func (c *config) resolve(list []directive, path string, depth int) (all []directive, err error) {
	for _, d := range list {
		d.file = path
		content := c.expand(c, &d)
		other := []directive{d}
		switch {
		case d.name == "include" || d.name == "includeoptional":
			other, err = c.include(d, depth)
		case content:
			other, err = c.resolve(d.body, path, depth)
		default:
			other[0].body, err = c.resolve(d.body, path, depth)
		}
		if err != nil {
			return nil, err
		}
		all = append(all, other...)
	}
	return all, nil
}

// include returns the directives of the files that an include is of. One that is
// not there is left for the server's own test to tell.
func (c *config) include(d directive, depth int) (all []directive, err error) {
	for _, arg := range d.args {
		pattern := c.absolute(arg)
		if info, err := os.Stat(pattern); err == nil && info.IsDir() { // apache: all that is in it
			pattern = filepath.Join(pattern, "*")
		}
		for _, path := range c.matches(pattern) {
			list, err := c.read(path, depth+1)
			if errors.Is(err, fs.ErrNotExist) {
				continue // a link that leads nowhere
			}
			if err != nil {
				return nil, err
			}
			all = append(all, list...)
		}
	}
	return all, nil
}

// matches are the files of a pattern in the order in which they are read; as in
// glob(3), a star does not stand for the dot of a hidden file.
func (c *config) matches(pattern string) (list []string) {
	if !strings.ContainsAny(pattern, "*?[") {
		return []string{pattern}
	}
	c.globs = append(c.globs, pattern)
	found, _ := filepath.Glob(pattern)
	for _, path := range found {
		if info, err := os.Stat(path); err != nil || info.IsDir() || !visible(pattern, path) {
			continue
		}
		list = append(list, path)
		c.listed[path] = true
	}
	return list
}

func visible(pattern, path string) bool {
	return filepath.Base(path)[0] != '.' || filepath.Base(pattern)[0] == '.'
}

// includes reports whether a file of that name would be read by a pattern.
func (c *config) includes(path string) bool {
	return slices.ContainsFunc(c.globs, func(pattern string) bool {
		match, err := filepath.Match(pattern, path)
		return err == nil && match && visible(pattern, path)
	})
}

// absolute is a file name of the configuration.
func (c *config) absolute(name string) string {
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(c.base, name)
}

// shown is a directive in a line, shortened.
func shown(name string, args []string) string {
	const most = 40
	text := strings.Join(append([]string{name}, args...), " ")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}

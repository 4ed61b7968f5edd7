package webconf

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"iwx/lib/fault"
	"iwx/lib/site"
)

// asideEnding is what is put behind the name of a file that is set aside.
const asideEnding = ".iwx-imported"

// Aside says how a file of the configuration is set aside, so that the server
// finds it no more: a link is removed, as a2dissite(8) does, and what it leads to
// stays; a file gets another name. An error says why it cannot be.
func (e *Served) Aside(file string) (site.Aside, error) {
	a := site.Aside{From: file}
	switch extra := e.extra[file]; {
	case !e.config.listed[file]:
		return a, fault.Hint(fault.New(fault.Failed, "stands in %s, which the configuration names", file),
			"move it to a file of its own, in the directory where the server looks for virtual hosts")
	case len(extra) > 0:
		return a, fault.Hint(fault.New(fault.Failed, "shares %s with %s", file, listed(extra)), "move it to a file of its own")
	}
	info, err := os.Lstat(file)
	if err != nil {
		return a, err
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		a.Link, err = os.Readlink(file)
		return a, err
	}
	for _, dir := range []string{filepath.Dir(file), filepath.Dir(filepath.Dir(file))} { // a pattern may be *
		a.To = filepath.Join(dir, filepath.Base(file)+asideEnding)
		if !e.config.includes(a.To) {
			break
		}
	}
	if _, err := os.Lstat(a.To); err == nil {
		return a, fault.Hint(fault.New(fault.Failed, "stands in %s, and there is no room for it at %s", file, a.To), "remove %s, or give it another name", a.To)
	}
	return a, nil
}

// listed are some directives in words.
func listed(texts []string) string {
	const most = 3
	if more := len(texts) - most; more > 0 {
		return strings.Join(texts[:most], ", ") + " and more"
	}
	return strings.Join(texts, ", ")
}

package vhost

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"iwx/lib/fault"
)

// Try has the server test its configuration as it would be after the changes, from
// a copy in the directory scratch, which the caller makes, empty and private, and
// removes. Nothing that the server reads is touched, however it ends. The error
// carries what the server said, with names of files in place of the copies' paths.
//
// As with every test of theirs, apache2 and httpd run what they are told to load,
// and nginx opens the logs that it is told to write.
func (s *Server) Try(ctx context.Context, scratch string, changes []Change) error {
	sites := filepath.Join(scratch, "sites")
	if err := s.copySites(sites, changes); err != nil {
		return err
	}
	config, err := s.copyConfig(scratch, sites)
	if err != nil {
		return err
	}
	if err := s.testOf(ctx, config); err != nil {
		text := strings.NewReplacer(sites+"/", "", config, s.at(s.config)).Replace(err.Error())
		return fault.New(fault.CodeOf(err), "%s", text)
	}
	return nil
}

// copySites makes the directory of virtual hosts as it would be.
func (s *Server) copySites(sites string, changes []Change) error {
	if err := os.Mkdir(sites, 0o755); err != nil {
		return err
	}
	changed := map[string]bool{}
	for _, c := range changes {
		name := filepath.Base(s.File(c.Domain))
		changed[name] = true
		if c.Text == "" {
			continue
		}
		if err := os.WriteFile(filepath.Join(sites, name), []byte(Place(s.Root, c.Text)), 0o644); err != nil {
			return err
		}
	}
	return link(s.at(s.sites), sites, func(name string) bool { return !changed[name] })
}

// copyConfig writes the server's configuration so that it takes its virtual hosts
// from another directory, and returns the path of the copy.
func (s *Server) copyConfig(scratch, sites string) (string, error) {
	text, err := os.ReadFile(s.at(s.config))
	if err != nil {
		return "", err
	}
	include := regexp.MustCompile(`(?im)^([^#\n]*\binclude(?:optional)?\s+["']?)(?:` +
		regexp.QuoteMeta(s.at(s.sites)) + `|` + regexp.QuoteMeta(filepath.Base(s.sites)) + `)/`)
	if !include.Match(text) {
		return "", fault.New(fault.Failed, "%s does not include %s: no site is served from there", s.at(s.config), s.at(s.sites))
	}
	text = include.ReplaceAll(text, []byte("${1}"+strings.ReplaceAll(sites, "$", "$$")+"/"))
	dir := filepath.Join(scratch, "config")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", err
	}
	config := filepath.Join(dir, filepath.Base(s.config))
	if err := os.WriteFile(config, text, 0o644); err != nil {
		return "", err
	}
	// nginx looks for what it includes beside its configuration.
	return config, link(filepath.Dir(s.at(s.config)), dir, func(name string) bool { return name != filepath.Base(s.config) })
}

// link makes links in one directory to what is in another, where want has it.
func link(from, to string, want func(name string) bool) error {
	entries, err := os.ReadDir(from)
	for _, e := range entries {
		if want(e.Name()) {
			err = errors.Join(err, os.Symlink(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())))
		}
	}
	return err
}

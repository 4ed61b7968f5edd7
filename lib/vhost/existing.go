package vhost

import (
	"path/filepath"
	"strings"

	"iwx/lib/webconf"
)

// Existing reads what the server serves beside the sites.
func (s *Server) Existing() (*webconf.Served, error) {
	base := filepath.Dir(s.at(s.config))
	if s.Name == "httpd" {
		base = s.at("/etc/httpd") // as it is compiled in: its configuration is a directory deeper
	}
	return webconf.Read(webconf.Source{Syntax: s.Syntax, File: s.at(s.config), Base: base, Ours: s.ours})
}

// ours reports whether a file is that of a site, or another that iwx has made.
func (s *Server) ours(file string) bool {
	if file == s.File(proxied) {
		return true
	}
	dir, base := filepath.Split(s.File("*"))
	return filepath.Dir(file) == filepath.Clean(dir) && strings.HasPrefix(filepath.Base(file), strings.TrimSuffix(base, "*.conf"))
}

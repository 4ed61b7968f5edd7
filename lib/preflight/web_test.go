package preflight

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"iwx/lib/host"
)

func TestWebServer(t *testing.T) {
	// program is an answer to the listing of modules.
	program := func(t *testing.T, s *Server, config, begins, listing string, err error) {
		write(t, filepath.Join(s.Sys, config), "")
		s.Command = func(_ context.Context, name string, args ...string) ([]byte, error) {
			if name != "sh" || !strings.HasPrefix(args[1], begins) {
				t.Errorf("run: %s %q", name, args)
			}
			return []byte(listing), err
		}
	}
	const apache, httpd, nginx = "etc/apache2/apache2.conf", "etc/httpd/conf/httpd.conf", "etc/nginx/nginx.conf"
	tests := []struct {
		name   string
		change func(*testing.T, *Server)
		want   Result
	}{
		{"none is wanted", func(_ *testing.T, s *Server) { s.WebServer = "none" }, Result{Skip, "web_server is none", ""}},
		{"below a root", func(_ *testing.T, s *Server) { s.Paths = host.At("/tmp/r") }, Result{Skip, "root directory", ""}},
		{"none is there", func(*testing.T, *Server) {}, Result{Warn, "a web server is not installed: this server cannot serve sites", "apt-get -y install apache2; or, for no web server"}},
		{"none is there on Fedora", func(_ *testing.T, s *Server) { s.Facts.OS = host.OS{ID: "fedora"} }, Result{Warn, "not installed", "dnf -y install httpd mod_ssl;"}},
		{"another one is there", func(t *testing.T, s *Server) {
			write(t, filepath.Join(s.Sys, apache), "")
			s.WebServer = "nginx"
		}, Result{Warn, "nginx is not installed", "apt-get -y install nginx;"}},
		{"apache2 as Debian installs it", func(t *testing.T, s *Server) {
			program(t, s, apache, "apache2ctl -M", "Loaded Modules:\n alias_module (shared)\n", nil)
		}, Result{Warn, "apache2 has no module ssl: sites cannot have certificates", "a2enmod ssl && systemctl restart apache2"}},
		{"apache2 with it", func(t *testing.T, s *Server) {
			program(t, s, apache, "apache2ctl -M", "Loaded Modules:\n ssl_module (shared)\n", nil)
		}, Result{OK, "apache2 is installed, with module ssl", ""}},
		{"httpd without it", func(t *testing.T, s *Server) { program(t, s, httpd, "httpd -M", "Loaded Modules:\n", nil) },
			Result{Warn, "httpd has no module ssl", "dnf -y install mod_ssl"}},
		{"nginx with it", func(t *testing.T, s *Server) {
			program(t, s, nginx, "nginx -V", "configure arguments: --with-http_ssl_module", nil)
		}, Result{OK, "nginx is installed", ""}},
		{"nginx without it", func(t *testing.T, s *Server) { program(t, s, nginx, "nginx -V", "configure arguments:", nil) },
			Result{Warn, "nginx has no module http_ssl", "built --with-http_ssl_module"}},
		{"a broken configuration", func(t *testing.T, s *Server) {
			program(t, s, apache, "apache2ctl -M", "Syntax error on line 3\nmore\n", errors.New("exit status 1"))
		}, Result{Warn, "apache2 cannot list its modules: Syntax error on line 3", "apache2ctl -t"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := fake(t)
			tt.change(t, &s)
			for _, role := range []Role{Manager, Node} {
				s.Role = role
				checkOne(t, s, NameWebServer, tt.want)
			}
		})
	}
}

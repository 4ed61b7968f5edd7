package preflight

import (
	"context"
	"strings"

	"iwx/lib/webmodule"
)

// webServer looks for a web server, and for the module that sites with a
// certificate need: Debian installs apache2 without it.
func (s Server) webServer(ctx context.Context) Result {
	switch {
	case s.Paths.Own():
		return ownRoot()
	case s.WebServer == "none":
		return skip("[site] web_server is none in %s", s.Paths.Config)
	}
	for _, web := range []struct{ name, config, syntax, module string }{
		{"apache2", "etc/apache2/apache2.conf", "apache", "ssl"},
		{"httpd", "etc/httpd/conf/httpd.conf", "apache", "ssl"},
		{"nginx", "etc/nginx/nginx.conf", "nginx", "http_ssl"},
	} {
		if s.WebServer != "" && s.WebServer != web.name || !s.exists(web.config) {
			continue
		}
		program := web.name
		if program == "apache2" {
			program = "apache2ctl" // it sets the environment variables of apache2
		}
		// nginx lists its modules on standard error.
		listing, err := s.Command(ctx, "sh", "-c", program+" "+webmodule.Listing(web.syntax)+" 2>&1")
		switch {
		case err != nil:
			return warn(program+" -t", "%s cannot list its modules: %s", web.name, firstLine(string(listing), err))
		case !webmodule.Has(web.syntax, string(listing), web.module):
			return warn(webmodule.Enable(web.name, web.module), "%s has no module %s: sites cannot have certificates", web.name, web.module)
		}
		return ok("%s is installed, with module %s", web.name, web.module)
	}
	p := part{"a web server", nil, "apache2", "httpd mod_ssl"}
	if s.WebServer != "" {
		p = part{s.WebServer, nil, s.WebServer, s.WebServer}
	}
	r := s.present(p)
	r.Detail += ": this server cannot serve sites"
	r.Remedy += `; or, for no web server: [site] web_server = "none" in ` + s.Paths.Config
	return r
}

// firstLine returns the first line of a failed program's output, or how it
// ended.
func firstLine(output string, err error) string {
	if line, _, _ := strings.Cut(strings.TrimSpace(output), "\n"); line != "" {
		return line
	}
	return err.Error()
}

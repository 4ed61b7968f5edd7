// Package webmodule finds out which modules of a web server a configuration needs, which
// of them the server has, and how to enable the others. Without it, a missing module
// shows only after the configuration has changed, when the server refuses it:
// "Invalid command 'SSLEngine', perhaps misspelled or defined by a module not included
// in the server configuration".
//
// It knows the modules that virtual hosts of sites use, by the directives in the
// servers' own documentation. A directive that it does not know needs no module. It runs
// no programs and reads no files.
package webmodule

import (
	"regexp"
	"slices"
	"strings"
)

// Need is a module that a configuration needs, and the first directive that needs it.
type Need struct {
	Module    string // "ssl", "proxy_fcgi"; of nginx "http_ssl"
	Directive string // as it is written: "SSLEngine"
}

// apacheModules returns the modules of Apache's directives, which are in lower case. A
// trailing * stands for all directives with that prefix.
func apacheModules() map[string]string {
	return map[string]string{
		"ssl*":     "ssl",
		"rewrite*": "rewrite",
		"header":   "headers", "requestheader": "headers",
		"proxypass*": "proxy", "proxypreserve*": "proxy", "proxyset": "proxy", "<proxy": "proxy", "<proxymatch": "proxy",
		"proxyfcgi*": "proxy_fcgi",
		"remoteip*":  "remoteip",
		"expires*":   "expires",
		"<macro":     "macro", "use": "macro",
		"redirect*": "alias", "alias*": "alias", "scriptalias*": "alias",
		"php_*":            "php",
		"deflate*":         "deflate",
		"brotli*":          "brotli",
		"suexec*":          "suexec",
		"assignuserid":     "mpm_itk",
		"wsgi*":            "wsgi",
		"sec*":             "security2",
		"virtualdocument*": "vhost_alias", "virtualscript*": "vhost_alias",
		"substitute*": "substitute",
		"h2*":         "http2",
		"dav":         "dav", "davlockdb": "dav_fs",
		"cgidscriptsock": "cgid",
		"auth_basic*":    "auth_basic", "authbasic*": "auth_basic", "authuserfile": "authn_file",
		"extfilter*": "ext_filter",
	}
}

// OfDirective returns the module that a directive belongs to, or "" if it is unknown.
// syntax is "apache" or "nginx".
func OfDirective(syntax, directive string) string {
	name := strings.ToLower(directive)
	if syntax == "nginx" {
		return nginxModules()[name]
	}
	if module := apacheModules()[name]; module != "" {
		return module
	}
	for pattern, module := range apacheModules() {
		if prefix, is := strings.CutSuffix(pattern, "*"); is && strings.HasPrefix(name, prefix) {
			return module
		}
	}
	return ""
}

// nginxModules returns the modules of nginx's directives, as far as nginx may be built
// without them. "listen ssl" stands for the parameter ssl of listen.
func nginxModules() map[string]string {
	return map[string]string{
		"listen ssl": "http_ssl", "ssl_certificate": "http_ssl", "ssl_certificate_key": "http_ssl", "ssl_protocols": "http_ssl",
		"set_real_ip_from": "http_realip", "real_ip_header": "http_realip",
		"listen http2": "http_v2",
		"gunzip":       "http_gunzip", "gzip_static": "http_gzip_static",
		"sub_filter": "http_sub", "auth_request": "http_auth_request", "secure_link": "http_secure_link",
		"more_set_headers": "http_headers_more_filter", "more_clear_headers": "http_headers_more_filter",
		"brotli": "http_brotli_filter", "geoip2": "http_geoip2",
	}
}

// Needs returns the modules that a configuration needs unconditionally, each once. It
// skips the content of <IfModule>.
func Needs(syntax, text string) (list []Need) {
	add := func(module, directive string) {
		if module != "" && !slices.ContainsFunc(list, func(n Need) bool { return n.Module == module }) {
			list = append(list, Need{module, directive})
		}
	}
	if syntax == "nginx" {
		nginxNeeds(text, add)
	} else {
		apacheNeeds(text, add)
	}
	return list
}

func apacheNeeds(text string, add func(module, directive string)) {
	conditional := 0 // <IfModule> that are open
	for line := range strings.Lines(strings.ReplaceAll(text, "\\\n", " ")) {
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		switch strings.ToLower(words[0]) {
		case "<ifmodule":
			conditional++
		case "</ifmodule>":
			conditional--
		}
		if conditional > 0 {
			continue
		}
		add(OfDirective("apache", words[0]), words[0])
		apacheHandlers(words, add)
	}
}

// apacheHandlers adds the modules that the arguments of a directive need: the scheme
// selects one, as in SetHandler "proxy:unix:/run/php.sock|fcgi://localhost".
func apacheHandlers(words []string, add func(module, directive string)) {
	directive := strings.ToLower(words[0])
	isProxy := strings.HasPrefix(directive, "proxypass") || directive == "sethandler" || directive == "addhandler"
	if !isProxy {
		return
	}
	arguments := strings.ToLower(strings.Join(words[1:], " "))
	if strings.Contains(arguments, "proxy:") {
		add("proxy", words[0])
	}
	for scheme, module := range map[string]string{
		"fcgi://": "proxy_fcgi", "http://": "proxy_http", "https://": "proxy_http", "ws://": "proxy_wstunnel", "wss://": "proxy_wstunnel",
		"ajp://": "proxy_ajp", "uwsgi://": "proxy_uwsgi", "scgi://": "proxy_scgi", "balancer://": "proxy_balancer",
	} {
		if regexp.MustCompile(`(^|[\s"'|:])` + scheme).MatchString(arguments) {
			add(module, words[0])
		}
	}
}

func nginxNeeds(text string, add func(module, directive string)) {
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		for statement := range strings.FieldsFuncSeq(line, func(r rune) bool { return r == ';' || r == '{' || r == '}' }) {
			words := strings.Fields(statement)
			if len(words) == 0 {
				continue
			}
			add(OfDirective("nginx", words[0]), words[0])
			for _, parameter := range words[1:] {
				if words[0] == "listen" {
					add(OfDirective("nginx", "listen "+parameter), "listen … "+parameter)
				}
			}
		}
	}
}

// Listing returns the arguments with which a server's program lists its modules,
// httpd(8) and nginx(8).
func Listing(syntax string) string {
	if syntax == "nginx" {
		return "-V"
	}
	return "-M"
}

// Has reports whether the listing of a server has the module.
func Has(syntax, listing, module string) bool {
	if syntax == "nginx" {
		// nginx -V does not show whether a dynamic module is loaded.
		return !isBuiltin(module) || strings.Contains(listing, "--with-"+module+"_module")
	}
	return regexp.MustCompile(`(?m)^ *` + regexp.QuoteMeta(module) + `\d*_module \(`).MatchString(listing)
}

// isBuiltin reports whether a module of nginx comes with nginx itself.
func isBuiltin(module string) bool {
	return module != "http_headers_more_filter" && module != "http_brotli_filter" && module != "http_geoip2"
}

// Enable returns the command that enables the module. server is apache2, as on Debian,
// httpd, as on Fedora, or nginx. Running the command again is safe.
func Enable(server, module string) string {
	switch server {
	case "apache2":
		install := map[string]string{
			"php": "libapache2-mod-php", "mpm_itk": "libapache2-mpm-itk", "wsgi": "libapache2-mod-wsgi-py3", "security2": "libapache2-mod-security2",
		}[module]
		if install != "" {
			return "apt-get -y install " + install
		}
		return "a2enmod " + module + " && systemctl restart apache2"
	case "httpd":
		install := map[string]string{"ssl": "mod_ssl", "php": "php", "wsgi": "python3-mod_wsgi", "security2": "mod_security", "http2": "mod_http2"}[module]
		if install != "" {
			return "dnf -y install " + install + " && systemctl restart httpd"
		}
		return `echo "LoadModule ` + module + `_module modules/mod_` + module + `.so" >/etc/httpd/conf.modules.d/90-` + module + `.conf && systemctl restart httpd`
	}
	if isBuiltin(module) {
		return "install an nginx that was built --with-" + module + "_module, such as the distribution's"
	}
	return "apt-get -y install libnginx-mod-" + strings.ReplaceAll(module, "_", "-")
}

// Lacking returns the missing module and the directive from the message of a server that
// refuses its configuration, or a zero Need if the message is about something else.
func Lacking(syntax, message string) (n Need) {
	unknown := `Invalid command '([^']+)'`
	if syntax == "nginx" {
		unknown = `unknown directive "([^"]+)"`
	}
	if found := regexp.MustCompile(unknown).FindStringSubmatch(message); found != nil {
		n = Need{OfDirective(syntax, found[1]), found[1]}
	}
	if strings.Contains(message, "requires ngx_http_ssl_module") || strings.Contains(message, `requires the "ngx_http_ssl_module"`) {
		n = Need{"http_ssl", "listen … ssl"}
	}
	if n.Module == "" {
		return Need{}
	}
	return n
}

package webmodule

import (
	"slices"
	"strings"
	"testing"
)

func TestNeeds(t *testing.T) {
	for _, tt := range []struct{ name, syntax, text, want string }{
		{"a site with TLS", "apache", "<VirtualHost *:443>\n\tSSLEngine on\n\tSSLCertificateFile \"/x.pem\"\n</VirtualHost>\n", "ssl:SSLEngine"},
		{"any case", "apache", "sslengine ON\n", "ssl:sslengine"},
		{"a comment", "apache", "# SSLEngine on\n", ""},
		{"where there is the module", "apache", "<IfModule mod_ssl.c>\n<IfModule x>\n</IfModule>\nSSLEngine on\n</IfModule>\nHeader set X 1\n", "headers:Header"},
		{"php-fpm", "apache", `<FilesMatch \.php$>` + "\n\tSetHandler \"proxy:unix:/run/php/a.sock|fcgi://localhost\"\n", "proxy:SetHandler proxy_fcgi:SetHandler"},
		{"a back end", "apache", "ProxyPass / http://127.0.0.1:3000/\n", "proxy:ProxyPass proxy_http:ProxyPass"},
		{"over two lines", "apache", "ProxyPass / \\\n  https://127.0.0.1/\n", "proxy:ProxyPass proxy_http:ProxyPass"},
		{"macros", "apache", "Use Site example.org\n", "macro:Use"},
		{"clients behind a balancer", "apache", "RemoteIPHeader X-Forwarded-For\n", "remoteip:RemoteIPHeader"},
		{"rewriting", "apache", "RewriteEngine on\nRewriteRule ^ - [F]\n", "rewrite:RewriteEngine"},
		{"nothing", "apache", "DocumentRoot /srv\nUseCanonicalName On\nOptions None\n", ""},
		{"a site with TLS", "nginx", "server { listen 443 ssl;\n ssl_certificate x; }\n", "http_ssl:listen … ssl"},
		{"HTTP 2", "nginx", "server { listen [::]:443 http2; } # ssl", "http_v2:listen … http2"},
		{"clients behind a balancer", "nginx", "set_real_ip_from 192.0.2.1; real_ip_header X-Forwarded-For;", "http_realip:set_real_ip_from"},
		{"nothing", "nginx", "server { listen 80; root /srv; }", ""},
	} {
		var got []string
		for _, n := range Needs(tt.syntax, tt.text) {
			got = append(got, n.Module+":"+n.Directive)
		}
		slices.Sort(got)
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s, %s: %q, want %q", tt.syntax, tt.name, got, tt.want)
		}
	}
}

func TestHas(t *testing.T) {
	const apache = "Loaded Modules:\n core_module (static)\n ssl_module (shared)\n php7_module (shared)\n proxy_fcgi_module (shared)\n"
	const nginx = "configure arguments: --with-http_ssl_module --with-http_v2_module"
	for _, tt := range []struct {
		syntax, listing, module string
		want                    bool
	}{
		{"apache", apache, "ssl", true}, {"apache", apache, "php", true}, {"apache", apache, "proxy_fcgi", true},
		{"apache", apache, "proxy", false}, {"apache", apache, "fcgi", false}, {"apache", "", "ssl", false},
		{"nginx", nginx, "http_ssl", true}, {"nginx", nginx, "http_realip", false}, {"nginx", nginx, "http_geoip2", true},
	} {
		if got := Has(tt.syntax, tt.listing, tt.module); got != tt.want {
			t.Errorf("%s %s: %v", tt.syntax, tt.module, got)
		}
	}
}

func TestLacking(t *testing.T) {
	for _, tt := range []struct{ syntax, message, module string }{
		{"apache", "AH00526: Syntax error on line 9 of x.conf:\nInvalid command 'SSLEngine', perhaps misspelled or defined by a module not included", "ssl"},
		{"apache", "Invalid command '<Macro', perhaps misspelled", "macro"},
		{"apache", "Invalid command 'NoSuchDirective', perhaps misspelled", ""},
		{"apache", "SSLCertificateFile: file '/x' does not exist", ""},
		{"nginx", `nginx: [emerg] unknown directive "more_set_headers" in x.conf:3`, "http_headers_more_filter"},
		{"nginx", `nginx: [emerg] the "ssl" parameter requires ngx_http_ssl_module in x.conf:3`, "http_ssl"},
		{"nginx", `nginx: [emerg] unknown directive "nosuch" in x.conf:3`, ""},
	} {
		if got := Lacking(tt.syntax, tt.message); got.Module != tt.module {
			t.Errorf("%q: %+v, want %q", tt.message, got, tt.module)
		}
	}
}

func TestEnable(t *testing.T) {
	for _, tt := range []struct{ server, module, want string }{
		{"apache2", "ssl", "a2enmod ssl && systemctl restart apache2"},
		{"apache2", "php", "apt-get -y install libapache2-mod-php"},
		{"httpd", "ssl", "dnf -y install mod_ssl && systemctl restart httpd"},
		{"httpd", "macro", `echo "LoadModule macro_module modules/mod_macro.so" >/etc/httpd/conf.modules.d/90-macro.conf && systemctl restart httpd`},
		{"nginx", "http_headers_more_filter", "apt-get -y install libnginx-mod-http-headers-more-filter"},
	} {
		if got := Enable(tt.server, tt.module); got != tt.want || strings.Contains(got, "'") {
			t.Errorf("%s %s: %q, want %q", tt.server, tt.module, got, tt.want)
		}
	}
}

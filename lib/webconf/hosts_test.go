package webconf

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// say is what was found, in lines: names, files, root, certificate, and why not.
func say(root string, list []Found) string {
	var b strings.Builder
	for _, f := range list {
		fmt.Fprintf(&b, "%s: %s at %s", strings.Join(f.Names, " "), f.Root, strings.Join(f.Files, " "))
		if f.Certificate != "" {
			fmt.Fprintf(&b, ", %s %s%s", f.Certificate, f.Key, f.Chain)
		}
		for _, text := range f.Left {
			fmt.Fprintf(&b, "; left %s", text)
		}
		for _, err := range f.Obstacles {
			fmt.Fprintf(&b, "; %v", err)
		}
		b.WriteString("\n")
	}
	return strings.NewReplacer(root+"/etc/apache2/sites-enabled/", "", root+"/etc/nginx/conf.d/", "", root+"/etc/", "/etc/").Replace(b.String())
}

// configured is a server that includes all that is in a directory, below a root of
// its own.
func configured(t *testing.T, server string) (from Source, root string) {
	t.Helper()
	root = t.TempDir()
	from = Source{Syntax: "apache", Base: filepath.Join(root, "etc", server), Ours: func(string) bool { return false }}
	text := "ServerRoot " + from.Base + "\nListen 80\nIncludeOptional sites-enabled/*.conf\n"
	if server == "nginx" {
		from.Syntax, text = server, "events {}\nhttp { access_log off; include conf.d/*.conf; }\n"
	}
	from.File = filepath.Join(from.Base, server+".conf")
	write(t, from.File, text)
	if err := os.Mkdir(sites(from), 0o755); err != nil {
		t.Fatal(err)
	}
	return from, root
}

// sites is the directory that is included.
func sites(from Source) string {
	if from.Syntax == "nginx" {
		return filepath.Join(from.Base, "conf.d")
	}
	return filepath.Join(from.Base, "sites-enabled")
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestRead(t *testing.T) {
	tests := []struct{ name, server, text, want string }{
		{"plain, with what every one has", "apache2", `
# a comment with \
<VirtualHost>
<virtualhost *:80 [::]:80>
	servername "example.org"
	ServerAlias www.example.org \
		static.example.org
	DocumentRoot '/var/www/my site'
	ErrorLog ${APACHE_LOG_DIR}/error.log
	<Directory "/var/www/my site/">
		Options -Indexes +FollowSymLinks
		AllowOverride All
		Require all granted
	</Directory>
	<Directory />
		AllowOverride None
	</Directory>
</virtualhost>`, "example.org www.example.org static.example.org: /var/www/my site at x.conf\n"},
		{"two ports, the first sends to the second as certbot has it", "apache2", `
<VirtualHost *:80>
	ServerName example.org
	ServerAlias www.example.org
	DocumentRoot /var/www/a
	RewriteEngine on
	RewriteCond %{SERVER_NAME} =www.example.org [OR]
	RewriteCond %{SERVER_NAME} =example.org
	RewriteRule ^ https://%{SERVER_NAME}%{REQUEST_URI} [END,NE,R=permanent]
</VirtualHost>
<IfModule mod_ssl.c>
<VirtualHost *:443>
	ServerName https://www.example.org:443
	ServerAlias example.org
	DocumentRoot /var/www/a
	SSLEngine on
	SSLCertificateFile ssl/a.pem
	SSLCertificateKeyFile /k.pem
	SSLProtocol all -SSLv3
</VirtualHost>
</IfModule>`, "www.example.org example.org: /var/www/a at x.conf, /etc/apache2/ssl/a.pem /k.pem\n"},
		{"what is not carried", "apache2", `
<VirtualHost *:80>
	ServerName a.example
	DocumentRoot /a
	ProxyPass /api http://127.0.0.1:8080/
	<Location /x>
		Require ip 127.0.0.1
	</Location>
	<Directory /a>
		Options Indexes
		AllowOverride None
	</Directory>
	<Directory /b>
	</Directory>
</VirtualHost>`, "a.example: /a at x.conf; left ProxyPass /api http://127.0.0.1:8080/; left Location /x; left Options Indexes; left AllowOverride None; left Directory /b\n"},
		{"variables", "apache2", `
Define base /data/www
<IfDefine base>
<VirtualHost *:80>
	ServerName a.example
	DocumentRoot ${base}/a
</VirtualHost>
</IfDefine>
<IfDefine !base>
<VirtualHost *:80>
	ServerName never.example
</VirtualHost>
</IfDefine>
<VirtualHost *:80>
	ServerName b.example
	DocumentRoot ${none}/a
</VirtualHost>`, "a.example: /data/www/a at x.conf\nb.example: /etc/apache2/${none}/a at x.conf; has a variable without a value, in /etc/apache2/${none}/a\n"},
		{"names and places that no site has", "apache2", `
<VirtualHost 192.0.2.1:80>
	ServerName a.example
	DocumentRoot /a
</VirtualHost>
<VirtualHost *:8080>
	ServerName b.example
	ServerAlias *.b.example
	DocumentRoot /b
</VirtualHost>
<VirtualHost _default_:80>
	DocumentRoot /c
</VirtualHost>
<VirtualHost *:80>
	ServerName d.example
	Redirect permanent / https://elsewhere.example/
</VirtualHost>
<VirtualHost *:80>
	ServerName e.example
	Redirect / https://e.example/
</VirtualHost>`, `a.example: /a at x.conf; is bound to the address 192.0.2.1:80, and templates are to all
b.example *.b.example: /b at x.conf; answers to *.b.example, which is more than one name; is at port 8080, and templates are at 80 and 443
: /c at x.conf; has no name of its own
d.example:  at x.conf; only sends to elsewhere.example
e.example:  at x.conf; sends to HTTPS, and is not there
`},
		{"the same name twice, and two roots", "apache2", `
<VirtualHost *:80>
	ServerName a.example
	DocumentRoot /a
</VirtualHost>
<VirtualHost *:80>
	ServerName b.example
	ServerAlias A.example.
	DocumentRoot /b
</VirtualHost>`, "a.example b.example: /a at x.conf; has two document roots, /a and /b; has a second virtual host with the same name, a.example:80\n"},
		{"nginx, with certbot's lines", "nginx", `
server {
	server_name example.org www.example.org; # managed
	root "/var/www/it's";
	index index.html;
	location / { try_files $uri $uri/ =404; }
	listen [::]:443 ssl ipv6only=on http2;
	listen 443 ssl;
	ssl_certificate /c.pem;
	ssl_certificate_key k.pem;
}
server {
	if ($host = www.example.org) {
		return 301 https://$host$request_uri;
	}
	listen 80; listen [::]:80;
	server_name example.org www.example.org;
	return 404;
}`, "example.org www.example.org: /var/www/it's at x.conf, /c.pem /etc/nginx/k.pem\n"},
		{"nginx, www sent to the other, and one server for both ports", "nginx", `
server { listen 443 ssl; server_name www.a.example; ssl_certificate /w.pem; ssl_certificate_key /w.key; return 301 https://a.example$request_uri; }
server { listen 80; listen 443 ssl; server_name a.example www.a.example; root /a; ssl_certificate /c.pem; ssl_certificate_key /c.key;
	if ($scheme = http) { return 301 https://$host$request_uri; }
	if ($host = old.example) { return 301 https://a.example$request_uri; }
}`, "a.example www.a.example: /a at x.conf, /c.pem /c.key; left if ($host = old.example); has a second virtual host with the same name, www.a.example:443\n"},
		{"nginx, what is not carried", "nginx", `
server { listen 80 default_server; server_name _; root /a; return 444; }
server { listen unix:/run/x; server_name ~^(?<x>.+)\.example\.org$ .b.example; root /var/www/$host; }
server { server_name c.example; root html; index index.php; location ~ \.php$ { fastcgi_pass unix:/run/php; } location / { proxy_pass http://x; } }
`, `_: /a at x.conf; left return 444; is the one for names that no other has, default_server; answers to any name
~^(?<x>.+)\.example\.org$ .b.example: /var/www/$host at x.conf; answers to ~^(?<x>.+)\.example\.org$, which is more than one name; answers to .b.example, which is more than one name; has a variable without a value, in /var/www/$host; is bound to the address unix:/run/x, and templates are to all
c.example: html at x.conf; left index index.php; left location ~ \.php$; left proxy_pass http://x; has a document root that is not absolute, html
`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			from, root := configured(t, tt.server)
			write(t, filepath.Join(sites(from), "x.conf"), tt.text)
			e, err := Read(from)
			if err != nil {
				t.Fatal(err)
			}
			if got := say(root, e.Found); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

// TestAsides holds which files can be set aside: none that the configuration
// names, or that have something else in them.
func TestAsides(t *testing.T) {
	from, root := configured(t, "apache2")
	dir := sites(from)
	one := "<VirtualHost *:80>\nServerName %s.example\nDocumentRoot /%[1]s\n</VirtualHost>\n"
	write(t, filepath.Join(dir, "plain.conf"), fmt.Sprintf(one, "plain"))
	write(t, filepath.Join(dir, "more.conf"), "Listen 8080\n"+fmt.Sprintf(one, "more"))
	write(t, filepath.Join(dir, "taken.conf"), fmt.Sprintf(one, "taken"))
	write(t, filepath.Join(dir, "taken.conf.iwx-imported"), "")
	write(t, filepath.Join(dir, "named.conf"), "Include named.inc\n")
	write(t, filepath.Join(from.Base, "named.inc"), fmt.Sprintf(one, "named"))
	write(t, filepath.Join(from.Base, "sites-available/link.conf"), fmt.Sprintf(one, "link"))
	if err := os.Symlink("../sites-available/link.conf", filepath.Join(dir, "link.conf")); err != nil {
		t.Fatal(err)
	}
	e, err := Read(from)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range e.Found {
		a, err := e.Aside(f.Files[0])
		got = append(got, strings.ReplaceAll(fmt.Sprint(f.Names[0], " ", filepath.Base(a.To), " ", a.Link, " ", err), root, ""))
	}
	want := []string{
		"link.example . ../sites-available/link.conf <nil>",
		"more.example .  shares /etc/apache2/sites-enabled/more.conf with Listen 8080",
		"named.example .  stands in /etc/apache2/named.inc, which the configuration names",
		"plain.example plain.conf.iwx-imported  <nil>",
		"taken.example taken.conf.iwx-imported  stands in /etc/apache2/sites-enabled/taken.conf, and there is no room for it at /etc/apache2/sites-enabled/taken.conf.iwx-imported",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestIncludes holds that circles of includes end, and that errors name file and
// line.
func TestIncludes(t *testing.T) {
	from, _ := configured(t, "nginx")
	path := filepath.Join(sites(from), "x.conf")
	for text, want := range map[string]string{
		"include conf.d/*.conf;":        "includes are nested too deep, or are too many",
		"server {\n\tlisten 80;\n":      path + ":1: block of server is not closed",
		"server {\n listen 80 }\n}\n":   path + ":2: directive listen has no end",
		"map $a \"b { }\n":              path + ":1: a quote is not closed",
		"include none.conf none/*.x;\n": "",
	} {
		write(t, path, text)
		_, err := Read(from)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"a b;", "server { listen 80; # x\n}", "<VirtualHost *:80>\nServerName \"a\\\"b\" \\\nc\n</VirtualHost>", "${a}{", "\\", "'", "<>\n</>", "x ${ y;"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		lines := strings.Count(text, "\n") + 1
		for _, parse := range []func(string) ([]directive, error){parseApache, parseNginx} {
			list, err := parse(text)
			if bad, is := err.(*syntaxError); err != nil && (!is || bad.line < 1 || bad.line > lines) {
				t.Fatalf("%v", err)
			}
			for _, d := range list {
				if d.line < 1 || d.line > lines {
					t.Fatalf("%+v", d)
				}
			}
			c := &config{base: "/", defined: map[string]string{}, listed: map[string]bool{}}
			e := &Served{config: c, extra: map[string][]string{}}
			list = slices.DeleteFunc(list, func(d directive) bool { return strings.HasPrefix(d.name, "include") })
			for i := range list {
				expandApache(c, &list[i])
			}
			for _, g := range together(append(e.apache(list), e.nginx([]directive{{name: "http", body: list}})...)) {
				g.found()
			}
		}
	})
}

package tool_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// apacheConfig is that of an apache2 below a root directory, as Debian lays it
// out.
const apacheConfig = `
ServerName localhost
ServerRoot ROOT/etc/apache2
PidFile ROOT/run/apache2/apache2.pid
DefaultRuntimeDir ROOT/run/apache2
ErrorLog ROOT/var/log/apache2/error.log
LogFormat "%h %s \"%r\"" short
CustomLog ROOT/var/log/apache2/access.log short
LogLevel notice
User www-data
Group www-data
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule alias_module /usr/lib/apache2/modules/mod_alias.so
LoadModule dir_module /usr/lib/apache2/modules/mod_dir.so
LoadModule ssl_module /usr/lib/apache2/modules/mod_ssl.so
Listen ADDR:80
Listen ADDR:443
Mutex posixsem
<Directory />
	Require all denied
</Directory>
IncludeOptional sites-enabled/*.conf
`

// nginxConfig is that of an nginx below a root directory, as Debian lays it out.
const nginxConfig = `
daemon off;
pid ROOT/run/nginx.pid;
error_log ROOT/var/log/nginx/error.log;
user www-data;
events { worker_connections 64; }
http {
	log_format short '$remote_addr $status "$request"';
	access_log ROOT/var/log/nginx/access.log short;
	client_body_temp_path ROOT/var/lib/nginx/body; proxy_temp_path ROOT/var/lib/nginx/proxy; fastcgi_temp_path ROOT/var/lib/nginx/fastcgi;
	uwsgi_temp_path ROOT/var/lib/nginx/uwsgi; scgi_temp_path ROOT/var/lib/nginx/scgi;
	server { listen ADDR:80; return 204; }
	include ROOT/etc/nginx/conf.d/*.conf;
}
`

// apache runs an apache2 below a root directory, and waits until it answers. It
// ends with the script.
func apache(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: apache ROOT ADDR")
	}
	root := layOut(ts, args, "etc/apache2/apache2.conf", apacheConfig, "etc/apache2/sites-enabled", "run/apache2", "var/log/apache2")
	service(ts, root, args[1]+":80", exec.Command("apache2", "-f", filepath.Join(root, "etc/apache2/apache2.conf"), "-DFOREGROUND"))
}

// nginx runs an nginx below a root directory, and waits until it answers. It ends
// with the script.
func nginx(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: nginx ROOT ADDR")
	}
	root := layOut(ts, args, "etc/nginx/nginx.conf", nginxConfig, "etc/nginx/conf.d", "run", "var/log/nginx", "var/lib/nginx")
	service(ts, root, args[1]+":80", exec.Command("nginx", "-c", filepath.Join(root, "etc/nginx/nginx.conf")))
}

// layOut makes the directories and the configuration of a web server for ROOT and
// ADDR, and returns the root.
func layOut(ts *testscript.TestScript, args []string, config, text string, dirs ...string) (root string) {
	root = ts.MkAbs(args[0])
	for _, dir := range append(dirs, filepath.Dir(config)) {
		ts.Check(os.MkdirAll(filepath.Join(root, dir), 0o755))
	}
	ts.Check(os.WriteFile(filepath.Join(root, config), []byte(strings.NewReplacer("ROOT", root, "ADDR", args[1]).Replace(text)), 0o644))
	for dir := root; dir != "/" && dir != os.TempDir(); dir = filepath.Dir(dir) { // its workers are not root
		ts.Check(os.Chmod(dir, 0o755))
	}
	return root
}

// ask is a program: ask ADDR URL [WANT] prints the status with which the web
// server at ADDR answers, where it redirects to, and the body. With WANT it
// fails unless that is in the line.
func ask() { os.Exit(asked(os.Args[1:], os.Stdout, os.Stderr)) }

func asked(args []string, stdout, stderr io.Writer) int {
	if len(args) < 2 || len(args) > 3 {
		fmt.Fprintln(stderr, "usage: ask ADDR URL [WANT]")
		return 2
	}
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	client := http.Client{
		Timeout:       10 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // the test's own certificate
			DialContext: func(ctx context.Context, network, where string) (net.Conn, error) {
				_, port, _ := net.SplitHostPort(where)
				return dialer.DialContext(ctx, network, net.JoinHostPort(args[0], port))
			},
		},
	}
	answer, err := client.Get(args[1])
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	line := fmt.Sprintf("%d %s%s", answer.StatusCode, answer.Header.Get("Location"), strings.TrimSpace(string(body)))
	fmt.Fprintln(stdout, line)
	if len(args) == 3 && !strings.Contains(line, args[2]) {
		return 1
	}
	return 0
}

package health

import (
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"iwx/lib/testenv"
)

// program is a server as Debian has it, with settings of the test's own, in a
// folder and at ports of its own.
type program struct {
	dir string
	pid int
	log string // the name of the file in which it tells of connections

	ports map[string]uint16 // by the names that settings have for them: "{http}"
}

// install returns a folder for a program's files, which users that it runs as
// can enter, with a certificate for mail.example in it.
func install(t *testing.T) *program {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	writeCertificate(t, dir, certificate(t, "mail.example", -day, 90*day))
	return &program{dir: dir, log: filepath.Join(dir, "log"), ports: map[string]uint16{}}
}

// holdPort returns a port that nobody else has, and gives it up when it is told to:
// as long as it is held, no other call returns it.
func holdPort(t *testing.T) (port uint16, release func() error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return netip.MustParseAddrPort(l.Addr().String()).Port(), l.Close
}

// write writes a file of settings: "{dir}" is the folder, any other "{name}" a
// port.
func (p *program) write(t *testing.T, name, settings string) {
	t.Helper()
	settings = strings.ReplaceAll(settings, "{dir}", p.dir)
	for _, part := range strings.Split(settings, "{")[1:] {
		port, _, ok := strings.Cut(part, "}")
		if !ok || strings.Trim(port, "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
			continue
		}
		if p.ports[port] == 0 {
			number, release := holdPort(t)
			defer release()
			p.ports[port] = number
		}
		settings = strings.ReplaceAll(settings, "{"+port+"}", strconv.Itoa(int(p.ports[port])))
	}
	write(t, filepath.Join(p.dir, name), settings)
}

// start runs the program in the foreground, with all its children in a group,
// which ends with the test.
func (p *program) start(t *testing.T, argv ...string) {
	t.Helper()
	testenv.Need(t, argv[0])
	name, err := exec.LookPath(argv[0])
	if err != nil {
		t.Fatal(err)
	}
	for n := range argv {
		argv[n] = strings.ReplaceAll(argv[n], "{dir}", p.dir)
	}
	cmd := exec.Command(name, argv[1:]...)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &out, &out, 5*time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.pid = cmd.Process.Pid
	t.Cleanup(func() {
		syscall.Kill(-p.pid, syscall.SIGCONT)
		syscall.Kill(-p.pid, syscall.SIGKILL)
		cmd.Wait()
		if log, _ := os.ReadFile(p.log); t.Failed() {
			t.Logf("%s: %s\n%s", argv[0], out.String(), log)
		}
	})
}

// signal sends a signal to the program and all its children.
func (p *program) signal(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(-p.pid, sig); err != nil {
		t.Fatal(err)
	}
}

// logged is what the program has told of connections.
func (p *program) logged(t *testing.T) string {
	t.Helper()
	log, err := os.ReadFile(p.log)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(log)
}

func (p *program) addr(host, port string) netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr(host), p.ports[port])
}

// probe probes a port as one would by default.
func (p *program) probe(t *testing.T, kind Kind, addr netip.AddrPort, change func(*Check)) Result {
	t.Helper()
	return probe(t, kind, addr, func(c *Check) {
		c.Host = "mail.example"
		if change != nil {
			change(c)
		}
	})
}

// until probes until that gives a word, which is not long.
func (p *program) until(t *testing.T, word Word, ask func() Result) Result {
	t.Helper()
	deadline, ticker := time.After(testenv.Wait()), time.NewTicker(20*time.Millisecond)
	defer ticker.Stop()
	for {
		r := ask()
		if r.Word == word {
			return r
		}
		select {
		case <-deadline:
			t.Fatalf("still %s: %s", r.Word, r.Reason)
		case <-ticker.C:
		}
	}
}

// port is a port of a program, and what it speaks.
type port struct {
	name  string
	kind  Kind
	proxy bool
}

// works checks that the program answers all probes, at all levels, on both
// families.
func (p *program) works(t *testing.T, ports ...port) {
	t.Helper()
	for _, port := range ports {
		for _, host := range []string{"127.0.0.1", "::1"} {
			addr := p.addr(host, port.name)
			p.until(t, Good, func() Result {
				return p.probe(t, port.kind, addr, func(c *Check) { c.Proxy = port.proxy })
			})
			levels := []Level{Connect, Speak}
			if port.kind != HTTP {
				levels = append(levels, Certificate)
			}
			for _, level := range levels {
				r := p.probe(t, port.kind, addr, func(c *Check) { c.Level, c.Proxy = level, port.proxy })
				if r.Word != Good {
					t.Errorf("%s, %s, at %s: %s: %s", port.name, level, host, r.Word, r.Reason)
				}
			}
		}
		r := p.probe(t, port.kind, p.addr("127.0.0.1", port.name), func(c *Check) { c.Proxy, c.Timeout = !port.proxy, silence })
		if r.Word.Up() {
			t.Errorf("%s: %s, PROXY header or not", port.name, r.Word)
		}
	}
}

// dies checks what is found when the program hangs, when it goes on, and when
// it is killed.
func (p *program) dies(t *testing.T, port port, reason string) {
	t.Helper()
	ask := func() Result {
		return p.probe(t, port.kind, p.addr("127.0.0.1", port.name), func(c *Check) { c.Timeout = silence })
	}
	p.signal(t, syscall.SIGSTOP)
	if r := p.until(t, Silent, ask); r.Reason != reason {
		t.Errorf("it hangs: %s", r.Reason)
	}
	p.signal(t, syscall.SIGCONT)
	p.until(t, Good, ask)
	p.signal(t, syscall.SIGKILL)
	p.until(t, Refused, ask)
}

// knocked checks that a program has nothing to tell of knocks, and of probes at
// their own level it has.
func (p *program) knocked(t *testing.T, port port, word string) {
	t.Helper()
	before := strings.Count(p.logged(t), word)
	knock := func(c *Check) { c.Level = Connect }
	for range 100 {
		if r := p.probe(t, port.kind, p.addr("127.0.0.1", port.name), knock); r.Word != Good {
			t.Fatal(r)
		}
	}
	p.probe(t, port.kind, p.addr("127.0.0.1", port.name), nil)
	p.until(t, Good, func() Result {
		if strings.Count(p.logged(t), word) == before {
			return Result{Word: Silent, Reason: "it has logged no connection"}
		}
		return Result{Word: Good}
	})
	if after := strings.Count(p.logged(t), word); after > before+10 { // for the probe, and for some before it
		t.Errorf("%d lines more", after-before)
	}
}

func TestProbeApache(t *testing.T) {
	p := install(t)
	p.write(t, "apache2.conf", `
ServerName mail.example
ServerRoot {dir}
PidFile {dir}/pid
DefaultRuntimeDir {dir}
ErrorLog {dir}/error.log
LogFormat "%a \"%r\" %>s" short
CustomLog {dir}/log short
User www-data
Group www-data
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule alias_module /usr/lib/apache2/modules/mod_alias.so
LoadModule ssl_module /usr/lib/apache2/modules/mod_ssl.so
LoadModule remoteip_module /usr/lib/apache2/modules/mod_remoteip.so
DocumentRoot {dir}
RedirectMatch 302 ^/$ /home
RedirectMatch 503 ^/broken
Listen 127.0.0.1:{http}
Listen [::1]:{http}
Listen 127.0.0.1:{https}
Listen [::1]:{https}
Listen 127.0.0.1:{proxied}
Listen [::1]:{proxied}
<VirtualHost *:{https}>
SSLEngine on
SSLCertificateFile {dir}/cert.pem
SSLCertificateKeyFile {dir}/key.pem
</VirtualHost>
<VirtualHost *:{proxied}>
RemoteIPProxyProtocol On
</VirtualHost>
`)
	p.start(t, "apache2", "-f", "{dir}/apache2.conf", "-DFOREGROUND")
	p.works(t, port{"http", HTTP, false}, port{"https", HTTPS, false}, port{"proxied", HTTP, true})
	web := p.addr("127.0.0.1", "http")
	if r := p.probe(t, HTTP, web, func(c *Check) { c.Path = "/broken" }); r.Word != Wrong || r.Reason != "answered 503 Service Unavailable" {
		t.Errorf("%s: %s", r.Word, r.Reason)
	}
	if r := p.probe(t, HTTPS, web, nil); r.Word != Wrong || !strings.HasPrefix(r.Reason, "does not speak TLS") {
		t.Errorf("%s: %s", r.Word, r.Reason)
	}
	p.knocked(t, port{"http", HTTP, false}, "127.0.0.1")
	p.dies(t, port{"http", HTTP, false}, "connected, no answer to GET within 300 ms")
}

func TestProbeNginx(t *testing.T) {
	testenv.Need(t, "nginx")
	p := install(t)
	account, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	p.write(t, "nginx.conf", `
daemon off;
pid {dir}/pid;
error_log {dir}/error.log;
events { worker_connections 64; }
http {
	log_format short '$remote_addr "$request" $status';
	access_log {dir}/log short;
	client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/fastcgi;
	uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;
	ssl_certificate {dir}/cert.pem; ssl_certificate_key {dir}/key.pem;
	server {
		listen 127.0.0.1:{https} ssl default_server; listen [::1]:{https} ssl default_server;
		ssl_reject_handshake on;
	}
	server {
		server_name mail.example;
		listen 127.0.0.1:{http}; listen [::1]:{http};
		listen 127.0.0.1:{https} ssl; listen [::1]:{https} ssl;
		listen 127.0.0.1:{proxied} ssl proxy_protocol; listen [::1]:{proxied} ssl proxy_protocol;
		location / { return 204; }
		location /broken { return 502; }
	}
}
`)
	p.start(t, "nginx", "-c", "{dir}/nginx.conf", "-p", "{dir}", "-g", "user "+account.Username+";")
	p.works(t, port{"http", HTTP, false}, port{"https", HTTPS, false}, port{"proxied", HTTPS, true})
	if r := p.probe(t, HTTP, p.addr("::1", "http"), func(c *Check) { c.Path = "/broken" }); r.Reason != "answered 502 Bad Gateway" {
		t.Errorf("%s: %s", r.Word, r.Reason)
	}
	if r := p.probe(t, HTTPS, p.addr("::1", "https"), func(c *Check) { c.Host = "other.example" }); r.Word != Wrong || r.Reason != "refused the TLS handshake: unrecognized name" {
		t.Errorf("%s: %s", r.Word, r.Reason)
	}
	p.knocked(t, port{"http", HTTP, false}, "127.0.0.1")
	p.dies(t, port{"https", HTTPS, false}, "connected, no TLS handshake within 300 ms")
}

func TestProbePostfix(t *testing.T) {
	testenv.NeedRoot(t)
	testenv.Need(t, "postfix")
	owner, err := user.Lookup("postfix")
	if err != nil {
		t.Fatal(err)
	}
	p := install(t)
	uid, _ := strconv.Atoi(owner.Uid)
	for name, owner := range map[string]int{"spool": 0, "data": uid} {
		at := filepath.Join(p.dir, name)
		if err := os.Mkdir(at, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(at, owner, 0); err != nil {
			t.Fatal(err)
		}
	}
	p.write(t, "main.cf", `
compatibility_level = 3.6
queue_directory = {dir}/spool
data_directory = {dir}/data
inet_protocols = all
myhostname = mail.example
mydestination =
alias_maps =
local_recipient_maps =
maillog_file = {dir}/log
maillog_file_prefixes = {dir}
smtpd_tls_security_level = may
smtpd_tls_cert_file = {dir}/cert.pem
smtpd_tls_key_file = {dir}/key.pem
smtpd_client_connection_count_limit = 0
`)
	p.write(t, "master.cf", `
127.0.0.1:{smtp} inet n - n - - smtpd
[::1]:{smtp} inet n - n - - smtpd
127.0.0.1:{smtps} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes
[::1]:{smtps} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes
127.0.0.1:{proxied} inet n - n - - smtpd -o smtpd_upstream_proxy_protocol=haproxy
[::1]:{proxied} inet n - n - - smtpd -o smtpd_upstream_proxy_protocol=haproxy
postlog unix-dgram n - n - 1 postlogd
anvil unix - - n - 1 anvil
rewrite unix - - n - - trivial-rewrite
tlsmgr unix - - n 1000? 1 tlsmgr
`)
	if out, err := exec.Command("postfix", "-c", p.dir, "check").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	p.start(t, "/usr/lib/postfix/sbin/master", "-c", "{dir}", "-d")
	p.works(t, port{"smtp", SMTP, false}, port{"smtp", Submission, false}, port{"smtps", SMTPS, false}, port{"proxied", SMTP, true})
	p.knocked(t, port{"smtp", SMTP, false}, "connect from")
	if log := p.logged(t); strings.Contains(log, "lost connection after EHLO") || strings.Contains(log, "lost connection after STARTTLS") {
		t.Error("it was left without a goodbye")
	}
	p.dies(t, port{"smtp", SMTP, false}, "connected, no greeting within 300 ms")
}

func TestProbeDovecot(t *testing.T) {
	testenv.NeedRoot(t)
	p := install(t)
	p.write(t, "dovecot.conf", `
base_dir = {dir}/run
state_dir = {dir}/run
log_path = {dir}/log
protocols = imap pop3
listen = 127.0.0.1, ::1
ssl = yes
ssl_cert = <{dir}/cert.pem
ssl_key = <{dir}/key.pem
mail_location = maildir:{dir}/mail
haproxy_trusted_networks = 127.0.0.0/8 ::1
haproxy_timeout = 1s
auth_verbose = yes
service imap-login {
  inet_listener imap {
    port = {imap}
  }
  inet_listener imaps {
    port = {imaps}
    ssl = yes
  }
  inet_listener proxied {
    port = {proxied}
    haproxy = yes
  }
}
service pop3-login {
  inet_listener pop3 {
    port = {pop}
  }
  inet_listener pop3s {
    port = {pops}
    ssl = yes
  }
}
passdb {
  driver = static
  args = nopassword=y
}
userdb {
  driver = static
  args = uid=dovecot gid=dovecot home={dir}/mail
}
`)
	p.start(t, "dovecot", "-F", "-c", "{dir}/dovecot.conf")
	p.works(t, port{"imap", IMAP, false}, port{"imaps", IMAPS, false}, port{"proxied", IMAP, true},
		port{"pop", POP3, false}, port{"pops", POP3S, false})
	p.knocked(t, port{"pop", POP3, false}, "pop3-login: ")
	p.knocked(t, port{"imap", IMAP, false}, "imap-login: ")
	p.dies(t, port{"imap", IMAP, false}, "connected, no greeting within 300 ms")
}

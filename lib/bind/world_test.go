package bind

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"iwx/lib/testenv"
)

// here marks the run of a test in a network namespace of its own.
const here = "IWX_BIND_NAMESPACE"

// alone runs the test that calls it in a network namespace, where it is true.
func alone(t *testing.T) bool {
	t.Helper()
	if os.Getenv(here) != "" {
		mustRun(t, "ip", "link", "set", "lo", "up")
		return true
	}
	if os.Getuid() != 0 {
		t.Skip("making network namespaces needs root")
	}
	cmd := exec.CommandContext(t.Context(), "unshare", "--net", os.Args[0], "-test.run", "^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), here+"=yes")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS") {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
	return false
}

func mustRun(t *testing.T, name string, args ...string) {
	t.Helper()
	if _, err := Command(t.Context(), name, args...); err != nil {
		t.Fatal(name, args, err)
	}
}

// named is a BIND below a root of its own, at an address of its own.
type named struct {
	*Server
	t   *testing.T
	cmd *exec.Cmd
}

const redHat = "redhat"

// newNamed lays out a server as its distribution does, and starts it.
func newNamed(t *testing.T, n int, distribution string) *named {
	t.Helper()
	addr := netip.AddrFrom4([4]byte{127, 3, 0, byte(n)})
	mustRun(t, "ip", "address", "add", addr.String()+"/32", "dev", "lo")
	root := t.TempDir()
	key := fmt.Sprintf("key rndc { algorithm hmac-sha256; secret %q; };\n", newKey())
	options := fmt.Sprintf("options {\n\tdirectory %q;\n\tlisten-on { %s; };\n\tlisten-on-v6 { none; };\n\tpid-file none;\n\tsession-keyfile none;\n\trecursion no;\n\tdnssec-validation no;\n};\n", root, addr)
	controls := fmt.Sprintf("controls { inet %s allow { any; } keys { rndc; }; };\n", addr)
	files := map[string]string{
		"etc/bind/named.conf":         fmt.Sprintf("// as Debian has it\ninclude \"%[1]s/etc/bind/named.conf.options\";\ninclude \"%[1]s/etc/bind/named.conf.local\";\n", root) + key + controls,
		"etc/bind/named.conf.options": options,
		"etc/bind/named.conf.local":   "//\n// Do any local configuration here\n//\n",
		"etc/bind/rndc.conf":          key + fmt.Sprintf("options { default-server %s; default-key rndc; };\n", addr),
		"var/cache/bind/keep":         "",
	}
	if distribution == redHat {
		files = map[string]string{
			"etc/named.conf":       "# as RHEL has it\n" + strings.Replace(options, "recursion no", "allow-query { localhost; };\n\trecursion no", 1) + key + controls,
			"etc/named/keep":       "",
			"etc/rndc.conf":        files["etc/bind/rndc.conf"],
			"var/named/slaves/own": "",
		}
	}
	for name, text := range files {
		writeFile(t, filepath.Join(root, name), text)
	}
	s := Find(root, time.Now)
	s.Address = addr
	b := &named{Server: s, t: t}
	b.start()
	t.Cleanup(b.stop)
	return b
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func newKey() string {
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	return base64.StdEncoding.EncodeToString(key)
}

// start starts named, and waits until it answers rndc.
func (b *named) start() {
	b.t.Helper()
	log, err := os.OpenFile(filepath.Join(b.Root, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		b.t.Fatal(err)
	}
	defer log.Close()
	b.cmd = exec.Command("named", "-4", "-g", "-c", b.config)
	b.cmd.Stderr = log
	b.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := b.cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	err = until(b.t.Context(), testenv.Wait(), func() error {
		_, err := b.ask(b.t.Context(), "status")
		return err
	})
	if err != nil {
		b.t.Fatalf("%v\n%s", err, b.log())
	}
}

func (b *named) log() string {
	text, _ := os.ReadFile(filepath.Join(b.Root, "log"))
	return string(text)
}

// stop ends it as a power cut would.
func (b *named) stop() {
	if b.cmd != nil {
		_ = b.cmd.Process.Kill()
		_ = b.cmd.Wait()
		b.cmd = nil
	}
}

// lookup asks for an address with a real query: "" without one.
func (b *named) lookup(name string) string {
	m := new(dns.Msg)
	m.SetQuestion(dns.Fqdn(name), dns.TypeA)
	client := &dns.Client{Timeout: 5 * time.Second}
	answer, _, err := client.ExchangeContext(b.t.Context(), m, b.Address.String()+":53")
	if err != nil {
		return err.Error()
	}
	for _, rr := range answer.Answer {
		if a, is := rr.(*dns.A); is {
			return a.A.String()
		}
	}
	return ""
}

// comes waits for an answer, and returns after how long it came.
func (b *named) comes(name, want string, limit time.Duration) time.Duration {
	b.t.Helper()
	began := time.Now()
	err := until(b.t.Context(), limit, func() error {
		if got := b.lookup(name); got != want {
			return fmt.Errorf("%s at %s is %q, not %q", name, b.Address, got, want)
		}
		return nil
	})
	if err != nil {
		b.t.Fatalf("%v after %s\n%s", err, limit, b.log())
	}
	return time.Since(began)
}

// zoneOf is a zone with www at an address.
func zoneOf(name, address string) Zone {
	return Zone{name, func(serial uint32) string {
		return fmt.Sprintf("$TTL 300\n@ SOA ns1 hostmaster %d 3600 600 86400 300\n@ NS ns1\nns1 A 192.0.2.1\nwww A %s\n", serial, address)
	}}
}

// cluster is a primary and two secondaries, of both distributions.
type cluster struct {
	manager, web1, web2 *named
	primary             Primary
	secondary           Secondary
}

func newCluster(t *testing.T) *cluster {
	c := &cluster{manager: newNamed(t, 1, ""), web1: newNamed(t, 2, ""), web2: newNamed(t, 3, redHat)}
	key := newKey()
	c.primary = Primary{Key: key, Secondaries: []netip.Addr{c.web1.Address, c.web2.Address}}
	c.secondary = Secondary{Key: key, Primaries: []netip.Addr{netip.MustParseAddr("127.3.0.9"), c.manager.Address}}
	return c
}

// serve has the primary serve.
func (c *cluster) serve(t *testing.T, zones ...Zone) {
	t.Helper()
	c.primary.Zones = zones
	if err := c.manager.Serve(t.Context(), &c.primary); err != nil {
		t.Fatalf("%v\n%s", err, c.manager.log())
	}
}

func (c *cluster) follow(t *testing.T, nodes ...*named) {
	t.Helper()
	for _, n := range nodes {
		if err := n.Follow(t.Context(), &c.secondary); err != nil {
			t.Fatalf("%v\n%s", err, n.log())
		}
	}
}

// texts returns every file of a configuration.
func (b *named) texts() map[string]string {
	list := map[string]string{}
	err := filepath.WalkDir(filepath.Join(b.Root, "etc"), func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			list[path], err = read(path)
		}
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return list
}

// failing is a Command of which one program fails.
func failing(program string) func(context.Context, string, ...string) ([]byte, error) {
	return func(ctx context.Context, name string, args ...string) ([]byte, error) {
		if name == program {
			return nil, &said{text: "it does not want to", err: errors.New("exit status 1")}
		}
		return Command(ctx, name, args...)
	}
}

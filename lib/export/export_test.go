package export_test

import (
	"bytes"
	"flag"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"iwx/lib/export"
	"iwx/lib/health"
	"iwx/lib/lb"
	"iwx/lib/testenv"
)

func update() bool { return flag.Lookup("update").Value.String() == "true" }

func TestMain(m *testing.M) {
	flag.Bool("update", false, "rewrite the files of testdata")
	m.Run()
}

// policy is one with the settings that a policy gets which was given none.
func policy(service, vip string, port uint16, kind health.Kind, change func(*lb.Policy)) lb.Policy {
	p := lb.Policy{
		Service: service, VIP: netip.MustParseAddr(vip), Port: port, ServerPort: port,
		Scheduler: "wlc", Fallback: lb.ToManager, Check: health.Defaults(kind),
	}
	if change != nil {
		change(&p)
	}
	return p
}

func member(name, addr string, port uint16, change func(*lb.MemberReport)) lb.MemberReport {
	m := lb.MemberReport{Server: "id-" + name, Name: name, Addr: netip.AddrPortFrom(netip.MustParseAddr(addr), port)}
	if change != nil {
		change(&m)
	}
	return m
}

// pool is a service with three members, one of them drained.
func pool(p lb.Policy) lb.ServiceReport {
	p.Weights = map[string]int{"id-web2": 50}
	net := "192.0.2."
	if p.VIP.Is6() {
		net = "2001:db8::"
	}
	return lb.ServiceReport{Policy: p, Members: []lb.MemberReport{
		member("mgr", net+"10", p.ServerPort, nil),
		member("web1", net+"11", p.ServerPort, func(m *lb.MemberReport) { m.Draining = true }),
		member("web2", net+"12", p.ServerPort, nil),
		{Server: "id-web3", Name: "web3"}, // it has no address of this family
	}}
}

// plans are all that policies can ask for.
func plans() map[string]*export.Plan {
	some := func(endpoint uint16, services ...lb.ServiceReport) *export.Plan {
		return &export.Plan{
			Cluster: "shop", Endpoint: endpoint, Services: services,
			Managers: []netip.Addr{netip.MustParseAddr("192.0.2.10"), netip.MustParseAddr("2001:db8::10")},
		}
	}
	http := policy("http", "127.0.0.80", 80, health.HTTP, func(p *lb.Policy) {
		p.Scheduler, p.Forwarding, p.Persistence = "wrr", lb.NAT, 5*time.Minute
		p.ServerPort, p.Check.Host, p.Check.Path, p.Check.Status = 8080, "shop.example", "/alive", "200,301-302"
	})
	return map[string]*export.Plan{
		"plain": some(0,
			pool(http),
			pool(policy("https", "::1", 443, health.HTTPS, func(p *lb.Policy) { p.Check.Host, p.Fallback = "shop.example", lb.ToNone })),
			pool(policy("smtp", "127.0.0.80", 25, health.SMTP, func(p *lb.Policy) { p.Scheduler, p.Forwarding = "rr", lb.Direct })),
			pool(policy("submissions", "127.0.0.80", 465, health.SMTPS, func(p *lb.Policy) { p.Scheduler, p.Fallback = "lblc", lb.ToAll })),
			pool(policy("pop3", "127.0.0.80", 110, health.POP3, func(p *lb.Policy) { p.Forwarding = lb.Tunnel })),
			pool(policy("imap", "127.0.0.80", 143, health.IMAP, func(p *lb.Policy) {
				p.Scheduler, p.Forwarding, p.Check.Proxy, p.ServerPort = "sh", lb.Proxy, true, 10143
			})),
			pool(policy("tcp", "127.0.0.80", 8080, health.TCP, func(p *lb.Policy) { p.Scheduler, p.Persistence = "lc", time.Hour })),
		),
		"endpoint": some(2481,
			pool(http),
			pool(policy("imap", "::1", 143, health.IMAP, nil)),
			pool(policy("tcp", "127.0.0.80", 8080, health.TCP, nil)),
		),
		"empty": some(0),
		"alone": some(0,
			lb.ServiceReport{Policy: policy("http", "127.0.0.80", 80, health.HTTP, nil)},
			lb.ServiceReport{Policy: policy("imap", "127.0.0.80", 143, health.IMAP, func(p *lb.Policy) { p.Fallback = lb.ToNone })},
		),
	}
}

// golden compares with, or rewrites, a file of testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if update() {
		check(t, os.WriteFile(file, got, 0o644))
	}
	want, err := os.ReadFile(file)
	check(t, err)
	if !bytes.Equal(got, want) {
		t.Errorf("%s (-update rewrites it): got\n%s", file, got)
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// accepted has the program itself read the configuration, in a network of its
// own, since nginx binds what it is to listen at.
func accepted(t *testing.T, config []byte, command string) {
	t.Helper()
	testenv.NeedRoot(t)
	testenv.Need(t, strings.Fields(command)[0])
	dir := t.TempDir()
	file := filepath.Join(dir, "config")
	check(t, os.WriteFile(file, config, 0o600))
	script := "ip link set lo up && exec " + strings.NewReplacer("FILE", file, "DIR", dir).Replace(command)
	cmd := exec.Command("unshare", "--net", "sh", "-c", script)
	cmd.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin")
	out, err := cmd.CombinedOutput()
	if err != nil || bytes.Contains(out, []byte("Unknown keyword")) {
		t.Errorf("%s: %v\n%s\n%s", command, err, out, config)
	}
}

func TestKeepalived(t *testing.T) {
	for name, plan := range plans() {
		config := plan.Keepalived()
		golden(t, name+".keepalived", config)
		accepted(t, config, "keepalived --config-test --use-file FILE")
	}
}

func TestNginx(t *testing.T) {
	for name, plan := range plans() {
		config := plan.Nginx()
		golden(t, name+".nginx", config)
		accepted(t, config, "nginx -t -q -c FILE -g 'pid DIR/pid;'")
	}
}

func TestHAProxy(t *testing.T) {
	for name, plan := range plans() {
		config := plan.HAProxy()
		golden(t, name+".haproxy", config)
		if len(plan.Services) > 0 { // one that listens nowhere is refused
			accepted(t, config, "haproxy -c -q -f FILE")
		}
	}
}

func TestJSON(t *testing.T) {
	for name, plan := range plans() {
		data, err := plan.JSON()
		check(t, err)
		golden(t, name+".json", data)
	}
}

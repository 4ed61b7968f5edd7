package preflight

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// answers fabricates programs: the key is the command line.
func answers(outputs map[string]string) func(context.Context, string, ...string) ([]byte, error) {
	return func(_ context.Context, name string, args ...string) ([]byte, error) {
		out, known := outputs[strings.Join(append([]string{name}, args...), " ")]
		if !known {
			return nil, &exec.Error{Name: name, Err: exec.ErrNotFound}
		}
		return []byte(out), nil
	}
}

// recorded are the answers of a real nft to the rules of a test file.
func recorded(t *testing.T, name string) map[string]string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{"nft -j list ruleset": string(data)}
}

func TestFirewall(t *testing.T) {
	const all = "25/tcp 53/tcp 53/udp 80/tcp 110-143/tcp 443/tcp 587/tcp 993/tcp 995/tcp 2049/tcp 2480/tcp"
	ufw := "Status: active\n\nTo                         Action      From\n--                         ------      ----\n"
	tests := []struct {
		name           string
		commands       map[string]string
		want           Status
		detail, remedy string
	}{
		{"none", nil, OK, "no firewall here", ""},
		{"nft without rules", map[string]string{"nft -j list ruleset": `{"nftables": [{"metainfo": {"version": "1.0.6"}}]}`}, OK, "no firewall", ""},
		{"nft drops by policy", recorded(t, "drop-policy.json"), Warn,
			"names 25/tcp 587/tcp 993/tcp 995/tcp (a rule by address", "nft list table inet filter, and add rules such as: tcp dport { 25, 587, 993, 995 } accept"},
		{"nft rejects last, all open", recorded(t, "reject-rule.json"), OK, "nftables accepts", ""},
		{"nft damaged", map[string]string{"nft -j list ruleset": "{"}, Warn, "cannot read", "nft list ruleset"},
		{"ufw inactive", map[string]string{"ufw status": "Status: inactive\n"}, OK, "no firewall", ""},
		{"ufw", map[string]string{"ufw status": ufw +
			"22/tcp                     LIMIT       Anywhere\n" +
			"53                         ALLOW       Anywhere\n" +
			"80,443,587,993,995/tcp     ALLOW       Anywhere\n" +
			"100:143/tcp                ALLOW       Anywhere\n" +
			"2049/tcp                   DENY        Anywhere\n" +
			"2480/tcp                   ALLOW       192.0.2.0/24\n"},
			Warn, "no rule for 25/tcp 2049/tcp", "ufw allow 25/tcp && ufw allow 2049/tcp"},
		{"firewalld stopped", map[string]string{"firewall-cmd --state": "not running\n"}, OK, "no firewall", ""},
		{"firewalld open", map[string]string{"firewall-cmd --state": "running\n",
			"firewall-cmd --list-ports": all, "firewall-cmd --list-services": "ssh\n"}, OK, "firewalld accepts", ""},
		{"firewalld", map[string]string{"firewall-cmd --state": "running\n",
			"firewall-cmd --list-ports": "1-1000/tcp\n", "firewall-cmd --list-services": "dns http ssh\n"},
			Warn, "does not let in 2049/tcp 2480/tcp", "firewall-cmd --permanent --add-port=2049/tcp --add-port=2480/tcp && firewall-cmd --reload"},
		{"firewalld mute", map[string]string{"firewall-cmd --state": "running\n"}, Warn, "cannot list its rules", "--list-all"},
		{"iptables accepts", map[string]string{"iptables -S INPUT": "-P INPUT ACCEPT\n"}, OK, "no firewall", ""},
		{"iptables", map[string]string{"iptables -S INPUT": "-P INPUT DROP\n" +
			"-A INPUT -p tcp -m multiport --dports 25,53,80,110:143,443,587,993,995 -j ACCEPT\n" +
			"-A INPUT -p tcp -m tcp --dport 2480 -j DROP\n-A INPUT -p udp -m udp --dport 53 -j ACCEPT\n"},
			Warn, "names 2049/tcp 2480/tcp", "--dports 2049,2480 -j ACCEPT"},
		{"iptables rejects last", map[string]string{"iptables -S INPUT": "-P INPUT ACCEPT\n-A INPUT -i lo -j ACCEPT\n" +
			"-A INPUT -j REJECT --reject-with icmp-host-prohibited\n"}, Warn, "names 53/tcp 53/udp 25/tcp", "995,2049,2480 -j ACCEPT && iptables -I INPUT -p udp -m multiport --dports 53 -j ACCEPT"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := fake(t)
			s.Command = answers(tt.commands)
			checkOne(t, s, NameFirewall, Result{tt.want, tt.detail, tt.remedy})
		})
	}
}

func TestOpenPortsOfANode(t *testing.T) {
	s := fake(t)
	s.Role = Node
	if got := joinPorts(s.openPorts()); strings.Contains(got, "2480") || strings.Contains(got, "2049") || !strings.Contains(got, "443/tcp") {
		t.Errorf("ports of a node: %s", got)
	}
}

func TestFirewallWithoutDNS(t *testing.T) {
	s := fake(t)
	s.Role, s.DNS.Provider = Node, "none"
	s.Command = answers(map[string]string{"iptables -S INPUT": "-P INPUT DROP\n" +
		"-A INPUT -p tcp -m multiport --dports 25,80,110,143,443,587,993,995 -j ACCEPT\n"})
	checkOne(t, s, NameFirewall, Result{OK, "iptables accepts", ""})
}

// The real nft, if it is here, is asked in a network namespace of its own.
func TestRealNft(t *testing.T) {
	if _, err := exec.LookPath("nft"); err != nil {
		t.Skip("nft is not installed")
	}
	rules := "table inet f { chain in { type filter hook input priority 0; policy drop; tcp dport { 80, 443 } accept; }; }"
	out, err := exec.CommandContext(t.Context(), "unshare", "-n", "sh", "-c", "nft -f - && nft -j list ruleset").CombinedOutput()
	if err != nil {
		t.Skipf("no network namespace: %v %s", err, out)
	}
	cmd := exec.CommandContext(t.Context(), "unshare", "-n", "sh", "-c", "nft -f - && nft -j list ruleset")
	cmd.Stdin = strings.NewReader(rules)
	if out, err = cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	s := fake(t)
	s.Command = answers(map[string]string{"nft -j list ruleset": string(out)})
	checkOne(t, s, NameFirewall, Result{Warn, "no rule names 53/tcp 53/udp 25/tcp 110/tcp", "nft list table inet f, and add rules such as: tcp dport { 53, 25, 110, 143, 587, 993, 995, 2049, 2480 } accept; udp dport { 53 } accept"})
}

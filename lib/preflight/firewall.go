package preflight

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// port is one that a cluster's server must let in.
type port struct {
	number uint16
	proto  string // as /etc/services has it
}

func (p port) String() string { return fmt.Sprintf("%d/%s", p.number, p.proto) }

// openPorts are those that others connect to: on every server the services and
// DNS, on the manager also its API and NFS.
func (s Server) openPorts() (ports []port) {
	if s.Services != nil {
		for _, n := range s.Services {
			ports = append(ports, port{n, "tcp"})
		}
		return ports
	}
	if s.DNS.Provider != "none" {
		ports = []port{{53, "tcp"}, {53, "udp"}}
	}
	for _, n := range []uint16{25, 80, 110, 143, 443, 587, 993, 995} {
		ports = append(ports, port{n, "tcp"})
	}
	if s.Role == Manager {
		ports = append(ports, port{2049, "tcp"}, port{cmp.Or(s.Port, 2480), "tcp"})
	}
	return ports
}

// firewall asks the front end that is in charge, and only without one reads the
// rules themselves. Rules are judged by ports alone, which cannot be the whole
// truth: the outcome is at most a warning, and says what was looked at.
func (s Server) firewall(ctx context.Context) Result {
	if s.Paths.Own() {
		return ownRoot()
	}
	for _, ask := range []func(context.Context) (Result, bool){s.firewalld, s.ufw, s.iptables, s.nftables} {
		if r, decided := ask(ctx); decided {
			return r
		}
	}
	return ok("no firewall here drops incoming packets")
}

// closed returns the ports that open does not hold.
func (s Server) closed(open func(port) bool) []port {
	return slices.DeleteFunc(s.openPorts(), open)
}

func (s Server) firewalld(ctx context.Context) (Result, bool) {
	state, err := s.Command(ctx, "firewall-cmd", "--state")
	if err != nil || strings.TrimSpace(string(state)) != "running" {
		return Result{}, false
	}
	listed, err1 := s.Command(ctx, "firewall-cmd", "--list-ports")
	services, err2 := s.Command(ctx, "firewall-cmd", "--list-services")
	if err1 != nil || err2 != nil {
		return warn("firewall-cmd --list-all", "firewalld runs, but cannot list its rules"), true
	}
	names := strings.Fields(string(services))
	ranges := parseRanges(strings.Fields(string(listed)))
	closed := s.closed(func(p port) bool {
		return ranges.hold(p) || slices.Contains(names, firewalldService(p.number))
	})
	if len(closed) == 0 {
		return ok("firewalld accepts the connections of iwx"), true
	}
	var add []string
	for _, p := range closed {
		add = append(add, "--add-port="+p.String())
	}
	return warn("firewall-cmd --permanent "+strings.Join(add, " ")+" && firewall-cmd --reload",
		"firewalld does not let in %s (its default zone was looked at)", joinPorts(closed)), true
}

// firewalldService names the service definition that comes with firewalld for
// a port, firewalld.service(5); "" if there is none.
func firewalldService(number uint16) string {
	switch number {
	case 25:
		return "smtp"
	case 53:
		return "dns"
	case 80:
		return "http"
	case 110:
		return "pop3"
	case 143:
		return "imap"
	case 443:
		return "https"
	case 587:
		return "smtp-submission"
	case 993:
		return "imaps"
	case 995:
		return "pop3s"
	case 2049:
		return "nfs"
	}
	return ""
}

// ufw reads the table of ufw(8): "80/tcp  ALLOW  Anywhere".
func (s Server) ufw(ctx context.Context) (Result, bool) {
	out, err := s.Command(ctx, "ufw", "status")
	if err != nil || !strings.Contains(string(out), "Status: active") {
		return Result{}, false
	}
	var allowed []string
	for line := range strings.Lines(string(out)) {
		field := strings.Fields(line)
		if len(field) >= 2 && (field[1] == "ALLOW" || field[1] == "LIMIT") {
			allowed = append(allowed, strings.Split(strings.ReplaceAll(field[0], ":", "-"), ",")...)
		}
	}
	closed := s.closed(parseRanges(allowed).hold)
	if len(closed) == 0 {
		return ok("ufw accepts the connections of iwx"), true
	}
	var add []string
	for _, p := range closed {
		add = append(add, "ufw allow "+p.String())
	}
	return warn(strings.Join(add, " && "), "ufw is active and has no rule for %s", joinPorts(closed)), true
}

// nftables looks at chains of the input hook that drop by policy or by a last
// rule, libnftables-json(5).
func (s Server) nftables(ctx context.Context) (Result, bool) {
	out, err := s.Command(ctx, "nft", "-j", "list", "ruleset")
	if err != nil {
		return Result{}, false
	}
	rules, err := parseRuleset(out)
	if err != nil {
		return warn("nft list ruleset", "cannot read the rules of nftables: %v", err), true
	}
	table, drops := rules.droppingTable()
	if !drops {
		return Result{}, false
	}
	closed := s.closed(rules.accepted(table).hold)
	if len(closed) == 0 {
		return ok("nftables accepts the connections of iwx"), true
	}
	add := byProtocol(closed, func(proto, list string) string { return proto + " dport { " + list + " } accept" })
	return warn(fmt.Sprintf("nft list table %s, and add rules such as: %s", table, strings.Join(add, "; ")),
		"nftables drops incoming packets, and no rule names %s%s", joinPorts(closed), rules.caveat(table)), true
}

// iptables reads iptables -S. It comes before nftables, because rules made by
// iptables-nft(8) show there only in part.
func (s Server) iptables(ctx context.Context) (Result, bool) {
	out, err := s.Command(ctx, "iptables", "-S", "INPUT")
	if err != nil || !iptablesDrops(string(out)) {
		return Result{}, false
	}
	var allowed []string
	for line := range strings.Lines(string(out)) {
		allowed = append(allowed, iptablesPorts(line)...)
	}
	closed := s.closed(parseRanges(allowed).hold)
	if len(closed) == 0 {
		return ok("iptables accepts the connections of iwx"), true
	}
	add := byProtocol(closed, func(proto, list string) string {
		return "iptables -I INPUT -p " + proto + " -m multiport --dports " + strings.ReplaceAll(list, " ", "") + " -j ACCEPT"
	})
	return warn(strings.Join(add, " && "),
		"iptables drops incoming packets, and no rule of INPUT names %s", joinPorts(closed)), true
}

// iptablesDrops reports whether INPUT drops by policy or by its last rule.
func iptablesDrops(rules string) bool {
	lines := strings.Split(strings.TrimSpace(rules), "\n")
	last := lines[len(lines)-1]
	return slices.Contains(lines, "-P INPUT DROP") ||
		strings.HasPrefix(last, "-A INPUT -j DROP") || strings.HasPrefix(last, "-A INPUT -j REJECT")
}

// iptablesPorts returns the ports that one rule accepts.
func iptablesPorts(rule string) []string {
	field := strings.Fields(rule)
	after := func(option string) string {
		i := slices.Index(field, option)
		if i < 0 || i+1 >= len(field) {
			return ""
		}
		return field[i+1]
	}
	if after("-j") != "ACCEPT" {
		return nil
	}
	list := cmp.Or(after("--dport"), after("--dports"))
	if list == "" {
		return nil
	}
	ports := strings.Split(strings.ReplaceAll(list, ":", "-"), ",")
	for i := range ports {
		ports[i] += "/" + after("-p")
	}
	return ports
}

// portRange is first to last of a protocol, "" meaning any.
type portRange struct {
	first, last uint16
	proto       string
}

type portRanges []portRange

func (rs portRanges) hold(p port) bool {
	return slices.ContainsFunc(rs, func(r portRange) bool {
		return r.first <= p.number && p.number <= r.last && (r.proto == "" || r.proto == p.proto)
	})
}

// parseRanges reads "80", "80/tcp" and "8000-8010/tcp"; other words are passed
// over, since names of applications and addresses stand in the same lists.
func parseRanges(words []string) portRanges {
	var ranges portRanges
	for _, w := range words {
		span, proto, _ := strings.Cut(w, "/")
		low, high, isRange := strings.Cut(span, "-")
		if !isRange {
			high = low
		}
		first, err1 := strconv.ParseUint(low, 10, 16)
		last, err2 := strconv.ParseUint(high, 10, 16)
		if err1 == nil && err2 == nil {
			ranges = append(ranges, portRange{uint16(first), uint16(last), proto})
		}
	}
	return ranges
}

func joinPorts(ports []port) string {
	var words []string
	for _, p := range ports {
		words = append(words, p.String())
	}
	return strings.Join(words, " ")
}

// byProtocol writes a rule for each protocol that some of the ports are of; list
// is "80, 443".
func byProtocol(ports []port, rule func(proto, list string) string) (rules []string) {
	for _, proto := range []string{"tcp", "udp"} {
		var words []string
		for _, p := range ports {
			if p.proto == proto {
				words = append(words, strconv.Itoa(int(p.number)))
			}
		}
		if words != nil {
			rules = append(rules, rule(proto, strings.Join(words, ", ")))
		}
	}
	return rules
}

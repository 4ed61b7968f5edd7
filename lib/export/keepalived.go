package export

import (
	"cmp"
	"slices"
	"strings"

	"iwx/lib/health"
	"iwx/lib/lb"
)

// Keepalived returns a keepalived.conf(5) for keepalived 2.2 and later, with a
// virtual_server for each policy. It has no vrrp_instance: who holds the virtual
// IPs is for the balancer's own configuration to say.
func (p *Plan) Keepalived() []byte {
	var t text
	p.head(&t, "keepalived.conf(5)")
	for i := range p.Services {
		p.virtualServer(&t, &p.Services[i])
	}
	return t.Bytes()
}

func (p *Plan) virtualServer(t *text, s *lb.ServiceReport) {
	policy := &s.Policy
	list := p.sameFamily(s)
	t.line(0, "")
	t.line(0, "# %s", policy)
	if len(list) == 0 {
		t.note(0, "has no member that could be reached from it")
		return
	}
	t.line(0, "virtual_server %s %d {", policy.VIP, policy.Port)
	t.line(1, "delay_loop %g", check(policy).Interval.Seconds())
	t.scheduler(policy)
	t.kind(policy)
	if policy.Persistence > 0 {
		t.line(1, "persistence_timeout %d", seconds(policy.Persistence))
	}
	t.line(1, "protocol TCP")
	p.sorryServer(t, policy)
	for _, m := range list {
		p.realServer(t, policy, m)
	}
	t.line(0, "}")
}

// sameFamily returns the members that IPVS can reach from the virtual address;
// where there is none, the manager if it is the fallback, since a virtual server
// with nothing but a sorry_server is not taken.
func (p *Plan) sameFamily(s *lb.ServiceReport) []member {
	list := slices.DeleteFunc(members(s), func(m member) bool { return m.addr.Addr().Is4() != s.Policy.VIP.Is4() })
	if at, is := p.standby(&s.Policy); is && len(list) == 0 {
		list = append(list, member{name: "the manager", addr: at, weight: lb.DefaultWeight})
	}
	return list
}

// scheduler writes lb_algo. The names are IPVS's on both sides.
func (t *text) scheduler(policy *lb.Policy) {
	known := []string{"rr", "wrr", "lc", "wlc", "lblc", "lblcr", "sh", "mh", "sed", "nq"}
	if slices.Contains(known, policy.Scheduler) {
		t.line(1, "lb_algo %s", policy.Scheduler)
		return
	}
	t.note(1, "scheduler %s is not one of keepalived's", policy.Scheduler)
	t.line(1, "lb_algo wlc")
}

// kind writes lb_kind.
func (t *text) kind(policy *lb.Policy) {
	switch policy.Forwarding {
	case lb.NAT:
		t.line(1, "lb_kind NAT")
	case lb.Tunnel:
		t.line(1, "lb_kind TUN")
	case lb.Proxy:
		t.note(1, "keepalived is no proxy: the members need their way back through it")
		t.line(1, "lb_kind NAT")
	default:
		t.line(1, "lb_kind DR")
	}
}

func (p *Plan) sorryServer(t *text, policy *lb.Policy) {
	at, is := p.standby(policy)
	switch {
	case is:
		t.line(1, "sorry_server %s %d", at.Addr(), at.Port())
	case policy.Fallback == lb.ToAll:
		t.note(1, "fallback all: keepalived cannot fail open, and has no member left then")
	}
}

func (p *Plan) realServer(t *text, policy *lb.Policy, m member) {
	t.line(0, "")
	t.line(1, "real_server %s %d { # %s%s", m.addr.Addr(), m.addr.Port(), m.name, drained(m))
	t.line(2, "weight %d", m.weight)
	if p.Endpoint != 0 {
		p.endpointCheck(t, policy)
	} else {
		serviceCheck(t, policy)
	}
	t.line(1, "}")
}

func drained(m member) string {
	if m.draining {
		return ", drained"
	}
	return ""
}

// endpointCheck asks the member's health endpoint, which answers from what it
// has seen, so that a balancer may ask often.
func (p *Plan) endpointCheck(t *text, policy *lb.Policy) {
	c := check(policy)
	t.line(2, "HTTP_GET {")
	t.line(3, "connect_port %d", p.Endpoint)
	t.url(Path(policy), "200", "")
	t.times(c)
	t.line(2, "}")
}

// serviceCheck asks the service itself, as far as keepalived speaks its
// protocol.
func serviceCheck(t *text, policy *lb.Policy) {
	c := check(policy)
	kind := c.Kind
	if c.Level == health.Connect {
		kind = health.TCP
	}
	switch kind {
	case health.HTTP, health.HTTPS:
		t.line(2, "%s {", map[health.Kind]string{health.HTTP: "HTTP_GET", health.HTTPS: "SSL_GET"}[kind])
		t.url(c.Path, strings.ReplaceAll(c.Status, ",", " "), c.Host)
		if kind == health.HTTPS && c.Host != "" {
			t.line(3, "enable_sni")
		}
	case health.SMTP, health.Submission:
		t.line(2, "SMTP_CHECK {")
	default:
		if kind != health.TCP {
			t.note(2, "keepalived does not speak %s: a connection is all that is asked for", kind)
		}
		t.line(2, "TCP_CHECK {")
	}
	t.times(c)
	t.line(2, "}")
}

func (t *text) url(path, status, host string) {
	t.line(3, "url {")
	t.line(4, "path %s", cmp.Or(path, "/"))
	t.line(4, "status_code %s", status)
	if host != "" {
		t.line(4, "virtualhost %s", host)
	}
	t.line(3, "}")
}

// times writes how long, and how often, a check is tried before the member is
// out. It is back at the first success: keepalived does not count those.
func (t *text) times(c health.Check) {
	t.line(3, "connect_timeout %g", max(c.Timeout, c.Connect).Seconds())
	t.line(3, "retry %d", max(0, c.Fall-1))
	t.line(3, "delay_before_retry %g", min(c.Interval.Seconds(), 1))
}

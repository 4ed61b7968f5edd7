package export

import (
	"fmt"
	"strings"

	"iwx/lib/health"
	"iwx/lib/lb"
)

// HAProxy returns a whole configuration for HAProxy 2.6 and later: HTTP is
// proxied with the client's address in X-Forwarded-For, everything else is
// passed through. HAProxy's own checks ask the services, or the members' health
// endpoint.
//
// It is no part of what package haproxy drives, where iwx does the checks.
func (p *Plan) HAProxy() []byte {
	var t text
	p.head(&t, "haproxy.cfg")
	t.line(0, "")
	t.line(0, "defaults")
	t.line(1, "mode tcp")
	t.line(1, "option redispatch 1")
	t.line(1, "retries 3")
	t.line(1, "timeout connect 1s")
	t.line(1, "timeout client 1h # a mail client may be silent for 29 minutes (RFC 2177)")
	t.line(1, "timeout server 1h")
	for i := range p.Services {
		p.listen(&t, &p.Services[i])
	}
	return t.Bytes()
}

func (p *Plan) listen(t *text, s *lb.ServiceReport) {
	policy := &s.Policy
	t.line(0, "")
	t.line(0, "# %s", policy)
	t.line(0, "listen %s", upstreamName(policy))
	t.line(1, "bind %s", policy.Key())
	if inClear(s) {
		t.line(1, "mode http")
		t.line(1, "option forwardfor")
		t.line(1, "timeout http-request 10s")
		t.line(1, "timeout client 1m")
	}
	t.balance(policy)
	how := p.haproxyCheck(t, policy)
	for _, m := range members(s) {
		t.line(1, "server %s %s weight %d %s%s", m.name, m.addr, m.weight, how, comment(drained(m)))
	}
	if at, is := p.standby(policy); is {
		t.line(1, "server fallback %s backup%s", at, proxied(policy))
	} else if policy.Fallback == lb.ToAll {
		t.note(1, "fallback all: HAProxy cannot fail open, and has no member left then")
	}
}

// comment is what follows a line, if there is something to say.
func comment(text string) string {
	if text == "" {
		return ""
	}
	return " # " + strings.TrimPrefix(text, ", ")
}

// balance writes how a member is chosen.
func (t *text) balance(policy *lb.Policy) {
	switch policy.Scheduler {
	case "rr", "wrr":
		t.line(1, "balance roundrobin")
	case "sh", "mh":
		t.line(1, "balance source")
		t.line(1, "hash-type consistent")
	case "lc", "wlc":
		t.line(1, "balance leastconn")
	default:
		t.note(1, "scheduler %s is not one of HAProxy's", policy.Scheduler)
		t.line(1, "balance leastconn")
	}
	if policy.Persistence > 0 {
		family := "ip"
		if policy.VIP.Is6() {
			family = "ipv6"
		}
		t.line(1, "stick-table type %s size 1m expire %ds", family, seconds(policy.Persistence))
		t.line(1, "stick on src")
	}
}

// haproxyCheck writes what is asked, and returns how of every server.
func (p *Plan) haproxyCheck(t *text, policy *lb.Policy) string {
	c := check(policy)
	how := fmt.Sprintf("check inter %dms fall %d rise %d slowstart %dms%s", ms(c.Interval), c.Fall, c.Rise, ms(c.Slow), proxied(policy))
	t.line(1, "timeout check %dms", ms(max(c.Timeout, c.Connect)))
	switch {
	case p.Endpoint != 0:
		t.httpCheck(Path(policy), "200", "")
		return how + fmt.Sprintf(" port %d", p.Endpoint)
	case c.Level == health.Connect:
		return how
	case c.Proxy:
		how += " check-send-proxy"
	}
	t.ask(c)
	if c.Kind.TLS() {
		how += " check-ssl verify none"
		if c.Host != "" {
			how += " check-sni " + c.Host
		}
	}
	return how
}

// proxied is how a server is told the client's address, where it expects it.
func proxied(policy *lb.Policy) string {
	if policy.Check.Proxy {
		return " send-proxy-v2"
	}
	return ""
}

// ask writes the conversation of a check.
func (t *text) ask(c health.Check) {
	switch c.Kind {
	case health.HTTP, health.HTTPS:
		t.httpCheck(c.Path, c.Status, c.Host)
	case health.SMTP, health.Submission, health.SMTPS:
		t.line(1, "option smtpchk EHLO localhost")
	case health.POP3, health.POP3S:
		t.line(1, "option tcp-check")
		t.line(1, `tcp-check expect rstring ^\+OK`)
		t.line(1, `tcp-check send QUIT\r\n`)
	case health.IMAP, health.IMAPS:
		t.line(1, "option tcp-check")
		t.line(1, `tcp-check expect rstring ^\*\ (OK|PREAUTH)`)
		t.line(1, `tcp-check send a\ LOGOUT\r\n`)
	}
}

// httpCheck asks in HTTP for a path.
func (t *text) httpCheck(path, status, host string) {
	t.line(1, "option httpchk")
	if host != "" {
		t.line(1, "http-check send meth GET uri %s ver HTTP/1.1 hdr Host %s", path, host)
	} else {
		t.line(1, "http-check send meth GET uri %s", path)
	}
	t.line(1, "http-check expect status %s", status)
}

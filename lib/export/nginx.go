package export

import (
	"fmt"
	"strings"

	"iwx/lib/health"
	"iwx/lib/lb"
)

// Nginx returns a whole nginx configuration: HTTP is proxied with the client's
// address in X-Forwarded-For, everything else is passed through by the stream
// module (libnginx-mod-stream on Debian). TLS is the members' own.
//
// The nginx that is free does not check by itself: a member that refuses or does
// not answer a client's connection is left out for a while, max_fails and
// fail_timeout (ngx_http_upstream_module). Checks and the health endpoint are
// of no use to it.
func (p *Plan) Nginx() []byte {
	var t text
	p.head(&t, "nginx.conf")
	t.note(0, "nginx finds out by its clients' connections: it does no checks of its own, so that")
	t.note(0, "levels, paths and intervals of checks, and the health endpoint, are not in here.")
	t.line(0, "")
	t.line(0, "include /etc/nginx/modules-enabled/*.conf;")
	t.line(0, "")
	t.line(0, "events {")
	t.line(0, "}")
	p.block(&t, "http", inClear, proxyHTTP)
	p.block(&t, "stream", func(s *lb.ServiceReport) bool { return !inClear(s) }, passThrough)
	return t.Bytes()
}

// inClear reports whether nginx can read what a service speaks.
func inClear(s *lb.ServiceReport) bool { return check(&s.Policy).Kind == health.HTTP }

// block writes the services that belong into one of nginx's two worlds.
func (p *Plan) block(t *text, name string, belongs func(*lb.ServiceReport) bool, server func(*text, *lb.Policy, string)) {
	var in text
	for i := range p.Services {
		s := &p.Services[i]
		if !belongs(s) {
			continue
		}
		p.upstream(&in, s)
		server(&in, &s.Policy, upstreamName(&s.Policy))
	}
	if in.Len() > 0 {
		t.line(0, "\n%s {%s}", name, in.String())
	}
}

func upstreamName(policy *lb.Policy) string {
	return "iwx_" + policy.Name() + "_" + strings.NewReplacer(".", "_", ":", "_").Replace(policy.VIP.String())
}

func (p *Plan) upstream(t *text, s *lb.ServiceReport) {
	policy := &s.Policy
	list := members(s)
	t.line(0, "")
	t.line(1, "# %s", policy)
	t.line(1, "upstream %s {", upstreamName(policy))
	hashed := t.method(policy)
	for _, m := range list {
		t.server(policy, m)
	}
	at, is := p.standby(policy)
	switch {
	case len(list) == 0 && is:
		t.line(2, "server %s;", at)
	case len(list) == 0:
		t.line(2, "server %s down; # there is no member", policy.Key())
	case is && hashed:
		t.note(2, "fallback manager: nginx has no backup server beside hash")
	case is:
		t.line(2, "server %s backup;", at)
	}
	t.line(1, "}")
}

// method writes how a member is chosen, and reports whether it is by the
// client's address.
func (t *text) method(policy *lb.Policy) (hashed bool) {
	switch s := policy.Scheduler; {
	case policy.Persistence > 0, s == "sh", s == "mh":
		t.line(2, "hash $remote_addr consistent;")
		return true
	case s == "rr", s == "wrr":
	case s == "lc", s == "wlc":
		t.line(2, "least_conn;")
	default:
		t.note(2, "scheduler %s is not one of nginx's", s)
		t.line(2, "least_conn;")
	}
	return false
}

// server writes a member. Those of weight 0 are down, which is how nginx drains:
// connections that it has go on.
func (t *text) server(policy *lb.Policy, m member) {
	weight := ""
	if policy.Scheduler != "rr" && policy.Scheduler != "lc" { // which heed none
		weight = fmt.Sprintf(" weight=%d", m.weight)
	}
	if m.weight == 0 {
		weight = " down"
	}
	c := check(policy)
	t.line(2, "server %s%s max_fails=%d fail_timeout=%ds; # %s%s", m.addr, weight, c.Fall, seconds(c.Interval), m.name, drained(m))
}

// proxyHTTP answers a policy's clients in HTTP.
func proxyHTTP(t *text, policy *lb.Policy, upstream string) {
	t.line(1, "server {")
	t.line(2, "listen %s;", policy.Key())
	t.line(2, "location / {")
	t.line(3, "proxy_pass http://%s;", upstream)
	t.line(3, "proxy_http_version 1.1;")
	t.line(3, `proxy_set_header Connection "";`)
	t.line(3, "proxy_set_header Host $http_host;")
	t.line(3, "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;")
	t.line(3, "proxy_connect_timeout %ds;", seconds(check(policy).Connect))
	t.line(2, "}")
	t.line(1, "}")
}

// passThrough hands on a policy's connections as they are. A mail client may be
// silent for 29 minutes (IDLE, RFC 2177).
func passThrough(t *text, policy *lb.Policy, upstream string) {
	t.line(1, "server {")
	t.line(2, "listen %s;", policy.Key())
	t.line(2, "proxy_pass %s;", upstream)
	t.line(2, "proxy_connect_timeout %ds;", seconds(check(policy).Connect))
	t.line(2, "proxy_timeout 1h;")
	if policy.Check.Proxy {
		t.note(2, "nginx sends version 1 of the PROXY protocol")
		t.line(2, "proxy_protocol on;")
	}
	t.line(1, "}")
}

package main

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// contender is a balancer at the virtual address, of the three servers alone: the
// one on which it runs has enough to do.
type contender struct {
	name  string
	start func(ctx context.Context, f *field) (balancer, error)
	learn time.Duration // for how long it looks at servers before it knows what is usual there
}

// balancer is a contender that runs.
type balancer struct {
	stop func()
	has  func(server string) (bool, error) // whether it sends requests there; nil: it does not tell

	address string // where visitors ask, if not at the virtual address
}

func contenders() []contender {
	return []contender{
		{name: "iwx", start: startIWX, learn: 70 * time.Second},
		{name: "haproxy", start: func(ctx context.Context, f *field) (balancer, error) { return f.haproxy(ctx, haproxyPage) }},
		{name: "haproxy-tuned", start: func(ctx context.Context, f *field) (balancer, error) { return f.haproxy(ctx, haproxyTuned) }},
		{name: "nginx", start: func(ctx context.Context, f *field) (balancer, error) { return f.nginx(ctx, "") }},
		{name: "nginx-tuned", start: func(ctx context.Context, f *field) (balancer, error) { return f.nginx(ctx, nginxTuned) }},
	}
}

// The checks of HAProxy, from its configuration manual. haproxyPage requests a page,
// as iwx does, at HAProxy's default intervals. haproxyTuned does so as often as iwx
// connects, and uses what else HAProxy offers to detect failures early and to retry
// requests. Like nginxTuned, it ends a request that takes longer than a second:
// on-marked-down shutdown-sessions, which needs no such limit, lost requests when a
// link was cut. The manual warns that http-reuse aggressive needs clients that retry;
// here retry-on does that for them.
const (
	haproxyPage = `    option httpchk GET /
    default-server check
`
	haproxyTuned = `    option httpchk GET /
    default-server check inter 500ms fastinter 100ms downinter 500ms fall 2 rise 3
    default-server observe layer4 error-limit 3 on-error mark-down
    timeout connect 250ms
    timeout server 1s
    option redispatch 1
    retry-on conn-failure empty-response response-timeout
    http-request disable-l7-retry if ! METH_GET
    http-reuse aggressive
`
)

// haproxy starts HAProxy with the timeouts of its Debian package and the given
// checks. It forwards the client's address, as iwx does.
func (f *field) haproxy(ctx context.Context, checks string) (balancer, error) {
	stats := filepath.Join(f.dir, "haproxy.stats")
	var b strings.Builder
	fmt.Fprintf(&b, `global
    maxconn 4000
    stats socket %s
defaults
    mode http
    option forwardfor
    option redispatch
    timeout connect 5s
    timeout client 50s
    timeout server 50s
listen web
    bind %s:80
    balance roundrobin
%s`, stats, virtual, checks)
	for _, w := range webs() {
		fmt.Fprintf(&b, "    server %s %s:80\n", w.name, w.addr)
	}
	path := filepath.Join(f.dir, "haproxy.cfg")
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		return balancer{}, err
	}
	p, err := f.start(ctx, "manager", nil, "haproxy", "-db", "-f", path)
	if err != nil {
		return balancer{}, err
	}
	return balancer{stop: p.stop, has: haproxyHas(stats)}, nil
}

// nginxTuned holds nginx's settings against hung servers. nginx makes no checks, so
// time limits on requests are its only means.
const nginxTuned = `    proxy_connect_timeout 250ms;
    proxy_read_timeout 1s;
    proxy_next_upstream error timeout;
`

// nginx starts nginx with its defaults: passive checks, and the next server when one
// fails. As its documentation advises, there is a worker for each processor, workers
// share the state of servers, and connections to servers are kept open
// (ngx_http_upstream_module, "zone" and "keepalive").
func (f *field) nginx(ctx context.Context, limits string) (balancer, error) {
	var b strings.Builder
	fmt.Fprintf(&b, `daemon off;
pid %s/nginx.pid;
error_log /dev/null;
worker_processes auto;
events { worker_connections 8192; }
http {
  access_log off;
  upstream web {
    zone web 64k;
`, f.dir)
	for _, w := range webs() {
		fmt.Fprintf(&b, "    server %s:80;\n", w.addr)
	}
	fmt.Fprintf(&b, `    keepalive 64;
  }
  server {
    listen %s:80;
    location / {
      proxy_pass http://web;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    }
%s  }
}
`, virtual, limits)
	path := filepath.Join(f.dir, "nginx.conf")
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		return balancer{}, err
	}
	p, err := f.start(ctx, "manager", nil, "nginx", "-c", path)
	if err != nil {
		return balancer{}, err
	}
	return balancer{stop: p.stop}, nil
}

// haproxyHas asks HAProxy at its socket: a server is in that is called so, or so
// with more behind it, and is up.
func haproxyHas(socket string) func(string) (bool, error) {
	return func(server string) (bool, error) {
		list, err := haproxyServers(socket)
		return slices.ContainsFunc(list, func(s haproxyServer) bool {
			return strings.HasPrefix(s.name, server) && strings.HasPrefix(s.status, "UP")
		}), err
	}
}

type haproxyServer struct{ backend, name, status string }

// haproxyServers asks HAProxy for its servers (management guide, "CSV format").
func haproxyServers(socket string) (list []haproxyServer, err error) {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "show stat -1 4 -1\n"); err != nil {
		return nil, err
	}
	in := csv.NewReader(conn)
	in.FieldsPerRecord = -1
	lines, err := in.ReadAll()
	for _, line := range lines {
		const backend, name, status = 0, 1, 17
		if len(line) > status && !strings.HasPrefix(line[backend], "#") {
			list = append(list, haproxyServer{line[backend], line[name], line[status]})
		}
	}
	return list, err
}

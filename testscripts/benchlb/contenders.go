package main

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
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
		{name: "haproxy", start: func(ctx context.Context, f *field) (balancer, error) { return f.haproxy(ctx, "", "check") }},
		{name: "haproxy-tuned", start: func(ctx context.Context, f *field) (balancer, error) { return f.haproxy(ctx, tunedPage, tuned) }},
		{name: "nginx", start: func(ctx context.Context, f *field) (balancer, error) { return f.nginx(ctx) }},
	}
}

// tuned are checks of HAProxy as often as iwx makes them, of a page, with all that
// it has to see failures sooner.
const (
	tunedPage = "option httpchk GET /"
	tuned     = "check inter 500ms fastinter 100ms fall 2 rise 3 observe layer4 error-limit 3 on-error mark-down"
)

// haproxy is HAProxy with the defaults of its Debian package, an option, and
// servers checked as the words say.
func (f *field) haproxy(ctx context.Context, option, check string) (balancer, error) {
	stats := filepath.Join(f.dir, "haproxy.stats")
	var b strings.Builder
	fmt.Fprintf(&b, `global
    maxconn 4000
    stats socket %s
defaults
    mode http
    option redispatch
    retries 3
    timeout connect 5s
    timeout client 50s
    timeout server 50s
listen web
    bind %s:80
    balance roundrobin
    %s
`, stats, virtual, option)
	for _, w := range webs() {
		fmt.Fprintf(&b, "    server %s %s:80 %s\n", w.name, w.addr, check)
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

// nginx is nginx as its documentation has it: passive checks, and the next server
// when one fails.
func (f *field) nginx(ctx context.Context) (balancer, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "daemon off; pid %s/nginx.pid; error_log /dev/null;\nevents { worker_connections 8192; }\nhttp { access_log off;\n  upstream web {\n", f.dir)
	for _, w := range webs() {
		fmt.Fprintf(&b, "    server %s:80;\n", w.addr)
	}
	fmt.Fprintf(&b, "  }\n  server { listen %s:80; location / { proxy_pass http://web; } }\n}\n", virtual)
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
// with more behind it, and is up (management guide, "CSV format").
func haproxyHas(socket string) func(string) (bool, error) {
	return func(server string) (bool, error) {
		conn, err := net.Dial("unix", socket)
		if err != nil {
			return false, err
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, "show stat -1 4 -1\n"); err != nil {
			return false, err
		}
		in := csv.NewReader(conn)
		in.FieldsPerRecord = -1
		lines, err := in.ReadAll()
		for _, line := range lines {
			const name, status = 1, 17
			if len(line) > status && strings.HasPrefix(line[name], server) && strings.HasPrefix(line[status], "UP") {
				return true, nil
			}
		}
		return false, err
	}
}

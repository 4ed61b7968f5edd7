package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// contender is a balancer at the virtual address, of the three servers alone: the
// one on which it runs has enough to do.
type contender struct {
	name  string
	start func(ctx context.Context, f *field) (stop func(), err error)
}

func contenders() []contender {
	return []contender{
		{"iwx", startIWX},
		{"haproxy", func(ctx context.Context, f *field) (func(), error) { return f.haproxy(ctx, "check") }},
		{"haproxy-tuned", func(ctx context.Context, f *field) (func(), error) {
			return f.haproxy(ctx, "check inter 500ms fastinter 100ms fall 2 rise 3 observe layer4 error-limit 3 on-error mark-down")
		}},
		{"nginx", func(ctx context.Context, f *field) (func(), error) { return f.nginx(ctx) }},
	}
}

// haproxy is HAProxy with the defaults of its Debian package, and servers checked
// as the words say.
func (f *field) haproxy(ctx context.Context, check string) (func(), error) {
	var b strings.Builder
	fmt.Fprintf(&b, `global
    maxconn 4000
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
`, virtual)
	for _, w := range webs() {
		fmt.Fprintf(&b, "    server %s %s:80 %s\n", w.name, w.addr, check)
	}
	path := filepath.Join(f.dir, "haproxy.cfg")
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		return nil, err
	}
	p, err := f.start(ctx, "manager", nil, "haproxy", "-db", "-f", path)
	if err != nil {
		return nil, err
	}
	return p.stop, nil
}

// nginx is nginx as its documentation has it: passive checks, and the next server
// when one fails.
func (f *field) nginx(ctx context.Context) (func(), error) {
	var b strings.Builder
	fmt.Fprintf(&b, "daemon off; pid %s/nginx.pid; error_log /dev/null;\nevents { worker_connections 8192; }\nhttp { access_log off;\n  upstream web {\n", f.dir)
	for _, w := range webs() {
		fmt.Fprintf(&b, "    server %s:80;\n", w.addr)
	}
	fmt.Fprintf(&b, "  }\n  server { listen %s:80; location / { proxy_pass http://web; } }\n}\n", virtual)
	path := filepath.Join(f.dir, "nginx.conf")
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		return nil, err
	}
	p, err := f.start(ctx, "manager", nil, "nginx", "-c", path)
	if err != nil {
		return nil, err
	}
	return p.stop, nil
}

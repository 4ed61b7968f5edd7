package webconf

import (
	"slices"
	"strings"
)

// nginxQuiet is what apacheQuiet is for apache.
func nginxQuiet() []string {
	return strings.Fields(`access_log error_log http2 ssl_protocols ssl_ciphers ssl_prefer_server_ciphers ssl_session_cache
		ssl_session_timeout ssl_session_tickets ssl_dhparam ssl_ecdh_curve ssl_stapling ssl_stapling_verify ssl_trusted_certificate`)
}

// nginx returns the servers among the directives of a configuration, and notes
// what else is in their files.
func (e *Served) nginx(list []directive) (blocks []*block) {
	var base block
	for _, d := range list {
		if d.name != "http" {
			e.extra[d.file] = append(e.extra[d.file], d.text)
			continue
		}
		for _, inner := range d.body { // what is inherited may come later
			base.nginxDirective(inner)
		}
		base.left = nil
		for _, inner := range d.body {
			if inner.name != "server" {
				e.extra[inner.file] = append(e.extra[inner.file], inner.text)
				continue
			}
			b := base
			b.file = inner.file
			b.readNginx(inner.body)
			blocks = append(blocks, &b)
		}
	}
	for _, b := range blocks {
		b.cert, b.key = e.config.absolute(b.cert), e.config.absolute(b.key)
	}
	return blocks
}

func (b *block) readNginx(list []directive) {
	var last *directive
	for i, d := range list {
		if d.name == "return" && last == nil {
			last = &list[i]
			continue
		}
		b.nginxDirective(d)
	}
	// certbot's ends with "return 404", for what none of its ifs has sent away.
	if last != nil && !b.nginxReturn(*last) && (b.redirect == "" || b.tls) {
		b.leave(*last)
	}
	if len(b.listens) == 0 {
		b.listens = []string{"80"}
	}
}

func (b *block) nginxDirective(d directive) {
	one := ""
	if len(d.args) > 0 {
		one = d.args[0]
	}
	switch d.name {
	case "listen":
		b.nginxListen(d.args)
	case "server_name":
		b.names = append(b.names, d.args...)
	case "root":
		b.root = one
	case "ssl":
		b.tls = one == "on"
	case "ssl_certificate":
		b.cert = one
	case "ssl_certificate_key":
		b.key = one
	case "index":
		if slices.ContainsFunc(d.args, func(name string) bool { return name != "index.html" && name != "index.htm" }) {
			b.leave(d)
		}
	case "if":
		b.nginxIf(d, one)
	case "location":
		b.nginxLocation(d)
	default:
		if !slices.Contains(nginxQuiet(), d.name) {
			b.leave(d)
		}
	}
}

// nginxIf takes the conditions by which certbot and others send to HTTPS.
func (b *block) nginxIf(d directive, asked string) {
	names := asked == "($host" || asked == "($http_host"
	plain := asked == "($scheme" || asked == "($https" || asked == "($server_port"
	switch {
	case !names && !plain || len(d.body) != 1 || !b.nginxReturn(d.body[0]):
		b.leave(d)
	case names:
		b.some = d.text
	default:
		b.plain = true
	}
}

func (b *block) nginxListen(args []string) {
	for i, arg := range args {
		switch {
		case i == 0:
			b.listens = append(b.listens, arg)
		case arg == "ssl":
			b.tls = true
		case arg == "default_server" || arg == "default":
			b.obstacle("is the one for names that no other has, %s", arg)
		}
	}
}

// nginxReturn takes one that sends to HTTPS.
func (b *block) nginxReturn(d directive) bool {
	return d.name == "return" && len(d.args) == 2 && slices.Contains([]string{"301", "302", "307", "308"}, d.args[0]) && b.sendsTo(d.args[1])
}

// nginxLocation takes the one of everything, where a template comes to the same.
func (b *block) nginxLocation(d directive) {
	if !slices.Equal(d.args, []string{"/"}) {
		b.leave(d)
		return
	}
	for _, inner := range d.body {
		switch {
		case inner.name == "try_files" && slices.Equal(inner.args, []string{"$uri", "$uri/", "=404"}):
		case inner.name == "root" || inner.name == "index":
			b.nginxDirective(inner)
		case !b.nginxReturn(inner):
			b.leave(inner)
		}
	}
}

package webconf

import (
	"path"
	"slices"
	"strings"
)

// What a virtual host of apache may have without a template having it: who
// writes to whom and the server's logs, and what certbot includes, the choice of
// protocols and ciphers. These are then the server's own.
func apacheQuiet() []string {
	return strings.Fields(`serveradmin serversignature errorlog customlog transferlog loglevel logformat
		sslprotocol sslciphersuite sslhonorcipherorder sslsessiontickets sslsessioncachetimeout sslusestapling
		sslstaplingreturnrespondererrors sslstaplingrespondertimeout sslcompression ssloptions sslopensslconfcmd`)
}

// apache returns the virtual hosts among the directives of a configuration, and
// notes what else is in their files.
func (e *Served) apache(list []directive) (blocks []*block) {
	var base block
	for _, d := range list {
		switch d.name {
		case "virtualhost":
			b := base
			b.file, b.listens = d.file, d.args
			b.readApache(d.body)
			blocks = append(blocks, &b)
			continue
		case "namevirtualhost": // nothing since 2.4
			continue
		case "documentroot", "sslcertificatefile", "sslcertificatekeyfile", "sslcertificatechainfile":
			base.readApache([]directive{d})
		}
		e.extra[d.file] = append(e.extra[d.file], d.text)
	}
	for _, b := range blocks {
		for _, name := range []*string{&b.root, &b.cert, &b.chain, &b.key} {
			*name = e.config.absolute(*name)
		}
	}
	return blocks
}

func (b *block) readApache(list []directive) {
	b.left = nil
	var dirs []directive
	for _, d := range list {
		one := ""
		if len(d.args) > 0 {
			one = d.args[0]
		}
		switch d.name {
		case "servername":
			b.names = append([]string{apacheName(one)}, b.names...)
		case "serveralias":
			b.names = append(b.names, d.args...)
		case "documentroot":
			b.root = one
		case "sslengine":
			b.tls = strings.EqualFold(one, "on")
		case "sslcertificatefile":
			b.cert = one
		case "sslcertificatekeyfile":
			b.key = one
		case "sslcertificatechainfile":
			b.chain = one
		case "directory":
			dirs = append(dirs, d)
		case "redirect", "redirectpermanent":
			b.apacheRedirect(d)
		case "rewriteengine", "rewritecond", "rewriterule":
			b.apacheRewrite(d)
		default:
			if !slices.Contains(apacheQuiet(), d.name) {
				b.leave(d)
			}
		}
	}
	for _, d := range dirs {
		b.apacheDirectory(d)
	}
}

// apacheName is a ServerName without the scheme and port that it may have.
func apacheName(text string) string {
	_, rest, found := strings.Cut(text, "://")
	if !found {
		rest = text
	}
	name, _, _ := strings.Cut(rest, ":")
	return name
}

// apacheRedirect takes one of all paths to HTTPS.
func (b *block) apacheRedirect(d directive) {
	n := len(d.args)
	if n == 0 || n > 1 && d.args[n-2] != "/" || !b.sendsTo(d.args[n-1]) {
		b.leave(d)
	}
}

// apacheRewrite takes the rules by which certbot and others send to HTTPS.
func (b *block) apacheRewrite(d directive) {
	switch d.name {
	case "rewritecond":
		switch strings.Join(d.args[:min(1, len(d.args))], "") {
		case "%{HTTPS}", "%{SERVER_PORT}", "%{REQUEST_SCHEME}":
			b.plain = true
		case "%{SERVER_NAME}", "%{HTTP_HOST}":
			b.some = d.text
		default:
			b.leave(d)
		}
	case "rewriterule":
		all := []string{"^", "^.*$", "^(.*)$", "^/(.*)$", "^/?(.*)", "^/?(.*)$", "(.*)", ".*"}
		if len(d.args) != 3 || !slices.Contains(all, d.args[0]) || !strings.Contains(d.args[2], "R") || !b.sendsTo(d.args[1]) {
			b.leave(d)
		}
	}
}

// apacheDirectory takes the section of the document root, or of what is above
// it, where a template comes to the same.
func (b *block) apacheDirectory(d directive) {
	dir := ""
	if len(d.args) == 1 {
		dir = path.Clean(d.args[0])
	}
	is := dir == path.Clean(b.root)
	if !is && !strings.HasPrefix(path.Clean(b.root), strings.TrimSuffix(dir, "/")+"/") {
		b.leave(d)
		return
	}
	for _, inner := range d.body {
		text := strings.ToLower(strings.Join(inner.args, " "))
		ok := false
		switch inner.name {
		case "options":
			ok = !slices.ContainsFunc(strings.Fields(text), func(word string) bool {
				return word[0] != '-' && !slices.Contains([]string{"none", "followsymlinks", "symlinksifownermatch"}, strings.TrimPrefix(word, "+"))
			})
		case "allowoverride":
			ok = text == "all" || !is
		case "require":
			ok = text == "all granted" || !is && text == "all denied"
		case "order", "satisfy":
			ok = true
		case "allow", "deny":
			ok = text == "from all" && (inner.name == "allow" || !is)
		}
		if !ok {
			b.leave(inner)
		}
	}
}

package webconf

import (
	"cmp"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	"iwx/lib/fault"
)

// Found is what a server serves under one name, or several that belong together,
// by virtual hosts that iwx has not made: those of port 80 and 443 are one.
type Found struct {
	Names       []string // as they are written; the first is what it is called by
	Files       []string // that its virtual hosts stand in, as the server finds them
	Root        string   // document root
	Certificate string   // file, "" for none
	Chain       string   // file with those that it was signed with, where it is another
	Key         string   // file
	Left        []string // directives that no template carries, as written, the name in front
	Obstacles   []error  // what else keeps a template from standing for it
}

// Served is what a server serves at present.
type Served struct {
	Found  []Found
	config *config
	extra  map[string][]string // what a file has beside virtual hosts
}

// Source is a server whose configuration is to be read.
type Source struct {
	Syntax string                 // apache, nginx
	File   string                 // the configuration that includes all the others
	Base   string                 // directory that relative names are relative to
	Ours   func(file string) bool // whether virtual hosts in a file are left out
}

// Read reads the configuration of a server, with all that it includes. Nothing is
// changed, and the server itself is not asked.
func Read(from Source) (*Served, error) {
	c := &config{base: from.Base, defined: map[string]string{}, listed: map[string]bool{}}
	walk := (*Served).apache
	if from.Syntax == "nginx" {
		c.parse, c.expand = parseNginx, func(*config, *directive) bool { return false }
		walk = (*Served).nginx
	} else {
		c.parse, c.expand = parseApache, expandApache
	}
	list, err := c.read(from.File, 0)
	if err != nil {
		return nil, err
	}
	e := &Served{config: c, extra: map[string][]string{}}
	blocks := slices.DeleteFunc(walk(e, list), func(b *block) bool { return from.Ours(b.file) })
	for _, group := range together(blocks) {
		e.Found = append(e.Found, group.found())
	}
	return e, nil
}

// block is one virtual host: a section of apache, a server of nginx.
type block struct {
	file                   string
	names                  []string
	listens                []string // addresses, as written
	tls                    bool
	root, cert, chain, key string
	redirect               string // the host that all is sent to, own for the one that was asked for
	some                   string // the condition that this is so for some names only
	plain                  bool   // it is so for HTTP only
	left                   []string
	obstacles              []error
}

// own is a redirect to the host that was asked for.
const own = "*"

func (b *block) leave(d directive) { b.left = append(b.left, d.text) }

func (b *block) obstacle(format string, args ...any) {
	b.obstacles = append(b.obstacles, fault.New(fault.Failed, format, args...))
}

// sendsTo takes a URL that all is sent to, and reports whether it is one of
// HTTPS with the path that was asked for.
func (b *block) sendsTo(url string) bool {
	rest, secure := strings.CutPrefix(url, "https://")
	host, path := rest, ""
	if n := strings.IndexAny(rest, "/$%"); n >= 0 {
		host, path = plainName(rest[:n]), rest[n:]
	}
	for _, asked := range []string{"%{SERVER_NAME}", "%{HTTP_HOST}", "$host", "$server_name", "$http_host"} {
		if after, is := strings.CutPrefix(rest, asked); is {
			host, path = own, after
		}
	}
	if !secure || host == "" || !slices.Contains([]string{"", "/", "/$1", "$1", "$request_uri", "%{REQUEST_URI}"}, path) {
		return false
	}
	b.redirect = host
	return true
}

// plainName is a name as names are compared.
func plainName(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// finish says what is in the way of a virtual host that has been read.
func (b *block) finish() {
	if b.tls && (b.some != "" || b.plain) {
		b.redirect = "" // it has content, and sends to it
	}
	if b.tls && b.some != "" {
		b.left = append(b.left, b.some)
	}
	if len(b.names) == 0 {
		b.obstacle("has no name of its own")
	}
	for _, name := range b.names {
		switch {
		case name == "" || name == "_":
			b.obstacle("answers to any name")
		case strings.ContainsAny(name, "*~?$") || name[0] == '.':
			b.obstacle("answers to %s, which is more than one name", name)
		}
	}
	for _, text := range []string{b.root, b.cert, b.chain, b.key} {
		if strings.Contains(text, "$") {
			b.obstacle("has a variable without a value, in %s", text)
		}
	}
	if b.root != "" && !filepath.IsAbs(b.root) {
		b.obstacle("has a document root that is not absolute, %s", b.root)
	}
	for _, at := range b.listens {
		b.checkListen(at)
	}
}

// checkListen wants an address that templates have too: all, port 80 or with TLS
// 443.
func (b *block) checkListen(at string) {
	host, port := splitListen(at)
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	switch {
	case host == "unix:" || !slices.Contains([]string{"", "*", "_default_"}, host) && (err != nil || !addr.IsUnspecified()):
		b.obstacle("is bound to the address %s, and templates are to all", at)
	case port != "80" && port != "443":
		b.obstacle("is at port %s, and templates are at 80 and 443", port)
	case port == "443" && !b.tls:
		b.obstacle("is at port 443 without TLS")
	case port == "80" && b.tls && len(b.listens) == 1:
		b.obstacle("has TLS at port 80")
	}
}

// splitListen splits an address of apache or nginx; without a port it is 80.
func splitListen(at string) (host, port string) {
	i := strings.LastIndexByte(at, ':')
	switch {
	case strings.HasPrefix(at, "unix:"):
		return "unix:", ""
	case i >= 0 && !strings.HasSuffix(at, "]"):
		return at[:i], at[i+1:]
	case strings.Trim(at, "0123456789") == "":
		return "", cmp.Or(at, "80")
	}
	return at, "80"
}

// group are the virtual hosts that have names in common.
type group []*block

// together sorts virtual hosts into groups, in the order in which they stand.
func together(blocks []*block) (groups []group) {
	for _, b := range blocks {
		b.finish()
		merged := group{b}
		var rest []group
		at := len(groups)
		for i, g := range groups {
			if !g.shares(b) {
				rest = append(rest, g)
				continue
			}
			at = min(at, i)
			merged = append(slices.Clip(g), merged...)
		}
		groups = slices.Insert(rest, min(at, len(rest)), merged)
	}
	return groups
}

func (g group) shares(b *block) bool {
	return slices.ContainsFunc(g, func(other *block) bool {
		return slices.ContainsFunc(b.names, func(name string) bool {
			return ordinary(name) && slices.ContainsFunc(other.names, func(n string) bool { return plainName(n) == plainName(name) })
		})
	})
}

// ordinary is a name that can belong to a site.
func ordinary(name string) bool { return name != "" && name != "_" }

// found puts a group together.
func (g group) found() Found {
	main := g.main()
	f := Found{Root: main.root}
	for _, b := range append(group{main}, g...) {
		f.Names = append(f.Names, b.names...)
		f.Files = append(f.Files, b.file)
		f.Obstacles = append(f.Obstacles, b.obstacles...)
		f.Left = append(f.Left, b.left...)
	}
	f.Names, f.Files, f.Left = distinct(f.Names, plainName), distinct(f.Files, strings.Clone), distinct(f.Left, strings.Clone)
	if main.tls {
		f.Certificate, f.Chain, f.Key = main.cert, main.chain, cmp.Or(main.key, main.cert)
	}
	f.Obstacles = distinct(append(f.Obstacles, g.obstacles(main, f.Names)...), error.Error)
	return f
}

// main is the virtual host that has the content: the one with TLS, if several
// have.
func (g group) main() *block {
	return slices.MaxFunc(g, func(a, b *block) int { return cmp.Compare(a.weight(), b.weight()) })
}

func (b *block) weight() (n int) {
	if b.redirect == "" {
		n += 2
	}
	if b.tls {
		n++
	}
	return n
}

// obstacles are those of the group as a whole.
func (g group) obstacles(main *block, names []string) (list []error) {
	add := func(format string, args ...any) { list = append(list, fault.New(fault.Failed, format, args...)) }
	self := func(n string) bool { return plainName(n) == main.redirect }
	switch {
	case main.redirect == own || slices.ContainsFunc(names, self):
		add("sends to HTTPS, and is not there")
	case main.redirect != "":
		list = append(list, fault.Hint(fault.New(fault.Failed, "only sends to %s", main.redirect),
			"a site can answer to that name too: iwx-site edit %s --alias %s", main.redirect, names[0]))
	case main.root == "":
		add("has no document root")
	case main.tls && main.cert == "":
		add("has TLS without a certificate")
	}
	seen := map[string]bool{}
	for _, b := range g {
		if b.redirect == "" && b.root != main.root && main.redirect == "" {
			add("has two document roots, %s and %s", main.root, b.root)
		}
		if b.redirect != "" && b.redirect != own && main.redirect == "" && !slices.ContainsFunc(names, func(n string) bool { return plainName(n) == b.redirect }) {
			add("sends to %s", b.redirect)
		}
		for _, key := range b.places() {
			if seen[key] {
				add("has a second virtual host with the same name, %s", key)
			}
			seen[key] = true
		}
	}
	return list
}

// places are "NAME:PORT", each once.
func (b *block) places() (list []string) {
	for _, name := range b.names {
		for _, at := range b.listens {
			_, port := splitListen(at)
			list = append(list, plainName(name)+":"+port)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// distinct drops what is there before under the same key.
func distinct[T any](list []T, key func(T) string) (kept []T) {
	seen := map[string]bool{}
	for _, one := range list {
		if !seen[key(one)] {
			kept = append(kept, one)
		}
		seen[key(one)] = true
	}
	return kept
}

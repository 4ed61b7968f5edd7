// Package vhost is the virtual hosts of sites in a web server: apache2 as Debian
// lays it out, httpd as RHEL does, and nginx. It renders their configuration
// from templates, writes it so that the server's own test has passed or the old
// one is back, and reloads the server without dropping a connection.
//
// Each site has one file, iwx-DOMAIN.conf, and there are two that say who is
// believed about clients: see Forwarded and Proxied. No other file of the server is
// touched, but for those whose virtual hosts a site takes over, which are set
// aside.
package vhost

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"iwx/lib/fault"
	"iwx/lib/host"
	"iwx/lib/webmodule"
)

// Server is one web server of this machine.
type Server struct {
	Name   string // as in site.Order: apache2, httpd, nginx
	Root   string // "" for the server itself; else everything lies below it
	Syntax string // of its templates: apache, nginx
	config string // its own configuration, below Root
	sites  string // the directory of virtual hosts, below Root
	pid    string // its process id, below a root of its own
	group  string // that its workers are of
	undo   string // old files, while new ones are tested

	patience time.Duration // until a reloaded server has started a worker
}

// kinds are the servers that are known, the ones tried first in front.
func kinds() []Server {
	return []Server{
		{Name: "apache2", Syntax: "apache", config: "/etc/apache2/apache2.conf", sites: "/etc/apache2/sites-enabled", pid: "/run/apache2/apache2.pid", group: "www-data"},
		{Name: "httpd", Syntax: "apache", config: "/etc/httpd/conf/httpd.conf", sites: "/etc/httpd/conf.d", pid: "/run/httpd/httpd.pid", group: "apache"},
		{Name: "nginx", Syntax: "nginx", config: "/etc/nginx/nginx.conf", sites: "/etc/nginx/conf.d", pid: "/run/nginx.pid", group: "www-data"},
	}
}

// Find returns the web servers that are installed, by their configuration below
// root.
func Find(root string) (list []*Server) {
	for _, s := range kinds() {
		s.Root = host.At(root).Root
		s.patience = workerLimit
		s.undo = filepath.Join(host.At(root).Lib, "vhosts.old")
		if _, err := os.Stat(s.at(s.config)); err == nil {
			list = append(list, &s)
		}
	}
	return list
}

// Named returns the web server of that name; the error of one that is not
// installed says how to install it.
func Named(root, name string) (*Server, error) {
	for _, s := range Find(root) {
		if s.Name == name {
			return s, nil
		}
	}
	return nil, fault.Hint(fault.New(fault.Failed, "web server %s is not installed here", name), "apt-get install %[1]s, or dnf install %[1]s", name)
}

// at is a path below the server's root.
func (s *Server) at(path string) string { return filepath.Join(s.Root, "/", path) }

// Installed reports whether its program is there: its configuration may have
// outlived it.
func (s *Server) Installed() bool {
	_, err := exec.LookPath(s.program())
	return err == nil
}

// program is its binary.
func (s *Server) program() string { return s.Name }

// The name of a virtual host's file: the domain between these two.
const (
	filePrefix = "iwx-"
	fileSuffix = ".conf"
)

// File is where the virtual host of a domain lies.
func (s *Server) File(domain string) string {
	name := filePrefix + domain + fileSuffix
	switch {
	case domain == proxied && s.Syntax == "nginx":
		name = "iwx-proxied.listen" // for servers to include
	case domain == proxied:
		name = "zz-iwx-proxied.conf" // the last of all
	}
	return filepath.Join(s.at(s.sites), name)
}

// Group returns the id of the group that its workers read files with.
func (s *Server) Group() (name string, gid int, err error) {
	for _, candidate := range []string{s.group, s.Name} {
		if gid, found := s.lookUp("/etc/group", candidate); found {
			return candidate, gid, nil
		}
	}
	return "", 0, fault.New(fault.Failed, "group %s of %s does not exist", s.group, s.Name)
}

// User returns the id of the user that its workers are, which is called as their
// group is.
func (s *Server) User() (uid int, err error) {
	name, _, err := s.Group()
	if err != nil {
		return 0, err
	}
	uid, found := s.lookUp("/etc/passwd", name)
	if !found {
		return 0, fault.New(fault.Failed, "user %s of %s does not exist", name, s.Name)
	}
	return uid, nil
}

// lookUp returns the id of a name in passwd(5) or group(5), below the root or
// else the machine's own.
func (s *Server) lookUp(file, name string) (id int, found bool) {
	for _, path := range []string{s.at(file), file} {
		entries, _ := host.ReadEntries(path) // a file that cannot be read has no such name
		for _, e := range entries {
			if id, ok := e.ID(); ok && e[0] == name {
				return int(id), true
			}
		}
	}
	return 0, false
}

// Test has the server read its whole configuration; the error carries what it
// said.
func (s *Server) Test(ctx context.Context) error { return s.testOf(ctx, "") }

// testOf is Test with another configuration than its own, if one is named.
func (s *Server) testOf(ctx context.Context, config string) error {
	args := []string{"-t"}
	if s.Syntax == "nginx" {
		args = append(args, "-q")
	}
	_, err := s.ask(ctx, config, args...)
	if err == nil {
		return nil
	}
	if lacks := webmodule.Lacking(s.Syntax, err.Error()); lacks.Module != "" {
		return fault.Hint(err, "%s", webmodule.Enable(s.Name, lacks.Module))
	}
	return err
}

// Lacks fails if the server lacks a module that the virtual hosts of the changes
// need; the error's hint is the command that enables it. It does not look at existing
// virtual hosts. If the server cannot list its modules because its configuration is
// broken, Lacks succeeds: Put reports that.
func (s *Server) Lacks(ctx context.Context, changes []Change) error {
	listing := ""
	for _, c := range changes {
		if s.Differs(c.Domain, c.Text) == "" {
			continue
		}
		for _, need := range webmodule.Needs(s.Syntax, c.Text) {
			if listing == "" {
				var err error
				if listing, err = s.ask(ctx, "", webmodule.Listing(s.Syntax)); err != nil || listing == "" {
					return ctx.Err()
				}
			}
			if !webmodule.Has(s.Syntax, listing, need.Module) {
				return fault.Hint(fault.New(fault.Failed, "%s has no module %s, which the virtual host of %s needs for %s", s.Name, need.Module, c.Domain, need.Directive),
					"%s", webmodule.Enable(s.Name, need.Module))
			}
		}
	}
	return nil
}

// ask has the server's program do something with a configuration alone, its own if
// none is named, and returns what it says.
func (s *Server) ask(ctx context.Context, config string, args ...string) (string, error) {
	const limit = time.Minute
	ctx, cancel := fault.Within(ctx, limit, strings.Join(append([]string{s.program()}, args...), " "))
	defer cancel()
	if config == "" && (s.Root != "" || s.Syntax == "nginx") {
		config = s.at(s.config)
	}
	program := s.program()
	if s.Name == "apache2" && s.Root == "" {
		program = "apache2ctl" // with the variables of its environment
	}
	switch {
	case s.Syntax == "nginx":
		args = append(args, "-c", config)
	case config != "":
		args = append(args, "-f", config)
	}
	return s.output(ctx, program, args...)
}

func (s *Server) output(ctx context.Context, program string, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, program, args...).CombinedOutput()
	if err == nil {
		return string(out), nil
	}
	if late := fault.Late(ctx, err); late != err {
		return "", late
	}
	text := strings.TrimSpace(string(out))
	return "", fault.New(fault.Failed, "%s %s: %w\n%s", program, strings.Join(args, " "), err, text)
}

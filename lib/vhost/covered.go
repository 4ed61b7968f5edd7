package vhost

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"iwx/lib/fault"
	"iwx/lib/webconf"
)

// Covered fails unless every virtual host at port 443 can be reached at another
// port too, so that connections that come there find the same sites: those of iwx
// can. Without one there is nothing to cover, and some is false.
func (s *Server) Covered(ctx context.Context, port uint16) (some bool, err error) {
	list := s.apacheHosts
	if s.Syntax == "nginx" {
		list = s.nginxHosts
	}
	secure, lacking, err := list(ctx, port)
	if err == nil && len(lacking) > 0 {
		err = fault.Hint(fault.New(fault.Failed, "%s: %s is at port 443 and not at port %d", s.Name, lacking[0], port),
			"%s", s.coverHint(port))
	}
	return secure > 0, err
}

func (s *Server) coverHint(port uint16) string {
	if s.Syntax == "nginx" {
		return "add to that server: include conf.d/iwx-*.listen;"
	}
	return fmt.Sprintf("write <VirtualHost *:443 *:%d> there", port)
}

// apacheHosts reads the list of virtual hosts, httpd(8), option -S: how many are
// at port 443, and which of them not at the other.
func (s *Server) apacheHosts(ctx context.Context, port uint16) (secure int, lacking []string, err error) {
	out, err := s.ask(ctx, "", "-t", "-D", "DUMP_VHOSTS")
	if err != nil {
		return 0, nil, err
	}
	at := map[string][]string{} // by port: "name (file:line)"
	on := ""
	for line := range strings.Lines(out) {
		fields := strings.Fields(line)
		switch {
		case len(fields) >= 3 && fields[0] == "port" && fields[2] == "namevhost":
			at[on] = append(at[on], strings.Join(fields[3:], " "))
		case len(fields) >= 3 && !strings.HasPrefix(line, " ") && strings.Contains(fields[0], ":"):
			on = fields[0][strings.LastIndex(fields[0], ":")+1:]
			if strings.HasPrefix(fields[2], "(") { // the only one there
				at[on] = append(at[on], strings.Join(fields[1:], " "))
			}
		}
	}
	for _, host := range at["443"] {
		if !slices.Contains(at[fmt.Sprint(port)], host) {
			lacking = append(lacking, host)
		}
	}
	return len(at["443"]), lacking, nil
}

// nginxHosts reads the whole configuration: how many servers listen at port 443,
// and which of them would not at the other.
func (s *Server) nginxHosts(ctx context.Context, port uint16) (secure int, lacking []string, err error) {
	out, err := s.ask(ctx, "", "-T", "-q")
	if err != nil {
		return 0, nil, err
	}
	servers, err := webconf.NginxServers(out)
	if err != nil {
		return 0, nil, err
	}
	for _, server := range servers {
		if !server.Listens(443) {
			continue
		}
		secure++
		if !server.Listens(port) && !server.Includes("conf.d/iwx-*.listen") {
			lacking = append(lacking, "server "+server.Name())
		}
	}
	return secure, lacking, nil
}

// Looked notes that the virtual hosts were found to be covered as they are now, in
// the time of the file that Proxied is about.
func (s *Server) Looked() error {
	newest, err := s.newest()
	if err != nil {
		return err
	}
	return os.Chtimes(s.File(proxied), newest, newest)
}

// Unlooked reports whether a virtual host was changed since Looked, or it never was.
func (s *Server) Unlooked() bool {
	is, err := os.Stat(s.File(proxied))
	if err != nil {
		return true
	}
	newest, err := s.newest()
	return err != nil || newest.After(is.ModTime())
}

// newest is when any of the virtual hosts was last written, added or removed.
func (s *Server) newest() (at time.Time, err error) {
	for _, dir := range []string{s.at(s.sites), filepath.Join(filepath.Dir(s.at(s.config)), "sites-enabled")} {
		names, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil {
			return at, err
		}
		for _, name := range append(names, dir) {
			is, err := os.Stat(name)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return at, err
			}
			if is.ModTime().After(at) && name != s.File(proxied) {
				at = is.ModTime()
			}
		}
	}
	return at, nil
}

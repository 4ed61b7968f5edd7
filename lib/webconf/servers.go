package webconf

import (
	"strconv"
	"strings"
)

// NginxServer is a server in a configuration of nginx.
type NginxServer struct{ block directive }

// NginxServers returns the servers in a whole configuration, as nginx(8) prints it
// with -T.
func NginxServers(text string) ([]NginxServer, error) {
	list, err := parseNginx(text)
	return nginxServers(list), err
}

func nginxServers(list []directive) (servers []NginxServer) {
	for _, d := range list {
		if d.name == "server" && d.body != nil {
			servers = append(servers, NginxServer{d})
		}
		servers = append(servers, nginxServers(d.body)...)
	}
	return servers
}

// first returns the first argument of a directive that will do, "" if there is none.
func (s NginxServer) first(name string, such func(arg string) bool) string {
	for _, in := range s.block.body {
		if in.name == name && len(in.args) > 0 && such(in.args[0]) {
			return in.args[0]
		}
	}
	return ""
}

// Name is the first name that it answers to, "" without one.
func (s NginxServer) Name() string {
	return s.first("server_name", func(string) bool { return true })
}

// Listens reports whether it listens at a port of TCP, at whatever address.
func (s NginxServer) Listens(port uint16) bool {
	want := strconv.Itoa(int(port))
	return s.first("listen", func(at string) bool { return at == want || strings.HasSuffix(at, ":"+want) }) != ""
}

// Includes reports whether it has an include whose pattern ends so.
func (s NginxServer) Includes(pattern string) bool {
	return s.first("include", func(arg string) bool { return strings.HasSuffix(arg, pattern) }) != ""
}

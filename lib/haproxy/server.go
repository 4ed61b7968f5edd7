package haproxy

import (
	"encoding/csv"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"

	"iwx/lib/lb"
)

// showServers asks for the servers of all proxies: type 4 of "show stat".
const showServers = "show stat -1 4 -1"

// server is a server as a worker has it.
type server struct {
	key, addr netip.AddrPort
	name      string // of the server in HAProxy
	weight    int
	maint     bool // gets no new connection, in maintenance
	sessions  int
}

// HAProxy lets nobody remove a server that has connections, so there are three
// states in which one gets no new connection. One that was drained is in
// maintenance with weight 0: in the state that HAProxy calls drain, clients that
// stay with a server would go on to come. One that was deleted, and cannot go
// yet, is in maintenance with the weight gone. One that is not there has no
// connection.
const gone = 1

// leaving reports whether the server was deleted.
func (s *server) leaving() bool { return s.maint && s.weight != 0 }

func (s *server) real() lb.Real {
	name, proxy := strings.CutSuffix(s.name, proxyMark)
	name, local := strings.CutSuffix(name, localMark)
	if cut := strings.LastIndex(name, "_"); cut >= 0 {
		name = name[:cut]
	}
	real := lb.Real{Name: name, Local: local, Proxy: proxy}
	if !s.maint {
		real.Weight = s.weight
	}
	return real
}

// path is the server in commands.
func (s *server) path() string { return proxyName(s.key) + "/" + s.name }

// What ends the name of a server: that it is the manager itself, and that it
// expects the PROXY protocol.
const (
	localMark = "_local"
	proxyMark = "_proxy"
)

// serverName returns the name of a server in HAProxy, "web2_192.0.2.12:80". All
// that it holds may be in a name: a server's is a host name, and HAProxy takes
// colons.
func serverName(addr netip.AddrPort, real lb.Real) string {
	name := real.Name + "_" + plain(addr)
	if real.Local {
		name += localMark
	}
	if real.Proxy {
		name += proxyMark
	}
	return name
}

// proxyName returns the name of a virtual service in HAProxy.
func proxyName(key netip.AddrPort) string { return plain(key) }

// plain is an address without the brackets of IPv6, which a name may not have.
func plain(addr netip.AddrPort) string {
	return addr.Addr().String() + ":" + strconv.Itoa(int(addr.Port()))
}

func parsePlain(text string) (netip.AddrPort, error) {
	cut := strings.LastIndex(text, ":")
	if cut < 0 {
		return netip.AddrPort{}, fmt.Errorf("%q is not an address and a port", text)
	}
	addr, err := netip.ParseAddr(text[:cut])
	if err != nil {
		return netip.AddrPort{}, err
	}
	port, err := strconv.ParseUint(text[cut+1:], 10, 16)
	return netip.AddrPortFrom(addr, uint16(port)), err
}

// parseServers reads the answer to showServers: lines of comma separated values
// under a line of their names, "# pxname,svname,…". Servers that are not named
// as ours are passed over.
func parseServers(text string) ([]server, error) {
	r := csv.NewReader(strings.NewReader(strings.TrimPrefix(strings.TrimSpace(text), "# ")))
	r.FieldsPerRecord, r.ReuseRecord = -1, true
	names, err := r.Read()
	if err != nil || names[0] != "pxname" {
		return nil, fmt.Errorf("haproxy's statistics: %.80q", text)
	}
	column := map[string]int{}
	for i, name := range names {
		column[name] = i
	}
	var list []server
	for {
		row, err := r.Read()
		if err == io.EOF {
			return list, nil
		}
		if err != nil {
			return nil, fmt.Errorf("haproxy's statistics: %w", err)
		}
		value := func(name string) string {
			if i, there := column[name]; there && i < len(row) {
				return row[i]
			}
			return ""
		}
		if s, ours := parseServer(value); ours {
			list = append(list, s)
		}
	}
}

func parseServer(value func(column string) string) (s server, ours bool) {
	s.name = value("svname")
	name := strings.TrimSuffix(strings.TrimSuffix(s.name, proxyMark), localMark)
	var err, err2, err3 error
	s.key, err = parsePlain(value("pxname"))
	s.addr, err2 = parsePlain(name[strings.LastIndex(name, "_")+1:])
	s.weight, err3 = strconv.Atoi(value("uweight"))
	if err != nil || err2 != nil || err3 != nil {
		return server{}, false
	}
	s.sessions, _ = strconv.Atoi(value("scur"))
	s.maint = strings.HasPrefix(value("status"), "MAINT")
	return s, true
}

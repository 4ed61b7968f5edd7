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

// What is asked of the servers of all proxies: what each is like, and with type 4
// of "show stat" how many connections it has, which takes HAProxy several times as
// long to tell.
const (
	showStates   = "show servers state"
	showSessions = "show stat -1 4 -1"
)

// server is a server as a worker has it.
type server struct {
	key, addr netip.AddrPort
	name      string // of the server in HAProxy
	weight    int    // with showStates
	maint     bool   // with showStates: gets no new connection, in maintenance
	sessions  int    // with showSessions
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

// retired are the commands that make it so.
func (s *server) retired() string {
	return fmt.Sprintf("set server %s state maint; set server %s weight %d", s.path(), s.path(), gone)
}

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

// parseStates reads the answer to showStates: the version of the format, a line of
// names, "# be_id be_name srv_id srv_name …", and a line of words for each server.
// Servers that are not named as ours are passed over.
func parseStates(text string) ([]server, error) {
	version, text, _ := strings.Cut(strings.TrimSpace(text), "\n")
	names, text, _ := strings.Cut(text, "\n")
	if version != "1" || !strings.HasPrefix(names, "# be_id ") {
		return nil, fmt.Errorf("haproxy's servers: %.80q", version+"\n"+names)
	}
	column := columns(strings.Fields(names)[1:])
	var list []server
	for line := range strings.Lines(text) {
		value := column.of(strings.Fields(line))
		s, ours := parseName(value("be_name"), value("srv_name"))
		weight, err := strconv.Atoi(value("srv_uweight"))
		admin, err2 := strconv.Atoi(value("srv_admin_state"))
		if ours && err == nil && err2 == nil {
			s.weight, s.maint = weight, admin&adminMaint != 0
			list = append(list, s)
		}
	}
	return list, nil
}

// adminMaint are the bits of srv_admin_state that are maintenance: by command, with
// another server, and by resolution (management guide, "show servers state").
// That it was so in the configuration is another bit, which stays.
const adminMaint = 0x01 | 0x02 | 0x20

// parseSessions reads the answer to showSessions: lines of comma separated values
// under a line of their names, "# pxname,svname,…". Servers that are not named as
// ours are passed over.
func parseSessions(text string) ([]server, error) {
	r := csv.NewReader(strings.NewReader(strings.TrimPrefix(strings.TrimSpace(text), "# ")))
	r.FieldsPerRecord, r.ReuseRecord = -1, true
	names, err := r.Read()
	if err != nil || names[0] != "pxname" {
		return nil, fmt.Errorf("haproxy's statistics: %.80q", text)
	}
	column := columns(names)
	var list []server
	for {
		row, err := r.Read()
		if err == io.EOF {
			return list, nil
		}
		if err != nil {
			return nil, fmt.Errorf("haproxy's statistics: %w", err)
		}
		value := column.of(row)
		if s, ours := parseName(value("pxname"), value("svname")); ours {
			s.sessions, _ = strconv.Atoi(value("scur"))
			list = append(list, s)
		}
	}
}

// header has the number of each column, by its name.
type header map[string]int

func columns(names []string) header {
	h := header{}
	for i, name := range names {
		h[name] = i
	}
	return h
}

// of returns what gives the value of a row in a column, "" for one that it has not.
func (h header) of(row []string) func(column string) string {
	return func(column string) string {
		if i, there := h[column]; there && i < len(row) {
			return row[i]
		}
		return ""
	}
}

// parseName returns the server of a proxy's name and its own.
func parseName(proxy, name string) (s server, ours bool) {
	s.name = name
	name = strings.TrimSuffix(strings.TrimSuffix(name, proxyMark), localMark)
	var err, err2 error
	s.key, err = parsePlain(proxy)
	s.addr, err2 = parsePlain(name[strings.LastIndex(name, "_")+1:])
	return s, err == nil && err2 == nil
}

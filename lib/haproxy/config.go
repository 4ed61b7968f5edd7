package haproxy

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"iwx/lib/lb"
)

// The configuration, by HAProxy's configuration manual. What makes a worker
// different is in the lines that begin a section or are indented under it;
// servers are not, since a running worker is told of them.
const (
	notice = `# Written by iwx-lb daemon, see iwx-lb(8), for an HAProxy of its own: another one on
# this server has its own configuration. What is changed here is changed back.
`
	serverWord  = "    server "
	markWord    = "    description "
	serviceWord = "# iwx "
)

// tries has a connection that cannot be made tried with another server, each
// time: a server that is cut off costs a client 250 ms, and none its connection.
const tries = `    option redispatch 1
    retries 3
    timeout connect 250ms
`

// idle is how long a connection may be silent. RFC 9051 §5.4 lets an IMAP client
// be so for 29 minutes, and it is not for a balancer to be stricter than the
// servers, which have limits of their own.
const idle = `    timeout client 1h
    timeout server 1h
    timeout tunnel 1h
`

// watch is what HAProxy sees on its own: three connections in a row that failed
// mark a server down, and then alone it is connected to, until that works. Else
// it is checked when it is new and once a day: to check is the work of health.
const watch = " check inter 24h fastinter 250ms downinter 250ms rise 1 fall 2 observe layer4 error-limit 3 on-error mark-down"

// reuse has HAProxy keep connections to a server, for requests that come later. It
// does by default for the servers of a configuration, but keeps none to those that
// a running worker is given, where both values begin at 0.
const reuse = " pool-max-conn -1 pool-purge-delay 5s"

// httpWords are for HTTP in the clear. The servers are told who asks; a request
// that a server took and died with is tried with another where that does no
// harm, RFC 9110 §9.2.2.
const httpWords = `    mode http
    option forwardfor
    timeout client 5m
    timeout http-request 30s
    timeout http-keep-alive 15s
    retry-on conn-failure empty-response
    http-request disable-l7-retry if ! METH_GET
`

// tableSize is how many clients HAProxy remembers for a service with
// persistence: about 20 MB when full.
const tableSize = "100k"

// text returns the configuration for the services of a table.
func (l layout) text(table lb.Table) string {
	var b strings.Builder
	b.WriteString(l.head())
	for _, key := range slices.SortedFunc(maps.Keys(table), netip.AddrPort.Compare) {
		v := table[key]
		b.WriteString("\n" + serviceLine(key, v))
		listen(&b, key, v)
	}
	return notice + "\nglobal\n" + markWord + digest(b.String()) + "\n" + b.String()
}

// head is all that comes before the services.
func (l layout) head() string {
	user, owner := "", ""
	if l.user != "" {
		user = fmt.Sprintf("    user %s\n    group %s\n", l.user, l.user)
		owner = " user " + l.user
	}
	return user +
		"    localpeer iwx\n" +
		"    log stderr format short daemon notice\n" +
		"    stats socket " + quote(l.stats) + " mode 600 level admin expose-fd listeners\n" +
		"    server-state-file " + quote(l.states) + "\n" +
		"    hard-stop-after 24h\n" +
		"\ndefaults\n    log global\n    mode tcp\n" + tries + idle +
		"    load-server-state-from-file global\n" +
		"\n# A new worker asks the one before which client stays with which server.\n" +
		"peers iwx\n    bind unix@" + quote(l.peer) + " mode 600" + owner + "\n    server iwx\n"
}

// listen writes the section of a virtual service. The address need not be there
// yet: it may come later at boot, and go and come back.
func listen(b *strings.Builder, key netip.AddrPort, v lb.Virtual) {
	b.WriteString("listen " + proxyName(key) + "\n    bind " + key.String() + " transparent\n")
	if v.HTTP {
		b.WriteString(httpWords)
	}
	b.WriteString(balance(v.Scheduler) + persistence(key.Addr(), v.Persistence))
	for _, addr := range slices.SortedFunc(maps.Keys(v.Servers), netip.AddrPort.Compare) {
		real := v.Servers[addr]
		b.WriteString(serverWord + serverName(addr, real) + " " + serverValues(addr, v, real))
		if real.Weight == 0 {
			b.WriteString(" disabled")
		}
		b.WriteString("\n")
	}
}

// balance gives the algorithm for a scheduler of ipvsadm(8). Those of HAProxy
// always go by the weights. A client's address is hashed so that a server which
// comes or goes moves few clients, and can be added at all.
func balance(scheduler string) string {
	switch scheduler {
	case "rr", "wrr":
		return "    balance roundrobin\n"
	case "sh":
		return "    balance source\n    hash-type consistent\n"
	}
	return "    balance leastconn\n"
}

// persistence has a client stay with a server for so long after its last
// connection.
func persistence(vip netip.Addr, d time.Duration) string {
	if d <= 0 {
		return ""
	}
	kind := "ip"
	if vip.Is6() {
		kind = "ipv6"
	}
	return fmt.Sprintf("    stick-table type %s size %s expire %dms peers iwx\n    stick on src\n", kind, tableSize, d.Milliseconds())
}

// serverValues is what a server line and the command "add server" have alike.
func serverValues(addr netip.AddrPort, v lb.Virtual, real lb.Real) string {
	text := addr.String() + " weight " + strconv.Itoa(real.Weight) + watch
	if v.HTTP {
		text += reuse
	}
	if v.Proxy || real.Proxy {
		text += " send-proxy-v2"
	}
	return text
}

// serviceLine is a comment by which parse finds a service again.
func serviceLine(key netip.AddrPort, v lb.Virtual) string {
	// Nothing in it can fail.
	line, _ := json.Marshal(service{key, v.Name, v.Scheduler, v.Persistence, v.Forwarding, v.Proxy, v.HTTP})
	return serviceWord + string(line) + "\n"
}

// service is what serviceLine holds.
type service struct {
	Key         netip.AddrPort `json:"key"`
	Name        string         `json:"name"`
	Scheduler   string         `json:"scheduler"`
	Persistence time.Duration  `json:"persistence"`
	Forwarding  lb.Forwarding  `json:"forwarding"`
	Proxy       bool           `json:"proxy,omitempty"`
	HTTP        bool           `json:"http,omitempty"`
}

// parse returns the services of a configuration that text has written, without
// servers.
func parse(text string) lb.Table {
	table := lb.Table{}
	for line := range strings.Lines(text) {
		var s service
		rest, found := strings.CutPrefix(line, serviceWord)
		if !found || json.Unmarshal([]byte(rest), &s) != nil {
			continue
		}
		table[s.Key] = lb.Virtual{
			Name: s.Name, Scheduler: s.Scheduler, Persistence: s.Persistence,
			Forwarding: s.Forwarding, Proxy: s.Proxy, HTTP: s.HTTP,
		}
	}
	return table
}

// digest is the mark of a configuration: of all in it but its servers. A worker
// tells it as its description.
func digest(body string) string {
	h := sha256.New()
	for line := range strings.Lines(body) {
		if !strings.HasPrefix(line, serverWord) || line == peerLine {
			h.Write([]byte(line))
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// peerLine looks like a server, and is none.
const peerLine = serverWord + "iwx\n"

// markOf returns the mark that a configuration gives to its worker, "" if it has
// none.
func markOf(text string) string {
	for line := range strings.Lines(text) {
		if mark, found := strings.CutPrefix(line, markWord); found {
			return strings.TrimSpace(mark)
		}
	}
	return ""
}

// quote makes a path one word, configuration manual §2.2.
func quote(path string) string {
	return strings.NewReplacer(`\`, `\\`, ` `, `\ `, `"`, `\"`, `'`, `\'`, `#`, `\#`, `$`, `\$`).Replace(path)
}

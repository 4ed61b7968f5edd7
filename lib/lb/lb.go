// Package lb is load balancing: which virtual services there are, which servers
// stand behind them, what an engine is to have, and what has to be done for it
// to have that. It is the rules alone: engines are packages of their own, and so
// is health, where the verdicts come from.
//
// The words are those of ipvsadm(8): a virtual service is an address and a port
// at which clients ask, a real server one of those that answer.
package lb

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"iwx/lib/health"
)

// Forwarding is how a connection gets from the virtual service to a real
// server.
type Forwarding string

const (
	Direct Forwarding = "dr"    // ipvs: by the link layer; the server answers the client itself
	NAT    Forwarding = "nat"   // ipvs: addresses are translated, both ways through the manager
	Tunnel Forwarding = "tun"   // ipvs: IP in IP, for servers on other links
	Proxy  Forwarding = "proxy" // haproxy: a connection of its own to the server
)

// Fallback is what a virtual service does when no real server is left.
type Fallback string

const (
	ToManager Fallback = "manager" // the manager answers, whatever its own check says
	ToAll     Fallback = "all"     // fail open: all servers, as if all checks had passed
	ToNone    Fallback = "reject"
)

// DefaultWeight is a real server's weight that was given none. The range is 0
// (takes no new connection) to MaxWeight.
const (
	DefaultWeight = 100
	MaxWeight     = 255
)

// ManagerID is the manager as a server of policies: a node has its own id.
const ManagerID = "manager"

// Policy is one virtual service, as it was asked for.
type Policy struct {
	Service     string         `json:"service"` // "http", or "tcp" for a port without a name
	VIP         netip.Addr     `json:"vip"`
	Port        uint16         `json:"port"`
	Scheduler   string         `json:"scheduler"` // rr, wrr, lc, wlc, lblc, sh, …: see Engine.Schedulers
	Persistence time.Duration  `json:"persistence"`
	Forwarding  Forwarding     `json:"forwarding"`        // "" is the engine's own
	ServerPort  uint16         `json:"server_port"`       // of the real servers; other than Port only where the engine can
	Weights     map[string]int `json:"weights,omitempty"` // by server id; the others have DefaultWeight
	Only        []string       `json:"only,omitempty"`    // server ids; none: every server of the cluster
	Fallback    Fallback       `json:"fallback"`
	Check       health.Check   `json:"check"`
}

// Key is the virtual service's address and port, by which there is one policy.
func (p *Policy) Key() netip.AddrPort { return netip.AddrPortFrom(p.VIP, p.Port) }

// Name is what the service is called, and given as in a Drain: "http", or "8080"
// for a port without a name.
func (p *Policy) Name() string {
	if p.Service == "tcp" {
		return strconv.Itoa(int(p.Port))
	}
	return p.Service
}

// String returns the policy for sentences: "http on 192.0.2.10", "port 8080 on …".
func (p *Policy) String() string {
	if p.Service == "tcp" {
		return fmt.Sprintf("port %d on %s", p.Port, p.VIP)
	}
	return fmt.Sprintf("%s on %s", p.Service, p.VIP)
}

// Server is a server of the cluster, as balancing sees it.
type Server struct {
	ID      string // a node's, or ManagerID
	Name    string
	Addrs   []netip.Addr // at which it is reached: one of each family at most
	Manager bool         // it is the one that balances
	Proxied []string     // services, by name, that it also has at Service.ProxyPort: its profile has set that up

	// Unready reports why the server may not be added, whatever its services
	// answer: its profile is not applied, it has not replayed the baseline. One
	// that takes traffic already goes on. "" if it may.
	Unready string

	// Unfit reports why the server is not to take traffic although its services
	// answer: a mount is not healthy. It is not added, and if it takes traffic
	// it counts as a soft failure of all its services. "" if nothing is known
	// against it.
	Unfit string
}

// Drain keeps new connections from a server, for one service or (Service "")
// for all.
type Drain struct {
	Server  string    `json:"server"`  // id
	Service string    `json:"service"` // Policy.Name
	Since   time.Time `json:"since"`
	Who     string    `json:"who"`
	Entry   uint64    `json:"entry,omitempty"` // of the command queue, for whose turn the server is drained; 0: an administrator's
}

// Table is what an engine is to have, or has: every virtual service that is
// ours, by its address and port.
type Table map[netip.AddrPort]Virtual

// Virtual is a virtual service in an engine.
type Virtual struct {
	Name        string // for sentences: Policy.String
	Scheduler   string
	Persistence time.Duration
	Forwarding  Forwarding
	Proxy       bool // the real servers expect the PROXY protocol, v2
	HTTP        bool // clients speak HTTP in the clear: an engine that is a proxy tells the servers who asked (X-Forwarded-For)
	Servers     map[netip.AddrPort]Real
}

// Real is a real server of a virtual service in an engine.
type Real struct {
	Name   string // the server's
	Weight int    // 0..MaxWeight, with the slow start in it; 0: drained, what it has goes on
	Local  bool   // it is the manager itself
	Proxy  bool   // it expects the PROXY protocol, whatever the others do: a way of a proxy alone
}

// Verb is what an Operation does.
type Verb string

const (
	AddService    Verb = "add service"
	EditService   Verb = "edit service"
	DeleteService Verb = "delete service"
	AddServer     Verb = "add server"
	EditServer    Verb = "edit server" // its weight
	DeleteServer  Verb = "delete server"
)

// Operation is one change to an engine. Every one can be repeated: adding what
// is there with the same values, or deleting what is not, is success.
type Operation struct {
	Verb    Verb
	Key     netip.AddrPort // of the virtual service
	Virtual Virtual        // its values; Servers counts only with AddService
	Addr    netip.AddrPort // of the real server
	Real    Real           // its values
	Was     int            // EditServer: its weight before
	Why     string         // DeleteServer, EditServer: what led to it, "connection refused"; may be ""
}

// Sessions is how many connections a real server has, for one virtual service.
type Sessions struct {
	Key    netip.AddrPort // of the virtual service
	Addr   netip.AddrPort // of the real server
	Active int            // established
	Other  int            // closing, and not counted as a client that waits
}

// Engine is what balances: the kernel, or a program that exists. All methods
// can be called again after an error.
type Engine interface {
	Name() string                                       // "ipvs", "haproxy"
	Schedulers() []string                               // that it has, its default first
	Forwardings() []Forwarding                          // that it has, its default first
	Observe(ctx context.Context) (Table, error)         // what it has now of ours
	Apply(ctx context.Context, ops []Operation) error   // in order, up to the first that cannot be done; none: what one before still owes
	Sessions(ctx context.Context) ([]Sessions, error)   // of every real server of ours
	End(ctx context.Context, dead netip.AddrPort) error // ends the connections to a real server that is gone, so that clients try again
}

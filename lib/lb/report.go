package lb

import (
	"net/netip"
	"time"

	"iwx/lib/health"
)

// VIP is a virtual address: one that the manager holds, and with direct routing
// the nodes as well, on lo and in silence.
type VIP struct {
	Addr    netip.Addr `json:"addr"`
	AddedAt time.Time  `json:"added_at"`
}

// Setup is all that was asked for: what the state holds.
type Setup struct {
	Engine   string   `json:"engine"`   // "ipvs", "haproxy"; "" until it was chosen
	External bool     `json:"external"` // somebody else's balancer does it: iwx programs nothing
	Stopped  bool     `json:"stopped"`  // by iwx-lb stop: the manager answers alone
	VIPs     []VIP    `json:"vips"`     // by address
	Policies []Policy `json:"policies"` // by virtual address and port
	Drains   []Drain  `json:"drains"`
}

// Report is how balancing is doing, as iwx-lb daemon tells it on its socket.
type Report struct {
	Engine   string          `json:"engine"`
	External bool            `json:"external"`
	Stopped  bool            `json:"stopped"`
	At       time.Time       `json:"at"`
	Error    string          `json:"error,omitempty"`   // why the engine does not match the configuration
	Blind    bool            `json:"blind,omitempty"`   // what the engine has cannot be seen: In, Weight and connections are unknown
	Pending  []string        `json:"pending,omitempty"` // what is left to be done on it: none once it has all
	Services []ServiceReport `json:"services"`
}

// ServiceReport is one policy and its real servers.
type ServiceReport struct {
	Policy  Policy         `json:"policy"`
	Members []MemberReport `json:"members"`
	Standby string         `json:"standby,omitempty"` // no real server is left: the fallback in force
}

// MemberReport is one real server of a policy.
type MemberReport struct {
	Server   string           `json:"server"` // its id
	Name     string           `json:"name"`
	Addr     netip.AddrPort   `json:"addr"`
	Others   []netip.AddrPort `json:"others,omitempty"` // at which it can be reached too, and may have connections of before
	Manager  bool             `json:"manager,omitempty"`
	Verdict  health.Verdict   `json:"verdict"`
	Unready  string           `json:"unready,omitempty"` // why it may not be added, or takes no traffic, whatever the verdict
	Draining bool             `json:"draining,omitempty"`
	Kept     bool             `json:"kept,omitempty"`    // it fails softly, and stays since too many others do
	In       bool             `json:"in"`                // the engine has it
	Pending  bool             `json:"pending,omitempty"` // it is to take new connections, and the engine gives it none yet
	Weight   int              `json:"weight"`            // that the engine has
	Active   int              `json:"active"`            // connections
	Other    int              `json:"other"`
}

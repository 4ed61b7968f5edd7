package export

import (
	"encoding/json"
	"net/netip"
	"time"

	"iwx/lib/health"
	"iwx/lib/lb"
)

// document is the JSON that is exported, version 1. A field is only ever added.
type document struct {
	Version  int               `json:"version"`
	Cluster  string            `json:"cluster"`
	Endpoint *endpointDocument `json:"endpoint,omitempty"` // that members have; none unless it was asked for
	Services []serviceDocument `json:"services"`
}

// endpointDocument is where members tell of their services: GET at this port and the
// service's path.
type endpointDocument struct {
	Port uint16 `json:"port"`
}

type serviceDocument struct {
	Service     string           `json:"service"`
	VIP         netip.Addr       `json:"vip"`
	Port        uint16           `json:"port"`
	Scheduler   string           `json:"scheduler"`
	Persistence int64            `json:"persistence_ms"`
	Forwarding  string           `json:"forwarding"`
	Fallback    string           `json:"fallback"`
	Standby     string           `json:"standby,omitempty"` // with fallback manager: where it answers
	Path        string           `json:"path,omitempty"`    // at the members' endpoint
	Check       checkDocument    `json:"check"`
	Members     []memberDocument `json:"members"`
}

// checkDocument is a health.Check with its times in milliseconds.
type checkDocument struct {
	Kind     health.Kind  `json:"kind"`
	Level    health.Level `json:"level"`
	Interval int64        `json:"interval_ms"`
	Connect  int64        `json:"connect_ms"`
	Timeout  int64        `json:"timeout_ms"`
	Fall     int          `json:"fall"`
	Rise     int          `json:"rise"`
	Slow     int64        `json:"slow_start_ms"`
	Host     string       `json:"host,omitempty"`
	Path     string       `json:"path,omitempty"`
	Status   string       `json:"status,omitempty"`
	Proxy    bool         `json:"proxy,omitempty"`
}

type memberDocument struct {
	Name     string     `json:"name"`
	Address  netip.Addr `json:"address"`
	Port     uint16     `json:"port"`
	Weight   int        `json:"weight"`
	Draining bool       `json:"draining"`
}

// JSON returns everything for a balancer that no other format is for.
func (p *Plan) JSON() ([]byte, error) {
	d := document{Version: 1, Cluster: p.Cluster, Services: []serviceDocument{}}
	if p.Endpoint != 0 {
		d.Endpoint = &endpointDocument{p.Endpoint}
	}
	for i := range p.Services {
		d.Services = append(d.Services, p.service(&p.Services[i]))
	}
	data, err := json.MarshalIndent(d, "", "  ")
	return append(data, '\n'), err
}

func (p *Plan) service(s *lb.ServiceReport) serviceDocument {
	policy := &s.Policy
	out := serviceDocument{
		Service: policy.Name(), VIP: policy.VIP, Port: policy.Port, Scheduler: policy.Scheduler,
		Persistence: ms(policy.Persistence), Forwarding: string(policy.Forwarding), Fallback: string(policy.Fallback),
		Check: checkOf(check(policy)), Members: []memberDocument{},
	}
	if at, is := p.standby(policy); is {
		out.Standby = at.String()
	}
	if p.Endpoint != 0 {
		out.Path = Path(policy)
	}
	for _, m := range members(s) {
		out.Members = append(out.Members, memberDocument{m.name, m.addr.Addr(), m.addr.Port(), m.weight, m.draining})
	}
	return out
}

func checkOf(c health.Check) checkDocument {
	return checkDocument{
		Kind: c.Kind, Level: c.Level, Interval: ms(c.Interval), Connect: ms(c.Connect), Timeout: ms(c.Timeout),
		Fall: c.Fall, Rise: c.Rise, Slow: ms(c.Slow), Host: c.Host, Path: c.Path, Status: c.Status, Proxy: c.Proxy,
	}
}

func ms(d time.Duration) int64 { return d.Milliseconds() }

package lb

import (
	"slices"

	"iwx/lib/fault"
)

// Ability is what an engine can do, told without asking the engine itself: so
// that a policy can be judged on a server, or at a moment, that has none.
type Ability struct {
	Engine      string
	Schedulers  []string     // the default first
	Forwardings []Forwarding // the default first
}

// Abilities returns what each engine can do, the one to be preferred first.
//
// ipvs has the modules of the kernel, ipvsadm(8); haproxy has those of them
// that its "balance" can do.
func Abilities() []Ability {
	return []Ability{
		{
			Engine:      "ipvs",
			Schedulers:  []string{"wlc", "rr", "wrr", "lc", "lblc", "lblcr", "sh", "sed", "nq", "mh"},
			Forwardings: []Forwarding{Direct, NAT, Tunnel},
		},
		{
			Engine:      "haproxy",
			Schedulers:  []string{"wlc", "rr", "wrr", "lc", "sh"},
			Forwardings: []Forwarding{Proxy},
		},
	}
}

// AbilityOf returns what an engine can do. The error names the engines that
// there are.
func AbilityOf(engine string) (Ability, error) {
	var names []string
	for _, a := range Abilities() {
		if a.Engine == engine {
			return a, nil
		}
		names = append(names, a.Engine)
	}
	if engine == "" {
		return Ability{}, fault.Hint(fault.New(fault.Failed, "no engine was chosen"), "iwx-lb engine NAME: %s", phrase(names))
	}
	return Ability{}, fault.Hint(fault.New(fault.Usage, "engine %q is unknown", engine), "the engines are %s", phrase(names))
}

// Moves reports whether a forwarding can reach another port than the client
// asked for: direct routing and tunnels leave packets as they are.
func (f Forwarding) Moves() bool { return f == NAT || f == Proxy }

// Crosses reports whether a forwarding can reach a server by the other family
// of addresses than the client's.
func (f Forwarding) Crosses() bool { return f == Proxy }

// forwarding returns the forwarding in force for a policy.
func (a *Ability) forwarding(p *Policy) Forwarding {
	if p.Forwarding == "" && len(a.Forwardings) > 0 {
		return a.Forwardings[0]
	}
	return p.Forwarding
}

func (a *Ability) hasForwarding(f Forwarding) bool {
	return f == "" || slices.Contains(a.Forwardings, f)
}

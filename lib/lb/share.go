package lb

import (
	"fmt"
	"time"

	"iwx/lib/health"
)

// Share is how one server takes part in balancing at one moment.
type Share struct {
	Current bool      // the rest is known, and by what is asked for now
	In      []string  // the virtual services that give it new connections, "192.0.2.10:80"
	Checked time.Time // since when every one of those was checked
	Out     []string  // those that are to and do not: it fails its check, say
	Left    []string  // the connections that it still has where it is drained, "http on 192.0.2.10: 3"
	Blind   bool      // its connections cannot be seen: somebody else's balancer has them
}

// Drained reports whether the server gets nothing new, and has nothing left as
// far as can be seen.
func (s *Share) Drained() bool { return s.Current && len(s.In) == 0 && len(s.Left) == 0 }

// Shares returns, by id, how the servers that are members of a policy take part,
// by the report of a daemon that may not have seen yet what is asked for.
func (s *Setup) Shares(r *Report) map[string]Share {
	shares := map[string]Share{}
	current := !r.Blind && len(r.Services) == len(s.Policies) && r.External == s.External && r.Stopped == s.Stopped
	for i := range r.Services {
		service := &r.Services[i]
		for j := range service.Members {
			m := &service.Members[j]
			share, known := shares[m.Server]
			if !known {
				share = Share{Current: current, Blind: s.External}
			}
			share.add(s, &service.Policy, m)
			shares[m.Server] = share
		}
	}
	return shares
}

// add adds one virtual service.
func (h *Share) add(s *Setup, p *Policy, m *MemberReport) {
	takes := m.In && m.Weight > 0
	if s.External {
		takes = m.Verdict.State == health.Up || m.Verdict.State == health.Starting
	}
	drained := s.drains(p, m.Server)
	h.Current = h.Current && m.Draining == drained
	switch {
	case drained && takes && !s.External:
		h.Current = false // the engine is about to follow
	case drained && m.Active > 0:
		h.Left = append(h.Left, fmt.Sprintf("%s: %d", p, m.Active))
	case drained:
	case takes:
		if at := m.Verdict.Last.At; len(h.In) == 0 || at.Before(h.Checked) {
			h.Checked = at
		}
		h.In = append(h.In, p.Key().String())
	case !s.Stopped && p.weight(m.Server) > 0:
		h.Out = append(h.Out, p.Key().String())
	}
}

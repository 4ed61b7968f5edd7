package lb

import (
	"net/netip"
	"reflect"
	"testing"

	"iwx/lib/health"
)

// TestShares has one server in one policy, in every way that it can be.
func TestShares(t *testing.T) {
	vip := netip.MustParseAddr("192.0.2.10")
	policy := NewPolicy(Service{Name: "http", Port: 80}, vip)
	in := MemberReport{Server: "a", In: true, Weight: 100, Active: 3, Verdict: health.Verdict{Last: health.Result{At: epoch}}}
	pool, left := []string{"192.0.2.10:80"}, []string{"http on 192.0.2.10: 3"}
	for name, c := range map[string]struct {
		setup  func(*Setup)
		member func(*MemberReport)
		report func(*Report)
		want   Share
	}{
		"in":            {want: Share{Current: true, In: pool}},
		"out":           {member: func(m *MemberReport) { m.In = false }, want: Share{Current: true, Out: pool}},
		"in, and empty": {member: func(m *MemberReport) { m.Weight = 0 }, want: Share{Current: true, Out: pool}},
		"drained by weight": {
			setup:  func(s *Setup) { s.Policies[0].Weights = map[string]int{"a": 0} },
			member: func(m *MemberReport) { m.Weight = 0 },
			report: func(r *Report) { r.Services[0].Policy.Weights = map[string]int{"a": 0} },
			want:   Share{Current: true},
		},
		"drained, not seen": {setup: drainA, want: Share{}},
		"drained, seen, not done": {
			setup: drainA, member: func(m *MemberReport) { m.Draining = true }, want: Share{},
		},
		"drained, connections": {
			setup: drainA, member: func(m *MemberReport) { m.Draining, m.Weight = true, 0 }, want: Share{Current: true, Left: left},
		},
		"drained": {
			setup: drainA, member: func(m *MemberReport) { m.Draining, m.Weight, m.Active = true, 0, 0 }, want: Share{Current: true},
		},
		"undrained, not seen": {
			member: func(m *MemberReport) { m.Draining, m.Weight = true, 0 }, want: Share{Out: pool},
		},
		"the engine cannot be seen": {report: func(r *Report) { r.Blind = true }, want: Share{In: pool}},
		"stopped": {
			setup: func(s *Setup) { s.Stopped = true }, report: func(r *Report) { r.Stopped = true },
			member: func(m *MemberReport) { m.In = false }, want: Share{Current: true},
		},
		"external, not seen": {setup: func(s *Setup) { s.External = true }, want: Share{Blind: true, Out: pool}},
		"external": {
			setup: func(s *Setup) { s.External = true }, report: func(r *Report) { r.External = true },
			member: func(m *MemberReport) { m.In, m.Verdict.State = false, health.Up }, want: Share{Current: true, Blind: true, In: pool},
		},
	} {
		t.Run(name, func(t *testing.T) {
			setup := Setup{Policies: []Policy{policy}}
			report := Report{Services: []ServiceReport{{Policy: policy, Members: []MemberReport{in}}}}
			if c.setup != nil {
				c.setup(&setup)
			}
			if c.member != nil {
				c.member(&report.Services[0].Members[0])
			}
			if c.report != nil {
				c.report(&report)
			}
			if len(c.want.In) > 0 {
				c.want.Checked = epoch
			}
			if got := setup.Shares(&report); !reflect.DeepEqual(got, map[string]Share{"a": c.want}) {
				t.Errorf("got %+v, want %+v", got["a"], c.want)
			}
		})
	}
}

func drainA(s *Setup) { s.Drains = []Drain{{Server: "a"}} }

// Package export writes what load balancing iwx was asked for as the
// configuration of other programs, for a balancer that iwx does not run:
// haproxy(1), keepalived.conf(5), nginx(8), and JSON for everything else.
//
// Each carries the same members, weights and checks, as far as the program
// knows of such things; what it cannot do stands in the configuration as a
// comment. Members that are not in good health are in it too: finding out about
// that is what the checks are for.
package export

import (
	"bytes"
	"cmp"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"iwx/lib/health"
	"iwx/lib/lb"
)

// Plan is what is exported.
type Plan struct {
	Cluster  string // its name
	Services []lb.ServiceReport
	Managers []netip.Addr // at which the manager answers, of each family at most one
	Endpoint uint16       // port of the members' health endpoint; 0: their services are asked themselves
}

// member is a real server as it is exported.
type member struct {
	name     string
	addr     netip.AddrPort
	weight   int // 0: takes no new connection
	draining bool
}

// members returns the real servers of a service that can be reached.
func members(s *lb.ServiceReport) []member {
	var list []member
	for i := range s.Members {
		m := &s.Members[i]
		if !m.Addr.IsValid() {
			continue
		}
		weight, given := s.Policy.Weights[m.Server]
		if !given {
			weight = lb.DefaultWeight
		}
		if m.Draining {
			weight = 0
		}
		list = append(list, member{m.Name, m.Addr, weight, m.Draining})
	}
	return list
}

// standby returns where the manager answers for a policy whose members are all
// gone, if it is to.
func (p *Plan) standby(policy *lb.Policy) (at netip.AddrPort, is bool) {
	if policy.Fallback != lb.ToManager {
		return at, false
	}
	for _, a := range p.Managers {
		if a.Is4() == policy.VIP.Is4() {
			return netip.AddrPortFrom(a, cmp.Or(policy.ServerPort, policy.Port)), true
		}
	}
	return at, false
}

// Path is where a member's health endpoint tells of a service: "/http", or
// "/8080" of a port without a name.
func Path(policy *lb.Policy) string { return "/" + policy.Name() }

// text is a configuration that is being written, a line at a time.
type text struct{ bytes.Buffer }

// line writes a line with so many tabs before it.
func (t *text) line(depth int, format string, args ...any) {
	t.WriteString(strings.Repeat("\t", depth))
	fmt.Fprintf(t, format, args...)
	t.WriteByte('\n')
}

// head is the comment that every configuration begins with.
func (p *Plan) head(t *text, file string) {
	t.line(0, "# %s for cluster %s, written by iwx-lb export. Write it again after each", file, p.Cluster)
	t.line(0, "# change of policies, members, weights or drains: it is as of one moment.")
}

// note is a comment on what the program cannot do of what was asked for.
func (t *text) note(depth int, format string, args ...any) {
	t.line(depth, "# "+format, args...)
}

// seconds writes a duration in whole seconds, at least one.
func seconds(d time.Duration) int { return max(1, int((d+time.Second-1)/time.Second)) }

// check is the policy's, with nothing left to defaults.
func check(p *lb.Policy) health.Check { return p.Check.Filled() }

package lbtool

import (
	"net/netip"
	"testing"
	"time"

	"iwx/lib/health"
	"iwx/lib/lb"
)

// member is a server of a policy with a verdict.
func member(name string, state health.State) lb.MemberReport {
	return lb.MemberReport{Server: name, Name: name, In: state != health.Down, Verdict: health.Verdict{State: state}}
}

// pool is a policy with its servers.
func pool(service string, members ...lb.MemberReport) lb.ServiceReport {
	named, err := lb.Lookup(service)
	if err != nil {
		panic(err)
	}
	return lb.ServiceReport{Policy: lb.NewPolicy(named, netip.MustParseAddr("192.0.2.80")), Members: members}
}

func TestVerdict(t *testing.T) {
	up, down, drained := member("web1", health.Up), member("web2", health.Down), member("web3", health.Up)
	drained.Draining = true
	pending := member("web2", health.Up)
	pending.In, pending.Pending = false, true
	gone := pool("imap", down)
	gone.Standby = string(lb.ToNone)
	other := pool("http", up)
	other.Policy.VIP = netip.MustParseAddr("2001:db8::80")
	tests := []struct {
		pools   []lb.ServiceReport
		stopped bool
		want    string
	}{
		{nil, false, "no policies yet: iwx-lb add web"},
		{[]lb.ServiceReport{pool("http", up)}, false, "1 policy: complete"},
		{[]lb.ServiceReport{pool("http", up), pool("https", up, drained)}, false, "2 policies: complete; drained: web3"},
		{[]lb.ServiceReport{pool("http", up, down), gone, pool("smtp", up)}, false, "3 policies: 1 down (imap), 1 short (http), 1 complete"},
		{[]lb.ServiceReport{pool("http", up, pending)}, false, "1 policy: 1 short (http)"},
		{[]lb.ServiceReport{gone}, true, "1 policy: 1 short (imap)"},
		{[]lb.ServiceReport{pool("http", up, down), other}, false, "2 policies: 1 short (http on 192.0.2.80), 1 complete"},
		{[]lb.ServiceReport{pool("8080", member("web1", health.Unknown))}, false, "1 policy: 1 unknown (8080)"},
	}
	for _, tt := range tests {
		if got := verdict(&lb.Report{Services: tt.pools, Stopped: tt.stopped}); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}

func TestPrelude(t *testing.T) {
	tests := []struct {
		report lb.Report
		want   string
	}{
		{lb.Report{Engine: "ipvs"}, ""},
		{lb.Report{Engine: "ipvs", Error: "no such device", Stopped: true}, "ipvs does not match the configuration: no such device"},
		{lb.Report{External: true}, "an external load balancer balances, with the configuration from iwx-lb export"},
		{lb.Report{Stopped: true}, "stopped: the manager answers alone"},
	}
	for _, tt := range tests {
		if got := prelude(&tt.report); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}

// TestLine holds that each way in which a server can be has a word, the time
// since when, and what to do about it.
func TestLine(t *testing.T) {
	began, drainedAt := time.Unix(100, 0), time.Unix(50, 0)
	drains := []lb.Drain{{Server: "web1", Since: time.Unix(60, 0)}, {Server: "web1", Service: "http", Since: drainedAt}, {Server: "web2"}}
	tests := []struct {
		word    string
		since   time.Time
		hint    string
		bad     bool
		member  lb.MemberReport
		standby lb.Fallback
	}{
		{wordUp, began, "", false, lb.MemberReport{In: true, Verdict: health.Verdict{State: health.Up}}, ""},
		{wordStarting, began, "", false, lb.MemberReport{In: true, Verdict: health.Verdict{State: health.Starting}}, ""},
		{wordPending, began, "", true, lb.MemberReport{Pending: true, Verdict: health.Verdict{State: health.Up}}, ""},
		{wordPending, began, "", true, lb.MemberReport{Pending: true, In: true, Verdict: health.Verdict{State: health.Starting}}, ""},
		{wordUnknown, began, "", true, lb.MemberReport{}, ""},
		{wordDown, began, "iwx-lb probe web1 http", true, lb.MemberReport{Verdict: health.Verdict{State: health.Down}}, ""},
		{wordFailing, began, "iwx-lb probe web1 http", true, lb.MemberReport{In: true, Kept: true, Verdict: health.Verdict{State: health.Down}}, ""},
		{wordUnready, time.Time{}, "iwx-node show web1", true, lb.MemberReport{Unready: "profile", Verdict: health.Verdict{State: health.Up}}, ""},
		{wordUp, began, "", false, lb.MemberReport{In: true, Unready: "profile", Verdict: health.Verdict{State: health.Up}}, ""},
		{wordDraining, drainedAt, "", false, lb.MemberReport{In: true, Draining: true, Active: 1, Verdict: health.Verdict{State: health.Up}}, ""},
		{wordDrained, drainedAt, "", false, lb.MemberReport{In: true, Draining: true, Other: 1, Verdict: health.Verdict{State: health.Up}}, ""},
		{wordFallback, began, "iwx-lb probe web1 http", true, lb.MemberReport{In: true, Manager: true, Verdict: health.Verdict{State: health.Down}}, lb.ToManager},
		{wordDown, began, "iwx-lb probe web1 http", true, lb.MemberReport{Manager: true, Verdict: health.Verdict{State: health.Down}}, lb.ToNone},
		{wordUnready, time.Time{}, "iwx-cluster-setup status", true, lb.MemberReport{Manager: true, Unready: "mount"}, ""},
		{wordFailing, began, "iwx-node show web1", true, lb.MemberReport{In: true, Kept: true, Unready: "mount", Verdict: health.Verdict{State: health.Up}}, ""},
		{wordFallback, began, "iwx-cluster-setup status", true, lb.MemberReport{In: true, Manager: true, Unready: "mount", Verdict: health.Verdict{State: health.Up}}, lb.ToManager},
	}
	for _, tt := range tests {
		tt.member.Server, tt.member.Name, tt.member.Verdict.Since = "web1", "web1", began
		s := pool("http", tt.member)
		s.Standby = string(tt.standby)
		list := lines(&lb.Report{Services: []lb.ServiceReport{s}}, drains)
		if len(list) != 1 {
			t.Fatalf("%d lines", len(list))
		}
		l := list[0]
		if l.word() != tt.word || !l.since().Equal(tt.since) || l.bad() != tt.bad || nextStep(list) != tt.hint {
			t.Errorf("%+v: %s since %v, bad %v, hint %q; want %s %v %v %q", tt.member, l.word(), l.since(), l.bad(), nextStep(list), tt.word, tt.since, tt.bad, tt.hint)
		}
	}
}

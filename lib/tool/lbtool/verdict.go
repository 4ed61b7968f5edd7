package lbtool

import (
	"fmt"
	"slices"
	"strings"

	"iwx/lib/cli"
	"iwx/lib/health"
	"iwx/lib/lb"
)

// The words for a policy, the gravest first.
const (
	poolDown  = "down"  // no server is left, and the fallback is in force
	poolShort = "short" // servers are missing
	poolNew   = "unknown"
	poolFull  = "complete"
)

// pools are the words for policies, the gravest first.
func pools() []string { return []string{poolDown, poolShort, poolNew, poolFull} }

// poolWord is a policy in one word.
func poolWord(s *lb.ServiceReport, stopped bool) string {
	seen := func(m lb.MemberReport) bool { return m.Verdict.State != health.Unknown }
	if !slices.ContainsFunc(s.Members, seen) {
		return poolNew
	}
	if s.Standby != "" && !stopped {
		return poolDown
	}
	if slices.ContainsFunc(s.Members, func(m lb.MemberReport) bool { return line{MemberReport: m, service: s}.bad() }) {
		return poolShort
	}
	return poolFull
}

// verdict is the page in one line: "9 policies: 1 down (pop3), 2 short (http,
// imap), 6 complete; draining web2".
func verdict(report *lb.Report) string {
	if len(report.Services) == 0 {
		return "no policies yet: iwx-lb add web"
	}
	names := map[string][]string{}
	for i := range report.Services {
		s := &report.Services[i]
		word := poolWord(s, report.Stopped)
		names[word] = append(names[word], poolName(report, s))
	}
	var parts []string
	for _, word := range pools() {
		switch n := len(names[word]); {
		case n == 0:
		case word == poolFull && n == len(report.Services):
			parts = append(parts, word)
		case word == poolFull:
			parts = append(parts, fmt.Sprintf("%d %s", n, word))
		default:
			parts = append(parts, fmt.Sprintf("%d %s (%s)", n, word, cli.Some(names[word], 5)))
		}
	}
	return cli.Count(len(report.Services), "policy", "policies") + ": " + strings.Join(parts, ", ") + drainVerdict(report)
}

// gravity is that of the gravest policy.
func gravity(report *lb.Report) cli.Level {
	level := cli.Plain
	for i := range report.Services {
		switch poolWord(&report.Services[i], report.Stopped) {
		case poolDown:
			return cli.Bad
		case poolShort, poolNew:
			level = cli.Warn
		}
	}
	return level
}

// poolName is a policy's name, with its virtual IP where another has the same.
func poolName(report *lb.Report, s *lb.ServiceReport) string {
	same := 0
	for i := range report.Services {
		if report.Services[i].Policy.Port == s.Policy.Port {
			same++
		}
	}
	if same > 1 {
		return s.Policy.Name() + " on " + s.Policy.VIP.String()
	}
	return s.Policy.Name()
}

// drainVerdict names the servers that get no new connections of some service.
func drainVerdict(report *lb.Report) string {
	var names []string
	for _, l := range lines(report, nil) {
		if l.Draining && !slices.Contains(names, l.Name) {
			names = append(names, l.Name)
		}
	}
	if names == nil {
		return ""
	}
	slices.Sort(names)
	return "; drained: " + cli.Some(names, 5)
}

// prelude tells in a line what comes before all else: that it is not the
// policies which are in force; "" if they are.
func prelude(report *lb.Report) string {
	switch {
	case report.Error != "":
		return fmt.Sprintf("%s does not match the configuration: %s", report.Engine, report.Error)
	case report.External:
		return "an external load balancer balances, with the configuration from iwx-lb export"
	case report.Stopped:
		return "stopped: the manager answers alone"
	}
	return ""
}

// nextStep is what to do about the gravest line.
func nextStep(list []line) string {
	for _, word := range []string{wordFallback, wordDown, wordFailing, wordUnready} {
		i := slices.IndexFunc(list, func(l line) bool { return l.word() == word })
		if i < 0 {
			continue
		}
		fails := word != wordUnready && list[i].Verdict.State == health.Down
		switch {
		case fails:
			return fmt.Sprintf("iwx-lb probe %s %s", list[i].Name, list[i].service.Policy.Name())
		case list[i].Manager:
			return "iwx-cluster-setup status"
		}
		return "iwx-node show " + list[i].Name
	}
	return ""
}

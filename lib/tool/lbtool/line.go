package lbtool

import (
	"slices"
	"time"

	"iwx/lib/cli"
	"iwx/lib/health"
	"iwx/lib/lb"
)

// The words for a server of a policy.
const (
	wordUp       = "up"
	wordStarting = "starting" // it is back, and gets more by and by
	wordDrained  = "drained"  // no connection is left
	wordDraining = "draining" // it gets no new ones
	wordPending  = "pending"  // its checks pass, and the engine does not have it yet
	wordFailing  = "failing"  // its checks fail, and it stays since too many others do
	wordFallback = "fallback" // nobody else is left, so the manager answers whatever speaks against it
	wordDown     = "down"
	wordUnready  = "unready" // its checks do not matter: it may not be added
	wordUnknown  = "unknown" // not looked at yet
)

// line is a server of a policy, as status shows it.
type line struct {
	lb.MemberReport
	service *lb.ServiceReport
	drained time.Time // since when it gets no new connections; zero: it does
}

// lines returns those of all policies, in their order.
func lines(report *lb.Report, drains []lb.Drain) (list []line) {
	for i := range report.Services {
		s := &report.Services[i]
		for _, m := range s.Members {
			list = append(list, line{MemberReport: m, service: s, drained: drainedSince(drains, s.Policy.Name(), m.Server)})
		}
	}
	return list
}

// drainedSince is when a server was drained for a service, the earliest time if
// twice; zero if it is not.
func drainedSince(drains []lb.Drain, service, server string) (since time.Time) {
	for _, d := range drains {
		meant := d.Server == server && (d.Service == "" || d.Service == service)
		if meant && (since.IsZero() || d.Since.Before(since)) {
			since = d.Since
		}
	}
	return since
}

// word is the server in one word.
func (l line) word() string {
	switch {
	case l.Manager && l.In && l.service.Standby == string(lb.ToManager) && (l.Verdict.State == health.Down || l.Unready != ""):
		return wordFallback
	case l.Draining && l.Active > 0:
		return wordDraining
	case l.Draining:
		return wordDrained
	case l.Unready != "" && !l.In:
		return wordUnready
	case l.Kept:
		return wordFailing
	case l.Verdict.State == health.Down:
		return wordDown
	case l.Pending && l.Verdict.State != health.Unknown:
		return wordPending
	case l.Verdict.State == health.Starting:
		return wordStarting
	case l.Verdict.State == health.Up:
		return wordUp
	}
	return wordUnknown
}

// bad reports whether somebody has to look into the server. What an operator
// has drained is as it should be.
func (l line) bad() bool {
	return slices.Contains([]string{wordDown, wordFailing, wordFallback, wordUnready, wordPending, wordUnknown}, l.word())
}

// mark is the word, coloured.
func (l line) mark() cli.Mark {
	level := cli.Bad
	switch l.word() {
	case wordUp:
		level = cli.Good
	case wordStarting, wordPending, wordDraining, wordDrained, wordUnknown:
		level = cli.Warn
	}
	return cli.Mark{Text: l.word(), Level: level}
}

// since is when the server came to be as the word says.
func (l line) since() time.Time {
	switch l.word() {
	case wordDraining, wordDrained:
		return l.drained
	case wordUnready:
		return time.Time{} // which of its causes began when is told where they are
	}
	return l.Verdict.Since
}

// trouble is what speaks against the server, in a person's words; of one that is
// up, what may soon.
func (l line) trouble() string {
	if l.Unready != "" {
		return l.Unready
	}
	return l.Verdict.Last.Reason
}

// lineTable is the page's columns.
func lineTable() cli.Table[line] {
	return cli.Table[line]{Singular: "server", Plural: "servers", Columns: []cli.Column[line]{
		{Name: "service", Value: func(l line) any { return l.service.Policy.Name() }},
		{Name: "vip", Value: func(l line) any { return l.service.Policy.VIP.String() }},
		{Name: "server", Value: func(l line) any { return l.Name }},
		{Name: "state", Value: func(l line) any { return l.mark() }},
		{Name: "since", Value: func(l line) any { return l.since() }},
		{Name: "weight", Value: func(l line) any { return l.Weight }, Spare: true},
		{Name: "active", Value: func(l line) any { return l.Active }},
		{Name: "checked", Value: func(l line) any { return l.Verdict.Last.At }, Spare: true},
		{Name: "took", Value: func(l line) any { return l.Verdict.Last.Took }, Detail: true},
		{Name: "error", Value: func(l line) any { return l.trouble() }, Fold: true, Rare: true},
		{Name: "closing", Value: func(l line) any { return l.Other }, Detail: true},
		{Name: "in", Value: func(l line) any { return l.In }, Detail: true},
		{Name: "address", Value: func(l line) any { return l.Addr.String() }, Detail: true},
		{Name: "manager", Value: func(l line) any { return l.Manager }, Detail: true},
		{Name: "standby", Value: func(l line) any { return l.service.Standby }, Detail: true},
	}}
}

// Package health is how it is found out whether a service on a server works:
// probes that speak its protocol as its clients do, and the rules by which one
// answer, or several, becomes a verdict.
//
// It knows addresses and services, and neither policies nor engines: see
// package lb.
package health

import (
	"net/netip"
	"time"
)

// Level is how much a probe asks for; each level includes those before it.
type Level string

const (
	Connect     Level = "connect"     // a TCP connection is accepted
	Speak       Level = "protocol"    // the service answers as its protocol has it
	Certificate Level = "certificate" // its certificate is for the name, and in date
)

// Kind is the protocol that a service speaks.
type Kind string

const (
	TCP        Kind = "tcp"        // nothing that is known: a connection is all
	HTTP       Kind = "http"       // RFC 9110
	HTTPS      Kind = "https"      // over TLS from the first byte
	SMTP       Kind = "smtp"       // RFC 5321; STARTTLS by RFC 3207
	Submission Kind = "submission" // RFC 6409; STARTTLS
	SMTPS      Kind = "smtps"      // submissions, RFC 8314 §3.3
	POP3       Kind = "pop3"       // RFC 1939; STLS by RFC 2595
	POP3S      Kind = "pop3s"      // RFC 8314 §3.3
	IMAP       Kind = "imap"       // RFC 9051; STARTTLS
	IMAPS      Kind = "imaps"      // RFC 8314 §3.3
)

// Check is how one service is checked; the zero values of a Check are filled in
// by Defaults.
type Check struct {
	Kind     Kind          `json:"kind"`
	Level    Level         `json:"level"`
	Interval time.Duration `json:"interval"` // between checks of a service that is not in doubt; see Checker for what comes between
	Connect  time.Duration `json:"connect"`  // for the connection: how long until a server that is gone is noticed
	Timeout  time.Duration `json:"timeout"`  // for each answer
	Fall     int           `json:"fall"`     // so many soft failures in a row take it out
	Rise     int           `json:"rise"`     // so many answers in a row bring it back
	Slow     time.Duration `json:"slow"`     // slow start: from a tenth of its weight to all of it; negative: none

	Host   string `json:"host,omitempty"`   // HTTP: the Host field and SNI; TLS: the name a certificate is to be for
	Path   string `json:"path,omitempty"`   // HTTP: "/" by default
	Status string `json:"status,omitempty"` // HTTP: accepted statuses, "200-399" by default; "200,301-302"
	Proxy  bool   `json:"proxy,omitempty"`  // send a PROXY protocol v2 header of kind LOCAL first
}

// Target is a service on a server that is to be checked.
type Target struct {
	ID    string // the caller's own; unique among its targets
	Host  string // what groups the targets of one server: silence of one puts all in doubt
	Name  string // for sentences: "web2 imap"
	Addr  netip.AddrPort
	Check Check

	// Service groups the ways to one service of one server; the first that works is
	// in use: see Checker. "" is a target without another way.
	Service string
}

// Word is what came of a probe.
type Word string

const (
	Good        Word = "ok"
	Refused     Word = "refused"     // hard: nobody listens there
	Unreachable Word = "unreachable" // hard: there is no way to the server
	Silent      Word = "silent"      // soft: no answer in time
	Wrong       Word = "wrong"       // soft: an answer, and not the right one
	Warned      Word = "warned"      // it works, and soon may not: a certificate that is about to expire
	Unasked     Word = "unasked"     // nothing was found out: this server could not ask, for want of descriptors or memory
)

// Hard reports whether a single such answer takes a service out.
func (w Word) Hard() bool { return w == Refused || w == Unreachable }

// Up reports whether the service answered as it should.
func (w Word) Up() bool { return w == Good || w == Warned }

// Result is what came of one probe.
type Result struct {
	Word   Word          `json:"word"`
	Reason string        `json:"reason,omitempty"` // in a person's words: "connected, no greeting within 2 s"; "" for Good
	At     time.Time     `json:"at"`               // when it ended
	Took   time.Duration `json:"took"`             // to the last answer that was waited for
}

// State is the verdict's word.
type State string

const (
	Unknown  State = "unknown"  // never looked at: whatever an engine has is kept
	Up       State = "up"       // takes traffic
	Starting State = "starting" // takes traffic, and more by and by (slow start)
	Down     State = "down"     // takes none
)

// Verdict is what the results so far say of a target. The zero Verdict is
// Unknown. Its only change is Step, a pure function.
type Verdict struct {
	State State     `json:"state"`
	Since time.Time `json:"since"`
	Last  Result    `json:"last"`           // the last probe's
	Hard  bool      `json:"hard,omitempty"` // Down: taken out by a hard failure, so that no rule may keep it in
	Fails int       `json:"fails,omitempty"`
	Wins  int       `json:"wins,omitempty"`

	// Flapping: a target that was taken out again soon after it came back waits
	// longer each time, from 5 s to 5 min (30 s after soft failures), before it may come
	// back again.
	// Until is when a target that is down may come back; for one that came back
	// it is when that is long enough ago to be forgotten.
	Wait  time.Duration `json:"wait,omitempty"`
	Until time.Time     `json:"until,omitzero"`
}

// Share is how much of its weight a target gets at a moment, in percent: 0 for
// one that is down, 10 rising to 100 during the slow start, else 100.
func (v Verdict) Share(slow time.Duration, now time.Time) int {
	switch v.State {
	case Down:
		return 0
	case Starting:
		if since := now.Sub(v.Since); slow > 0 && since < slow {
			return min(100, 10+int(90*since/slow))
		}
	}
	return 100
}

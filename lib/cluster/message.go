package cluster

import (
	"fmt"
	"time"

	"iwx/lib/attempt"
	"iwx/lib/health"
	"iwx/lib/host"
	"iwx/lib/nfs"
	"iwx/lib/panics"
	"iwx/lib/preflight"
	"iwx/lib/profile"
	"iwx/lib/queue"
	"iwx/lib/site"
)

// The messages below are the bodies of the API, in JSON. Times are integers,
// unix milliseconds; hashes and bodies are base64. A field is only ever added,
// so that a manager and a node of neighbouring versions understand each other.

// Instant returns a time of the wire; the zero time for 0, which is none.
func Instant(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// Status is how a node's queue is doing, sent with every report.
type Status struct {
	Word    string   `json:"word"`
	Epoch   uint64   `json:"epoch"`
	Done    uint64   `json:"done"` // every entry up to this one is settled
	Head    uint64   `json:"head"` // every entry up to this one is received
	Paused  bool     `json:"paused,omitempty"`
	Blocked *Blocked `json:"blocked,omitempty"`
	Running uint64   `json:"running,omitempty"` // the entry under way
	Held    uint64   `json:"held,omitempty"`    // the entry at which it waits for its turn, see Orders.Hold

	RunningSince int64 `json:"running_since,omitempty"` // when its attempt began

	// RetrySeen is the last request to retry that the node has heeded: while
	// Orders.Retry is higher, what Blocked says is about to be out of date.
	RetrySeen uint64 `json:"retry_seen,omitempty"`

	// Beyond is noted by the manager: a node that is past the manager's log is
	// done with entries up to this one of its own.
	Beyond uint64 `json:"beyond,omitempty"`

	// CaughtUp reports the last time that the node was back after a long
	// silence, until its daemon ends.
	CaughtUp *CaughtUp `json:"caught_up,omitempty"`

	Version string `json:"version,omitempty"`
	Mode    string `json:"mode,omitempty"` // how commands are contained, see package attempt

	Profile *profile.Status `json:"profile,omitempty"` // nil from a node that knows of none
	Mounts  []nfs.Health    `json:"mounts,omitempty"`  // of the shared storage
	Leaving *Departure      `json:"leaving,omitempty"` // on its way out
	Sites   *site.Report    `json:"sites,omitempty"`   // nil from a node that cannot look at them
	Trial   *TrialReport    `json:"trial,omitempty"`   // of the last one since its daemon began
	Panics  *panics.Count   `json:"panics,omitempty"`  // caught by its daemon; nil for none
}

// Disown removes from the status all entries from number first on, which belong to
// another log; 0 means none. Repeating it, with any number, keeps the highest Beyond.
func (s *Status) Disown(first uint64) {
	if first == 0 {
		return
	}
	if s.Done >= first {
		s.Beyond, s.Done = max(s.Beyond, s.Done), first-1
	}
	if s.Blocked != nil && s.Blocked.Seq >= first {
		s.Blocked = nil
	}
}

// Departure is how far a node is that the manager has told to leave.
type Departure struct {
	Waits  string `json:"waits"`            // for what, in a sentence
	Failed bool   `json:"failed,omitempty"` // Waits is an error, and it is tried again
}

// CaughtUp is what a node made up for when it was back.
type CaughtUp struct {
	Entries uint64 `json:"entries"`    // records of the log
	Silence int64  `json:"silence_ms"` // since the manager last answered
	At      int64  `json:"at"`         // when it was current again
}

// Quiet reports whether nothing is wrong with the queue, as far as its word
// tells.
func (s *Status) Quiet() bool { return s.Word == WordCurrent || s.Word == WordReplaying }

// Blocked is the entry that a node halts at.
type Blocked struct {
	Epoch        uint64 `json:"epoch"`
	Seq          uint64 `json:"seq"`
	Attempts     int    `json:"attempts"`
	Code         int    `json:"code"`
	Error        string `json:"error"` // why, in one line
	WillNotHeal  bool   `json:"will_not_heal,omitempty"`
	FirstFailure int64  `json:"first_failure"`
	RetryAt      int64  `json:"retry_at,omitempty"` // 0: no retry by itself
	Hung         *Hung  `json:"hung,omitempty"`     // the attempt is still running
}

// Hung says that processes of an attempt should have ended and cannot be killed:
// Blocked.Error lists them.
type Hung struct {
	Since    int64 `json:"since"`               // when it timed out, or when it ended
	TimedOut bool  `json:"timed_out,omitempty"` // it timed out; else it ended and left the processes
}

// Reason returns why the node halts, and for a hung attempt also for how long:
// "over its time for 23s; pid 7 touch cannot be killed, state D".
func (b *Blocked) Reason(now time.Time) string {
	if b.Hung == nil {
		return b.Error
	}
	past := max(0, now.Sub(Instant(b.Hung.Since))).Round(time.Second)
	if b.Hung.TimedOut {
		return fmt.Sprintf("over its time for %s; %s", past, b.Error)
	}
	return fmt.Sprintf("ended %s ago; %s", past, b.Error)
}

// Output is what a command wrote.
type Output = attempt.Output

// The outcomes of an attempt, as they are stored and shown.
const (
	OutcomeDone    = "done"
	OutcomeFailed  = "failed"
	OutcomeTimeout = "timed out"
	OutcomeUnknown = "unknown"
)

// Attempt is one try of one entry on one node. Ended is zero while it runs.
type Attempt struct {
	Epoch    uint64 `json:"epoch"`
	Seq      uint64 `json:"seq"`
	Attempt  int    `json:"attempt"`
	Started  int64  `json:"started"`
	Ended    int64  `json:"ended,omitempty"`
	Duration int64  `json:"duration_us,omitempty"` // microseconds, monotonic
	Limit    int64  `json:"limit_ms,omitempty"`    // with OutcomeTimeout: the time it had
	Outcome  string `json:"outcome,omitempty"`
	Code     int    `json:"code,omitempty"`
	Signal   string `json:"signal,omitempty"`
	Error    string `json:"error,omitempty"` // why it could not be run, from the shim
	Note     string `json:"note,omitempty"`  // "ended 1 process that was left: pid 7 sleep"
	Stdout   Output `json:"stdout"`
	Stderr   Output `json:"stderr"`
}

// PollRequest asks for what follows Head. It is held open until there is
// something, the standing orders differ from the ones that the node tells, or
// Wait has passed.
type PollRequest struct {
	Instance string   `json:"instance"` // random, one for each run of the daemon
	Version  string   `json:"version"`
	Position Position `json:"position"`          // of the last received record
	Orders   Orders   `json:"orders"`            // as the node last received them
	Profile  string   `json:"profile,omitempty"` // the version received last, or profile.None; "" from a node that knows of none
	Looks    bool     `json:"looks,omitempty"`   // the node heeds Orders.Look; one that does not know it would never tell it back
	Trials   bool     `json:"trials,omitempty"`  // and Orders.Trial
	Wait     int64    `json:"wait_ms"`
}

// Position is queue.Position on the wire.
type Position struct {
	Epoch uint64 `json:"epoch"`
	Seq   uint64 `json:"seq"`
	Hash  []byte `json:"hash"`
}

// WirePosition returns p as it travels.
func WirePosition(p queue.Position) Position {
	return Position{Epoch: p.Epoch, Seq: p.Seq, Hash: p.Hash[:]}
}

// Queue returns the position as the log knows it. A hash of the wrong length
// comes out as one that matches nothing.
func (p Position) Queue() queue.Position {
	q := queue.Position{Epoch: p.Epoch, Seq: p.Seq}
	if len(p.Hash) == len(q.Hash) {
		copy(q.Hash[:], p.Hash)
	}
	return q
}

// Orders are the manager's standing orders to one node.
type Orders struct {
	Paused   bool   `json:"paused,omitempty"`
	Retry    uint64 `json:"retry,omitempty"` // counts requests to retry
	RetrySeq uint64 `json:"retry_seq,omitempty"`
	Look     uint64 `json:"look,omitempty"`    // counts requests to look at the sites
	Trial    string `json:"trial,omitempty"`   // take part in it, once: see type Trial
	Hold     uint64 `json:"hold,omitempty"`    // do not begin this entry, or one after it, yet
	Tail     uint64 `json:"tail,omitempty"`    // send the records from this one on, which the manager lacks
	Cut      uint64 `json:"cut,omitempty"`     // drop the records from this one on, which were given up
	Trouble  string `json:"trouble,omitempty"` // one of the words below
	Detail   string `json:"detail,omitempty"`  // the trouble in a sentence
}

// The troubles that keep a node from going on, as the manager tells them.
const (
	TroubleDiverged = "diverged"     // the node has entries that a restore gave up
	TroubleRewound  = "rewound"      // the manager is behind what the node acknowledged
	TroubleResync   = "needs resync" // what the node lacks is no longer in the log
	TroubleLeaving  = WordLeaving    // the node is to leave the cluster
)

// Leave reports whether the node is to leave the cluster.
func (o *Orders) Leave() bool { return o.Trouble == TroubleLeaving }

// PollAnswer is what a poll gets.
type PollAnswer struct {
	Time   int64    `json:"time"`  // the manager's clock
	Epoch  uint64   `json:"epoch"` // in force on the manager
	Head   uint64   `json:"head"`  // of the manager's log
	Orders Orders   `json:"orders"`
	Page   []Record `json:"page,omitempty"`
	Sig    []byte   `json:"sig,omitempty"`
	More   bool     `json:"more,omitempty"`
	Again  bool     `json:"again,omitempty"` // poll again at once, to show that you live

	Profile *profile.Revision `json:"profile,omitempty"` // nil: the node has it
}

// Record is queue.Record on the wire.
type Record struct {
	Epoch   uint64 `json:"epoch"`
	Seq     uint64 `json:"seq"`
	Kind    uint8  `json:"kind"`
	Targets []byte `json:"targets"`
	Digest  []byte `json:"digest"`
	Hash    []byte `json:"hash"`
	Body    []byte `json:"body,omitempty"`
	Erased  bool   `json:"erased,omitempty"`
}

// WirePage returns the records as they travel.
func WirePage(records []queue.Record) []Record {
	out := make([]Record, len(records))
	for i := range records {
		r := &records[i]
		out[i] = Record{
			Epoch: r.Epoch, Seq: r.Seq, Kind: uint8(r.Kind), Targets: r.Targets,
			Digest: r.Digest[:], Hash: r.Hash[:], Body: r.Body, Erased: r.Erased,
		}
	}
	return out
}

// QueuePage returns the page that an answer carries. Nothing in it has been
// verified yet.
func (a *PollAnswer) QueuePage() *queue.Page {
	page := queuePage(a.Page, a.Sig)
	page.More = a.More
	return page
}

func queuePage(records []Record, sig []byte) *queue.Page {
	page := &queue.Page{Sig: sig, Records: make([]queue.Record, len(records))}
	for i, w := range records {
		r := &page.Records[i]
		r.Epoch, r.Seq, r.Kind = w.Epoch, w.Seq, queue.Kind(w.Kind)
		r.Targets, r.Body, r.Erased = w.Targets, w.Body, w.Erased
		copy(r.Digest[:], w.Digest)
		copy(r.Hash[:], w.Hash)
	}
	return page
}

// Report tells the manager what came of attempts. Sending one twice is
// harmless.
type Report struct {
	Instance string    `json:"instance"`
	Status   Status    `json:"status"`
	Attempts []Attempt `json:"attempts,omitempty"`

	// Facts describes the server now, without its users. The node sends it in the
	// first report of a run of the daemon, after a silence of the manager, and when
	// it has changed.
	Facts *host.Facts `json:"facts,omitempty"`
}

// PulseRequest tells the manager what a node sees of its own services. Sending
// one twice is harmless.
type PulseRequest struct {
	Instance string       `json:"instance"`
	Pulse    health.Pulse `json:"pulse"`
}

// TailRequest is a page of a node's log, sent because Orders.Tail asks for it.
type TailRequest struct {
	Instance string   `json:"instance"`
	Page     []Record `json:"page"`
	Sig      []byte   `json:"sig"` // over the last record, as the manager of then made it
}

// TailAnswer says from which record on the node is to send more, if it has more.
type TailAnswer struct {
	Next uint64 `json:"next"`
}

// CAAnswer is what anyone may ask for: the cluster's CA certificate, to be
// compared with the pin in a token.
type CAAnswer struct {
	ClusterID string `json:"cluster_id"`
	CA        string `json:"ca"` // PEM
	Time      int64  `json:"time"`
}

// JoinRequest presents a token.
type JoinRequest struct {
	TokenID string     `json:"token_id"`
	Secret  []byte     `json:"secret"`
	CSR     string     `json:"csr"`               // PEM; the same key asking again gets the same place
	NodeID  string     `json:"node_id,omitempty"` // the place that its state holds, when it joins again
	Facts   host.Facts `json:"facts"`
	Version string     `json:"version"`
	Time    int64      `json:"time"`             // the node's clock
	Ignore  []string   `json:"ignore,omitempty"` // checks that the operator overrules
}

// JoinAnswer is a place in the cluster.
type JoinAnswer struct {
	NodeID      string            `json:"node_id"`
	Name        string            `json:"name"`
	ClusterID   string            `json:"cluster_id"`
	ClusterName string            `json:"cluster_name"`
	Certificate string            `json:"certificate"` // PEM
	LogKey      []byte            `json:"log_key"`
	Manager     string            `json:"manager"` // quorum IP and port
	Start       uint64            `json:"start"`
	Left        uint64            `json:"left"` // entries of the log that it will not replay
	Checks      []preflight.Check `json:"checks"`
	Again       bool              `json:"again"` // this key had joined already
}

// RenewRequest asks for a new certificate, for the key that signed the request.
type RenewRequest struct {
	CSR string `json:"csr"` // PEM
}

// RenewAnswer carries it.
type RenewAnswer struct {
	Certificate string `json:"certificate"` // PEM
}

// Hello tells a node where it stands, without anything being changed.
type Hello struct {
	Cluster string `json:"cluster"`
	Name    string `json:"name"` // the node's
	Head    uint64 `json:"head"`
	Orders  Orders `json:"orders"`
	Time    int64  `json:"time"`
}

// Refusal is the body of every answer that is not 200, and the error that a
// client returns for it.
type Refusal struct {
	Reason  string            `json:"reason"` // one of the words below
	Message string            `json:"error"`  // a sentence for people
	Hint    string            `json:"hint,omitempty"`
	Checks  []preflight.Check `json:"checks,omitempty"` // with RefusedChecks
}

// Error returns the sentence for people.
func (r *Refusal) Error() string { return r.Message }

// Refuse returns a refusal with a hint, which may be empty.
func Refuse(reason, hint, format string, args ...any) *Refusal {
	return &Refusal{Reason: reason, Hint: hint, Message: fmt.Sprintf(format, args...)}
}

// Reasons of a refusal. They are stable: a node tells by them whether trying
// again makes sense.
const (
	RefusedToken     = "token"     // malformed, unknown, expired, used or revoked
	RefusedChecks    = "checks"    // the servers do not fit together
	RefusedCert      = "cert"      // no certificate, or one that is not valid here
	RefusedDeleted   = "deleted"   // the node was deleted, or has left
	RefusedFenced    = "fenced"    // another manager has taken this one's place
	RefusedClone     = "clone"     // another server is using this certificate
	RefusedLimit     = "limit"     // too many attempts to join
	RefusedMalformed = "malformed" // the request cannot be read
	RefusedFailed    = "failed"    // the manager could not do it
	Distrusted       = "distrust"  // it is the node that refuses: what the manager sent is not of this log
)

// SiteCertificate is a certificate of a site with its key; without PEM, no site
// has it any more.
type SiteCertificate struct {
	PEM []byte `json:"pem,omitempty"`
}

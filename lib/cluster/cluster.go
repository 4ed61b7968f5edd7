// Package cluster is membership: what a manager knows of its nodes, what the
// two say to each other, and the rules by which a manager admits, answers and
// refuses them.
//
// It is not the transport (package api) and not the storage (package state):
// it asks for the few operations that it needs through Store.
package cluster

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"iwx/lib/fault"
	"iwx/lib/host"
	"iwx/lib/profile"
)

// Role is what a server is in its cluster.
type Role string

// The roles.
const (
	RoleManager Role = "manager"
	RoleNode    Role = "node"
)

// Identity is what setup made of this server.
type Identity struct {
	Role        Role
	ClusterID   string // 16 hexadecimal digits, never changes
	ClusterName string
	NodeID      string           // with RoleNode
	Name        string           // this server's name in the cluster
	MachineID   string           // as it was at setup
	Manager     netip.AddrPort   // where the API is: quorum IP and port
	Others      []netip.AddrPort // where it is served, or tried, as well while the quorum IP moves
	Address     netip.Addr       // this server's own address, not the quorum IP
	LogKey      []byte           // Ed25519 public key that signs the log's head
	Start       uint64           // with RoleNode: the first entry that is its own
	Recovery    string           // with RoleManager: age recipient of backups
	SetupAt     time.Time
}

// ManagerAddresses returns every address of the API, the quorum IP first.
func (id *Identity) ManagerAddresses() []netip.AddrPort {
	return append([]netip.AddrPort{id.Manager}, id.Others...)
}

// Moving reports whether the cluster is on its way to another quorum IP.
func (id *Identity) Moving() bool { return len(id.Others) > 0 }

// Paths of the manager's API. The part after /v1/ is the verb.
const (
	PathCA     = "/v1/ca"
	PathJoin   = "/v1/join"
	PathHello  = "/v1/hello"
	PathPoll   = "/v1/poll"
	PathReport = "/v1/report"
	PathRenew  = "/v1/renew"
	PathTail   = "/v1/tail"
	PathLeave  = "/v1/leave"
	PathFence  = "/v1/fence"
	PathPulse  = "/v1/pulse"
	PathBackup = "/v1/backup/"      // and the name of the file
	PathSite   = "/v1/certificate/" // and the digest of a site's certificate
)

// CheckName reports whether a node or cluster may bear the name: a host name in
// lower case, labels of letters, digits and hyphens with dots between (RFC 1123
// §2.1).
func CheckName(name string) error {
	if len(name) > 253 || slices.ContainsFunc(strings.Split(name, "."), func(label string) bool { return !isLabel(label) }) {
		return fault.New(fault.Usage, "name %q is not a host name: lower-case letters, digits, - and . (RFC 1123)", name)
	}
	return nil
}

func isLabel(label string) bool {
	strange := func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' }
	return label != "" && len(label) <= 63 && !strings.ContainsFunc(label, strange) &&
		!strings.HasPrefix(label, "-") && !strings.HasSuffix(label, "-")
}

// Membership says whether a node still belongs.
type Membership string

// The memberships.
const (
	Member  Membership = "member"
	Leaving Membership = "leaving" // the manager has told it to go, and it is on its way
	Left    Membership = "left"    // its own reset took it out
	Deleted Membership = "deleted" // the manager took it out
)

// Belongs reports whether the node is let in: it is a member, or is leaving and
// has not gone yet.
func (m Membership) Belongs() bool { return m == Member || m == Leaving }

// Node is a node as the manager knows it.
type Node struct {
	ID          string
	Name        string
	Membership  Membership
	Address     netip.Addr
	MachineID   string
	Facts       host.Facts
	CertSerial  string // hexadecimal, of the certificate last signed
	CertExpires time.Time
	Start       uint64 // the first entry that is its own, beside the baseline
	JoinedAt    time.Time
	EndedAt     time.Time // when it left or was deleted; with Leaving, when it was told to
	EndedBy     string

	LastSeen    time.Time  // the last request; zero: never
	SilentSince time.Time  // not zero: unreachable since then
	HeardSince  time.Time  // it has not been silent since then; zero: not connected yet
	Connects    netip.Addr // the source address of its last poll; not valid: unknown
	Former      netip.Addr // the shares are also exported to this address; see Store.SetAddress
	Fetched     uint64     // the last record that it received, by its polls; its status may be older, or newer
	FactsAt     time.Time  // when it sent Facts; zero: when it joined
	Refused     string     // why another server using its certificate was refused, and when; "" for none
	Status      Status     // as it last reported

	Tail      Tail      // records that it has and this manager does not
	Awaited   uint64    // not 0: it may have records from this one on that this manager lost
	WentBack  *WentBack // not nil: it was restored to an older state
	Baseline  *Progress // not nil: it is new, and replays the baseline
	Fetch     *Fetch    // not nil: it has not received all queued entries
	Displaced bool      // it connects from another address than Address, and needs attention

	Paused   bool // standing orders, told in every poll's answer
	Retry    uint64
	RetrySeq uint64
	Look     uint64
}

// Fetch describes the part of the log that a node has not received.
type Fetch struct {
	Seq   uint64        // the first entry
	Since time.Time     // when the entry was queued, or when the node was first able to fetch it
	For   time.Duration // the time since Since
}

// A node that has not fetched an entry after fetchSoon is no longer current or
// replaying. After fetchLate it needs attention: 8 MiB over 1 Mbit/s take a
// minute and a half.
const (
	fetchSoon = 5 * time.Second
	fetchLate = 2 * time.Minute
)

// Late reports whether the fetch takes so long that the node needs attention.
func (f *Fetch) Late() bool { return f != nil && f.For >= fetchLate }

// Diverged reports whether the node has records beyond this manager's log.
func (n *Node) Diverged() bool {
	return n.Status.Word == TroubleDiverged || n.Status.Word == TroubleRewound
}

// NotConnected reports whether the node has not connected since the manager was
// restored: its state is that of the backup.
func (n *Node) NotConnected() bool { return n.Awaited > 0 && !n.Diverged() }

// MayGiveUp reports whether there is something to accept about the node: it has
// sent records that this manager lost, or it may have some and is away.
func (n *Node) MayGiveUp() bool {
	if n.Diverged() && n.Tail.First > 0 && !n.Tail.Accepted {
		return true
	}
	return n.NotConnected() || n.Awaited > 0 && n.Word() == WordUnreachable
}

// WentBack says that a node which was done with entry From was later found to be
// done only with To. Its server, or its state, was restored to an older one, and
// it runs the later entries again.
type WentBack struct {
	From uint64 `json:"from"`
	To   uint64 `json:"to"`
	At   int64  `json:"at"` // when this was found, unix milliseconds
}

// wentBackFor is how long a node is still reported after it has caught up.
const wentBackFor = 24 * time.Hour

// ReportBack returns WentBack if it still has to be reported: until the node
// has caught up, and for a day.
func (n *Node) ReportBack(now time.Time) *WentBack {
	if n.WentBack == nil || n.Status.Done >= n.WentBack.From && now.Sub(Instant(n.WentBack.At)) > wentBackFor {
		return nil
	}
	return n.WentBack
}

// Progress is how many of how many entries are done.
type Progress struct{ Done, Total int }

// The words for a node's queue that the manager's rules go by; the others are
// package replay's.
const (
	WordUnreachable = "unreachable" // it does not poll
	WordCurrent     = "current"
	WordReplaying   = "replaying"
	WordLeaving     = "leaving"  // the manager has deleted it, and it is leaving
	WordFetching    = "fetching" // it has been receiving an entry for a while
	WordWaiting     = "waiting"  // it waits for its turn at an entry that goes to some nodes at a time
)

// Word returns the state of the node's queue in one of the suite's words.
func (n *Node) Word() string {
	switch {
	case !n.Membership.Belongs():
		return string(n.Membership)
	case n.LastSeen.IsZero(), !n.SilentSince.IsZero():
		return WordUnreachable
	case n.Membership == Leaving:
		return WordLeaving
	case n.Status.Word == "":
		return WordUnreachable
	case n.Fetch != nil && n.Status.Quiet() && n.Fetch.For >= fetchSoon:
		return WordFetching
	case n.Status.Word == WordReplaying && n.Status.Held != 0:
		return WordWaiting
	}
	return n.Status.Word
}

// Settled reports whether the node is done with the entry.
func (n *Node) Settled(seq uint64) bool { return n.Status.Done >= seq }

// Halted reports whether the node halts at an entry that can be tried again. One
// that cannot use its journal is stuck before any attempt.
func (n *Node) Halted() bool { return n.Status.Blocked != nil && n.Status.Blocked.Attempts > 0 }

// Profile returns how the node stands with its profile, as it last reported.
func (n *Node) Profile() profile.Status {
	if n.Status.Profile == nil {
		return profile.Status{}
	}
	return *n.Status.Profile
}

// Token is an invitation to join, as the manager stores it.
type Token struct {
	ID        string
	Name      string // of the node to be
	Hash      []byte // of the secret, which is not stored
	Address   netip.Addr
	From      From
	Rejoin    string // the id of the member whose place is taken again
	CreatedAt time.Time
	ExpiresAt time.Time
	RevokedAt time.Time
	UsedAt    time.Time
	UsedBy    string // the address that used it
	KeyHash   []byte // SHA-256 of the public key that used it
	NodeID    string // what came of it
}

// From says where a new node starts in the log.
type From string

// Where a node can start.
const (
	FromNow       From = "now"       // the baseline, then what is queued from now on
	FromBeginning From = "beginning" // everything that is still in the log
)

// The states of a token.
const (
	TokenOpen    = "open"
	TokenUsed    = "used"
	TokenRevoked = "revoked"
	TokenExpired = "expired"
)

// Word returns the token's state in one of the words above.
func (t *Token) Word(now time.Time) string {
	switch {
	case !t.UsedAt.IsZero():
		return TokenUsed
	case !t.RevokedAt.IsZero():
		return TokenRevoked
	case now.After(t.ExpiresAt):
		return TokenExpired
	}
	return TokenOpen
}

// Roster is what the manager's daemon keeps in memory of a node.
type Roster struct {
	ID         string
	Name       string
	Membership Membership
	Address    netip.Addr
	Former     netip.Addr // the shares are also exported to this address; not valid: none
	Start      uint64
	EndedAt    time.Time
	EndedBy    string
	LastSeen   time.Time
	Tail       Tail
	Awaited    uint64
	WentBack   *WentBack
	Orders     Orders // Paused, Retry, Look and Trial only
}

// Package queue is the command queue's log: what an entry is, how its bytes
// are encoded, hashed and chained, and which nodes it is for.
//
// It holds types and rules alone: no SQL, no network, no clock. The log is
// append only. Its records are numbered from 1 without gaps, each one hashed
// together with the hash of the one before, and the head is signed with the
// manager's log key (package pki), so that a node can verify what it is about
// to run without trusting the connection that brought it.
package queue

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"iwx/lib/fault"
)

// Limits of the log. A body that is larger is refused when it is queued.
const (
	MaxBody = 8 << 20 // bytes of one encoded command, standard input included
	MaxPage = 1 << 20 // bytes of bodies in one page, unless one entry is larger
)

// Hash is a SHA-256 sum.
type Hash [32]byte

// String returns the hash in hexadecimal.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// Short returns the first 12 hexadecimal digits, for people.
func (h Hash) Short() string { return hex.EncodeToString(h[:6]) }

// Position is a place in the log: the number of a record, the epoch in which
// it was written, and its hash. The zero Position is the start of the log.
type Position struct {
	Epoch uint64
	Seq   uint64
	Hash  Hash
}

// OpID names an entry for good: numbers that were given before a restore keep
// the epoch they had, so an OpID is never used twice.
type OpID struct {
	Epoch uint64
	Seq   uint64
}

// String returns "EPOCH:SEQ", the form in IWX_OP_ID.
func (o OpID) String() string {
	return strconv.FormatUint(o.Epoch, 10) + ":" + strconv.FormatUint(o.Seq, 10)
}

// ParseOpID reads the form that String writes.
func ParseOpID(s string) (OpID, error) {
	epoch, seq, found := strings.Cut(s, ":")
	e, err1 := strconv.ParseUint(epoch, 10, 64)
	n, err2 := strconv.ParseUint(seq, 10, 64)
	if !found || err1 != nil || err2 != nil || n == 0 {
		return OpID{}, fault.New(fault.Usage, "op id %q is not EPOCH:SEQ", s)
	}
	return OpID{Epoch: e, Seq: n}, nil
}

// Kind says what a record is.
type Kind uint8

// The kinds of record. Numbers are part of the hashed encoding.
const (
	KindCommand Kind = 1 // a Command to replay
	KindVoid    Kind = 2 // a Void: an earlier record is not to be replayed
	KindEpoch   Kind = 3 // a restore: the first record of a higher epoch
)

// String returns the word for the kind.
func (k Kind) String() string {
	switch k {
	case KindCommand:
		return "command"
	case KindVoid:
		return "void"
	case KindEpoch:
		return "epoch"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Known reports whether this version of iwx knows what the kind means. A node
// halts at a record of an unknown kind until it is upgraded.
func (k Kind) Known() bool { return k >= KindCommand && k <= KindEpoch }

// Scope says how the nodes of an entry are named.
type Scope uint8

// The scopes. Numbers are part of the hashed encoding.
const (
	ScopeMembers  Scope = 1 // every node whose start is at or before the entry
	ScopeBaseline Scope = 2 // those, and every node that joins later
	ScopeNodes    Scope = 3 // the nodes that are listed
)

// Targets are the nodes that an entry is for. They never change once the entry
// is written.
type Targets struct {
	Scope   Scope
	Nodes   []string // node ids, sorted, with ScopeNodes only
	Rolling uint16   // how many nodes at a time; 0: all at once
}

// Members returns the targets of an ordinary entry.
func Members() Targets { return Targets{Scope: ScopeMembers} }

// Nodes returns targets that are the listed node ids.
func Nodes(ids ...string) Targets {
	sorted := slices.Clone(ids)
	slices.Sort(sorted)
	return Targets{Scope: ScopeNodes, Nodes: slices.Compact(sorted)}
}

// Include reports whether the entry numbered seq is for the node whose first
// own entry is start.
func (t Targets) Include(node string, start, seq uint64) bool {
	switch t.Scope {
	case ScopeMembers:
		return start <= seq
	case ScopeBaseline:
		return true
	case ScopeNodes:
		_, found := slices.BinarySearch(t.Nodes, node)
		return found
	}
	return false
}

// Record is one numbered place in the log.
type Record struct {
	OpID
	Kind    Kind
	Targets []byte // encoded Targets, as hashed
	Digest  Hash   // SHA-256 of the body
	Hash    Hash   // over all of the above and the record before
	Body    []byte // nil when withheld from this node, or erased
	Erased  bool   // the body is gone: it was sensitive, and everyone has it
	Stub    []byte // of an erased command: see Command.Stub
}

// Position returns the record's place.
func (r *Record) Position() Position {
	return Position{Epoch: r.Epoch, Seq: r.Seq, Hash: r.Hash}
}

// Disposition is what a void record says about the entry that it names.
type Disposition string

// The dispositions.
const (
	Skipped   Disposition = "skipped"   // an operator let a node pass it by
	Cancelled Disposition = "cancelled" // no node that has not run it will
	Completed Disposition = "done"      // an operator says that it did take effect
)

// Void is the body of a KindVoid record. Nodes apply it on receipt, ahead of
// what they are replaying; a node that had already replayed the entry keeps
// its own outcome. The record's targets are the nodes concerned.
type Void struct {
	Seq         uint64
	Disposition Disposition
	Who         string // the operator, as "user" or "user@tty"
	Reason      string // free text, may be empty
	At          int64  // unix milliseconds
}

// Epoch is the body of a KindEpoch record: which state of the log the restored
// manager went on from, and why.
type Epoch struct {
	Parent Position
	Reason string
	At     int64 // unix milliseconds
}

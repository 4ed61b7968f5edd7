// Package replay is a node's side of the command queue: it takes every entry
// that is addressed to the node, in order, one at a time, halts at a failure
// and tries again until it succeeds.
//
// The rules are one pure function, State.Step: what was so and what happened
// go in, what is so and what to do come out. Time, the network, the journal
// and the running of commands are outside, in Replayer, behind small
// interfaces, so that the rules can be driven by simulations of any length.
//
// MySQL's replication is the nearest relative: a log, a position per replica,
// a halt at the first error, and a way to skip.
package replay

import (
	"time"

	"iwx/lib/cluster"
	"iwx/lib/queue"
)

// Pending is a received record that is not settled yet: what the rules need to
// know of it.
type Pending struct {
	queue.OpID
	Addressed  bool              // this node replays it
	Void       queue.Disposition // "" unless a void record names it
	Rerun      bool              // may run again when its outcome is unknown
	Erased     bool              // its text is gone: sensitive, and older than this node
	Unreadable bool              // a newer iwx wrote it
}

// replays reports whether the record has to be run here.
func (p *Pending) replays() bool { return p.Addressed && p.Void == "" && !p.Erased }

// halts reports whether the node can only wait for its upgrade here.
func (p *Pending) halts() bool { return p.Unreadable && p.Void == "" }

// Phase is where the node stands with the first pending entry.
type Phase uint8

// The phases.
const (
	Idle    Phase = iota // nothing runs; nothing has been tried
	Running              // an attempt is under way
	Waiting              // the last attempt failed; the next is at RetryAt
	Cut                  // the last attempt's outcome is unknown
)

// Trouble is why a node runs nothing although it is healthy: the manager's
// answer, or a record that it cannot read. The values are the words that
// people see.
type Trouble string

// The troubles, most of them told by the manager.
const (
	NoTrouble    Trouble = ""
	Diverged     Trouble = cluster.TroubleDiverged
	Rewound      Trouble = cluster.TroubleRewound
	NeedsResync  Trouble = cluster.TroubleResync
	Leaving      Trouble = cluster.TroubleLeaving
	NeedsUpgrade Trouble = "needs upgrade" // the next record was written by a newer iwx
)

// State is all that the rules know of a node. The zero State is a node that
// has received nothing.
type State struct {
	Done  uint64    // every record up to this one is settled
	Head  uint64    // every record up to this one has been received
	Ahead []Pending // the records after Done, in order: all of them, or a first part

	Phase     Phase
	Attempt   int       // attempts begun on Ahead[0]
	RetryAt   time.Time // with Waiting
	RetrySeen uint64    // the last request to retry that was heeded

	More    bool    // the manager has records that are not received yet
	Paused  bool    // an operator holds this node still
	Hold    uint64  // not 0: this entry, and what follows, waits for this node's turn
	Trouble Trouble // from the manager; see also State.Blocked
}

// Event is something that happened. Now is the time at which it did.
type Event interface{ event() }

// The events.
type (
	// Heard: the manager answered. Its standing orders come with what was
	// received, for an order to skip or to hold still is to be heeded before
	// what came with it is begun. A void record that was received is already
	// applied to the entry it names.
	Heard struct {
		Orders Orders
		Filled
		More bool // the manager has records that are not received yet
	}
	// Filled: the records that are pending are these.
	Filled struct {
		Head  uint64
		Ahead []Pending // all that is pending, or a first part
	}
	// Finished: the attempt ended, or it was found out how it did.
	Finished struct {
		Outcome    Outcome
		RetryAfter time.Duration // how long to wait after a failure
	}
	// Tick: the time may have come for a retry.
	Tick struct{}
)

// Orders are the manager's standing orders to this node.
type Orders struct {
	Paused   bool
	Retry    uint64 // counts the operator's requests to retry
	RetrySeq uint64 // the entry that was meant
	Hold     uint64 // not 0: do not begin this entry, or one after it
	Trouble  Trouble
}

func (Heard) event()    {}
func (Filled) event()   {}
func (Finished) event() {}
func (Tick) event()     {}

// Outcome is how an attempt ended.
type Outcome uint8

// The outcomes.
const (
	Succeeded  Outcome = iota + 1
	Failed             // a known failure: it is tried again
	Unknown            // it was cut short, and nobody knows how far it came
	NeverBegan         // it was journalled, but the command was never started
)

// Action is something to do. The actions of one step are committed to the
// journal together, before any of them has an effect outside.
type Action interface{ action() }

// The actions.
type (
	// Settle: every record up to Seq is done with.
	Settle struct{ Seq uint64 }
	// Begin: journal the attempt, then run it.
	Begin struct {
		queue.OpID
		Attempt int
	}
	// Wait: hand in a Tick at that time.
	Wait struct{ Until time.Time }
	// Refill: Ahead ran out before the received records did; hand in the next.
	Refill struct{}
	// Heed: remember that requests to retry up to this one were heeded.
	Heed struct{ Retry uint64 }
)

func (Settle) action() {}
func (Begin) action()  {}
func (Wait) action()   {}
func (Refill) action() {}
func (Heed) action()   {}

// Step returns the state after an event, and what to do about it. It changes
// nothing else and never fails: an event that does not fit the state is
// passed over.
func (s State) Step(ev Event, now time.Time) (State, []Action) {
	var actions []Action
	switch ev := ev.(type) {
	case Heard:
		s.Head, s.Ahead, s.More = ev.Head, ev.Ahead, ev.More
		s.Paused, s.Hold, s.Trouble = ev.Orders.Paused, ev.Orders.Hold, ev.Orders.Trouble
		actions = s.heed(ev.Orders)
	case Filled:
		s.Head, s.Ahead = ev.Head, ev.Ahead
	case Finished:
		actions = s.finish(ev, now)
	}
	return s.advance(actions, now)
}

// heed lets an operator's request to retry cut a wait short. A request for
// another entry, or for one that is running, is spent without effect. One that
// cannot be followed yet is kept for later, when the manager tells it again: a
// crash until then must not lose it.
func (s *State) heed(order Orders) []Action {
	if order.Retry <= s.RetrySeen || s.More || s.Paused || s.Trouble != NoTrouble {
		return nil
	}
	s.RetrySeen = order.Retry
	halted := s.Phase == Waiting || s.Phase == Cut
	if halted && len(s.Ahead) > 0 && s.Ahead[0].Seq == order.RetrySeq {
		s.Phase = Idle
	}
	return []Action{Heed{Retry: order.Retry}}
}

func (s *State) finish(ev Finished, now time.Time) []Action {
	if s.Phase != Running || len(s.Ahead) == 0 {
		return nil
	}
	switch ev.Outcome {
	case Succeeded:
		return []Action{s.settle(1)}
	case NeverBegan:
		s.Phase = Idle
		s.Attempt--
	case Unknown:
		s.Phase = Cut
	case Failed:
		s.Phase = Waiting
		s.RetryAt = now.Add(ev.RetryAfter)
		return []Action{Wait{Until: s.RetryAt}}
	}
	return nil
}

// settle is done with the first n pending records.
func (s *State) settle(n int) Settle {
	s.Done = s.Ahead[n-1].Seq
	s.Ahead = s.Ahead[n:]
	s.Phase, s.Attempt, s.RetryAt = Idle, 0, time.Time{}
	return Settle{Seq: s.Done}
}

// advance passes over what is not to be run here and begins the next attempt,
// if one may begin.
func (s State) advance(actions []Action, now time.Time) (State, []Action) {
	if s.Phase == Running || s.Trouble != NoTrouble {
		return s, actions
	}
	// A void that has not arrived yet may name what would be run next, so
	// nothing is passed or begun before all there is has been received.
	if s.More {
		return s, actions
	}
	n := 0
	for n < len(s.Ahead) && !s.Ahead[n].halts() && !s.Ahead[n].replays() {
		n++
	}
	if n > 0 {
		actions = append(actions, s.settle(n))
	}
	if len(s.Ahead) == 0 {
		if s.Done < s.Head {
			actions = append(actions, Refill{})
		}
		return s, actions
	}
	if s.Paused || s.held() || s.Ahead[0].halts() || !s.due(now) {
		return s, actions
	}
	s.Phase = Running
	s.Attempt++
	return s, append(actions, Begin{OpID: s.Ahead[0].OpID, Attempt: s.Attempt})
}

// held reports whether the first pending entry waits for this node's turn.
func (s *State) held() bool { return s.Hold != 0 && s.Ahead[0].Seq >= s.Hold }

// Held returns the entry at which the node waits for its turn, or 0.
func (s *State) Held() uint64 {
	if s.Phase != Idle || len(s.Ahead) == 0 || !s.held() {
		return 0
	}
	return s.Ahead[0].Seq
}

// due reports whether the first pending entry may be tried now.
func (s *State) due(now time.Time) bool {
	switch s.Phase {
	case Idle:
		return true
	case Waiting:
		return !now.Before(s.RetryAt)
	case Cut:
		return s.Ahead[0].Rerun
	}
	return false
}

// The words for a node's queue, beside the troubles, as people see them.
const (
	WordCurrent   = cluster.WordCurrent
	WordReplaying = cluster.WordReplaying
	WordHalted    = "halted"
	WordUnknown   = "unknown outcome"
	WordPaused    = "paused"
)

// Blocked returns the trouble that keeps the node from going on, be it the
// manager's word or a record that this version cannot read.
func (s *State) Blocked() Trouble {
	if s.Trouble == NoTrouble && len(s.Ahead) > 0 && s.Ahead[0].halts() {
		return NeedsUpgrade
	}
	return s.Trouble
}

// Word returns the state of the queue in one of the words above or that of a
// trouble; the gravest wins.
func (s *State) Word() string {
	failing := s.Phase == Running && s.Attempt > 1
	switch {
	case s.Blocked() != NoTrouble:
		return string(s.Blocked())
	case s.Phase == Cut:
		return WordUnknown
	case s.Phase == Waiting || failing:
		return WordHalted
	case s.Paused:
		return WordPaused
	case s.More || s.Phase == Running || s.Done < s.Head:
		return WordReplaying
	}
	return WordCurrent
}

package replay

import (
	"context"
	"time"

	"iwx/lib/cluster"
	"iwx/lib/queue"
)

// Journal is where a node keeps what must survive a crash. Every method that
// changes it returns when the change is on the disk.
type Journal interface {
	// Load returns what the journal holds.
	Load(ctx context.Context) (*Saved, error)
	// Ahead returns the records that are not settled, in order, up to limit.
	Ahead(ctx context.Context, limit int) ([]Pending, error)
	// Command returns the text of an entry. An error that wraps
	// queue.ErrNewer means that a newer iwx wrote it.
	Command(ctx context.Context, seq uint64) (*queue.Command, error)
	// Commit writes the changes in one transaction.
	Commit(ctx context.Context, c *Changes) error
	// Unreported returns up to limit attempts that ended after the one
	// numbered after, and the number of the last of them; fewer when their
	// output is large.
	Unreported(ctx context.Context, after int64, limit int) ([]cluster.Attempt, int64, error)
	// Signed returns the received records from number first on, up to one whose
	// signature is kept; none when there is none.
	Signed(ctx context.Context, first uint64) (*queue.Page, error)
	// Before returns the number of the last attempt before any at the records
	// from first on: those after it can be reported anew.
	Before(ctx context.Context, first uint64) (int64, error)
	// Cut drops the records from number first on and what they made void, and
	// returns what the journal holds then. It does nothing, and returns nil, while
	// one of them is under way.
	Cut(ctx context.Context, first uint64) (*Saved, error)
}

// Saved is what a journal knows when the daemon starts.
type Saved struct {
	State    State            // without Ahead
	Position queue.Position   // of the last received record
	Open     *Open            // the attempt under way, with State.Phase Running
	Blocked  *cluster.Blocked // of an entry that failed and is not settled
	Reported int64            // the last attempt that the manager has
	Orders   cluster.Orders   // as last heard
	Epoch    uint64           // the highest that a manager was in
	HeardAt  time.Time        // when the manager was; zero: never
}

// Open is an attempt that was begun and whose end is not in the journal.
type Open struct {
	cluster.Attempt
	Boot string // the boot id under which it was begun
}

// Changes is what one step writes. Zero fields change nothing.
type Changes struct {
	Records  []queue.Record   // received and verified
	Sig      []byte           // the signature over the last of them
	Ended    *cluster.Attempt // with its result and output
	NotBegun *cluster.Attempt // it is forgotten: its command was never started
	Settled  uint64
	Begun    *Open
	RetryAt  time.Time // stored with Ended and Begun
	Heeded   uint64
	Reported int64
}

// empty reports whether there is nothing to write.
func (c *Changes) empty() bool {
	return len(c.Records) == 0 && c.Ended == nil && c.NotBegun == nil && c.Settled == 0 && c.Begun == nil && c.Heeded == 0
}

// Describe returns what the replay needs to know of a record, for the node
// whose first own entry is start. void says what a void record says of it.
func Describe(r *queue.Record, node string, start uint64, void queue.Disposition) Pending {
	p := Pending{OpID: r.OpID, Void: void, Erased: r.Erased}
	if !r.Kind.Known() {
		p.Unreadable = true
		return p
	}
	targets, err := queue.DecodeTargets(r.Targets)
	if err != nil {
		p.Unreadable = true
		return p
	}
	if r.Kind != queue.KindCommand {
		p.Unreadable = !readable(r)
		return p
	}
	if !targets.Include(node, start, r.Seq) {
		return p
	}
	p.Addressed = true
	if r.Body != nil {
		c, err := queue.DecodeCommand(r.Body)
		p.Unreadable = err != nil
		p.Rerun = err == nil && c.Rerun
	}
	return p
}

// readable reports whether this version knows what a record that is no command
// says. A text that is not here was not for this node.
func readable(r *queue.Record) bool {
	if r.Body == nil {
		return true
	}
	var err error
	switch r.Kind {
	case queue.KindVoid:
		_, err = queue.DecodeVoid(r.Body)
	case queue.KindEpoch:
		_, err = queue.DecodeEpoch(r.Body)
	}
	return err == nil
}

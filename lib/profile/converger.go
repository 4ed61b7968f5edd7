package profile

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// Applier makes this server as items of one kind say. Its methods are called
// for one item at a time, with a deadline, by one process at a time.
type Applier interface {
	// Check looks whether the item is as it should be, and changes nothing.
	// change is "" if it is, else what Apply would do, in the imperative:
	// "mount 192.0.2.1:/srv/iwx at /srv/iwx".
	Check(ctx context.Context, item Item) (change string, err error)

	// Apply makes it so, also where an earlier spec of the same item was in
	// force. It is idempotent. On an error it may have done a part.
	Apply(ctx context.Context, item Item) error

	// Remove takes back what Apply did for the item, under earlier specs too;
	// what was there before stays. It is idempotent, and may be called where
	// Apply never was. The item is as it was last begun to be applied.
	Remove(ctx context.Context, item Item) error
}

// Journal is what survives a crash of a server's converging. Each method has
// written, on the disk, when it returns.
type Journal interface {
	// Load returns everything. An empty journal is a zero Saved.
	Load(ctx context.Context) (*Saved, error)
	// Receive replaces the document that is desired.
	Receive(ctx context.Context, rev Revision) error
	// Begin notes that the item is about to be applied, in place of what was
	// noted of it before, keeping its place in the order.
	Begin(ctx context.Context, item Item) error
	// End forgets an item: what was applied of it is taken back.
	End(ctx context.Context, item Item) error
	// Report replaces the results.
	Report(ctx context.Context, status Status) error
}

// Saved is what a journal holds.
type Saved struct {
	Desired Revision // received last; its Version is "" if there was none
	Begun   []Item   // in the order in which they were first begun
	Status  Status   // as last reported
}

// Standing returns the status by the document that is desired now, which may be
// a newer one than that of the last report.
func (s *Saved) Standing() Status {
	now := s.Status
	now.Desired = s.Desired.Version
	return now
}

// Words for an item.
const (
	WordApplied      = "applied"
	WordFailed       = "failed"        // it is tried again
	WordPending      = "pending"       // its turn has not come, or it waits for another
	WordNeedsUpgrade = "needs upgrade" // this version of iwx does not know its kind
)

// Result is how one item stands.
type Result struct {
	Kind    string `json:"kind"`
	Name    string `json:"name"`
	Digest  string `json:"digest,omitempty"` // of the item that was tried; "": a removal, or from an older version of iwx
	Word    string `json:"word"`
	Removal bool   `json:"removal,omitempty"` // it is no longer desired, and still to be taken back
	Error   string `json:"error,omitempty"`   // one line
	Since   int64  `json:"since"`             // when it came to have the word, unix milliseconds
}

func (r *Result) item() Item { return Item{Kind: r.Kind, Name: r.Name} }

// String returns the item for sentences.
func (r *Result) String() string { return r.item().String() }

// Status is how a server stands with its profile. The zero Status is that of a
// server which has none.
type Status struct {
	Desired string   `json:"desired"`           // the version received last
	Reached string   `json:"reached,omitempty"` // the version that was last applied in all its items
	Items   []Result `json:"items,omitempty"`   // in the order of the document, then what is to be taken back
	Error   string   `json:"error,omitempty"`   // why the items could not be looked at, one line
}

// Current reports whether everything is as the document says; there has to be
// one.
func (s Status) Current() bool { return s.Word() == WordApplied }

// equal reports whether both say the same.
func (s *Status) equal(t *Status) bool {
	return s.Desired == t.Desired && s.Reached == t.Reached && s.Error == t.Error && slices.Equal(s.Items, t.Items)
}

// Word is the whole status in one of the words; "" for a server that has no
// profile.
func (s Status) Word() string {
	trouble := s.Trouble()
	switch {
	case s.Error != "":
		return WordFailed
	case trouble != nil:
		return trouble.Word
	case s.Desired == "":
		return ""
	case s.Desired != s.Reached:
		return WordPending
	}
	return WordApplied
}

// Trouble returns the first item that is not applied, one that failed before
// one that is pending; nil if all are.
func (s Status) Trouble() *Result {
	var first *Result
	for i := range s.Items {
		switch r := &s.Items[i]; {
		case r.Word == WordApplied:
		case r.Word != WordPending:
			return r
		case first == nil:
			first = r
		}
	}
	return first
}

// Unapplied returns which of the items, those that are desired now, the server has not
// applied, and what it has still to take back, each with its word and error. It goes by
// what the server reported last: an item that has changed since then is pending. A
// result without a digest counts by kind and name. Kinds that do not count are left out.
func (s Status) Unapplied(items []Item, counts func(kind string) bool) (list []Result) {
	for _, item := range items {
		if !counts(item.Kind) {
			continue
		}
		now := Result{Kind: item.Kind, Name: item.Name, Digest: item.Digest(), Word: WordPending}
		for _, r := range s.Items {
			if !r.Removal && r.item().same(item) && (r.Digest == "" || r.Digest == now.Digest) {
				now = r
			}
		}
		if now.Word != WordApplied {
			list = append(list, now)
		}
	}
	for _, r := range s.Items {
		switch {
		case !counts(r.Kind) || find(items, r.item()) >= 0:
		case r.Removal:
			list = append(list, r)
		default: // it is not known there yet
			list = append(list, Result{Kind: r.Kind, Name: r.Name, Word: WordPending, Removal: true})
		}
	}
	return list
}

// Change is what converging would do to one item.
type Change struct {
	Item
	Text string // in the imperative
	Err  error  // why that cannot be told
}

// callLimit is how long one call of an applier may take, where nothing else is
// asked for: longer than an NFS mount tries to reach its server's first answer
// (mount.nfs(8) retries for two minutes, which is for an applier to shorten).
const callLimit = 45 * time.Second

// Converger makes a server as a document says. Its methods may be called by
// many goroutines; Lock keeps them, and other processes, apart.
type Converger struct {
	Appliers map[string]Applier // by kind
	Journal  Journal
	Lock     func(ctx context.Context) (unlock func(), err error) // may be nil
	Limit    time.Duration                                        // of one call of an applier; 0: callLimit
	Limits   map[string]time.Duration                             // of kinds that need another one
	Now      func() time.Time
	Log      *slog.Logger

	mu    sync.Mutex
	hangs map[string]time.Time // calls that did not heed their deadline, by item
	tries map[string]*try      // items that failed the last time
}

// Plan returns what Converge would do, and does nothing.
func (c *Converger) Plan(ctx context.Context, doc Document) ([]Change, error) {
	if err := doc.Check(); err != nil {
		return nil, err
	}
	saved, err := c.Journal.Load(ctx)
	if err != nil {
		return nil, err
	}
	var list []Change
	for i := len(saved.Begun) - 1; i >= 0; i-- {
		if item := saved.Begun[i]; find(doc.Items, item) < 0 {
			list = append(list, Change{Item: item, Text: "take back " + item.String()})
		}
	}
	for _, item := range doc.Items {
		text, err := c.check(ctx, item)
		if text != "" || err != nil {
			list = append(list, Change{Item: item, Text: text, Err: err})
		}
	}
	return list, ctx.Err()
}

// Converge makes the document the desired one and this server as it says, and
// returns how each item stands. An item that fails is told in the status and
// does not hold up the others, apart from those beneath the same path. The
// error is that of the journal, of the lock, or of a document that Check
// refuses.
//
// Whatever ends it, converging again, to this document or another, goes on
// where it stopped.
func (c *Converger) Converge(ctx context.Context, rev Revision) (Status, error) {
	return c.converge(ctx, rev, allItems)
}

func (c *Converger) converge(ctx context.Context, rev Revision, scope scope) (Status, error) {
	doc, err := rev.Document.compact()
	if err == nil {
		err = doc.Check()
	}
	if err != nil {
		return Status{}, err
	}
	return c.locked(ctx, &Revision{Version: rev.Version, Document: doc}, scope)
}

// Resume converges to the document that was received last. Without one there
// is nothing to do.
func (c *Converger) Resume(ctx context.Context) (Status, error) { return c.locked(ctx, nil, allItems) }

// locked converges to rev, or to what is desired already.
func (c *Converger) locked(ctx context.Context, rev *Revision, scope scope) (Status, error) {
	if c.Lock != nil {
		unlock, err := c.Lock(ctx)
		if err != nil {
			return Status{}, err
		}
		defer unlock()
	}
	saved, err := c.Journal.Load(ctx)
	if err != nil {
		return Status{}, err
	}
	if rev != nil && saved.Desired.Version != rev.Version {
		if err := c.Journal.Receive(ctx, *rev); err != nil {
			return saved.Status, err
		}
		saved.Desired = *rev
	}
	if saved.Desired.Version == "" {
		return saved.Status, nil
	}
	p := &pass{Converger: c, scope: scope, version: saved.Desired.Version, items: saved.Desired.Items, begun: saved.Begun, old: saved.Status}
	p.takeBack(ctx)
	p.apply(ctx)
	if ctx.Err() != nil {
		return saved.Status, ctx.Err()
	}
	p.forget()
	return p.end(ctx)
}

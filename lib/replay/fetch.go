package replay

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"iwx/lib/backoff"
	"iwx/lib/cluster"
	"iwx/lib/fault"
	"iwx/lib/panics"
	"iwx/lib/profile"
	"iwx/lib/queue"
	"iwx/lib/wait"
)

// Manager is the cluster manager, as a node reaches it. An error that wraps a
// *cluster.Refusal is an answer; any other means that it was not reached.
type Manager interface {
	Poll(ctx context.Context, req *cluster.PollRequest) (*cluster.PollAnswer, error)
	Report(ctx context.Context, report *cluster.Report) error
	Tail(ctx context.Context, req *cluster.TailRequest) (*cluster.TailAnswer, error)
	Fence(ctx context.Context, proof *cluster.TailRequest) error
}

// Contacts is where a node notes how it stands with its manager.
type Contacts interface {
	SaveHeard(ctx context.Context, at time.Time, epoch, head uint64, orders cluster.Orders) error
	SaveSilent(ctx context.Context, at time.Time, reason, text, hint string) error
}

// Profile is what the manager sends beside the queue, whatever state that is
// in, and what a node tells of it. What is in it is not for this package.
type Profile interface {
	Version() string               // of the one received last
	Receive(rev *profile.Revision) // at every answer; nil: it has brought none
	Status() profile.Status
	Changed() <-chan struct{} // receives when Status has changed
}

const (
	// refusedWait is the wait before a refused request is sent again: a refusal
	// rarely ends soon by itself.
	refusedWait = 25 * time.Second

	// mostCost limits the time that a failed request counts as having cost the
	// manager: a manager that hung is asked again at most 10 s after it is back.
	mostCost = 5 * time.Second

	// cutWait is how soon a node that could not drop records yet, since a command
	// was running, tries again.
	cutWait = time.Second

	// heardEvery is how often an unchanged good standing is written down.
	heardEvery = 30 * time.Second
)

// newTries returns the failures of requests, of which there are none yet.
func newTries() backoff.Tries {
	return backoff.Tries{Waits: backoff.Waits{First: 200 * time.Millisecond, Most: 4 * time.Second}}
}

// Fetcher brings the manager's answers to a Replayer: one poll at a time, held
// open by the manager until there is something to tell.
type Fetcher struct {
	Manager  Manager
	Replayer *Replayer
	Contacts Contacts
	Profile  Profile                                  // nil: the node has none
	Verify   func(p queue.Position, sig []byte) error // checks the log key's signature
	Instance string                                   // random, one for each run
	PollWait func() time.Duration
	Now      func() time.Time
	Log      *slog.Logger
	Heed     func(cluster.Orders) // called with orders that differ, once they are written down; may be nil

	orders    cluster.Orders
	position  queue.Position
	epoch     uint64    // the highest that a manager was in
	lastHeard time.Time // the last answer, of an earlier run too; zero: none
	heardAt   time.Time
	lastError string
}

// Run polls until ctx is done.
func (f *Fetcher) Run(ctx context.Context) error {
	if err := f.begin(ctx); err != nil {
		return nil // the daemon ends
	}
	tries := newTries()
	for ctx.Err() == nil {
		began, patience := f.Now(), f.patience()
		_, err := f.poll(ctx, patience)
		if err == nil {
			tries.Reset()
			continue
		}
		pause := tries.Failed(min(f.Now().Sub(began)-patience, mostCost))
		if refusal := (*cluster.Refusal)(nil); errors.As(err, &refusal) && lasts(refusal.Reason) {
			pause = backoff.Jitter(refusedWait, rand.Float64())
		}
		_ = wait.Sleep(ctx, pause)
	}
	return nil
}

// patience returns how long the manager may hold the next poll open. A node
// that has not been answered since it started, or whose last request failed,
// asks how it stands: nothing is begun before it knows.
func (f *Fetcher) patience() time.Duration {
	if f.heardAt.IsZero() || f.lastError != "" {
		return 0
	}
	if f.orders.Cut != 0 {
		return cutWait
	}
	return f.PollWait()
}

// lasts reports whether a refusal is one that does not pass by itself soon.
func lasts(reason string) bool {
	return reason != cluster.RefusedFailed && reason != cluster.Distrusted
}

// Once polls until everything the manager has is received.
func (f *Fetcher) Once(ctx context.Context) error {
	if err := f.begin(ctx); err != nil {
		return err
	}
	for {
		more, err := f.poll(ctx, 0)
		if err != nil || !more {
			return err
		}
	}
}

// begin takes up where the replayer's journal left off. Until the first
// delivery nobody writes what is read here.
func (f *Fetcher) begin(ctx context.Context) error {
	if err := f.Replayer.Begun(ctx); err != nil {
		return err
	}
	f.position, f.orders, f.epoch = f.Replayer.position, f.Replayer.orders, f.Replayer.epoch
	f.lastHeard = f.Replayer.heardAt
	return nil
}

// poll asks once and hands on the answer. more is true when the next poll is
// to follow at once.
func (f *Fetcher) poll(ctx context.Context, wait time.Duration) (more bool, err error) {
	version := ""
	if f.Profile != nil {
		version = f.Profile.Version()
	}
	req := &cluster.PollRequest{
		Instance: f.Instance,
		Version:  f.Replayer.Version,
		Position: cluster.WirePosition(f.position),
		Orders:   f.orders,
		Profile:  version,
		Looks:    true,
		Trials:   true,
		Wait:     wait.Milliseconds(),
	}
	var answer *cluster.PollAnswer
	err = panics.Try(f.Log, "poll of the manager", func() (err error) {
		if answer, err = f.Manager.Poll(ctx, req); err == nil {
			err = f.deliver(ctx, answer)
		}
		if err == nil && f.orders.Tail != 0 {
			err = f.sendTail(ctx, f.orders.Tail)
		}
		return err
	})
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	if err != nil {
		f.silent(ctx, err)
		return false, err
	}
	return answer.More || answer.Again, nil
}

// deliver verifies an answer and hands it on.
func (f *Fetcher) deliver(ctx context.Context, answer *cluster.PollAnswer) error {
	page := answer.QueuePage()
	if known := max(f.epoch, f.position.Epoch); answer.Epoch < known {
		f.fence(ctx, answer.Epoch)
		return cluster.Refuse(cluster.Distrusted, "end the old manager; the restored one holds the cluster",
			"the manager is in epoch %d of the log, and this node has followed epoch %d: an old manager is back", answer.Epoch, known)
	}
	if err := f.verify(page); err != nil {
		return err
	}
	if f.Profile != nil {
		f.Profile.Receive(answer.Profile)
	}
	ordered := answer.Orders != f.orders
	changed := ordered || answer.Epoch > f.epoch || f.lastError != "" || f.Now().Sub(f.heardAt) > heardEvery
	position, err := f.Replayer.Deliver(ctx, page, answer.Orders, f.quiet())
	if err != nil {
		return err
	}
	if answer.Orders.Trouble != f.orders.Trouble {
		f.Log.Warn("the manager changed its verdict on this node", "trouble", answer.Orders.Trouble, "detail", answer.Orders.Detail)
	}
	f.position, f.orders = position, answer.Orders
	if !changed {
		return nil
	}
	if f.lastError != "" {
		f.Log.Info("the manager answers again")
		f.Replayer.managers.Add(1) // a restored manager has an old status, and old facts
		f.Replayer.signal()
	}
	f.heardAt, f.lastError, f.epoch = f.Now(), "", answer.Epoch
	if err := f.Contacts.SaveHeard(ctx, f.heardAt, f.epoch, answer.Head, answer.Orders); err != nil {
		return err
	}
	if ordered && f.Heed != nil {
		f.Heed(answer.Orders)
	}
	return nil
}

// quiet returns how long the manager had not been heard before this answer.
func (f *Fetcher) quiet() time.Duration {
	before, now := f.lastHeard, f.Now()
	f.lastHeard = now
	if before.IsZero() {
		return 0
	}
	return now.Sub(before)
}

// fence shows a manager of an earlier epoch that another has taken its place, so
// that it ends by itself. A node that has no record of a later epoch yet has
// nothing to show; others have.
func (f *Fetcher) fence(ctx context.Context, epoch uint64) {
	if f.position.Epoch <= epoch {
		return
	}
	page, err := f.Replayer.Journal.Signed(ctx, f.position.Seq)
	if err == nil {
		err = f.Manager.Fence(ctx, &cluster.TailRequest{Instance: f.Instance, Page: cluster.WirePage(page.Records), Sig: page.Sig})
	}
	if err != nil && ctx.Err() == nil {
		f.Log.Warn("cannot notify the old manager that it was replaced", "error", err)
	}
}

// sendTail sends the manager the records that it lacks, from number first on,
// and has what came of them reported anew: the manager that was told is gone.
// This one says where to go on, which is further back when it cannot place what
// it was sent.
func (f *Fetcher) sendTail(ctx context.Context, first uint64) error {
	lowest := first
	for from := first; ; {
		page, err := f.Replayer.Journal.Signed(ctx, from)
		if err != nil {
			return err
		}
		if len(page.Records) == 0 {
			return f.reportFrom(ctx, lowest)
		}
		answer, err := f.Manager.Tail(ctx, &cluster.TailRequest{Instance: f.Instance, Page: cluster.WirePage(page.Records), Sig: page.Sig})
		if err != nil {
			return err
		}
		from = answer.Next
		lowest = min(lowest, from)
	}
}

// reportFrom has the attempts at the records from first on reported once more.
func (f *Fetcher) reportFrom(ctx context.Context, first uint64) error {
	before, err := f.Replayer.Journal.Before(ctx, first)
	if err == nil {
		f.Replayer.Reported(before)
		f.Replayer.signal()
	}
	return err
}

// verify refuses a page that does not follow from what is here, or that the
// cluster's log key has not signed.
func (f *Fetcher) verify(page *queue.Page) error {
	n := len(page.Records)
	if n == 0 {
		return nil
	}
	err := page.Verify(f.position)
	if err == nil {
		err = f.Verify(page.Records[n-1].Position(), page.Sig)
	}
	if err != nil {
		return cluster.Refuse(cluster.Distrusted, "on the manager: iwx-cluster-setup status",
			"the manager sent a log that does not verify, and nothing of it was run: %v", err)
	}
	return nil
}

// silent notes and logs why the manager does not answer, when that changes.
func (f *Fetcher) silent(ctx context.Context, err error) {
	if err.Error() == f.lastError {
		return
	}
	reason := ""
	hint := fault.HintOf(err)
	if refusal := (*cluster.Refusal)(nil); errors.As(err, &refusal) {
		reason, hint = refusal.Reason, refusal.Hint
	}
	f.lastError = err.Error()
	f.Log.Warn("the manager does not answer this node", "error", err)
	if err := f.Contacts.SaveSilent(ctx, f.Now(), reason, f.lastError, hint); err != nil {
		f.Log.Error("cannot save the state of the contact with the manager", "error", err)
	}
}

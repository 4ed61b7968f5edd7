package replay

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"

	"iwx/lib/backoff"
	"iwx/lib/cluster"
	"iwx/lib/host"
	"iwx/lib/nfs"
	"iwx/lib/panics"
	"iwx/lib/wait"
)

// reportAttempts limits the attempts in one report, besides the limit on their
// output: a report that is cut off is sent again, and must be small.
const reportAttempts = 16

// Reporter tells the manager what came of attempts, as soon as it is in the
// journal. What could not be told is told later, in order.
type Reporter struct {
	Manager  Manager
	Replayer *Replayer
	Profile  Profile // nil: the node has none
	Mounts   Mounts  // nil: they are not looked at
	Facts    Facts   // nil: not reported
	Instance string
	Log      *slog.Logger
	Extend   func(*cluster.Status) // adds what is not the queue's; may be nil

	known   *host.Facts // the facts that the manager has
	knownBy uint64      // the manager: see Replayer.managers
}

// Facts provides the facts about this server.
type Facts interface {
	Facts() *host.Facts       // another pointer when they have changed; nil: they cannot be read
	Changed() <-chan struct{} // receives when Facts has changed
}

// transformed returns a channel that receives when the facts have changed.
func (p *Reporter) transformed() <-chan struct{} {
	if p.Facts == nil {
		return nil
	}
	return p.Facts.Changed()
}

// facts returns the latest facts, and those that the manager lacks, or nil if
// it has them.
func (p *Reporter) facts(manager uint64) (latest, lacking *host.Facts) {
	if p.Facts == nil {
		return nil, nil
	}
	latest = p.Facts.Facts()
	if latest == p.known && p.knownBy == manager {
		return latest, nil
	}
	return latest, latest
}

// changed receives when the profile's results have.
func (p *Reporter) changed() <-chan struct{} {
	if p.Profile == nil {
		return nil
	}
	return p.Profile.Changed()
}

// Mounts is how the shared storage is doing on a node. What is in it is not for
// this package.
type Mounts interface {
	Health() []nfs.Health
	Changed() <-chan struct{} // receives when Health has changed
}

// remounted receives when the mounts are doing otherwise.
func (p *Reporter) remounted() <-chan struct{} {
	if p.Mounts == nil {
		return nil
	}
	return p.Mounts.Changed()
}

// status is all that the node is reported to be.
func (p *Reporter) status() cluster.Status {
	status := p.Replayer.Status()
	if p.Profile != nil {
		now := p.Profile.Status()
		status.Profile = &now
	}
	if p.Mounts != nil {
		status.Mounts = p.Mounts.Health()
	}
	if p.Extend != nil {
		p.Extend(&status)
	}
	return status
}

// Run reports until ctx is done.
func (p *Reporter) Run(ctx context.Context) error {
	if err := p.Replayer.Begun(ctx); err != nil {
		return nil // the daemon ends
	}
	tries := newTries()
	for {
		began := p.Replayer.Now()
		err := panics.Try(p.Log, "report to the manager", func() error { return p.Once(ctx) })
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			// The fetcher, which meets the same manager, logs why.
			pause := tries.Failed(min(p.Replayer.Now().Sub(began), mostCost))
			if refusal := (*cluster.Refusal)(nil); errors.As(err, &refusal) && lasts(refusal.Reason) {
				pause = backoff.Jitter(refusedWait, rand.Float64())
			}
			_ = wait.Sleep(ctx, pause)
			continue
		}
		tries.Reset()
		select {
		case <-ctx.Done():
			return nil
		case <-p.Replayer.Changed():
		case <-p.changed():
		case <-p.remounted():
		case <-p.transformed():
		}
	}
}

// Once reports all that there is: the status, even if there is nothing else.
func (p *Reporter) Once(ctx context.Context) error {
	for first := true; ; first = false {
		attempts, last, err := p.Replayer.Journal.Unreported(ctx, p.Replayer.reported.Load(), reportAttempts)
		if err != nil || len(attempts) == 0 && !first {
			return err
		}
		by := p.Replayer.managers.Load()
		facts, lacking := p.facts(by)
		if err := p.Manager.Report(ctx, &cluster.Report{Instance: p.Instance, Status: p.status(), Attempts: attempts, Facts: lacking}); err != nil {
			return err
		}
		p.known, p.knownBy = facts, by
		p.Replayer.Reported(last)
	}
}

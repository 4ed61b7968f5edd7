package replay_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"iwx/lib/cluster"
	"iwx/lib/replay"
)

// overloaded is a manager that fails, and records when it was asked.
type overloaded struct {
	replay.Manager
	mu      sync.Mutex
	fail    func(context.Context) error // nil: it answers
	polls   []time.Time
	reports []time.Time
}

func (o *overloaded) failure(ctx context.Context, asked *[]time.Time) error {
	o.mu.Lock()
	*asked = append(*asked, time.Now())
	fail := o.fail
	o.mu.Unlock()
	if fail == nil {
		return nil
	}
	return fail(ctx)
}

func (o *overloaded) Poll(ctx context.Context, req *cluster.PollRequest) (*cluster.PollAnswer, error) {
	if err := o.failure(ctx, &o.polls); err != nil {
		return nil, err
	}
	return o.Manager.Poll(ctx, req)
}

func (o *overloaded) Report(ctx context.Context, report *cluster.Report) error {
	if err := o.failure(ctx, &o.reports); err != nil {
		return err
	}
	return o.Manager.Report(ctx, report)
}

// asked returns how often it was asked since the last call.
func (o *overloaded) asked() (polls, reports int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	polls, reports = len(o.polls), len(o.reports)
	o.polls, o.reports = nil, nil
	return polls, reports
}

func (o *overloaded) be(fail func(context.Context) error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.fail = fail
}

// TestOverloadedManager: how often a failing manager is asked, by polls and by
// reports, and how soon after it is back.
func TestOverloadedManager(t *testing.T) {
	after := func(d time.Duration, err error) func(context.Context) error {
		return func(ctx context.Context) error {
			timer := time.NewTimer(d)
			defer timer.Stop()
			select {
			case <-timer.C:
				return err
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	none := errors.New("connection refused")
	for _, tt := range []struct {
		name        string
		fail        func(context.Context) error
		least, most int           // in 10 min
		back        time.Duration // at the most
	}{
		{"nobody listens", after(0, none), 125, 190, 6 * time.Second},
		{"no handshake", after(5*time.Second, none), 32, 50, 18 * time.Second},
		{"no answer", after(15*time.Second, none), 20, 30, 28 * time.Second},
		{"it fails to write", after(0, cluster.Refuse(cluster.RefusedFailed, "", "database is locked")), 125, 190, 6 * time.Second},
		{"it has deleted the node", after(0, cluster.Refuse(cluster.RefusedDeleted, "", "who?")), 19, 31, 31 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			onNode(t, func(t *testing.T, j *journal, m *machine) {
				o := &overloaded{Manager: &reach{manager: newManager(3), node: "n1"}}
				d := startDaemon(t, newReplayer(j, m, "boot", silent()))
				defer d.stop()
				ctx, cancel := context.WithCancel(t.Context())
				var wg sync.WaitGroup
				defer wg.Wait()
				defer cancel()
				f, p := parts(d.Replayer, o, &notes{})
				wg.Go(func() { _ = f.Run(ctx) })
				wg.Go(func() { _ = p.Run(ctx) })

				for range 2 {
					o.be(tt.fail)
					d.Touch()
					time.Sleep(2 * time.Minute) // virtual: a poll that is held open ends
					o.asked()
					time.Sleep(10 * time.Minute)
					polls, reports := o.asked()
					for what, n := range map[string]int{"polls": polls, "reports": reports} {
						if n < tt.least || n > tt.most {
							t.Errorf("%d %s in 10 min, want %d to %d", n, what, tt.least, tt.most)
						}
					}
					o.be(nil)
					time.Sleep(tt.back)
					synctest.Wait()
					if polls, reports := o.asked(); polls == 0 || reports == 0 {
						t.Errorf("%d polls and %d reports %v after it is back", polls, reports, tt.back)
					}
					time.Sleep(time.Minute)
				}
			})
		})
	}
}

// TestPollThatIsCutShort: a poll that was held open and then ended with its
// connection is repeated at once: its time was no cost.
func TestPollThatIsCutShort(t *testing.T) {
	onNode(t, func(t *testing.T, j *journal, m *machine) {
		o := &overloaded{Manager: &reach{manager: newManager(3), node: "n1"}}
		d := startDaemon(t, newReplayer(j, m, "boot", silent()))
		defer d.stop()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		f, _ := parts(d.Replayer, o, &notes{})
		ended := make(chan error, 1)
		synctest.Wait()
		polls := 0
		o.be(func(context.Context) error {
			if polls++; polls != 2 { // the first is answered at once
				return nil
			}
			time.Sleep(50 * time.Second) // of the minute that it asks for
			return errors.New("it closed the connection")
		})
		f.PollWait = func() time.Duration { return time.Minute }
		go func() { ended <- f.Run(ctx) }()
		time.Sleep(51 * time.Second)
		synctest.Wait()
		cancel()
		<-ended
		if polls < 3 {
			t.Errorf("%d polls, and none within a second of the end of the second", polls)
		}
	})
}

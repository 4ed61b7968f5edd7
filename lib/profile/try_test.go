package profile_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"iwx/lib/profile"
)

// starved is a server on which items fail after a while. It records when each
// was tried.
type starved struct {
	*profile.Keeper
	mu    sync.Mutex
	fails map[string]bool
	takes time.Duration
	calls map[string][]time.Time // "check mount /a", "apply mount /a", "remove mount /a"
}

func (s *starved) call(ctx context.Context, verb string, item profile.Item) error {
	s.mu.Lock()
	key := verb + " " + item.String()
	s.calls[key] = append(s.calls[key], time.Now())
	fails, takes := s.fails[item.String()] && verb != "check", s.takes
	s.mu.Unlock()
	if !fails {
		return nil
	}
	select {
	case <-time.After(takes):
		return errors.New("no time")
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *starved) Check(ctx context.Context, item profile.Item) (string, error) {
	return "make it", s.call(ctx, "check", item)
}

func (s *starved) Apply(ctx context.Context, item profile.Item) error {
	return s.call(ctx, "apply", item)
}

func (s *starved) Remove(ctx context.Context, item profile.Item) error {
	return s.call(ctx, "remove", item)
}

// since returns how long after at each call of the kind came.
func (s *starved) since(at time.Time, key string) (list []time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, call := range s.calls[key] {
		if !call.Before(at) {
			list = append(list, call.Sub(at))
		}
	}
	return list
}

func (s *starved) fail(fails bool, items ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, item := range items {
		s.fails[item] = fails
	}
}

// onStarved runs a test in virtual time, with a keeper that runs.
func onStarved(t *testing.T, takes time.Duration, test func(*testing.T, *starved)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &starved{fails: map[string]bool{}, calls: map[string][]time.Time{}, takes: takes}
		c := &profile.Converger{
			Appliers: map[string]profile.Applier{"mount": s, "vip": s},
			Journal:  (*disk)(newWorld()), Now: time.Now, Log: slog.New(slog.DiscardHandler),
		}
		var err error
		if s.Keeper, err = profile.NewKeeper(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		test(t, s)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func (s *starved) receive(items ...string) {
	rev := document(items...).Revision()
	s.Receive(&rev)
	synctest.Wait()
}

// gaps returns the times between the calls.
func gaps(calls []time.Duration) (list []time.Duration) {
	for i := 1; i < len(calls); i++ {
		list = append(list, calls[i]-calls[i-1])
	}
	return list
}

// TestRetriesBackOff: how often a failing item is tried, to apply or to remove it.
// The others are not checked more often because of it.
func TestRetriesBackOff(t *testing.T) {
	for _, tt := range []struct {
		name  string
		takes time.Duration
		want  []time.Duration // the waits, in the middle of their spread
	}{
		{"it fails at once", 0, []time.Duration{10 * time.Second, 20 * time.Second, 40 * time.Second, 40 * time.Second}},
		{"it takes long", 12 * time.Second, []time.Duration{32 * time.Second, 32 * time.Second, 52 * time.Second, 52 * time.Second}},
		{"it takes until its deadline", time.Hour, []time.Duration{65 * time.Second, 65 * time.Second, 85 * time.Second, 85 * time.Second}},
	} {
		for _, verb := range []string{"apply", "remove"} {
			t.Run(tt.name+", "+verb, func(t *testing.T) {
				onStarved(t, tt.takes, func(t *testing.T, s *starved) {
					s.receive("mount /a=1", "vip b=1", "mount /c=1")
					s.fail(true, "mount /a")
					time.Sleep(time.Second)
					began := time.Now()
					if verb == "apply" {
						s.receive("mount /a=2", "vip b=1", "mount /c=1")
					} else {
						s.receive("vip b=1", "mount /c=1")
					}
					time.Sleep(15 * time.Minute) // virtual
					tries := s.since(began, verb+" mount /a")
					if len(tries) == 0 || tries[0] != 0 {
						t.Fatalf("it was not tried at once, but after %v", tries)
					}
					waits := gaps(tries)
					for i, wait := range waits {
						want := tt.want[min(i, len(tt.want)-1)]
						rest := want - min(tt.takes, 45*time.Second)
						if wait < want-rest/5 || wait > want+rest/5 {
							t.Errorf("wait %d is %v, want %v", i+1, wait, want)
						}
					}
					// Each other item, every half minute, or less often than that.
					if n := len(s.since(began, "check vip b")); n < 5 || n > 15*60/24+1 {
						t.Errorf("the others were looked at %d times", n)
					}
				})
			})
		}
	}
}

// TestRetriesHeal: everything is applied within a minute after the cause of the
// failures has gone, however long it lasted.
func TestRetriesHeal(t *testing.T) {
	onStarved(t, time.Second, func(t *testing.T, s *starved) {
		items := []string{"mount /a", "mount /a/b", "vip c", "mount /d"}
		s.fail(true, items...)
		s.receive("mount /a=1", "mount /a/b=1", "vip c=1", "mount /d=1")
		for _, long := range []time.Duration{time.Second, 17 * time.Minute, 3 * time.Hour} {
			time.Sleep(long)
			if s.Status().Current() {
				t.Fatal("it is current, although items fail")
			}
			s.fail(false, items...)
			time.Sleep(time.Minute)
			if status := s.Status(); !status.Current() {
				t.Errorf("a minute after %v: %s", long, page(status))
			}
			s.fail(true, items...)
			time.Sleep(time.Minute)
		}
	})
}

// TestRetriesAtOnce: which requests wait, and which do not.
func TestRetriesAtOnce(t *testing.T) {
	for _, tt := range []struct {
		name  string
		do    func(*starved)
		tries int
	}{
		{"an administrator asks", func(s *starved) { s.Retry() }, 1},
		{"another spec", func(s *starved) { s.receive("mount /a=2", "vip b=1") }, 1},
		{"it is to be taken back", func(s *starved) { s.receive("vip b=1") }, 1},
		{"the same in another document", func(s *starved) { s.receive("mount /a=1", "vip b=2") }, 0},
		{"something has changed", func(s *starved) { s.Look() }, 0},
		{"a word of the manager", func(s *starved) { s.Receive(nil) }, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			onStarved(t, 0, func(t *testing.T, s *starved) {
				s.fail(true, "mount /a")
				s.receive("mount /a=1", "vip b=1")
				// Between two tries, of which the waits are the longest.
				var tries []time.Duration
				began := time.Now()
				for len(tries) < 6 {
					time.Sleep(time.Second)
					tries = s.since(began, "apply mount /a")
				}
				time.Sleep(11 * time.Second)
				asked := time.Now()
				tt.do(s)
				time.Sleep(time.Second)
				got := len(s.since(asked, "apply mount /a")) + len(s.since(asked, "remove mount /a"))
				if got != tt.tries {
					t.Errorf("tried %d times, want %d", got, tt.tries)
				}
				if n := len(s.since(asked, "check vip b")); n != 1 && tt.name != "a word of the manager" { // of which there may be many
					t.Errorf("what had not failed was looked at %d times", n)
				}
			})
		})
	}
}

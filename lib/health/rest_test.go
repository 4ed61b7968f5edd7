package health

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// ways returns the ways to one service, in order of preference.
func ways(kind Kind, ids ...string) []Target {
	list := targets(ids...)
	for i := range list {
		list[i].Service, list[i].Check.Kind = "web1", kind
	}
	return list
}

// atOwnLevel returns the times at which a target was probed at its own level,
// from since on.
func (w *world) atOwnLevel(since time.Time, id string) (list []time.Time) {
	for _, q := range w.since(since, id) {
		if q.level != Connect {
			list = append(list, q.at)
		}
	}
	return list
}

// TestCheckerWays: how often each way to a service is probed, depending on which one
// is in use.
func TestCheckerWays(t *testing.T) {
	bad := func(word Word) map[string]reply { return map[string]reply{"proxy": {word: word}} }
	for _, tt := range []struct {
		name    string
		kind    Kind
		replies map[string]reply
		want    map[string]time.Duration // between two probes
	}{
		{"both work", IMAP, nil, map[string]time.Duration{"proxy": 5 * time.Second, "plain": 50 * time.Second}},
		{"both work, HTTP", HTTP, nil, map[string]time.Duration{"proxy": 2 * time.Second, "plain": 20 * time.Second}},
		{"the preferred one is not trusted", IMAP, bad(Wrong), map[string]time.Duration{"proxy": 50 * time.Second, "plain": 5 * time.Second}},
		{"it is refused", HTTP, bad(Refused), map[string]time.Duration{"proxy": 20 * time.Second, "plain": 2 * time.Second}},
		{"it is silent", SMTP, bad(Silent), map[string]time.Duration{"proxy": 50 * time.Second, "plain": 5 * time.Second}},
		{"the other is refused", IMAP, map[string]reply{"plain": {word: Refused}}, map[string]time.Duration{"proxy": 5 * time.Second, "plain": 50 * time.Second}},
		{"none works", IMAP, map[string]reply{"proxy": {word: Wrong}, "plain": {word: Refused}}, map[string]time.Duration{"proxy": time.Second, "plain": time.Second}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				for id, r := range tt.replies {
					w.answer(r, id)
				}
				w.Set(ways(tt.kind, "proxy", "plain"), nil)
				began := settle(time.Minute)
				settle(10 * time.Minute)
				for id, each := range tt.want {
					asked := len(w.atOwnLevel(began, id))
					if want := int(10 * time.Minute / each); asked < want-1 || asked > want+1 {
						t.Errorf("%s was asked %d times, want %d", id, asked, want)
					}
				}
			})
		})
	}
}

// TestCheckerWayFails: when the way in use fails, the other one is probed at once,
// and at its full rate from then on; when it is back, the other one rests again.
func TestCheckerWayFails(t *testing.T) {
	for _, tt := range []struct {
		name  string
		reply reply
	}{
		{"refused", reply{word: Refused}},
		{"an answer that is wrong", reply{word: Wrong}},
		{"no answer", reply{word: Silent, takes: 2 * time.Second}},
		{"unreachable", reply{word: Unreachable}},
	} {
		for _, inUse := range []string{"proxy", "plain"} {
			t.Run(tt.name+", "+inUse, func(t *testing.T) {
				inWorld(t, func(t *testing.T, w *world) {
					other := "plain"
					if inUse == other {
						other = "proxy"
						w.answer(reply{word: Wrong}, other)
					}
					// Use separate hosts: only the service counts here.
					both := ways(IMAP, "proxy", "plain")
					both[0].Host, both[1].Host = "a", "b"
					w.Set(both, nil)
					settle(3 * time.Minute)

					w.answer(tt.reply, inUse)
					before := len(w.told())
					for len(w.told()) == before {
						settle(10 * time.Millisecond)
					}
					// The failure that puts the one in doubt is before this, and so may
					// the question to the other be.
					if n := len(w.atOwnLevel(time.Now().Add(-tt.reply.takes-6*time.Second), other)); n == 0 {
						t.Errorf("the other way was not asked when %s failed", inUse)
					}
					began := settle(time.Second)
					settle(30 * time.Second)
					least := 5 // every 5 s, or every second if it is down
					if n := len(w.atOwnLevel(began, other)); n < least {
						t.Errorf("the other way was asked %d times in 30 s while %s is down", n, inUse)
					}

					w.answer(reply{}, inUse)
					settle(30 * time.Second)
					w.answer(reply{word: Wrong}, other)
					began = settle(time.Minute)
					settle(10 * time.Minute)
					if n := len(w.atOwnLevel(began, other)); n > 13 {
						t.Errorf("the other way was asked %d times in 10 min while %s is in use again", n, inUse)
					}
				})
			})
		}
	}
}

// TestCheckerWayInDoubt: the other way is probed at its full rate while the one in use
// is in doubt.
func TestCheckerWayInDoubt(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		both := ways(HTTP, "proxy", "plain")
		for i := range both {
			both[i].Check.Fall = 100
		}
		w.Set(both, nil)
		settle(3 * time.Minute)
		w.answer(reply{word: Wrong}, "proxy")
		began := settle(0)
		settle(9 * time.Second)
		if state := w.Verdicts()["proxy"].State; state != Up {
			t.Fatalf("the way in use is %s", state)
		}
		if n := len(w.atOwnLevel(began, "plain")); n < 4 {
			t.Errorf("the other way was asked %d times in 9 s", n)
		}
	})
}

// TestCheckerWayIsFound: a preferred way is in use within a minute after it works,
// and at once when its server reports news.
func TestCheckerWayIsFound(t *testing.T) {
	for _, news := range []bool{false, true} {
		inWorld(t, func(t *testing.T, w *world) {
			w.answer(reply{word: Wrong}, "proxy")
			w.Set(ways(IMAP, "proxy", "plain"), nil)
			settle(5 * time.Minute)
			w.answer(reply{}, "proxy")
			limit := time.Minute
			if news {
				w.Doubt("proxy") // its host, as targets names them
				limit = time.Second
			}
			settle(limit)
			if v := w.Verdicts()["proxy"]; v.State != Starting && v.State != Up {
				t.Errorf("news: %v: %s after %v", news, v.State, limit)
			}
		})
	}
}

// TestCheckerSlowsDown: a service whose answers take longer than its interval
// is probed for at most a third of the time.
func TestCheckerSlowsDown(t *testing.T) {
	for _, tt := range []struct {
		name  string
		reply reply
		least time.Duration // between the starts of two probes
	}{
		{"a quick one", reply{takes: 100 * time.Millisecond}, 2 * time.Second},
		{"a slow page", reply{takes: 1500 * time.Millisecond}, 4500 * time.Millisecond},
		{"a wrong answer that takes long", reply{word: Wrong, takes: 1500 * time.Millisecond}, 5100 * time.Millisecond},
	} {
		inWorld(t, func(t *testing.T, w *world) {
			w.answer(tt.reply, "web1/http")
			w.Set(targets("web1/http"), nil)
			began := settle(time.Minute)
			settle(10 * time.Minute)
			asked := w.atOwnLevel(began, "web1/http")
			for i := 1; i < len(asked); i++ {
				if gap := asked[i].Sub(asked[i-1]); gap < tt.least {
					t.Errorf("%s: asked again after %v, and %v are the least", tt.name, gap, tt.least)
				}
			}
			if len(asked) < 20 {
				t.Errorf("%s: asked %d times in 10 min", tt.name, len(asked))
			}
		})
	}
}

// TestCheckerSilence: how often a silent target that is down is probed, and what
// ends the waits.
func TestCheckerSilence(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(*world)
		back time.Duration // at most, after it works again
	}{
		{"nothing", func(*world) {}, 13 * time.Second},
		{"its server has news", func(w *world) { w.Doubt("web1") }, time.Second},
		{"it is told of", func(w *world) { w.Tell("web1/http", Result{Word: Good}) }, time.Second},
		{"it accepts again", func(w *world) { w.Stall("web1", nil, time.Time{}) }, time.Second},
		{"another service of the server is back", func(w *world) { w.answer(reply{}, "web1/imap"); settle(6 * time.Second) }, time.Second},
		{"its settings change", func(w *world) {
			list := targets("web1/http", "web1/imap")
			list[0].Check.Path = "/health"
			w.Set(list, nil)
		}, time.Second},
	} {
		inWorld(t, func(t *testing.T, w *world) {
			silent := reply{word: Silent, takes: 2 * time.Second}
			w.answer(silent, "web1/http")
			w.answer(reply{word: Wrong}, "web1/imap")
			w.Set(targets("web1/http", "web1/imap"), nil)
			settle(10 * time.Second)
			if tt.name == "it accepts again" {
				w.Stall("web1", []string{"web1/http"}, time.Now().Add(time.Hour))
			}
			began := settle(time.Minute)
			settle(10 * time.Minute)
			if n := len(w.atOwnLevel(began, "web1/http")); n < 40 || n > 80 {
				t.Errorf("%s: asked %d times in 10 min", tt.name, n)
			}
			if n := len(w.atOwnLevel(began, "web1/imap")); n < 590 {
				t.Errorf("%s: what fails at once was asked %d times in 10 min", tt.name, n)
			}
			// Just after a question, of which the answer is still as before.
			for len(w.atOwnLevel(time.Now().Add(-10*time.Millisecond), "web1/http")) == 0 {
				settle(10 * time.Millisecond)
			}
			settle(2100 * time.Millisecond)
			w.answer(reply{}, "web1/http")
			tt.do(w)
			settle(tt.back)
			if v := w.Verdicts()["web1/http"]; v.State == Down {
				t.Errorf("%s: still down after %v, asked at %v", tt.name, tt.back, w.atOwnLevel(time.Now().Add(-tt.back), "web1/http"))
			}
		})
	}
}

// server is one processor for several services: each session uses its time, one
// after the other, even if nobody still waits for the answer.
type server struct {
	mu    sync.Mutex
	costs time.Duration // of a session
	free  time.Time     // when all its sessions are done
	spent time.Duration
}

func (s *server) probe(ctx context.Context, t Target) Result {
	if t.Check.Level == Connect {
		return Result{Word: Good, At: time.Now()} // by its kernel
	}
	began := time.Now()
	s.mu.Lock()
	s.free = later(s.free, began).Add(s.costs)
	s.spent += s.costs
	takes, word := s.free.Sub(began), Good
	s.mu.Unlock()
	if limit := t.Check.Filled().Timeout; takes > limit {
		takes, word = limit, Silent
	}
	timer := time.NewTimer(takes)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return Result{Word: word, At: time.Now(), Took: time.Since(began)}
}

// TestCheckerOverload: a server is short of processor time, so that no session of its
// eight services ends in time. The checks alone must not keep it so: they need less
// time than it has, and it is well within a minute after it has all its time again.
func TestCheckerOverload(t *testing.T) {
	for _, starved := range []time.Duration{400 * time.Millisecond, 2500 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			s := &server{costs: 20 * time.Millisecond}
			c := &Checker{Probe: s.probe, Now: time.Now, Log: slog.New(slog.DiscardHandler), Changed: func(string, Verdict, Verdict) {}}
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- c.Run(ctx) }()
			c.Set(targets("web1/http", "web1/https", "web1/smtp", "web1/submission", "web1/pop3", "web1/pop3s", "web1/imap", "web1/imaps"), nil)
			up := func() (n int) {
				for _, v := range c.Verdicts() {
					if v.State != Down {
						n++
					}
				}
				return n
			}
			cost := func(d time.Duration) {
				s.mu.Lock()
				defer s.mu.Unlock()
				s.costs, s.free, s.spent = d, time.Time{}, 0
			}
			settle(2 * time.Minute)
			if up() != 8 {
				t.Fatalf("%d services are up while nothing is wrong", up())
			}
			for range 3 {
				cost(starved)
				settle(10 * time.Minute)
				s.mu.Lock()
				if s.spent > 10*time.Minute {
					t.Errorf("a session takes %v: the checks want %v of 10 min", starved, s.spent)
				}
				s.mu.Unlock()
				cost(20 * time.Millisecond)
				settle(time.Minute)
				if up() != 8 {
					t.Errorf("a session took %v: %d services of 8 are up a minute after", starved, up())
				}
			}
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}

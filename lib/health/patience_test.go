package health

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// liars are services that look as if they hung, and do not: what each takes to
// answer, so long after it began, and whether its server says that it accepts
// nothing.
func liars() map[string]func(time.Duration) (takes time.Duration, stalled bool) {
	const soon, slow = 5 * time.Millisecond, 1900 * time.Millisecond
	random := rand.New(rand.NewPCG(1, 2))
	return map[string]func(time.Duration) (time.Duration, bool){
		"1.5 s, always": func(time.Duration) (time.Duration, bool) { return 1500 * time.Millisecond, false },
		"1.9 s, always": func(time.Duration) (time.Duration, bool) { return slow, false },
		"1.9 s, always, by one process that then accepts nothing": func(time.Duration) (time.Duration, bool) {
			return slow, true
		},
		"1.9 s, from the third minute on": func(since time.Duration) (time.Duration, bool) {
			if since < 3*time.Minute {
				return soon, false
			}
			return slow, false
		},
		"1.9 s, now and then": func(since time.Duration) (time.Duration, bool) {
			if int(since.Seconds())%20 < 18 {
				return soon, false
			}
			return slow, false
		},
		"up to 2 s, at random, and stalled with it": func(time.Duration) (time.Duration, bool) {
			takes := time.Duration(random.ExpFloat64() * float64(150*time.Millisecond))
			return min(takes, slow), takes > 600*time.Millisecond
		},
		"soon, though a queue looks stalled": func(time.Duration) (time.Duration, bool) { return soon, true },
		"300 ms from the third minute on, and a queue that looks stalled": func(since time.Duration) (time.Duration, bool) {
			if since < 3*time.Minute {
				return soon, false
			}
			return 300 * time.Millisecond, true
		},
	}
}

// A service that is slow and answers is never taken out, and is not asked much
// more often than others.
func TestCheckerBearsLiars(t *testing.T) {
	for name, liar := range liars() {
		for _, fall := range []int{1, 2, 3} {
			inWorld(t, func(t *testing.T, w *world) {
				one := target("web1/http")
				one.Check.Fall = fall
				begin := time.Now()
				w.Set([]Target{one}, nil)
				for time.Since(begin) < 10*time.Minute {
					takes, stalled := liar(time.Since(begin))
					w.answer(reply{takes: takes, knock: Good}, one.ID)
					var ids []string
					if stalled {
						ids = []string{one.ID}
					}
					w.Stall("web1", ids, time.Now().Add(20*time.Second))
					settle(200 * time.Millisecond)
				}
				for _, c := range w.told() {
					if c.is.State == Down {
						t.Errorf("%s, fall %d: out after %v: %s", name, fall, c.at.Sub(begin), c.is.Last.Reason)
					}
				}
				if n := count(w.since(begin, one.ID), Speak); n > 700 {
					t.Errorf("%s, fall %d: asked %d times in ten minutes", name, fall, n)
				}
			})
		}
	}
}

// hung returns how long it takes at most until web1/http, whose answers take so
// long, is out after it hangs, beginning at any time of its interval. Its server
// tells of it after tells; 0: never.
func hung(t *testing.T, check Check, takes, tells time.Duration) (most time.Duration) {
	t.Helper()
	for n := range 50 {
		inWorld(t, func(t *testing.T, w *world) {
			one := target("web1/http")
			one.Check = check
			w.answer(reply{takes: takes}, one.ID)
			w.Set([]Target{one}, nil)
			at := settle(70*time.Second + time.Duration(n)*41*time.Millisecond)
			w.answer(reply{word: Silent, takes: check.Filled().Timeout, knock: Good}, one.ID)
			if tells > 0 {
				settle(tells)
				w.Stall("web1", []string{one.ID}, time.Now().Add(20*time.Second))
			}
			settle(30 * time.Second)
			i := slices.IndexFunc(w.told(), func(c change) bool { return c.is.State == Down })
			if i < 0 {
				t.Fatal("it is not out")
			}
			most = max(most, w.told()[i].at.Sub(at))
		})
	}
	return most
}

// Fall probes that are unanswered overlap, and of a service that its server sees
// hang no Timeout is waited for.
func TestCheckerFindsHang(t *testing.T) {
	const soon = 3 * time.Millisecond
	for _, tt := range []struct {
		fall                 int
		takes, tells, within time.Duration
	}{
		{1, soon, 0, 4100 * time.Millisecond},
		{2, soon, 0, 4300 * time.Millisecond},
		{5, soon, 0, 4600 * time.Millisecond},
		{1, soon, 600 * time.Millisecond, 1050 * time.Millisecond},
		{2, soon, 600 * time.Millisecond, 1150 * time.Millisecond},
		{3, soon, 600 * time.Millisecond, 1250 * time.Millisecond},
		{2, 500 * time.Millisecond, 600 * time.Millisecond, 2250 * time.Millisecond},
	} {
		most := hung(t, Check{Kind: HTTP, Fall: tt.fall}, tt.takes, tt.tells)
		t.Logf("fall %d, answers took %v, told after %v: found within %v", tt.fall, tt.takes, tt.tells, most)
		if most > tt.within {
			t.Errorf("fall %d, answers took %v, told after %v: found after %v", tt.fall, tt.takes, tt.tells, most)
		}
	}
}

// What is asked beside ends with what takes the service out, and never comes to
// more than that.
func TestCheckerAsksBesideNoMoreThanFall(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.Set(targets("web1/http"), nil)
		at := settle(time.Minute + 10*time.Millisecond)
		w.answer(reply{word: Silent, takes: 2 * time.Second, knock: Good}, "web1/http")
		for len(w.told()) < 2 {
			settle(time.Millisecond)
		}
		before := slices.DeleteFunc(w.since(at, "web1/http"), func(q question) bool { return !q.at.Before(w.told()[1].at) })
		if n := count(before, Speak); n != defaultFall {
			t.Errorf("asked %d times: %v", n, before)
		}
	})
}

// A probe that is unanswered says nothing after a later one was answered: failures
// are counted in a row.
func TestCheckerOvertaken(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.Set(targets("web1/http"), nil)
		settle(time.Minute)
		w.answer(reply{word: Silent, takes: 2 * time.Second, knock: Good}, "web1/http")
		for at := time.Now(); len(w.since(at, "web1/http")) == 0 || count(w.since(at, "web1/http"), Speak) == 0; {
			settle(time.Millisecond)
		}
		w.answer(reply{}, "web1/http")
		settle(2100 * time.Millisecond) // the one that hangs has ended, and the one beside was answered
		if v := w.Verdicts()["web1/http"]; v.Fails != 0 || v.State != Up {
			t.Errorf("%+v", v)
		}
	})
}

// A stall that nobody tells of any more counts for as long as was said.
func TestCheckerStallEnds(t *testing.T) {
	for name, end := range map[string]func(*world){
		"told":      func(w *world) { w.Stall("web1", nil, time.Time{}) },
		"forgotten": func(*world) { settle(time.Second) },
	} {
		inWorld(t, func(t *testing.T, w *world) {
			w.Set(targets("web1/http"), nil)
			settle(time.Minute)
			w.Stall("web1", []string{"web1/http"}, time.Now().Add(time.Second))
			w.Stall("web2", nil, time.Time{})
			settle(0)
			end(w)
			w.answer(reply{takes: 1900 * time.Millisecond}, "web1/http")
			settle(time.Minute)
			if told := w.told(); len(told) != 1 {
				t.Errorf("%s: %+v", name, told[1:])
			}
		})
	}
}

// What is given up has a reason of its own.
func TestCheckerGivesUp(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.Set(targets("web1/http"), nil)
		settle(time.Minute + 10*time.Second)
		w.answer(reply{word: Silent, takes: time.Hour, knock: Good}, "web1/http")
		w.Stall("web1", []string{"web1/http"}, time.Now().Add(20*time.Second))
		settle(time.Second)
		v := w.Verdicts()["web1/http"]
		if v.State != Down || v.Hard || v.Last.Reason != "no answer within 400 ms, and it accepts no connections" {
			t.Errorf("%+v", v)
		}
		w.answer(reply{}, "web1/http")
		w.Stall("web1", nil, time.Time{})
		settle(1500 * time.Millisecond)
		if v := w.Verdicts()["web1/http"]; v.State != Starting {
			t.Errorf("when it goes on: %+v", v)
		}
		if strings.Contains(w.log.String(), "cut short") {
			t.Error(w.log.String())
		}
	})
}

func TestUsual(t *testing.T) {
	c := Defaults(HTTP)
	var u usual
	if u.late(c) != leastLate || u.hurry(c) != c.Timeout {
		t.Errorf("unknown: late after %v, given up after %v", u.late(c), u.hurry(c))
	}
	for range enoughAsks {
		u.note(10 * time.Millisecond)
	}
	if u.late(c) != leastLate || u.hurry(c) != leastHurry {
		t.Errorf("10 ms: late after %v, given up after %v", u.late(c), u.hurry(c))
	}
	u.note(300 * time.Millisecond)
	if u.late(c) != 1200*time.Millisecond || u.hurry(c) != 600*time.Millisecond {
		t.Errorf("300 ms: late after %v, given up after %v", u.late(c), u.hurry(c))
	}
	u.note(1900 * time.Millisecond)
	for range 120 { // four minutes of HTTP
		u.note(10 * time.Millisecond)
	}
	if u.hurry(c) != c.Timeout {
		t.Errorf("1.9 s, four minutes ago: given up after %v", u.hurry(c))
	}
}

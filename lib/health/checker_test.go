package health

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"iwx/lib/testenv"
)

// world is the servers of a test: what each answers, and what was asked.
type world struct {
	*Checker
	log bytes.Buffer

	mu      sync.Mutex
	answers map[string]reply // by target; else Good
	asked   []question
	changes []change
}

type reply struct {
	word   Word
	reason string
	takes  time.Duration
	knock  Word // at level Connect, if not word
	panics bool
}

type question struct {
	id    string
	level Level
	at    time.Time
}

type change struct {
	id      string
	was, is Verdict
	at      time.Time
}

// inWorld runs a test in time of its own, with a checker that runs.
func inWorld(t *testing.T, test func(*testing.T, *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{answers: map[string]reply{}}
		w.Checker = &Checker{Probe: w.probe, Now: time.Now, Log: slog.New(slog.NewTextHandler(&w.log, nil)), Changed: w.changed}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- w.Run(ctx) }()
		test(t, w)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func (w *world) probe(ctx context.Context, t Target) Result {
	w.mu.Lock()
	w.asked = append(w.asked, question{t.ID, t.Check.Level, time.Now()})
	a := w.answers[t.ID]
	w.mu.Unlock()
	if a.panics {
		panic("no such answer")
	}
	if t.Check.Level == Connect && a.knock != "" {
		a.word, a.takes = a.knock, 0
	}
	if a.takes > 0 { // else no timer: two that are due at once, in one bubble, end the race detector of Go 1.26
		timer := time.NewTimer(a.takes)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return Result{Word: Silent, Reason: "cut short", At: time.Now()}
		}
	}
	if a.word == "" {
		a.word = Good
	}
	return Result{Word: a.word, Reason: a.reason, At: time.Now(), Took: a.takes}
}

func (w *world) changed(id string, was, is Verdict) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if is.Last.Reason == "panic here" {
		panic("no such change")
	}
	w.changes = append(w.changes, change{id, was, is, time.Now()})
}

// told returns the changes so far.
func (w *world) told() []change {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.changes)
}

func (w *world) answer(a reply, ids ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range ids {
		w.answers[id] = a
	}
}

// since returns the questions that were asked of a target (of all: "") at a
// time or later.
func (w *world) since(at time.Time, id string) (list []question) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, q := range w.asked {
		if !q.at.Before(at) && (id == "" || q.id == id) {
			list = append(list, q)
		}
	}
	return list
}

// settle lets time pass until nothing is new any more, and returns now.
func settle(d time.Duration) time.Time {
	time.Sleep(d) // in a bubble: no time passes outside
	synctest.Wait()
	return time.Now()
}

// target returns one by an ID such as "web1/http".
func target(id string) Target {
	host, kind, _ := strings.Cut(id, "/")
	return Target{ID: id, Host: host, Name: host + " " + kind, Addr: netip.MustParseAddrPort("192.0.2.1:80"), Check: Check{Kind: Kind(kind)}}
}

func targets(ids ...string) (list []Target) {
	for _, id := range ids {
		list = append(list, target(id))
	}
	return list
}

// cluster returns targets of so many hosts, each with eight services.
func cluster(hosts int) (list []Target) {
	for n := range hosts {
		for _, kind := range []Kind{HTTP, HTTPS, SMTP, Submission, POP3, POP3S, IMAP, IMAPS} {
			list = append(list, target(fmt.Sprintf("web%d/%s", n, kind)))
		}
	}
	return list
}

func count(list []question, level Level) (n int) {
	for _, q := range list {
		if q.level == level {
			n++
		}
	}
	return n
}

func TestCheckerIntervals(t *testing.T) {
	for _, tt := range []struct {
		kind                Kind
		knocks, speaks, tls int // in a minute
	}{
		{TCP, 120, 0, 0}, {HTTP, 90, 30, 0}, {HTTPS, 90, 29, 1}, {IMAP, 108, 12, 0},
	} {
		inWorld(t, func(t *testing.T, w *world) {
			id := "web1/" + string(tt.kind)
			w.Set(targets(id), nil)
			begin := settle(10 * time.Second)
			settle(time.Minute - time.Nanosecond)
			asked := w.since(begin, id)
			got := [3]int{count(asked, Connect), count(asked, Speak), count(asked, Certificate)}
			if got != [3]int{tt.knocks, tt.speaks, tt.tls} {
				t.Errorf("%s: knocks, protocol, certificate: %v", tt.kind, got)
			}
		})
	}
}

// Many are looked at soon, and from then on evenly.
func TestCheckerSpreads(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.Set(cluster(50), nil)
		begin := settle(firstSpread)
		for id, v := range w.Verdicts() {
			if v.State != Up {
				t.Fatalf("%s is %s after %v", id, v.State, firstSpread)
			}
		}
		settle(time.Minute)
		var each [60 * 20]int
		var speaks [120]int // 110 a second
		perHost := map[string]time.Time{}
		for _, q := range w.since(begin, "") {
			if n := int(q.at.Sub(begin) / (50 * time.Millisecond)); n < len(each) {
				each[n]++
			}
			if n := int(q.at.Sub(begin) / knockInterval); n < len(speaks) && q.level != Connect {
				speaks[n]++
			}
			host, _, _ := strings.Cut(q.id, "/")
			if last, ok := perHost[host]; ok && q.at.Sub(last) > 150*time.Millisecond {
				t.Fatalf("%s was not asked for %v", host, q.at.Sub(last))
			}
			perHost[host] = q.at
		}
		for n, spoken := range speaks {
			if spoken < 35 || spoken > 75 {
				t.Errorf("in the half second after %v: %d were spoken to", time.Duration(n)*knockInterval, spoken)
			}
		}
		for n, asked := range each {
			if asked < 25 || asked > 55 { // 800 a second are 40
				t.Errorf("in the 50 ms after %v: %d probes", time.Duration(n)*50*time.Millisecond, asked)
			}
		}
	})
}

func TestCheckerSlowDelaysNoOther(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.answer(reply{word: Silent, takes: time.Hour}, "web2/http")
		w.Set(targets("web1/http", "web2/http", "web1/imap"), nil)
		begin := settle(10 * time.Second)
		settle(10*time.Second - 1)
		for _, id := range []string{"web1/http", "web1/imap"} {
			if n := len(w.since(begin, id)); n != 20 {
				t.Errorf("%s: %d probes in 10 s", id, n)
			}
		}
	})
}

// lost returns for how long each target of web1 was Up after it failed, at
// every fiftieth of the longest interval.
func lost(t *testing.T, a reply, until State) (most time.Duration) {
	t.Helper()
	for n := range 50 {
		inWorld(t, func(t *testing.T, w *world) {
			all := cluster(2)
			w.Set(all, nil)
			at := settle(10*time.Second + time.Duration(n)*103*time.Millisecond)
			for _, target := range all[:8] {
				w.answer(a, target.ID)
			}
			settle(20 * time.Second)
			seen := map[string]bool{}
			for _, c := range w.told() {
				if c.is.State == until && !seen[c.id] {
					seen[c.id] = true
					most = max(most, c.at.Sub(at))
				}
			}
			if len(seen) != 8 {
				t.Errorf("%d are %s", len(seen), until)
			}
		})
	}
	return most
}

func TestCheckerFindsLoss(t *testing.T) {
	for _, tt := range []struct {
		name string
		reply
		within time.Duration
	}{
		{"refused", reply{word: Refused}, 500 * time.Millisecond},
		{"the server vanishes", reply{word: Silent, takes: 250 * time.Millisecond}, 900 * time.Millisecond},
		{"accepted, and no answer", reply{word: Silent, takes: 2 * time.Second, knock: Good}, 9 * time.Second},
		{"wrong answers", reply{word: Wrong, knock: Good}, 5200 * time.Millisecond},
	} {
		if most := lost(t, tt.reply, Down); most > tt.within {
			t.Errorf("%s: found after %v", tt.name, most)
		} else {
			t.Logf("%s: found within %v", tt.name, most)
		}
	}
}

func TestCheckerFindsReturn(t *testing.T) {
	for _, word := range []Word{Refused, Silent, Wrong} {
		inWorld(t, func(t *testing.T, w *world) {
			w.answer(reply{word: word}, "web1/http", "web1/imap")
			w.Set(targets("web1/http", "web1/imap"), nil)
			at := settle(30 * time.Second)
			w.answer(reply{}, "web1/http", "web1/imap")
			settle(1200 * time.Millisecond)
			for id, v := range w.Verdicts() {
				if v.State != Starting {
					t.Errorf("%s after %s: %s %v later", id, word, v.State, time.Since(at))
				}
			}
		})
	}
}

// The services of a server that fell silent at one are all asked at once, and
// those of others are not.
func TestCheckerSilenceIsDoubtOfTheHost(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.Set(targets("web1/imap", "web1/smtp", "web1/pop3", "web2/imap"), nil)
		settle(11 * time.Second)
		w.answer(reply{word: Silent}, "web1/imap")
		for len(w.told()) < 5 { // four are up, then one is down
			settle(time.Millisecond)
		}
		begin := w.told()[4].at.Add(-110 * time.Millisecond)
		for _, id := range []string{"web1/smtp", "web1/pop3"} {
			if n := count(w.since(begin, id), Speak); n != 1 {
				t.Errorf("%s was probed %d times", id, n)
			}
		}
		if n := count(w.since(begin, "web2/imap"), Speak); n != 0 {
			t.Errorf("web2 was probed %d times", n)
		}
	})
}

func TestCheckerDoubt(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.Set(targets("web1/imap", "web2/imap"), nil)
		at := settle(11 * time.Second)
		for range 100 {
			w.Doubt("web1")
		}
		settle(10 * time.Millisecond)
		if n := count(w.since(at, "web1/imap"), Speak); n != 1 {
			t.Errorf("probed %d times", n)
		}
		if n := count(w.since(at, "web2/imap"), Speak); n != 0 {
			t.Errorf("the other was probed %d times", n)
		}
	})
}

func TestCheckerTell(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.Set(targets("web1/imap"), nil)
		at := settle(11 * time.Second)
		w.answer(reply{word: Refused, takes: 10 * time.Millisecond}, "web1/imap")
		w.Tell("web1/imap", Result{Word: Refused, Reason: "nobody listens"})
		w.Tell("web9/imap", Result{Word: Refused})
		if v := w.Verdicts()["web1/imap"]; v.State != Down || !v.Hard || v.Last.Reason != "nobody listens" {
			t.Errorf("told: %+v", v)
		}
		if last := w.told()[len(w.told())-1]; last.at != at || last.is.State != Down {
			t.Errorf("changed: %+v", last)
		}
		settle(10*time.Second + 300*time.Millisecond)
		at = time.Now()
		w.Tell("web1/imap", Result{Word: Good})
		settle(time.Millisecond)
		if v := w.Verdicts()["web1/imap"]; v.State != Down {
			t.Errorf("an answer from elsewhere was believed")
		}
		if n := count(w.since(at, "web1/imap"), Speak); n != 1 {
			t.Errorf("told of an answer, it was probed %d times", n)
		}
	})
}

// A service that nobody else sees listening is what its probes say.
func TestCheckerTellIsOverruled(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.Set(targets("web1/imap"), nil)
		settle(11 * time.Second)
		w.Tell("web1/imap", Result{Word: Refused})
		settle(time.Second)
		if v := w.Verdicts()["web1/imap"]; v.State != Starting {
			t.Errorf("%+v", v)
		}
	})
}

func TestCheckerSet(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		since := time.Now().Add(-time.Hour)
		known := map[string]Verdict{"web1/imap": {State: Down, Since: since}, "web9/imap": {State: Up}}
		w.answer(reply{word: Wrong}, "web1/imap")
		w.Set(targets("web1/imap", "web2/imap"), known)
		settle(time.Second)
		if v := w.Verdicts(); len(v) != 2 || v["web1/imap"].State != Down || v["web1/imap"].Since != since || v["web2/imap"].State != Up {
			t.Errorf("known: %+v", v)
		}
		w.Set(targets("web1/imap", "web3/imap"), nil)
		at := settle(time.Second)
		if v := w.Verdicts(); len(v) != 2 || v["web1/imap"].Since != since || v["web3/imap"].State != Up {
			t.Errorf("kept: %+v", v)
		}
		settle(time.Minute)
		if n := len(w.since(at, "web2/imap")); n != 0 {
			t.Errorf("probed %d times after it was taken away", n)
		}
	})
}

func TestCheckerSettingsOfATarget(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.Set(targets("web1/imap"), nil)
		at := settle(11 * time.Second)
		changed := target("web1/imap")
		changed.Check.Interval = 200 * time.Millisecond
		w.Set([]Target{changed}, nil)
		settle(10 * time.Second)
		if n := count(w.since(at, "web1/imap"), Speak); n < 49 || n > 52 {
			t.Errorf("%d probes in 10 s, wanted every 200 ms", n)
		}
	})
}

// What is under way when a target is taken away says nothing of it.
func TestCheckerProbeUnderWay(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.answer(reply{word: Refused, takes: time.Minute}, "web1/imap")
		w.Set(targets("web1/imap"), nil)
		settle(time.Second)
		w.Set(nil, nil)
		w.Set(targets("web1/imap"), map[string]Verdict{"web1/imap": {State: Up}})
		settle(30 * time.Second)
		if v := w.Verdicts()["web1/imap"]; v.State != Up || len(w.told()) != 0 {
			t.Errorf("%+v, %v", v, w.told())
		}
	})
}

func TestCheckerWarningStays(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.answer(reply{word: Warned, reason: "expires in 3 days"}, "web1/imaps")
		w.Set(targets("web1/imaps"), nil)
		settle(time.Second)
		w.answer(reply{}, "web1/imaps")
		settle(50 * time.Second)
		if last := w.Verdicts()["web1/imaps"].Last; last.Word != Warned || last.Reason != "expires in 3 days" {
			t.Errorf("before the certificate is looked at again: %+v", last)
		}
		settle(20 * time.Second)
		if last := w.Verdicts()["web1/imaps"].Last; last.Word != Good {
			t.Errorf("after: %+v", last)
		}
	})
}

// Without descriptors here, nothing is wrong there.
func TestCheckerUnasked(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		all := cluster(3)
		w.Set(all, nil)
		settle(11 * time.Second)
		before := len(w.told())
		for _, target := range all {
			w.answer(reply{word: Unasked, reason: "too many open files"}, target.ID)
		}
		settle(150 * time.Second)
		if len(w.told()) != before {
			t.Errorf("changed: %+v", w.told()[before:])
		}
		if n := strings.Count(w.log.String(), "too many open files"); n != 3 {
			t.Errorf("told %d times in two and a half minutes", n)
		}
	})
}

// Results from many sides are told one after another, each from where the last
// ended.
func TestCheckerChangesAreInOrder(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		one := target("web1/http")
		one.Check.Slow, one.Check.Rise = -1, 1
		w.Set([]Target{one}, nil)
		settle(time.Second)
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				for range 50 {
					w.Tell(one.ID, Result{Word: Refused})
					w.Tell(one.ID, Result{Word: Good})
					time.Sleep(130 * time.Millisecond)
				}
			})
		}
		group.Wait()
		settle(10 * time.Minute)
		changes := w.told()
		for n, c := range changes[1:] {
			if c.was.State != changes[n].is.State || c.was.Since != changes[n].is.Since {
				t.Fatalf("%+v\nafter %+v", c, changes[n])
			}
		}
		if last := changes[len(changes)-1].is; last.State != Up || len(changes) < 3 {
			t.Errorf("%d changes, the last to %+v", len(changes), last)
		}
	})
}

// A knock that is answered is no answer of the service.
func TestCheckerKnockIsNoAnswer(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.answer(reply{word: Unasked, knock: Good}, "web1/imap")
		w.Set(targets("web1/imap"), nil)
		settle(20 * time.Second)
		if v := w.Verdicts()["web1/imap"]; v.State != Unknown || v.Last.Word != "" {
			t.Errorf("%+v", v)
		}
	})
}

// The end of the checker is no failure of what it was asking.
func TestCheckerEndsWithoutVerdicts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{answers: map[string]reply{"web1/imap": {takes: time.Minute}}}
		c := &Checker{Probe: w.probe, Now: time.Now, Log: slog.New(slog.DiscardHandler), Changed: w.changed}
		c.Set(targets("web1/imap"), map[string]Verdict{"web1/imap": {State: Up}})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- c.Run(ctx) }()
		settle(time.Second)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if v := c.Verdicts()["web1/imap"]; v != (Verdict{State: Up}) || len(w.asked) != 2 { // the second beside the first, which is late
			t.Errorf("%+v", v)
		}
	})
}

func TestCheckerLogsChanges(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.Set(targets("web1/imap"), nil)
		settle(time.Second)
		w.answer(reply{word: Wrong, reason: "greeted with nonsense"}, "web1/imap")
		settle(time.Minute)
		want := `level=WARN msg="service is down" name="web1 imap" addr=192.0.2.1:80 reason="greeted with nonsense"`
		if log := w.log.String(); !strings.Contains(log, want) || strings.Count(log, "\n") != 2 {
			t.Error(log)
		}
	})
}

// With real probes, of a service that goes, hangs, and comes back at its port.
func TestCheckerOverTheNetwork(t *testing.T) {
	states := make(chan Verdict, 100)
	p := Prober{Now: time.Now}
	c := &Checker{Probe: p.Probe, Now: time.Now, Log: slog.New(slog.DiscardHandler), Changed: func(_ string, _, is Verdict) { states <- is }}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	next := func(state State, reason string) {
		t.Helper()
		select {
		case v := <-states:
			if v.State != state || v.Last.Reason != reason {
				t.Errorf("%s: %q; want %s: %q", v.State, v.Last.Reason, state, reason)
			}
		case <-time.After(testenv.Wait()):
			t.Fatalf("it did not become %s", state)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go answer(l, hears("HTTP/1.1 200 OK\r\n\r\n"))
	one := Target{ID: "one", Host: "here", Addr: netip.MustParseAddrPort(l.Addr().String()), Check: Check{Kind: HTTP, Connect: 3 * time.Second, Timeout: 3 * time.Second}}
	c.Set([]Target{one}, nil)
	next(Up, "")
	l.Close()
	next(Down, "connection refused")
	back, err := net.Listen("tcp", one.Addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer back.Close()
	hang := make(chan bool)
	go answer(back, func(conn net.Conn) {
		select {
		case <-hang:
			io.Copy(io.Discard, conn)
		default:
			hears("HTTP/1.1 200 OK\r\n\r\n")(conn)
		}
	})
	next(Starting, "")
	close(hang)
	next(Down, "connected, no answer to GET within 3 s")
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestCheckerPanics: a panic in a target's check is logged, blocks nothing, and has
// no lasting effect. The other targets do not notice.
func TestCheckerPanics(t *testing.T) {
	const id = "web1/imap"
	spoil := func(w *world, interval time.Duration) {
		w.Checker.mu.Lock()
		defer w.Checker.mu.Unlock()
		w.watches[id].target.Check.Interval = interval
		w.watches[id].look()
	}
	for _, tt := range []struct {
		name, work string
		begin, end func(w *world)
	}{
		{"probe", `work="probe of web1 imap" panic="internal error: panic: no such answer"`,
			func(w *world) { w.answer(reply{panics: true}, id) }, func(*world) {}},
		{"finding", `work="verdict on web1 imap" panic="internal error: panic: no such change"`,
			func(w *world) { w.answer(reply{word: Refused, reason: "panic here"}, id) }, func(*world) {}},
		{"plan", `work="watching of web1/imap" panic="internal error: panic: runtime error: integer divide by zero"`,
			func(w *world) { spoil(w, 0) }, func(w *world) { spoil(w, 2*time.Second) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.Set(cluster(3), nil)
				settle(11 * time.Second)
				before := len(w.told())
				tt.begin(w)
				settle(10 * time.Second)
				if !strings.Contains(w.log.String(), tt.work) || !strings.Contains(w.log.String(), `stack="iwx/lib/health.`) {
					t.Errorf("the log: %s", w.log.String())
				}
				if len(w.told()) != before {
					t.Errorf("changed: %+v", w.told()[before:])
				}
				began := time.Now()
				settle(4 * time.Second)
				if n := len(w.since(began, "web0/imap")); n < 4 {
					t.Errorf("another target was asked %d times in 4 s", n)
				}

				// Afterwards a service that fails is detected, and so is its return.
				w.answer(reply{word: Refused}, id)
				tt.end(w)
				settle(10 * time.Second)
				w.answer(reply{}, id)
				settle(time.Minute)
				v := w.Verdicts()[id]
				if v.State == Down || v.Last.Word != Good || len(w.told()) < before+2 && tt.name != "finding" {
					t.Errorf("afterwards: %+v, changes %+v", v, w.told()[before:])
				}
			})
		})
	}
}

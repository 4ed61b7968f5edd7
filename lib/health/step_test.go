package health

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// epoch is when tests begin.
func epoch() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }

// story applies words, one a second, and returns the states: "G" good, "W"
// warned, "R" refused, "U" unreachable, "S" silent, "X" wrong, "-" unasked, "m"
// a minute that passes, "h" an hour.
func story(v Verdict, c Check, words string) (Verdict, string) {
	letters := map[rune]Word{'G': Good, 'W': Warned, 'R': Refused, 'U': Unreachable, 'S': Silent, 'X': Wrong, '-': Unasked}
	now, states := epoch(), ""
	for _, letter := range words {
		switch letter {
		case 'm':
			now = now.Add(time.Minute)
		case 'h':
			now = now.Add(time.Hour)
		default:
			now = now.Add(time.Second)
			v = v.Step(c, Result{Word: letters[letter], At: now}, now)
			states += initial(v.State)
		}
	}
	return v, states
}

// initial is U, S, D for up, starting, down, and ? for unknown.
func initial(s State) string {
	if s == Unknown {
		return "?"
	}
	return strings.ToUpper(string(s[:1]))
}

func TestStep(t *testing.T) {
	for _, tt := range []struct{ name, words, states string }{
		{"the first good answer is believed", "G", "U"},
		{"a warning is a good answer", "W", "U"},
		{"refused is out at once", "GR", "UD"},
		{"no way there is out at once", "GU", "UD"},
		{"refused is out at once, though nothing was known", "R", "D"},
		{"silence is out after two", "GSS", "UUD"},
		{"a wrong answer is out after two", "GXX", "UUD"},
		{"two kinds of failure are two", "GSX", "UUD"},
		{"a good answer between starts anew", "GSGSGSS", "UUUUUUD"},
		{"unknown stays unknown until two", "SS", "?D"},
		{"unknown, then one failure, then good", "SG", "?U"},
		{"back after three, then slow start", "GRGGG", "UDDDS"},
		{"a failure between starts the count anew", "GRGGSGGG", "UDDDDDDS"},
		{"unasked changes nothing", "G-S-S-", "UUUUDD"},
		{"unasked of unknown", "-", "?"},
		{"the slow start ends with the first answer after it", "RGGGGGGGGGGGGG", "DDDSSSSSSSSSSU"},
		{"refused in the slow start", "RGGGR", "DDDSD"},
		{"silence in the slow start", "RGGGSS", "DDDSSD"},
		{"out again within a minute: 5 s", "RGGGRGGGGGG", "DDDSDDDDDSS"},
		{"out again later: no wait", "RGGGmRGGG", "DDDSDDDS"},
		{"and again: 10 s", "RGGGRGGGGGRGGGGGGGGGG", "DDDSDDDDDSDDDDDDDDDDS"},
	} {
		if _, states := story(Verdict{}, Defaults(HTTP), tt.words); states != tt.states {
			t.Errorf("%s: %s\ngot  %s\nwant %s", tt.name, tt.words, states, tt.states)
		}
	}
}

func TestStepHardStaysUntilItIsBack(t *testing.T) {
	c := Defaults(HTTP)
	for words, hard := range map[string]bool{"R": true, "GSS": false, "GSSR": true, "RS": true, "RGG": true, "RGGG": false, "RGGGSS": false} {
		if v, _ := story(Verdict{}, c, words); v.Hard != hard {
			t.Errorf("%s: hard is %t", words, v.Hard)
		}
	}
}

func TestStepWithoutSlowStart(t *testing.T) {
	c := Defaults(HTTP)
	c.Slow = -1
	if _, states := story(Verdict{}, c, "RGGGG"); states != "DDDUU" {
		t.Error(states)
	}
}

// A target that is out again the moment it may be back waits for twice as long
// each time, and no longer than five minutes.
func TestStepFlapping(t *testing.T) {
	c, now, v := Defaults(HTTP), epoch(), Verdict{}
	var waits []string
	for range 9 {
		v = v.Step(c, Result{Word: Refused}, now)
		waits = append(waits, v.Wait.String())
		for v.State == Down {
			now = now.Add(time.Second)
			v = v.Step(c, Result{Word: Good}, now)
		}
	}
	if got := fmt.Sprint(waits); got != "[0s 5s 10s 20s 40s 1m20s 2m40s 5m0s 5m0s]" {
		t.Error(got)
	}
	if again := v.Step(c, Result{Word: Refused}, now.Add(9*time.Minute)); again.Wait != mostWait {
		t.Errorf("after nine good minutes it waits for %v", again.Wait)
	}
	now = now.Add(11 * time.Minute)
	if v = v.Step(c, Result{Word: Refused}, now); v.Wait != 0 {
		t.Errorf("after eleven good minutes it waits for %v", v.Wait)
	}
}

// TestStepFlapsSoftly: a service with soft failures, such as on an overloaded server,
// may come back within half a minute, however often it has failed.
func TestStepFlapsSoftly(t *testing.T) {
	for _, word := range []Word{Silent, Wrong} {
		c, now, v := Defaults(IMAP), epoch(), Verdict{}
		var waits []string
		for range 7 {
			for v.State != Down {
				v = v.Step(c, Result{Word: word}, now)
			}
			waits = append(waits, v.Wait.String())
			for v.State == Down {
				now = now.Add(time.Second)
				v = v.Step(c, Result{Word: Good}, now)
			}
		}
		if got := fmt.Sprint(waits); got != "[0s 5s 10s 20s 30s 30s 30s]" {
			t.Errorf("%s: %s", word, got)
		}
		if v = v.Step(c, Result{Word: Refused}, now); v.Wait != time.Minute {
			t.Errorf("%s, and then a hard failure: it waits for %v", word, v.Wait)
		}
	}
}

// walk is a random walk of a verdict, with what the rules are checked against.
type walk struct {
	check       Check
	now         time.Time
	v           Verdict
	bad, good   int // results in a row
	returnedAt  time.Time
	wasReturned bool
}

func (w *walk) step(word Word) error {
	was := w.v
	w.v = w.v.Step(w.check, Result{Word: word, At: w.now}, w.now)
	if again := was.Step(w.check, Result{Word: word, At: w.now}, w.now); again != w.v {
		return fmt.Errorf("the same step gave %+v, then %+v", w.v, again)
	}
	switch {
	case word == Unasked:
	case word.Up():
		w.good, w.bad = w.good+1, 0
	default:
		w.good, w.bad = 0, w.bad+1
	}
	return w.breach(was, word)
}

// breach is the rule that the last step broke.
func (w *walk) breach(was Verdict, word Word) error {
	in := func(v Verdict) bool { return v.State == Up || v.State == Starting }
	back := was.State == Down && in(w.v)
	out := was.State != Down && w.v.State == Down
	switch {
	case word == Unasked && w.v != was && was.State != "":
		return fmt.Errorf("unasked changed it")
	case word.Hard() && w.v.State != Down:
		return fmt.Errorf("%s after a hard failure", w.v.State)
	case w.v.Hard && w.v.State != Down:
		return fmt.Errorf("hard, and %s", w.v.State)
	case back && w.good < w.check.Rise:
		return fmt.Errorf("back after %d good answers", w.good)
	case back && w.now.Before(was.Until):
		return fmt.Errorf("back before %v", was.Until)
	case out && !word.Hard() && w.bad < w.check.Fall:
		return fmt.Errorf("out after %d soft failures", w.bad)
	case !in(was) && in(w.v) && !word.Up(), in(was) && !in(w.v) && !out:
		return fmt.Errorf("%s to %s", was.State, w.v.State)
	case out && w.wasReturned && w.now.Sub(w.returnedAt) < probation && w.v.Wait < leastWait:
		return fmt.Errorf("out %v after it came back, and waits for %v", w.now.Sub(w.returnedAt), w.v.Wait)
	case w.v.Wait > mostWait || w.v.Fails > w.check.Fall || w.v.Wins > w.check.Rise:
		return fmt.Errorf("out of range: %+v", w.v)
	case w.v.State != was.State && was.State != "" && w.v.Since != w.now:
		return fmt.Errorf("changed at %v, and says %v", w.now, w.v.Since)
	}
	if back {
		w.returnedAt, w.wasReturned = w.now, true
	}
	return w.share()
}

// share checks that the weight only grows while no state changes.
func (w *walk) share() error {
	last := 0
	for at := w.now; at.Before(w.now.Add(15 * time.Second)); at = at.Add(700 * time.Millisecond) {
		s := w.v.Share(w.check.Slow, at)
		if s < last || s > 100 || (s == 0) != (w.v.State == Down) {
			return fmt.Errorf("%s: share of %d after %d", w.v.State, s, last)
		}
		last = s
	}
	return nil
}

func TestStepRandomWalks(t *testing.T) {
	words := []Word{Good, Good, Good, Good, Warned, Refused, Unreachable, Silent, Wrong, Unasked}
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		w := walk{check: Defaults(SMTP), now: epoch()}
		w.check.Fall, w.check.Rise = 1+r.IntN(4), 1+r.IntN(4)
		w.check.Slow = time.Duration(r.IntN(20)-2) * time.Second
		fill(&w.check.Slow, -1)
		for n := range 300 {
			w.now = w.now.Add(time.Duration(r.ExpFloat64() * float64(2*time.Second)))
			word := words[r.IntN(len(words))]
			if err := w.step(word); err != nil {
				t.Fatalf("seed %d, step %d, %s: %v", seed, n, word, err)
			}
		}
	}
}

func TestDoubtful(t *testing.T) {
	c := Defaults(HTTP)
	for words, want := range map[string]bool{"": false, "G": false, "GS": true, "GSG": false, "GSS": false, "R": false, "RG": true, "RGGG": false, "S": true} {
		if v, _ := story(Verdict{}, c, words); v.Doubtful(c) != want {
			t.Errorf("%q: doubtful is %t", words, !want)
		}
	}
}

package replay

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"iwx/lib/queue"
)

// noon is when every table test happens.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// own returns records first to last, all of them this node's.
func own(first, last uint64) []Pending {
	var list []Pending
	for seq := first; seq <= last; seq++ {
		list = append(list, Pending{OpID: queue.OpID{Epoch: 1, Seq: seq}, Addressed: true})
	}
	return list
}

// with returns a copy of list in which change was made to record seq.
func with(list []Pending, seq uint64, change func(*Pending)) []Pending {
	list = append([]Pending(nil), list...)
	for i := range list {
		if list[i].Seq == seq {
			change(&list[i])
		}
	}
	return list
}

func voided(p *Pending)     { p.Void = queue.Skipped }
func foreign(p *Pending)    { p.Addressed = false }
func erased(p *Pending)     { p.Erased = true }
func unreadable(p *Pending) { p.Unreadable = true }
func rerun(p *Pending)      { p.Rerun = true }

func begin(seq uint64, attempt int) Begin {
	return Begin{OpID: queue.OpID{Epoch: 1, Seq: seq}, Attempt: attempt}
}

// at is the state of a node that has settled everything before its first
// pending record.
func at(phase Phase, attempt int, ahead []Pending) State {
	return State{Done: ahead[0].Seq - 1, Head: ahead[len(ahead)-1].Seq, Ahead: ahead, Phase: phase, Attempt: attempt}
}

// but returns the state with a change made to it.
func (s State) but(change func(*State)) State {
	change(&s)
	return s
}

// heard is an answer with orders and nothing new.
func heard(s State, o Orders) Heard {
	return Heard{Orders: o, Filled: Filled{Head: s.Head, Ahead: s.Ahead}}
}

// stepCase is one rule: what was so, what happened, what is done, and what is
// so then.
type stepCase struct {
	name  string
	state State
	event Event
	want  []Action
	done  uint64
	phase Phase
	word  string
}

func TestStep(t *testing.T) {
	t.Parallel()
	for _, group := range [][]stepCase{replayCases(), failureCases(), retryCases(), voidCases(), unknownCases(), heldCases()} {
		for _, c := range group {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				next, actions := c.state.Step(c.event, noon)
				if !reflect.DeepEqual(actions, c.want) {
					t.Errorf("actions are %+v, want %+v", actions, c.want)
				}
				if next.Done != c.done || next.Phase != c.phase || next.Word() != c.word {
					t.Errorf("done %d, phase %d, %q; want %d, %d, %q", next.Done, next.Phase, next.Word(), c.done, c.phase, c.word)
				}
			})
		}
	}
}

func replayCases() []stepCase {
	two := own(1, 2)
	filled := Filled{Head: 2, Ahead: two}
	return []stepCase{
		{"the zero state has nothing to do", State{}, Tick{}, nil, 0, Idle, WordCurrent},
		{"the first entry is begun when it is received", State{}, Heard{Filled: filled}, []Action{begin(1, 1)}, 0, Running, WordReplaying},
		{"the second follows the first", at(Running, 1, two), Finished{Outcome: Succeeded}, []Action{Settle{Seq: 1}, begin(2, 1)}, 1, Running, WordReplaying},
		{"after the last one the node is current", at(Running, 1, own(5, 5)), Finished{Outcome: Succeeded}, []Action{Settle{Seq: 5}}, 5, Idle, WordCurrent},
		{"others' entries are passed by", State{}, Heard{Filled: Filled{Head: 3, Ahead: with(with(own(1, 3), 1, foreign), 2, foreign)}}, []Action{Settle{Seq: 2}, begin(3, 1)}, 2, Running, WordReplaying},
		{"an erased entry is passed by", State{}, Heard{Filled: Filled{Head: 2, Ahead: with(two, 1, erased)}}, []Action{Settle{Seq: 1}, begin(2, 1)}, 1, Running, WordReplaying},
		{"the window is filled again when it runs out", at(Running, 1, own(1, 1)).but(func(s *State) { s.Head = 9 }), Finished{Outcome: Succeeded}, []Action{Settle{Seq: 1}, Refill{}}, 1, Idle, WordReplaying},
		{"what comes while one runs waits", at(Running, 1, own(1, 1)), Heard{Filled: filled}, nil, 0, Running, WordReplaying},
		{"a result without an attempt is passed over", at(Waiting, 1, two).but(retryAt(time.Hour)), Finished{Outcome: Succeeded}, nil, 0, Waiting, WordHalted},
		{"a result with nothing pending is passed over", State{Phase: Running}, Finished{Outcome: Succeeded}, nil, 0, Running, WordReplaying},
	}
}

// retryAt sets when the next attempt is due, from noon.
func retryAt(d time.Duration) func(*State) {
	return func(s *State) { s.RetryAt = noon.Add(d) }
}

func failureCases() []stepCase {
	two := own(1, 2)
	failed := Finished{Outcome: Failed, RetryAfter: 5 * time.Minute}
	return []stepCase{
		{"a failure halts", at(Running, 1, two), failed, []Action{Wait{Until: noon.Add(5 * time.Minute)}}, 0, Waiting, WordHalted},
		{"before its time nothing is tried", at(Waiting, 1, two).but(retryAt(1)), Tick{}, nil, 0, Waiting, WordHalted},
		{"at its time it is tried again", at(Waiting, 1, two).but(retryAt(0)), Tick{}, []Action{begin(1, 2)}, 0, Running, WordHalted},
		{"an answer that comes when it is due does as well", at(Waiting, 3, two).but(retryAt(-1)), heard(at(Waiting, 3, two), Orders{}), []Action{begin(1, 4)}, 0, Running, WordHalted},
		{"the next entry starts counting anew", at(Running, 7, two), Finished{Outcome: Succeeded}, []Action{Settle{Seq: 1}, begin(2, 1)}, 1, Running, WordReplaying},
		{"what never began is begun under the same number", at(Running, 2, two), Finished{Outcome: NeverBegan}, []Action{begin(1, 2)}, 0, Running, WordHalted},
	}
}

func retryCases() []stepCase {
	two := own(1, 2)
	waiting := at(Waiting, 1, two).but(retryAt(time.Hour))
	order := Orders{Retry: 4, RetrySeq: 1}
	held := func(name string, s State, o Orders, word string) stepCase {
		return stepCase{name, s, heard(s, o), nil, 0, Waiting, word}
	}
	more := heard(waiting, order)
	more.More = true
	return []stepCase{
		{"retry cuts the wait short", waiting, heard(waiting, order), []Action{Heed{Retry: 4}, begin(1, 2)}, 0, Running, WordHalted},
		{"retry runs what was cut short", at(Cut, 1, two), heard(at(Cut, 1, two), order), []Action{Heed{Retry: 4}, begin(1, 2)}, 0, Running, WordHalted},
		{"retry of another entry is spent", waiting, heard(waiting, Orders{Retry: 4, RetrySeq: 2}), []Action{Heed{Retry: 4}}, 0, Waiting, WordHalted},
		{"retry of what runs is spent", at(Running, 1, two), heard(at(Running, 1, two), order), []Action{Heed{Retry: 4}}, 0, Running, WordReplaying},
		{"a retry that was heeded is not heeded again", waiting.but(func(s *State) { s.RetrySeen = 4 }), heard(waiting, order), nil, 0, Waiting, WordHalted},
		held("a retry is kept while the node is paused", waiting, Orders{Retry: 4, RetrySeq: 1, Paused: true}, WordHalted),
		held("a retry is kept while the node is in trouble", waiting, Orders{Retry: 4, RetrySeq: 1, Trouble: Rewound}, "rewound"),
		{"a retry is kept until all is received", waiting, more, nil, 0, Waiting, WordHalted},
	}
}

func voidCases() []stepCase {
	three := own(1, 3)
	skip1 := Heard{Filled: Filled{Head: 3, Ahead: with(three, 1, voided)}}
	skip2 := Heard{Filled: Filled{Head: 3, Ahead: with(three, 2, voided)}}
	return []stepCase{
		{"skip ends the wait", at(Waiting, 2, three).but(retryAt(time.Hour)), skip1, []Action{Settle{Seq: 1}, begin(2, 1)}, 1, Running, WordReplaying},
		{"skip ends an unknown outcome", at(Cut, 1, three), skip1, []Action{Settle{Seq: 1}, begin(2, 1)}, 1, Running, WordReplaying},
		{"skip does not stop what runs", at(Running, 1, three), skip1, nil, 0, Running, WordReplaying},
		{"a skipped entry that succeeds is the node's own", at(Running, 1, with(three, 1, voided)), Finished{Outcome: Succeeded}, []Action{Settle{Seq: 1}, begin(2, 1)}, 1, Running, WordReplaying},
		{
			"a skipped entry that fails is settled", at(Running, 1, with(three, 1, voided)), Finished{Outcome: Failed, RetryAfter: time.Hour},
			[]Action{Wait{Until: noon.Add(time.Hour)}, Settle{Seq: 1}, begin(2, 1)}, 1, Running, WordReplaying,
		},
		{"a skipped entry that was cut short is settled", at(Running, 1, with(three, 1, voided)), Finished{Outcome: Unknown}, []Action{Settle{Seq: 1}, begin(2, 1)}, 1, Running, WordReplaying},
		{"a later entry can be cancelled", at(Running, 1, three), skip2, nil, 0, Running, WordReplaying},
		{"a cancelled entry is passed by", at(Running, 1, with(three, 2, voided)), Finished{Outcome: Succeeded}, []Action{Settle{Seq: 1}, Settle{Seq: 2}, begin(3, 1)}, 2, Running, WordReplaying},
		{"skip gets past what cannot be read", at(Idle, 0, with(three, 1, unreadable)), Heard{Filled: Filled{Head: 3, Ahead: with(with(three, 1, unreadable), 1, voided)}}, []Action{Settle{Seq: 1}, begin(2, 1)}, 1, Running, WordReplaying},
	}
}

func unknownCases() []stepCase {
	one := own(1, 1)
	again := with(one, 1, rerun)
	return []stepCase{
		{"an unknown outcome halts", at(Running, 1, one), Finished{Outcome: Unknown}, nil, 0, Cut, WordUnknown},
		{"time does not heal it", at(Cut, 1, one).but(retryAt(-time.Hour)), Tick{}, nil, 0, Cut, WordUnknown},
		{"what may run again does", at(Running, 1, again), Finished{Outcome: Unknown}, []Action{begin(1, 2)}, 0, Running, WordHalted},
		{"what may run again does so after a restart", at(Cut, 1, again).but(func(s *State) { s.More = true }), heard(at(Cut, 1, again), Orders{}), []Action{begin(1, 2)}, 0, Running, WordHalted},
	}
}

func heldCases() []stepCase {
	two := own(1, 2)
	idle := at(Idle, 0, two)
	more := heard(idle, Orders{})
	more.More = true
	paused := idle.but(func(s *State) { s.Paused = true })
	return []stepCase{
		{"an entry waits for this node's turn", idle, heard(idle, Orders{Hold: idle.Ahead[0].Seq}), nil, 0, Idle, WordReplaying},
		{"what is before it does not", idle, heard(idle, Orders{Hold: 2}), []Action{begin(1, 1)}, 0, Running, WordReplaying},
		{"and it begins when the turn comes", idle.but(func(s *State) { s.Hold = 1 }), heard(idle, Orders{}), []Action{begin(1, 1)}, 0, Running, WordReplaying},
		{"a skip passes what waits", idle.but(func(s *State) { s.Hold = 1 }), Heard{Orders: Orders{Hold: 1}, Filled: Filled{Head: 2, Ahead: with(two, 1, voided)}}, []Action{Settle{Seq: 1}}, 1, Idle, WordReplaying},
		{"pause holds the next entry", idle, heard(idle, Orders{Paused: true}), nil, 0, Idle, WordPaused},
		{"pause lets what runs end", at(Running, 1, two).but(func(s *State) { s.Paused = true }), Finished{Outcome: Succeeded}, []Action{Settle{Seq: 1}}, 1, Idle, WordPaused},
		{"pause does not keep others' entries", State{}, Heard{Orders: Orders{Paused: true}, Filled: Filled{Head: 2, Ahead: with(two, 1, foreign)}}, []Action{Settle{Seq: 1}}, 1, Idle, WordPaused},
		{"resume goes on", paused, heard(paused, Orders{}), []Action{begin(1, 1)}, 0, Running, WordReplaying},
		{"a due retry waits for resume", at(Waiting, 1, two).but(func(s *State) { s.Paused = true }), Tick{}, nil, 0, Waiting, WordHalted},
		{"nothing runs in trouble", idle, heard(idle, Orders{Trouble: Diverged}), nil, 0, Idle, "diverged"},
		{"in trouble not even others' entries are passed", State{}, Heard{Orders: Orders{Trouble: NeedsResync}, Filled: Filled{Head: 2, Ahead: with(two, 1, foreign)}}, nil, 0, Idle, "needs resync"},
		{"what cannot be read needs an upgrade", State{}, Heard{Filled: Filled{Head: 2, Ahead: with(two, 1, unreadable)}}, nil, 0, Idle, "needs upgrade"},
		{"what comes before it is replayed", State{}, Heard{Filled: Filled{Head: 2, Ahead: with(two, 2, unreadable)}}, []Action{begin(1, 1)}, 0, Running, WordReplaying},
		{"nothing is begun before all is received", idle, more, nil, 0, Idle, WordReplaying},
	}
}

// TestNeverBeganDoesNotCount begins an attempt, finds that it never began, and
// fails at the next: that is attempt 1.
func TestNeverBeganDoesNotCount(t *testing.T) {
	t.Parallel()
	s := at(Running, 1, own(1, 1)).but(func(s *State) { s.Paused = true })
	s, _ = s.Step(Finished{Outcome: NeverBegan}, noon)
	if s.Attempt != 0 || s.Phase != Idle {
		t.Errorf("attempt %d, phase %d after an attempt that never began; want 0, idle", s.Attempt, s.Phase)
	}
}

// TestStepLeavesItsStateAlone: a step that could not be written must be as if
// it had not been.
func TestStepLeavesItsStateAlone(t *testing.T) {
	t.Parallel()
	s := at(Running, 2, own(1, 3))
	before := s
	before.Ahead = append([]Pending(nil), s.Ahead...)
	for _, ev := range []Event{Finished{Outcome: Succeeded}, Finished{Outcome: Failed}, Finished{Outcome: NeverBegan}, heard(s, Orders{Retry: 1, Paused: true})} {
		s.Step(ev, noon)
		if !reflect.DeepEqual(s, before) {
			t.Fatalf("%T changed the state it was given: %+v, was %+v", ev, s, before)
		}
	}
}

// walk drives Step with random events and checks after each what must always
// hold. It keeps a log of its own, which the rules see only through Filled.
type walk struct {
	rng   *rand.Rand
	log   []Pending // the manager's; log[i] is record i+1
	got   uint64    // received
	state State
	now   time.Time
	order Orders

	succeeded map[uint64]bool
	attempts  map[uint64]int // journalled and begun
	lastBegun uint64
	trail     []string
}

// TestStepProperties walks at random, thousands of steps for each of many
// seeds.
func TestStepProperties(t *testing.T) {
	t.Parallel()
	const walks, steps = 400, 300
	replayed := 0
	for seed := range uint64(walks) {
		w := &walk{rng: rand.New(rand.NewPCG(seed, 1)), now: noon, succeeded: map[uint64]bool{}, attempts: map[uint64]int{}}
		for range steps {
			if err := w.step(); err != nil {
				tail := w.trail[max(0, len(w.trail)-12):]
				t.Fatalf("seed %d: %v\nlast events:\n%s", seed, err, fmt.Sprint(tail))
			}
		}
		replayed += len(w.succeeded)
	}
	if replayed < 5*walks {
		t.Errorf("%d walks replayed %d entries: they meet too little of the rules", walks, replayed)
	}
}

func (w *walk) step() error {
	w.now = w.now.Add(time.Duration(w.rng.IntN(200)) * time.Second)
	ev := w.event()
	before := w.state
	next, actions := before.Step(ev, w.now)
	w.trail = append(w.trail, fmt.Sprintf("%+v -> %+v\n", ev, actions))
	if f, ok := ev.(Finished); ok && before.Phase == Running {
		switch f.Outcome {
		case Succeeded:
			w.succeeded[before.Ahead[0].Seq] = true
		case NeverBegan:
			w.attempts[before.Ahead[0].Seq]--
		}
	}
	w.state = next
	for _, a := range actions {
		if err := w.check(before, a); err != nil {
			return err
		}
	}
	return w.invariants(before, ev, actions)
}

// event makes up something that happens.
func (w *walk) event() Event {
	switch n := w.rng.IntN(20); {
	case n < 6:
		return w.answer()
	case n < 7:
		return w.fill()
	case n < 16:
		outcomes := []Outcome{Succeeded, Succeeded, Succeeded, Failed, Unknown, NeverBegan}
		return Finished{Outcome: outcomes[w.rng.IntN(len(outcomes))], RetryAfter: time.Duration(w.rng.IntN(600)) * time.Second}
	case n == 16 && w.rng.IntN(8) == 0:
		w.restart()
	}
	return Tick{}
}

// restart is a daemon that ended and comes back: what was under way is taken
// up, and nothing is begun before the manager is heard.
func (w *walk) restart() {
	w.state.More = true
}

// answer makes up a manager's answer: records that follow, voids of any record
// that is not settled, orders.
func (w *walk) answer() Heard {
	for range w.rng.IntN(4) {
		w.log = append(w.log, Pending{
			OpID:       queue.OpID{Epoch: 1, Seq: uint64(len(w.log)) + 1},
			Addressed:  w.rng.IntN(4) > 0,
			Rerun:      w.rng.IntN(4) == 0,
			Erased:     w.rng.IntN(20) == 0,
			Unreadable: w.rng.IntN(30) == 0,
		})
	}
	if n := uint64(len(w.log)); n > 0 && w.rng.IntN(3) == 0 {
		w.log[w.rng.Uint64N(n)].Void = queue.Skipped
	}
	w.got += w.rng.Uint64N(uint64(len(w.log)) - w.got + 1)
	w.order.Paused = w.rng.IntN(8) == 0
	w.order.Trouble = NoTrouble
	if w.rng.IntN(12) == 0 {
		w.order.Trouble = Diverged
	}
	if w.rng.IntN(3) == 0 {
		w.order.Retry++
		w.order.RetrySeq = w.state.Done + 1 + w.rng.Uint64N(2)
	}
	return Heard{Orders: w.order, Filled: w.fill(), More: w.got < uint64(len(w.log))}
}

// fill returns what is pending, or a first part of it.
func (w *walk) fill() Filled {
	ahead := append([]Pending(nil), w.log[w.state.Done:w.got]...)
	if w.state.Phase != Running && len(ahead) > 0 {
		ahead = ahead[:1+w.rng.IntN(len(ahead))]
	}
	return Filled{Head: w.got, Ahead: ahead}
}

// check checks one action against the log.
func (w *walk) check(before State, a Action) error {
	switch a := a.(type) {
	case Settle:
		for seq := before.Done + 1; seq <= a.Seq; seq++ {
			p := w.log[seq-1]
			if p.Addressed && p.Void == "" && !p.Erased && !w.succeeded[seq] {
				return fmt.Errorf("entry %d was passed without having succeeded", seq)
			}
			if p.Unreadable && p.Void == "" && !w.succeeded[seq] {
				return fmt.Errorf("entry %d cannot be read and was passed", seq)
			}
		}
	case Begin:
		return w.checkBegin(a)
	}
	return nil
}

func (w *walk) checkBegin(b Begin) error {
	s := w.state
	switch {
	case len(s.Ahead) == 0 || s.Ahead[0].OpID != b.OpID:
		return fmt.Errorf("began %s, which is not first of %v", b.OpID, s.Ahead)
	case s.Paused || s.Trouble != NoTrouble || s.More:
		return fmt.Errorf("began %s while held back: %+v", b.OpID, s)
	case !s.Ahead[0].replays() || s.Ahead[0].halts():
		return fmt.Errorf("began %s, which is not to be replayed", b.OpID)
	case b.Seq < w.lastBegun:
		return fmt.Errorf("began %s after entry %d", b.OpID, w.lastBegun)
	case w.succeeded[b.Seq]:
		return fmt.Errorf("began %s, which had succeeded", b.OpID)
	}
	w.lastBegun = b.Seq
	w.attempts[b.Seq]++
	if b.Attempt != w.attempts[b.Seq] {
		return fmt.Errorf("attempt %d of %s, after %d", b.Attempt, b.OpID, w.attempts[b.Seq]-1)
	}
	return nil
}

// invariants checks what holds between any two states.
func (w *walk) invariants(before State, ev Event, actions []Action) error {
	s := w.state
	begun := 0
	for _, a := range actions {
		switch a := a.(type) {
		case Begin:
			begun++
		case Heed:
			if a.Retry <= before.RetrySeen || s.RetrySeen != a.Retry {
				return fmt.Errorf("heeded retry %d after %d, and remembers %d", a.Retry, before.RetrySeen, s.RetrySeen)
			}
		}
	}
	_, finished := ev.(Finished)
	switch {
	case s.Done < before.Done:
		return fmt.Errorf("done went from %d down to %d", before.Done, s.Done)
	case begun > 1, begun == 1 && before.Phase == Running && !finished:
		return fmt.Errorf("began while another attempt was under way")
	case begun == 1 && s.Phase != Running:
		return fmt.Errorf("began, and the phase is %d", s.Phase)
	case len(s.Ahead) > 0 && s.Ahead[0].Seq != s.Done+1:
		return fmt.Errorf("done is %d, and the first pending entry is %d", s.Done, s.Ahead[0].Seq)
	case s.Phase != Idle && len(s.Ahead) == 0:
		return fmt.Errorf("phase %d with nothing pending", s.Phase)
	case s.RetrySeen < before.RetrySeen:
		return fmt.Errorf("requests to retry went from %d back to %d", before.RetrySeen, s.RetrySeen)
	}
	return w.notStalled()
}

// notStalled checks that a node which nothing holds back has something under
// way or to wait for: that it cannot be forgotten.
func (w *walk) notStalled() error {
	s := w.state
	held := s.Paused || s.Trouble != NoTrouble || s.More
	if held || len(s.Ahead) == 0 || s.Ahead[0].halts() || s.Phase == Running {
		return nil
	}
	if s.Phase == Idle || s.Phase == Waiting && !w.now.Before(s.RetryAt) {
		return fmt.Errorf("entry %d is due, and nothing runs", s.Ahead[0].Seq)
	}
	return nil
}

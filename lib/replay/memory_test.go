package replay_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"iwx/lib/cluster"
	"iwx/lib/queue"
	"iwx/lib/replay"
)

// memory is a node's disk: a journal that loses nothing which was committed,
// and complains of everything that must never be.
type memory struct {
	mu       sync.Mutex
	node     string
	records  []queue.Record
	sigs     map[uint64][]byte
	voids    map[uint64]queue.Disposition
	done     uint64
	attempts []tried
	saved    replay.State // RetryAt and RetrySeen
	reported int64
	orders   cluster.Orders
	wrong    []string
}

// tried is a row of the journal: its number is its place, from 1.
type tried struct {
	cluster.Attempt
	boot    string
	forgone bool // it never began
}

func newMemory(node string) *memory {
	return &memory{node: node, voids: map[uint64]queue.Disposition{}, sigs: map[uint64][]byte{}}
}

func (j *memory) complain(format string, args ...any) {
	j.wrong = append(j.wrong, fmt.Sprintf(format, args...))
}

func (j *memory) Load(context.Context) (*replay.Saved, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := &replay.Saved{State: j.saved, Reported: j.reported, Orders: j.orders}
	s.State.Done, s.State.Head = j.done, uint64(len(j.records))
	s.State.Paused, s.State.Trouble = j.orders.Paused, replay.Trouble(j.orders.Trouble)
	if n := len(j.records); n > 0 {
		s.Position = j.records[n-1].Position()
	}
	for i := range j.attempts {
		a := &j.attempts[i]
		if a.Seq <= j.done || a.forgone {
			continue
		}
		s.State.Attempt = a.Attempt.Attempt
		switch {
		case a.Ended == 0:
			s.State.Phase = replay.Running
			s.Open = &replay.Open{Attempt: a.Attempt, Boot: a.boot}
			continue
		case a.Outcome == cluster.OutcomeUnknown:
			s.State.Phase = replay.Cut
		default:
			s.State.Phase = replay.Waiting
		}
		s.Blocked = replay.Block(s.Blocked, &a.Attempt, s.State.RetryAt)
	}
	return s, nil
}

func (j *memory) Ahead(_ context.Context, limit int) ([]replay.Pending, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	var list []replay.Pending
	for i := range j.records[j.done:] {
		if len(list) < limit {
			r := &j.records[int(j.done)+i]
			list = append(list, replay.Describe(r, j.node, 1, j.voids[r.Seq]))
		}
	}
	return list, nil
}

func (j *memory) Command(_ context.Context, seq uint64) (*queue.Command, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return queue.DecodeCommand(j.records[seq-1].Body)
}

func (j *memory) Signed(_ context.Context, first uint64) (*queue.Page, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for last := first; last <= uint64(len(j.records)); last++ {
		if sig := j.sigs[last]; sig != nil {
			return &queue.Page{Records: slices.Clone(j.records[first-1 : last]), Sig: sig}, nil
		}
	}
	return &queue.Page{}, nil
}

func (j *memory) Before(_ context.Context, first uint64) (int64, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	i := slices.IndexFunc(j.attempts, func(a tried) bool { return a.Seq >= first })
	if i < 0 {
		i = len(j.attempts)
	}
	return int64(i), nil
}

func (j *memory) Cut(ctx context.Context, first uint64) (*replay.Saved, error) {
	j.mu.Lock()
	if a := j.open(); a != nil && a.Seq >= first {
		j.mu.Unlock()
		return nil, nil
	}
	j.records, j.done = j.records[:first-1], min(j.done, first-1)
	for i := range j.attempts {
		j.attempts[i].forgone = j.attempts[i].forgone || j.attempts[i].Seq >= first
	}
	j.mu.Unlock()
	return j.Load(ctx)
}

func (j *memory) Unreported(_ context.Context, after int64, limit int) ([]cluster.Attempt, int64, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	var list []cluster.Attempt
	last := after
	for i := range j.attempts {
		a := &j.attempts[i]
		if id := int64(i) + 1; id > after && a.Ended != 0 && !a.forgone && len(list) < limit {
			list, last = append(list, a.Attempt), id
		}
	}
	return list, last, nil
}

func (j *memory) Commit(_ context.Context, c *replay.Changes) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.receive(c.Records)
	if len(c.Records) > 0 {
		j.sigs[uint64(len(j.records))] = c.Sig
	}
	if c.Ended != nil {
		j.close(c.Ended, func(a *tried) { a.Attempt = *c.Ended })
	}
	if c.NotBegun != nil {
		j.close(c.NotBegun, func(a *tried) { a.forgone = true })
	}
	j.settle(c.Settled)
	if c.Begun != nil {
		j.begin(c.Begun)
	}
	if c.Ended != nil || c.Begun != nil {
		j.saved.RetryAt = c.RetryAt
	}
	j.saved.RetrySeen = max(j.saved.RetrySeen, c.Heeded)
	j.reported = max(j.reported, c.Reported)
	return nil
}

func (j *memory) receive(records []queue.Record) {
	for i := range records {
		r := &records[i]
		if r.Seq != uint64(len(j.records))+1 {
			j.complain("entry %d was received after %d", r.Seq, len(j.records))
		}
		j.records = append(j.records, *r)
		if r.Kind != queue.KindVoid {
			continue
		}
		v, err := queue.DecodeVoid(r.Body)
		targets, err2 := queue.DecodeTargets(r.Targets)
		if err := errors.Join(err, err2); err != nil {
			j.complain("entry %d: %v", r.Seq, err)
		}
		if targets.Scope != queue.ScopeNodes || targets.Include(j.node, 1, r.Seq) {
			j.voids[v.Seq] = v.Disposition
		}
	}
}

// close makes a change to the attempt that is open, which has to be a.
func (j *memory) close(a *cluster.Attempt, change func(*tried)) {
	last := j.open()
	if last == nil || last.Seq != a.Seq || last.Attempt.Attempt != a.Attempt {
		j.complain("attempt %d.%d ended, which is not open", a.Seq, a.Attempt)
		return
	}
	change(last)
}

func (j *memory) open() *tried {
	if len(j.attempts) == 0 {
		return nil
	}
	if last := &j.attempts[len(j.attempts)-1]; last.Ended == 0 && !last.forgone {
		return last
	}
	return nil
}

func (j *memory) settle(seq uint64) {
	for ; j.done < seq; j.done++ {
		r := &j.records[j.done]
		p := replay.Describe(r, j.node, 1, j.voids[r.Seq])
		if p.Addressed && p.Void == "" && !j.ended(r.Seq, cluster.OutcomeDone) {
			j.complain("entry %d was passed without having succeeded", r.Seq)
		}
	}
}

func (j *memory) ended(seq uint64, outcome string) bool {
	for i := range j.attempts {
		if j.attempts[i].Seq == seq && j.attempts[i].Outcome == outcome {
			return true
		}
	}
	return false
}

func (j *memory) begin(o *replay.Open) {
	number := 1
	for i := range j.attempts {
		if a := &j.attempts[i]; a.Seq == o.Seq && !a.forgone {
			number++
		}
	}
	switch {
	case j.open() != nil:
		j.complain("attempt %d.%d was begun during %d.%d", o.Seq, o.Attempt.Attempt, j.open().Seq, j.open().Attempt.Attempt)
	case o.Seq != j.done+1:
		j.complain("entry %d was begun when all up to %d was settled", o.Seq, j.done)
	case j.voids[o.Seq] != "":
		j.complain("entry %d was begun although it is %s", o.Seq, j.voids[o.Seq])
	case o.Attempt.Attempt != number:
		j.complain("attempt %d of entry %d was begun as number %d", number, o.Seq, o.Attempt.Attempt)
	}
	j.attempts = append(j.attempts, tried{Attempt: o.Attempt, boot: o.Boot})
}

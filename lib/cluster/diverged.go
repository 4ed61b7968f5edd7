package cluster

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"iwx/lib/pki"
	"iwx/lib/queue"
)

// Tail is what the manager has of a node whose log went on where its own did
// not: the records after the last one that both have, as the node sent them.
// The zero Tail is none.
type Tail struct {
	First    uint64   `json:"first,omitempty"`    // the first record that the manager does not have
	Last     Position `json:"last"`               // the last one that was sent
	Accepted bool     `json:"accepted,omitempty"` // the operator has given it up
}

// Epoch is where an epoch of the log begins.
type Epoch struct {
	Number uint64
	Since  uint64 // its first record
}

// tailStep is how far back a node is asked for its records when those that it
// sent do not follow from the manager's log.
const tailStep = 256

// fork returns the last record that a node which follows the epoch can have in
// common with the manager's log.
func (v *view) fork(epoch uint64) uint64 {
	for _, e := range v.epochs {
		if e.Number > epoch {
			return e.Since - 1
		}
	}
	return v.head.Seq
}

// own returns the status as far as it is about this log: what a node has done
// of another one's entries says nothing about those that have their numbers.
func (v *view) own(id string, s Status) Status {
	s.Disown(v.fork(s.Epoch) + 1)
	n := v.nodes[id]
	s.Disown(n.Awaited)
	s.Disown(n.Tail.First)
	return s
}

// orderTail orders a node that is past the manager's log to send what it has, and
// once that has been given up, to drop it. The record of an epoch that recover
// has taken back is nothing to lose.
func (v *view) orderTail(n *Roster, from queue.Position, o *Orders) {
	tail := &n.Tail
	switch {
	case o.Trouble != TroubleDiverged && o.Trouble != TroubleRewound:
	case v.withdrawn[from]:
		o.Cut = from.Seq
	case tail.Last.Queue() != from:
		o.Tail = min(from.Seq-1, v.fork(from.Epoch)) + 1
	case tail.Accepted:
		o.Cut = tail.First
	}
}

// Standing is the position at which the manager found a node.
type Standing struct {
	Seen     time.Time
	Received uint64 // the last record that it has
	Trouble  string // one of the words of Orders.Trouble; "" if the node follows this log
	Awaited  uint64 // if diverged or rewound: the first record that this manager may have lost
}

// note records the node's standing when its daemon first asks, and when it has
// changed, before the node gets an answer: until then it is unknown which records
// the node may have.
func (m *Manager) note(ctx context.Context, id string, p *presence, req *PollRequest) error {
	v := m.view.Load()
	n, from := v.nodes[id], req.Position.Queue()
	if n.Membership != Member {
		return nil
	}
	is := Standing{Seen: m.Now(), Received: from.Seq}
	if from != v.head {
		var err error
		if is.Trouble, _, err = m.standing(ctx, v, from); err != nil {
			return err
		}
	}
	var o Orders
	o.Trouble = is.Trouble
	switch v.orderTail(&n, from, &o); {
	case o.Tail != 0:
		is.Awaited = o.Tail
	case is.Trouble == TroubleDiverged, is.Trouble == TroubleRewound:
		if o.Cut == 0 {
			is.Awaited = n.Tail.First // the node sent it
		}
	}
	changed, err := m.saveStanding(ctx, id, p, fmt.Sprint(req.Instance, is.Trouble, is.Awaited), is)
	if err != nil || !changed {
		return err
	}
	p.saved(is.Seen)
	return m.Refresh(ctx)
}

func (m *Manager) saveStanding(ctx context.Context, id string, p *presence, text string, is Standing) (changed bool, err error) {
	if p.stood() == text {
		return false, nil // as nearly always: such a poll does not wait for the disk
	}
	m.savingFetched.RLock()
	defer m.savingFetched.RUnlock()
	if !p.stands(text) {
		return false, nil
	}
	changed, err = m.Store.SaveStanding(ctx, id, is)
	if err != nil {
		p.stands("") // try again
	}
	return changed, err
}

// stood returns the node's standing, as last saved.
func (p *presence) stood() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.standing
}

// stands records the node's standing, and reports whether it is new. What the node
// has received is then not known before its next poll.
func (p *presence) stands(text string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.standing == text {
		return false
	}
	p.standing, p.position, p.known = text, 0, 0
	return true
}

// Tail takes in a page of a node's log that the manager does not have. Nothing
// is believed that does not follow from the manager's own log, or that the
// cluster's log key has not signed. Sending a page twice is harmless.
func (m *Manager) Tail(ctx context.Context, id string, remote netip.Addr, req *TailRequest) (*TailAnswer, error) {
	n, err := m.view.Load().member(id)
	if err != nil {
		return nil, err
	}
	if _, err := m.claim(ctx, id, req.Instance, remote); err != nil {
		return nil, err
	}
	page := queuePage(req.Page, req.Sig)
	if len(page.Records) == 0 {
		return nil, Refuse(RefusedMalformed, "", "node %s sent no records", n.Name)
	}
	// follow takes from the page the records that both have, which may be all
	// of it.
	first, last := page.Records[0].Seq, page.Records[len(page.Records)-1].Position()
	if err := pki.VerifyHead(m.Identity.LogKey, Head(m.Identity.ClusterID, last), req.Sig); err != nil {
		return nil, Refuse(Distrusted, "", "the log of node %s up to entry %d: %v", n.Name, last.Seq, err)
	}
	tail, follows, err := m.follow(ctx, &n, page)
	if err != nil {
		return nil, err
	}
	switch {
	case !follows && first == 1:
		return nil, Refuse(Distrusted, "", "the log of node %s is not of this cluster", n.Name)
	case !follows:
		return &TailAnswer{Next: first - min(first-1, tailStep)}, nil
	case len(page.Records) > 0:
		tail.Last = WirePosition(last)
		if err := m.Store.SaveTail(ctx, id, tail, page.Records); err != nil {
			return nil, err
		}
	}
	return &TailAnswer{Next: last.Seq + 1}, m.Refresh(ctx)
}

// follow reports whether the page goes on where the tail that the manager has
// of the node ends, or where the manager's own log does. It leaves in the page
// what the manager does not have, and returns the tail that this belongs to.
func (m *Manager) follow(ctx context.Context, n *Roster, page *queue.Page) (Tail, bool, error) {
	if at := n.Tail.Last.Queue(); at.Seq > 0 && page.Verify(at) == nil {
		return n.Tail, true, nil
	}
	var before queue.Position
	var err error
	if first := page.Records[0].Seq; first > 1 {
		if before, err = m.Store.PositionAt(ctx, first-1); err != nil {
			return Tail{}, false, err
		}
	}
	if page.Verify(before) != nil {
		return Tail{}, false, nil
	}
	for len(page.Records) > 0 {
		here, err := m.Store.PositionAt(ctx, page.Records[0].Seq)
		if err != nil {
			return Tail{}, false, err
		}
		if here != page.Records[0].Position() {
			return Tail{First: page.Records[0].Seq}, true, nil
		}
		page.Records = page.Records[1:]
	}
	return Tail{}, true, nil
}

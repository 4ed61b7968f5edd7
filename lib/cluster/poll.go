package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"iwx/lib/queue"
)

// presence is what the manager knows of a node's connection. It lives as long
// as the daemon.
type presence struct {
	mu        sync.Mutex
	instance  string // the daemon that holds the place
	remote    netip.Addr
	seen      time.Time
	parked    int           // polls that are held open
	resident  bool          // the daemon has held polls open
	dropped   bool          // its last poll ended with its connection
	carried   time.Time     // when a large body last made progress, since its last poll; zero: never
	challenge chan struct{} // closed to make a parked poll answer "again"
	active    chan struct{} // closed and replaced whenever the incumbent asks
	savedAt   time.Time
	savedFrom netip.Addr
	standing  string // its standing, as last saved
	position  uint64 // the last record that it has received, from its polls in this standing
	known     uint64 // the last record of which it is saved that it has received
	silent    bool
}

func (m *Manager) presence(id string) *presence {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.presences == nil {
		m.presences = map[string]*presence{}
	}
	p := m.presences[id]
	if p == nil {
		p = &presence{challenge: make(chan struct{}), active: make(chan struct{})}
		m.presences[id] = p
	}
	return p
}

// savedContact records that the contact is saved, with its source address.
func (p *presence) savedContact(at time.Time, from netip.Addr) {
	p.saved(at)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.savedFrom = from
}

// saved notes that it has been written down that the node was heard.
func (p *presence) saved(at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.savedAt, p.silent = at, false
}

// fetched notes that it is saved that the node has received the records up to seq.
func (p *presence) fetched(seq uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.known = max(p.known, seq)
}

// polled records that the node has received the records up to seq. A poll that is
// late, or of a daemon that has lost the place, says nothing new.
func (p *presence) polled(instance string, seq uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.instance == instance {
		p.position = max(p.position, seq)
	}
}

// unsaved returns the last record that the node has received, if that is not saved
// yet: a report with a lot of output is in transfer.
func (p *presence) unsaved() (seq uint64, is bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.position, p.position > p.known
}

// stale reports whether it is time to save that the node was heard, or that it
// connects from another address. A report saves its other changes.
func (p *presence) stale(now time.Time, from netip.Addr) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.silent || p.savedFrom != from || now.Sub(p.savedAt) > contactEvery
}

// claim lets one daemon at a time speak for a node. Another one, on a clone of
// the server, say, gets the place only when the incumbent does not answer.
func (m *Manager) claim(ctx context.Context, id, instance string, remote netip.Addr) (*presence, error) {
	p := m.presence(id)
	p.mu.Lock()
	incumbent := p.remote
	if p.instance == instance || p.free(m.Now()) {
		p.take(instance, remote, m.Now())
		p.mu.Unlock()
		return p, nil
	}
	close(p.challenge)
	p.challenge = make(chan struct{})
	active := p.active
	p.mu.Unlock()

	timer := time.NewTimer(cloneWait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-timer.C:
		p.mu.Lock()
		defer p.mu.Unlock()
		p.take(instance, remote, m.Now())
		return p, nil
	case <-active:
		return nil, m.refuseClone(ctx, id, remote, incumbent)
	}
}

// free reports whether nobody holds the place. A daemon that has held polls
// open and was heard a moment ago is between two of them, unless its connection
// was closed, as when it ends. p.mu is held.
func (p *presence) free(now time.Time) bool {
	return p.instance == "" || p.parked == 0 && (!p.resident || p.dropped || now.Sub(p.seen) >= cloneWait)
}

// take gives the place to a daemon. p.mu is held.
func (p *presence) take(instance string, remote netip.Addr, now time.Time) {
	p.resident = p.resident && p.instance == instance
	p.instance, p.remote, p.seen, p.dropped = instance, remote, now, false
	close(p.active)
	p.active = make(chan struct{})
}

// Heard records that a node is receiving or sending a large body: the node is not
// silent meanwhile, and a clone of it can see that it is alive. It ignores any
// source address but that of the daemon in the node's place.
func (m *Manager) Heard(id string, remote netip.Addr) {
	p := m.presence(id)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.instance != "" && p.remote == remote {
		p.take(p.instance, remote, m.Now())
		p.carried = p.seen
	}
}

func (m *Manager) refuseClone(ctx context.Context, id string, remote, incumbent netip.Addr) error {
	text := fmt.Sprintf("at %s a second server, at %s, used the certificate of this node and was refused", stamp(m.Now()), remote)
	m.Log.Warn("a second server uses a node's certificate", "node", m.view.Load().nodes[id].Name, "remote", remote, "incumbent", incumbent)
	if err := m.Store.SaveRefused(ctx, id, text); err != nil {
		return err
	}
	return Refuse(RefusedClone, "on a copy of a server, remove the copied setup: iwx-cluster-setup reset --local; then join it with a token of its own",
		"another server, at %s, is using this node's certificate", incumbent)
}

// Poll answers a node: at once if there is something that it does not know,
// else when there is, or when the wait that it asked for is over.
func (m *Manager) Poll(ctx context.Context, id string, remote netip.Addr, req *PollRequest) (*PollAnswer, error) {
	if _, err := m.view.Load().member(id); err != nil {
		return nil, err
	}
	p, err := m.claim(ctx, id, req.Instance, remote)
	if err != nil {
		return nil, err
	}
	if err := m.note(ctx, id, p, req); err != nil {
		return nil, err
	}
	if now := m.Now(); p.stale(now, remote) {
		if err := m.Store.SaveContact(ctx, id, now, remote); err != nil {
			return nil, err
		}
		p.savedContact(now, remote)
	}
	wait := min(time.Duration(req.Wait)*time.Millisecond, longestPoll)
	timer := time.NewTimer(max(wait, 0))
	defer timer.Stop()
	challenge := p.park(wait > 0)
	defer p.leave(ctx, m.Now)
	if m.view.Load().holds[id] != 0 {
		if err := m.Refresh(ctx); err != nil { // its turn may have come while it was away
			return nil, err
		}
	}
	for last := wait <= 0; ; {
		v := m.view.Load()
		answer, err := m.answer(ctx, v, id, req)
		if err == nil && answer.Orders.Trouble == "" {
			p.polled(req.Instance, req.Position.Seq)
		}
		if err != nil || last || len(answer.Page) > 0 || answer.Profile != nil || answer.Orders != req.Orders {
			return answer, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-timer.C:
			last = true
		case <-challenge:
			answer.Again = true
			return answer, nil
		case <-v.changed:
		}
	}
}

// park counts a poll that is held open, and returns what makes it answer.
func (p *presence) park(lasting bool) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.parked++
	p.resident = p.resident || lasting
	return p.challenge
}

func (p *presence) leave(ctx context.Context, now func() time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.parked--
	p.dropped = ctx.Err() != nil
	p.seen, p.carried = now(), time.Time{}
}

// answer builds what the node is to know by the view.
func (m *Manager) answer(ctx context.Context, v *view, id string, req *PollRequest) (*PollAnswer, error) {
	n, err := v.member(id)
	if err != nil {
		return nil, err
	}
	a := &PollAnswer{Time: m.Now().UnixMilli(), Epoch: v.epoch, Head: v.head.Seq, Orders: n.Orders, Profile: v.profileFor(id, req)}
	a.Orders.Hold = v.holds[id]
	if !req.Looks {
		a.Orders.Look = 0
	}
	a.Orders.Trial = n.Orders.trial(req, m.Now())
	if n.Membership == Leaving {
		a.Profile = nil // it takes back what it has
		a.Orders.Trouble = TroubleLeaving
		a.Orders.Detail = fmt.Sprintf("node %s is being deleted since %s, by %s", n.Name, stamp(n.EndedAt), n.EndedBy)
		return a, nil
	}
	from := req.Position.Queue()
	if from == v.head {
		return a, nil
	}
	if a.Orders.Trouble, a.Orders.Detail, err = m.standing(ctx, v, from); err != nil || a.Orders.Trouble != "" {
		v.orderTail(&n, from, &a.Orders)
		return a, err
	}
	return a, m.page(ctx, v, &n, from.Seq, a)
}

// standing tells whether the node's place is one from which the log goes on.
func (m *Manager) standing(ctx context.Context, v *view, from queue.Position) (trouble, detail string, err error) {
	if from.Seq == 0 {
		return "", "", nil
	}
	if from.Seq <= v.head.Seq {
		here, err := m.positionAt(ctx, v, from.Seq)
		if err != nil || here == from {
			return "", "", err
		}
		if here.Seq == 0 {
			return TroubleResync, fmt.Sprintf("entry %d, which this node received last, is no longer in the manager's log", from.Seq), nil
		}
		return TroubleDiverged, fmt.Sprintf("entry %d of this node (epoch %d, %s) is not the manager's (epoch %d, %s): the manager was restored from an older backup",
			from.Seq, from.Epoch, from.Hash.Short(), here.Epoch, here.Hash.Short()), nil
	}
	if from.Epoch < v.epoch {
		return TroubleDiverged, fmt.Sprintf("this node has entries up to %d of epoch %d; the manager was restored and begins epoch %d at entry %d",
			from.Seq, from.Epoch, v.epoch, v.head.Seq), nil
	}
	return TroubleRewound, fmt.Sprintf("this node has acknowledged entry %d, and the manager's log ends at %d", from.Seq, v.head.Seq), nil
}

func (m *Manager) positionAt(ctx context.Context, v *view, seq uint64) (queue.Position, error) {
	if len(v.tail) > 0 && seq >= v.tail[0].Seq {
		return v.tail[seq-v.tail[0].Seq].Position(), nil
	}
	return m.Store.PositionAt(ctx, seq)
}

// page adds the records after seq to the answer, up to a page of them, each
// with its text if it is for the node.
func (m *Manager) page(ctx context.Context, v *view, n *Roster, after uint64, a *PollAnswer) error {
	records, err := m.records(ctx, v, after)
	if err != nil {
		return err
	}
	// What the view does not know yet may have to wait for its turn.
	records = records[:min(uint64(len(records)), v.head.Seq-after)]
	if len(records) == 0 || records[0].Seq != after+1 {
		a.Orders.Trouble = TroubleResync
		a.Orders.Detail = fmt.Sprintf("the manager's log no longer has the entries after %d", after)
		return nil
	}
	own := make([]queue.Record, len(records))
	for i, r := range records {
		if !isFor(&r, n) {
			r.Body = nil
		}
		own[i] = r
	}
	last := own[len(own)-1].Position()
	a.Page, a.More, a.Sig = WirePage(own), last.Seq < v.head.Seq, v.sig
	if last != v.head {
		a.Sig, err = m.Signer.SignHead(last)
	}
	return err
}

func (m *Manager) records(ctx context.Context, v *view, after uint64) ([]queue.Record, error) {
	if len(v.tail) > 0 && after+1 >= v.tail[0].Seq {
		return v.tail[after+1-v.tail[0].Seq:], nil
	}
	return m.Store.Records(ctx, after, pageRecords, queue.MaxPage)
}

// isFor reports whether the node may read the record's text.
func isFor(r *queue.Record, n *Roster) bool {
	if r.Kind == queue.KindEpoch {
		return true
	}
	targets, err := queue.DecodeTargets(r.Targets)
	return err == nil && targets.Include(n.ID, n.Start, r.Seq)
}

// Sweep finds the nodes that have gone silent, records what they have received, and
// ends completed moves of addresses. It is called every few seconds.
func (m *Manager) Sweep(ctx context.Context) error {
	return errors.Join(m.sweepSilent(ctx), m.sweepFetched(ctx), m.endMoves(ctx))
}

// sweepFetched saves what the nodes have received, if no report of theirs says
// so yet.
func (m *Manager) sweepFetched(ctx context.Context) error {
	m.savingFetched.Lock()
	defer m.savingFetched.Unlock()
	fetched := map[string]uint64{}
	for id, n := range m.view.Load().nodes {
		if !n.Membership.Belongs() {
			continue
		}
		if seq, is := m.presence(id).unsaved(); is {
			fetched[id] = seq
		}
	}
	if len(fetched) == 0 {
		return nil
	}
	if err := m.Store.SaveFetched(ctx, fetched); err != nil {
		return err
	}
	for id, seq := range fetched {
		m.presence(id).fetched(seq)
	}
	return nil
}

func (m *Manager) sweepSilent(ctx context.Context) error {
	now := m.Now()
	silent := map[string]time.Time{}
	var failed error
	for id, n := range m.view.Load().nodes {
		if !n.Membership.Belongs() {
			continue
		}
		p := m.presence(id)
		if at, from, back := p.back(now); back {
			if err := m.Store.SaveContact(ctx, id, at, from); err != nil {
				failed = err
				continue
			}
			p.savedContact(at, from)
		}
		if since, gone := p.silence(now, n.LastSeen); gone {
			m.Log.Warn("a node is unreachable", "node", n.Name, "since", since)
			silent[id] = since
		}
	}
	if len(silent) == 0 {
		return failed
	}
	err := errors.Join(failed, m.Store.SaveSilence(ctx, silent))
	if err != nil {
		for id := range silent {
			m.presence(id).unnoted()
		}
	}
	return err
}

// unnoted has the silence told again: it could not be written down.
func (p *presence) unnoted() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.silent = false
}

// back reports whether a silent node is heard again through progress of a large
// body. Any other request records that itself.
func (p *presence) back(now time.Time) (at time.Time, from netip.Addr, is bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen, p.remote, p.silent && now.Sub(p.carried) < silentAfter
}

// silence reports, once, that nothing is heard of a node and since when.
func (p *presence) silence(now, lastSeen time.Time) (time.Time, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.seen.IsZero() {
		p.seen = now // the daemon has just begun: give the node its time
	}
	if p.silent || p.parked > 0 || now.Sub(p.seen) < silentAfter || now.Sub(p.carried) < stalledAfter {
		return time.Time{}, false
	}
	p.silent = true
	if p.instance == "" && !lastSeen.IsZero() {
		return lastSeen, true
	}
	return p.seen, true
}

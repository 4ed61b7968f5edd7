package state

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"iwx/lib/cluster"
	"iwx/lib/fault"
	"iwx/lib/queue"
)

// Recovery is what a restored manager takes back of the log that it lost.
type Recovery struct {
	Node    string         // id of the one whose tail it is
	Records []queue.Record // with the texts that any node has
	Lost    []uint64       // commands that a node has still to do, and whose text nobody has
	Epoch   uint64         // in force from here on
	Others  []string       // ids of nodes whose log went on in another way
}

// errRehearsal undoes the transaction of a recovery that was only asked about.
var errRehearsal = errors.New("a dry run changes nothing")

// Recover puts the longest tail that a node has sent where it was in the log,
// as it was: its records keep their numbers, epochs and hashes, so that the
// nodes which have them go on as if nothing had happened. The record with which
// the restore began its epoch is taken back for it, and a new epoch begins after
// the last record. A command whose text no node has is cancelled.
//
// It is refused when more than that record was queued since. Without a tail it
// returns nil. rehearse does all of it and undoes it; the Recovery is also
// returned with an error that tells why it cannot be had. at is in unix
// milliseconds.
func (s *Store) Recover(ctx context.Context, at int64, who string, rehearse bool) (rec *Recovery, err error) {
	err = s.update(ctx, func(t *tx) error {
		r := recovery{tx: t, at: at, who: who}
		err := r.run()
		rec = r.found
		if err == nil && rehearse {
			err = errRehearsal
		}
		return err
	})
	if errors.Is(err, errRehearsal) {
		err = nil
	}
	return rec, err
}

// recovery is one recovery, inside its transaction.
type recovery struct {
	*tx
	at    int64
	who   string
	nodes []cluster.Node // the members
	did   map[did]bool   // records of the sent tails that the nodes have done
	first uint64         // the first record that the manager lacks
	floor uint64         // the highest epoch there is
	found *Recovery
}

// did is a record that a node is done with.
type did struct {
	node string // id
	hash queue.Hash
}

func (r *recovery) run() error {
	var err error
	if r.nodes, err = r.standings(`membership = 'member'`); err != nil {
		return err
	}
	source := r.longest()
	if source == nil {
		return nil
	}
	r.first, r.found = source.Tail.First, &Recovery{Node: source.ID}
	for _, step := range []func() error{r.gather, r.check, r.withdraw, r.insert, r.begin, r.cancelLost, r.forget} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// longest returns the node whose tail reaches furthest; nil if none has one.
func (r *recovery) longest() *cluster.Node {
	var best *cluster.Node
	for i := range r.nodes {
		n := &r.nodes[i]
		r.floor = max(r.floor, n.Tail.Last.Epoch)
		if n.Tail.First > 0 && !n.Tail.Accepted && (best == nil || n.Tail.Last.Seq > best.Tail.Last.Seq) {
			best = n
		}
	}
	return best
}

// gather reads the tail, with the texts that the others have of it: each node
// has those of its own entries.
func (r *recovery) gather() error {
	var err error
	if r.found.Records, err = r.tail(r.found.Node); err != nil {
		return err
	}
	records := r.found.Records
	r.did = map[did]bool{}
	for i := range r.nodes {
		n := &r.nodes[i]
		if n.Tail.First == 0 || n.Tail.Accepted {
			continue
		}
		sent, err := r.tail(n.ID)
		if err != nil {
			return err
		}
		for _, o := range sent {
			if n.Status.Beyond >= o.Seq {
				r.did[did{n.ID, o.Hash}] = true
			}
			if at := o.Seq - records[0].Seq; o.Seq >= records[0].Seq && at < uint64(len(records)) && records[at].Hash == o.Hash && records[at].Body == nil {
				records[at].Body = o.Body
			}
		}
	}
	for i := range records {
		rec := &records[i]
		rec.Erased = rec.Body == nil && (rec.Erased || r.lost(rec))
		if r.lost(rec) {
			r.found.Lost = append(r.found.Lost, rec.Seq)
		}
	}
	return nil
}

// lost reports whether the record is a command without a text that a member has
// still to do.
func (r *recovery) lost(rec *queue.Record) bool {
	if rec.Kind != queue.KindCommand || rec.Body != nil {
		return false
	}
	targets, err := queue.DecodeTargets(rec.Targets)
	for i := range r.nodes {
		n := &r.nodes[i]
		if err == nil && !r.did[did{n.ID, rec.Hash}] && targets.Include(n.ID, n.Start, rec.Seq) {
			return true
		}
	}
	return false
}

// check refuses what would not be the log that was.
func (r *recovery) check() error {
	before, err := r.position(`SELECT epoch, seq, hash FROM log WHERE seq = ?`, r.first-1)
	if err != nil {
		return err
	}
	page := queue.Page{Records: r.found.Records}
	if err := page.Verify(before); err != nil {
		return fmt.Errorf("the records sent do not follow from the log here: %w", err)
	}
	var since int
	if err := r.row(`SELECT count(*) FROM log WHERE seq >= ? AND kind <> ?`, []any{r.first, queue.KindEpoch}, []any{&since}); err != nil {
		return err
	}
	if since > 0 {
		return fault.Hint(fault.New(fault.Failed, "cannot recover: records added since the restore: %d; the lost ones belong before them", since),
			"queue again the lost entries that are still needed, and give up the rest: iwx-queue accept")
	}
	for i := range r.nodes {
		if n := &r.nodes[i]; n.Start > r.first {
			return fault.Hint(fault.New(fault.Failed, "cannot recover: node %s joined after the restore, and the lost entries would be replayed on it", n.Name),
				"delete it, recover, and let it join again: iwx-node delete %s", n.Name)
		}
	}
	return nil
}

// withdraw takes back the records that stand where the lost ones belong.
func (r *recovery) withdraw() error {
	epoch, err := r.epoch()
	if err != nil {
		return err
	}
	r.floor = max(r.floor, epoch)
	// Keep the epoch in which the lost records continue, even if it has no records
	// before them.
	stays := r.found.Records[0].Epoch
	if r.found.Records[0].Kind == queue.KindEpoch {
		stays = 0
	}
	for _, q := range []string{
		`INSERT INTO withdrawn (epoch, seq, hash) SELECT epoch, seq, hash FROM log WHERE seq >= ?1`,
		`DELETE FROM epoch WHERE since >= ?1 AND epoch > ?2`,
		`DELETE FROM log WHERE seq >= ?1`,
		// A node that has done a removed record has not done the record that gets
		// its number.
		`UPDATE node SET status = json_set(status, '$.done', min(coalesce(json_extract(status, '$.done'), 0), ?1 - 1)) WHERE ` + belongs,
	} {
		if _, err := r.exec(q, r.first, stays); err != nil {
			return err
		}
	}
	return nil
}

func (r *recovery) insert() error {
	for i := range r.found.Records {
		rec := &r.found.Records[i]
		if err := r.insertRecord(rec, isSensitive(rec), nil); err != nil {
			return err
		}
		if rec.Kind == queue.KindEpoch {
			if _, err := r.exec(`INSERT INTO epoch (epoch, since) VALUES (?, ?)`, rec.Epoch, rec.Seq); err != nil {
				return err
			}
		}
		if targets, err := queue.DecodeTargets(rec.Targets); err == nil && targets.Rolling > 0 {
			if err := r.openRoll(rec.Seq); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *recovery) begin() (err error) {
	last := &r.found.Records[len(r.found.Records)-1]
	r.found.Epoch, err = r.raiseEpoch(r.floor, fmt.Sprintf("recovered up to entry %d from a node, by %s", last.Seq, r.who), r.at)
	return err
}

// cancelLost says of the commands whose text is lost that nobody does them.
func (r *recovery) cancelLost() error {
	for _, seq := range r.found.Lost {
		rec := &r.found.Records[seq-r.first]
		targets, err := queue.DecodeTargets(rec.Targets)
		if err != nil {
			return err
		}
		targets.Rolling = 0
		void := queue.Void{Seq: seq, Disposition: queue.Cancelled, Who: r.who, Reason: "its text was lost with the manager", At: r.at}
		if _, err := r.append([]Draft{{Kind: queue.KindVoid, Targets: targets, Body: void.Encode()}}); err != nil {
			return err
		}
	}
	return nil
}

// forget drops the tails that are in the log now.
func (r *recovery) forget() error {
	for i := range r.nodes {
		n := &r.nodes[i]
		last := n.Tail.Last.Queue()
		if last.Seq == 0 {
			continue
		}
		here, err := r.position(`SELECT epoch, seq, hash FROM log WHERE seq = ?`, last.Seq)
		if err != nil {
			return err
		}
		if here != last {
			r.found.Others = append(r.found.Others, n.ID)
			continue
		}
		if _, err := r.exec(`UPDATE node SET awaited = 0 WHERE id = ?`, n.ID); err != nil {
			return err
		}
		if err := r.forgetTail(n.ID, cluster.Tail{}); err != nil {
			return err
		}
	}
	return nil
}

// Accept gives up what the nodes have beyond this log: each drops it when it
// next asks, and goes on from the last record that both have. What it has done
// stays done, and is kept in the history. A new epoch begins unless the one in
// force is above theirs. at is in unix milliseconds.
func (s *Store) Accept(ctx context.Context, ids []string, at int64, who string) error {
	return s.update(ctx, func(t *tx) error {
		nodes, err := t.standings(`membership = 'member'`)
		if err != nil {
			return err
		}
		if err := t.outnumber(nodes, at, who); err != nil {
			return err
		}
		for i := range nodes {
			if n := &nodes[i]; slices.Contains(ids, n.ID) {
				if err := t.giveUp(n); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// outnumber begins an epoch that is above those of all nodes, unless the one in
// force is.
func (t *tx) outnumber(nodes []cluster.Node, at int64, who string) error {
	epoch, err := t.epoch()
	if err != nil {
		return err
	}
	var theirs uint64
	for i := range nodes {
		theirs = max(theirs, nodes[i].Tail.Last.Epoch)
	}
	if theirs >= epoch {
		_, err = t.raiseEpoch(theirs, "entries that nodes had beyond this log were given up by "+who, at)
	}
	return err
}

func (t *tx) giveUp(n *cluster.Node) error {
	if _, err := t.exec(`UPDATE node SET awaited = 0 WHERE id = ?`, n.ID); err != nil || n.Tail.First == 0 {
		return err // its records are unknown: it is asked for them when it is back
	}
	if err := t.giveUpAttempts(n.Tail.First, n.ID); err != nil {
		return err
	}
	tail := n.Tail
	tail.Accepted = true
	return t.forgetTail(n.ID, tail)
}

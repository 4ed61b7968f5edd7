package state

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"iwx/lib/cluster"
	"iwx/lib/fault"
	"iwx/lib/queue"
)

// After a restore, or after a node was found past this manager's log, the
// manager waits: records of the node may belong before anything new. The node's
// column awaited holds the first such record.

// MayAppend fails with code Busy while a new entry would prevent this manager
// from taking back records that it lost and a member has. Append and the other
// methods that add to the log check this themselves; MayAppend is for callers
// that do something else first.
func (s *Store) MayAppend(ctx context.Context) error {
	return s.view(ctx, func(t *tx) error { return t.mayAppend() })
}

func (t *tx) mayAppend() error {
	nodes, err := t.standings(`membership = 'member' AND awaited > 0
		AND NOT EXISTS (SELECT 1 FROM log WHERE log.seq >= node.awaited AND log.kind <> ?)`, queue.KindEpoch)
	if err != nil || len(nodes) == 0 {
		return err
	}
	n := &nodes[0]
	if !n.Diverged() {
		nodes = slices.DeleteFunc(nodes, func(n cluster.Node) bool { return n.Diverged() })
		return fault.Hint(fault.New(fault.Busy, "cannot queue yet: %s not connected since this manager was restored, and may have entries that it lost; new entries would replace them", haveNames(nodes)),
			"wait for the nodes, then: iwx-queue recover\nor give up the entries that %[1]s may have: iwx-queue accept %[1]s\nor, if it is gone for good: iwx-node delete %[1]s", n.Name)
	}
	return fault.Hint(fault.New(fault.Busy, "cannot queue yet: node %s has entries from %d on that this manager lost, and new entries would replace them", n.Name, n.Awaited),
		"take them back: iwx-queue recover\nor give them up: iwx-queue accept %s", n.Name)
}

// haveNames returns "node web1 has", or "3 nodes (web1, web2, web3) have".
func haveNames(nodes []cluster.Node) string {
	if len(nodes) == 1 {
		return "node " + nodes[0].Name + " has"
	}
	text := ""
	for i := range nodes {
		if i == 3 {
			text += ", …"
			break
		}
		if i > 0 {
			text += ", "
		}
		text += nodes[i].Name
	}
	return fmt.Sprintf("%d nodes (%s) have", len(nodes), text)
}

// awaitMembers makes the manager wait for every member: none has connected since
// the log was restored to its present end. The queue states in the backup are out
// of date.
func (t *tx) awaitMembers(first uint64, at int64) error {
	if _, err := t.exec(`DELETE FROM tail`); err != nil {
		return err
	}
	_, err := t.exec(`UPDATE node SET awaited = ?, silent_since = max(?, last_seen, 1), tail = '{}',
		status = json_set(status, '$.word', '') WHERE `+belongs, first, at)
	return err
}

// SaveStanding records where a node was found when its daemon first asked, or when
// that has changed. It reports whether anything is new. It drops what is saved
// about a log that the node no longer has. Repeating it is safe.
func (s *Store) SaveStanding(ctx context.Context, id string, is cluster.Standing) (changed bool, err error) {
	err = s.update(ctx, func(t *tx) error {
		nodes, err := t.standings(`id = ?`, id)
		if err != nil || len(nodes) == 0 {
			return err
		}
		n := &nodes[0]
		follows := is.Trouble == ""
		diverged := is.Trouble == cluster.TroubleDiverged || is.Trouble == cluster.TroubleRewound
		changed = n.Awaited != is.Awaited || diverged && n.Status.Word != is.Trouble
		if follows && n.Tail.Last.Seq > 0 {
			changed = true
			if err := t.forgetTail(id, cluster.Tail{}); err != nil {
				return err
			}
		}
		if follows {
			back, err := t.noteWentBack(n, is.Received, is.Seen)
			if err != nil {
				return err
			}
			// It fetches again what came after.
			changed = changed || back || max(n.Status.Head, n.Fetched) > is.Received
			n.Status.Head, n.Fetched = min(n.Status.Head, is.Received), min(n.Fetched, is.Received)
		}
		if !changed {
			return nil
		}
		if diverged {
			n.Status.Word = is.Trouble
			n.Status.Disown(is.Awaited)
		}
		if _, err := t.exec(`UPDATE node SET awaited = ?, fetched = ? WHERE id = ?`, is.Awaited, n.Fetched, id); err != nil {
			return err
		}
		return t.saveStatus(id, is.Seen, n.Status)
	})
	return changed, err
}

// noteWentBack records that a node which had done more is done only with entries
// up to done: it was restored to an older state. It reports whether that is the
// case.
func (t *tx) noteWentBack(n *cluster.Node, done uint64, at time.Time) (bool, error) {
	if done >= n.Status.Done || n.Diverged() {
		return false, nil
	}
	back := cluster.WentBack{From: n.Status.Done, To: done, At: at.UnixMilli()}
	if n.WentBack != nil && n.WentBack.From > n.Status.Done {
		back.From = n.WentBack.From // it has not caught up
	}
	text, err := json.Marshal(back)
	if err == nil {
		_, err = t.exec(`UPDATE node SET went_back = ? WHERE id = ?`, string(text), n.ID)
	}
	return true, err
}

func decodeWentBack(text string) (*cluster.WentBack, error) {
	if text == "" {
		return nil, nil
	}
	back := &cluster.WentBack{}
	return back, json.Unmarshal([]byte(text), back)
}

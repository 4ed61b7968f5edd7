package cluster

import (
	"context"
	"fmt"
	"time"

	"iwx/lib/fault"
	"iwx/lib/pki"
)

// Fence is how a manager knows that another has taken its place: a node has
// shown it a record of a later epoch, signed with the cluster's log key. A
// manager that is fenced serves nobody and queues nothing; it is the one of an
// old machine that comes back after a restore.
type Fence struct {
	Own   uint64 // the epoch of this manager
	Epoch uint64 // the epoch that the node follows
	Node  string // its name
	At    time.Time
}

// String says it in a sentence.
func (f *Fence) String() string {
	return fmt.Sprintf("this manager was replaced: it is in epoch %d of the queue, and node %s follows a restored one in epoch %d", f.Own, f.Node, f.Epoch)
}

// FenceHint is what to do with a manager that was replaced.
const FenceHint = "undo its setup: iwx-cluster-setup reset --force\nor, if there is no other manager, since this one was put back to an older state: iwx-cluster-setup restore BACKUP --force"

// Err returns the fence as an error with the exit code and [FenceHint]; nil without a
// fence.
func (f *Fence) Err(code fault.Code) error {
	if f == nil {
		return nil
	}
	return fault.Hint(fault.New(code, "%s", f), FenceHint)
}

// Fence takes the proof that a node follows a manager of a later epoch. What the
// log key has not signed proves nothing and is refused: no node can end a manager
// by a mere word. Repeating it is safe.
func (m *Manager) Fence(ctx context.Context, id string, req *TailRequest) error {
	v := m.view.Load()
	n, err := v.member(id)
	if err != nil {
		return err
	}
	page := queuePage(req.Page, req.Sig)
	if len(page.Records) == 0 {
		return Refuse(RefusedMalformed, "", "the proof of a later epoch holds no record")
	}
	last := page.Records[len(page.Records)-1].Position()
	if last.Epoch <= v.epoch {
		return Refuse(RefusedMalformed, "", "epoch %d is not later than this manager's, %d", last.Epoch, v.epoch)
	}
	if err := pki.VerifyHead(v.id.LogKey, Head(v.id.ClusterID, last), page.Sig); err != nil {
		return Refuse(RefusedMalformed, "", "the proof of epoch %d: %v", last.Epoch, err)
	}
	fence := Fence{Own: v.epoch, Epoch: last.Epoch, Node: n.Name, At: m.Now()}
	if err := m.Store.SaveFence(ctx, fence); err != nil {
		return err
	}
	m.Log.Error(fence.String(), "remedy", FenceHint)
	return m.Refresh(ctx)
}

// Fenced returns how this manager knows that it was replaced, nil if it does
// not.
func (m *Manager) Fenced() *Fence { return m.view.Load().fence }

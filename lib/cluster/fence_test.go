package cluster_test

import (
	"testing"

	"iwx/lib/cluster"
	"iwx/lib/queue"
)

// TestFence: a manager believes that it was replaced when the log key says so,
// and nobody else; from then on it answers nobody.
func TestFence(t *testing.T) {
	onManager(t, func(t *testing.T, l *lab) {
		s := l.joined("web1")
		later := queue.Record{OpID: queue.OpID{Epoch: 2, Seq: 1}, Kind: queue.KindEpoch}
		sig, err := l.Signer.SignHead(later.Position())
		check(t, err)
		proof := func(r queue.Record, sig []byte) *cluster.TailRequest {
			return &cluster.TailRequest{Page: cluster.WirePage([]queue.Record{r}), Sig: sig}
		}
		forged := later
		forged.Epoch = 3
		for name, req := range map[string]*cluster.TailRequest{
			"nothing":             {},
			"a signature of less": proof(forged, sig),
			"no signature":        proof(later, nil),
			"an epoch of its own": proof(queue.Record{OpID: queue.OpID{Epoch: 1, Seq: 1}}, sig),
		} {
			if err := l.Fence(t.Context(), s.id, req); err == nil || l.Fenced() != nil {
				t.Errorf("%s was believed: %v", name, err)
			}
		}
		check(t, l.Fence(t.Context(), s.id, proof(later, sig)))
		want := "this manager was replaced: it is in epoch 1 of the queue, and node web1 follows a restored one in epoch 2"
		if f := l.Fenced(); f == nil || f.String() != want {
			t.Errorf("fence: %v", f)
		}
		_, err = l.Hello(t.Context(), s.id)
		refused(t, err, cluster.RefusedFenced, want, "on that server: iwx-cluster-setup reset --force")

		// A restore on this server lifts it, above both epochs.
		epoch, err := l.store.RaiseEpoch(t.Context(), 1, "restored", 0)
		check(t, err)
		check(t, l.Refresh(t.Context()))
		if epoch != 3 || l.Fenced() != nil {
			t.Errorf("epoch %d, fence %v", epoch, l.Fenced())
		}
	})
}

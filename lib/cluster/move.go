package cluster

import (
	"context"
	"net/netip"

	"iwx/lib/nfs"
)

// FormerAddress returns the address that the shares stay exported to when the
// address of the node changes: the one from which it may have mounted them. It
// is not valid if there is none.
func (n *Node) FormerAddress(to netip.Addr) netip.Addr {
	former := n.Address
	if n.Former.IsValid() && n.Connects != n.Address {
		former = n.Former // the node never connected from the address that it is about to lose
	}
	if former == to {
		return netip.Addr{}
	}
	return former
}

// Moved reports whether the node no longer needs its former address: it
// connects from its own, its mounts work, and it does not have the former one
// any more. The addresses of a node of an earlier version are unknown.
func (n *Node) Moved() bool {
	if n.Word() == WordUnreachable || n.Connects != n.Address || nfs.Worst(n.Status.Mounts) != nil {
		return false
	}
	_, has := n.Facts.Find(n.Former)
	return !has || n.FactsAt.IsZero()
}

// endMoves removes the former addresses of nodes that have moved from the exports.
func (m *Manager) endMoves(ctx context.Context) error {
	moving, ended := false, false
	for _, n := range m.view.Load().nodes {
		moving = moving || n.Former.IsValid()
	}
	if !moving {
		return nil
	}
	nodes, err := m.Store.Members(ctx)
	if err != nil {
		return err
	}
	for i := range nodes {
		n := &nodes[i]
		if !n.Former.IsValid() || !n.Moved() {
			continue
		}
		if err := m.Store.ForgetFormer(ctx, n.ID, n.Former); err != nil {
			return err
		}
		ended = true
		m.Log.Info("a node has moved to another address", "node", n.Name, "from", n.Former, "to", n.Address)
	}
	if !ended {
		return nil
	}
	return m.Refresh(ctx)
}

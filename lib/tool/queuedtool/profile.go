package queuedtool

import (
	"context"

	"iwx/lib/cluster"
	"iwx/lib/profile"
	"iwx/lib/tool/upkeep"
)

// cluster is what profiles are made from, by the settings in force.
func (m *manager) cluster(is *cluster.Identity, members []cluster.Roster) (*upkeep.Cluster, error) {
	server := *m.Server
	server.Config, server.Identity = *m.config.Load(), is
	return upkeep.Of(m.c, &server, members)
}

// profiles implements the field of cluster.Manager.
func (m *manager) profiles(is *cluster.Identity, members []cluster.Roster) (map[string]profile.Document, error) {
	c, err := m.cluster(is, members)
	if err != nil {
		return nil, err
	}
	return c.Documents()
}

// keep has the manager converge to its own profile.
func (m *manager) keep(context.Context) error {
	c, err := m.cluster(m.rules.Where(), m.rules.Members())
	if err != nil {
		return err
	}
	doc, err := c.Manager()
	if err != nil {
		return err
	}
	rev := doc.Revision()
	m.keeper.Receive(&rev)
	return nil
}

// move opens and closes listeners as the quorum IP moves, and ends the move when
// every node has found the way.
func (m *manager) move(ctx context.Context) error {
	is := m.rules.Where()
	if err := m.listeners.set(ctx, is.ManagerAddresses()); err != nil || !is.Moving() {
		return err
	}
	nodes, err := m.Store.Present(ctx)
	if err != nil {
		return err
	}
	c, err := m.cluster(is, m.rules.Members())
	if err != nil {
		return err
	}
	missing, err := c.Unmoved(nodes)
	if err != nil || len(missing) > 0 {
		return err
	}
	m.log.Info("every node knows the new quorum IP", "address", is.Manager)
	return m.Store.EndMove(ctx, is.Manager)
}

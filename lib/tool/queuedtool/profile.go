package queuedtool

import (
	"context"

	"iwx/lib/cluster"
	"iwx/lib/profile"
	"iwx/lib/tool/upkeep"
)

// cluster is what profiles are made from, by the settings in force.
func (m *manager) cluster(members []cluster.Roster) (*upkeep.Cluster, error) {
	server := *m.Server
	server.Config = *m.config.Load()
	return upkeep.Of(m.c, &server, members)
}

// profiles implements the field of cluster.Manager.
func (m *manager) profiles(members []cluster.Roster) (map[string]profile.Document, error) {
	c, err := m.cluster(members)
	if err != nil {
		return nil, err
	}
	return c.Documents()
}

// keep has the manager converge to its own profile.
func (m *manager) keep(context.Context) error {
	c, err := m.cluster(m.rules.Members())
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

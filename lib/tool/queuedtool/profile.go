package queuedtool

import (
	"context"

	"iwx/lib/cluster"
	"iwx/lib/profile"
	"iwx/lib/tool/upkeep"
)

// cluster is what profiles are made from, by the settings in force.
func (m *manager) cluster(members []cluster.Roster) *upkeep.Cluster {
	return &upkeep.Cluster{Identity: m.Identity, Config: *m.config.Load(), Members: members, Own: m.Own()}
}

// profiles implements the field of cluster.Manager.
func (m *manager) profiles(members []cluster.Roster) (map[string]profile.Document, error) {
	return m.cluster(members).Documents()
}

// keep has the manager converge to its own profile.
func (m *manager) keep(context.Context) error {
	doc, err := m.cluster(m.rules.Members()).Manager()
	if err != nil {
		return err
	}
	rev := doc.Revision()
	m.keeper.Receive(&rev)
	return nil
}

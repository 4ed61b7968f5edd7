package queuedtool

import (
	"context"

	"iwx/lib/backup"
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
	c := m.cluster(members)
	var err error
	if c.Backup, err = m.lastBackup(); err != nil {
		return nil, err
	}
	return c.Documents()
}

// lastBackup is what the nodes are to have copies of. The file may be gone, as
// after a restore, and then they keep those they have.
func (m *manager) lastBackup() (*backup.Copy, error) {
	keep := m.config.Load().Backup.Keep
	if keep == 0 {
		return nil, nil
	}
	last, err := m.Store.LastBackup(m.c)
	if last == nil {
		return nil, err
	}
	f, size, err := upkeep.Shelf(m.Server).Open(last.Name)
	if err != nil {
		return &backup.Copy{Keep: keep}, nil
	}
	f.Close()
	if size != last.Size {
		return &backup.Copy{Keep: keep}, nil
	}
	return &backup.Copy{File: last.Name, Size: last.Size, SHA256: last.SHA256, Keep: keep}, nil
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

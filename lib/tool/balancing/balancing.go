// Package balancing is load balancing as the tools see it: what was asked for,
// in the manager's state, and how that is doing, from the daemon that does it.
// It is what several tools have of it in common; the rest is lbtool's.
package balancing

import (
	"slices"
	"strings"

	"iwx/lib/cli"
	"iwx/lib/cluster"
	"iwx/lib/fault"
	"iwx/lib/lb"
	"iwx/lib/tool/local"
)

// Manager is this server, with what was asked for of load balancing.
type Manager struct {
	*local.Server
	lb.Setup
	Servers []lb.Server // by their names alone: the manager, then the nodes
}

// Open opens this server, which has to be the manager. The caller must Close it.
func Open(c *cli.Context) (*Manager, error) {
	s, err := local.OpenManager(c, "the load is balanced by the manager")
	if err != nil {
		return nil, err
	}
	m := &Manager{Server: s}
	if err := m.Look(c); err != nil {
		s.Close()
		return nil, err
	}
	return m, nil
}

// Look reads the state anew.
func (m *Manager) Look(c *cli.Context) (err error) {
	if m.Setup, err = m.Store.Balancing(c); err != nil {
		return err
	}
	members, err := m.Store.Members(c)
	m.Servers = []lb.Server{{ID: lb.ManagerID, Name: m.Identity.Name, Manager: true}}
	for i := range members {
		if members[i].Membership == cluster.Member {
			m.Servers = append(m.Servers, lb.Server{ID: members[i].ID, Name: members[i].Name})
		}
	}
	return err
}

// Change has fn change what is asked for, and wakes the daemons. What it is
// given is as it is at that moment; an error of it changes nothing.
func (m *Manager) Change(c *cli.Context, fn func(*lb.Setup) error) error {
	err := m.Store.ChangeBalancing(c, func(setup lb.Setup) (lb.Setup, error) {
		err := fn(&setup)
		if err == nil {
			m.Setup = setup
		}
		return setup, err
	})
	if err == nil {
		m.PokeBalance()
	}
	return err
}

// Find returns the id of the server of that name.
func (m *Manager) Find(name string) (id string, err error) {
	i := slices.IndexFunc(m.Servers, func(s lb.Server) bool { return s.Name == name })
	if i >= 0 {
		return m.Servers[i].ID, nil
	}
	return "", fault.Hint(fault.New(fault.Failed, "no server is called %q", name), "the servers are %s", strings.Join(m.names(), ", "))
}

func (m *Manager) names() []string {
	var names []string
	for _, s := range m.Servers {
		names = append(names, s.Name)
	}
	return names
}

// Has reports whether a server of that id belongs to the cluster.
func (m *Manager) Has(id string) bool {
	return slices.ContainsFunc(m.Servers, func(s lb.Server) bool { return s.ID == id })
}

// Name is what the server of that id is called; of one that is gone, its id.
func (m *Manager) Name(id string) string {
	for _, s := range m.Servers {
		if s.ID == id {
			return s.Name
		}
	}
	return id
}

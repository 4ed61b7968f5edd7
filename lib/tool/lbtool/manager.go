package lbtool

import (
	"slices"
	"strings"

	"iwx/lib/cli"
	"iwx/lib/cluster"
	"iwx/lib/fault"
	"iwx/lib/lb"
	"iwx/lib/tool/local"
)

// manager is this server, with what was asked for of load balancing.
type manager struct {
	*local.Server
	lb.Setup
	servers []lb.Server // by their names alone: the manager, then the nodes
}

// open opens this server, which has to be the manager. The caller must Close it.
func open(c *cli.Context) (*manager, error) {
	s, err := local.OpenManager(c, "the load is balanced by the manager")
	if err != nil {
		return nil, err
	}
	m := &manager{Server: s, servers: []lb.Server{{ID: lb.ManagerID, Name: s.Identity.Name, Manager: true}}}
	if err := m.look(c); err != nil {
		s.Close()
		return nil, err
	}
	return m, nil
}

// look reads the state.
func (m *manager) look(c *cli.Context) (err error) {
	if m.Setup, err = m.Store.Balancing(c); err != nil {
		return err
	}
	members, err := m.Store.Members(c)
	for i := range members {
		if members[i].Membership == cluster.Member {
			m.servers = append(m.servers, lb.Server{ID: members[i].ID, Name: members[i].Name})
		}
	}
	return err
}

// change has fn change what is asked for, and wakes the daemons. What it is
// given is as it is at that moment; an error of it changes nothing.
func (m *manager) change(c *cli.Context, fn func(*lb.Setup) error) error {
	err := m.Store.ChangeBalancing(c, func(setup lb.Setup) (lb.Setup, error) {
		err := fn(&setup)
		m.Setup = setup
		return setup, err
	})
	if err == nil {
		m.PokeBalance()
	}
	return err
}

// find returns the id of the server of that name.
func (m *manager) find(name string) (id string, err error) {
	i := slices.IndexFunc(m.servers, func(s lb.Server) bool { return s.Name == name })
	if i >= 0 {
		return m.servers[i].ID, nil
	}
	return "", fault.Hint(fault.New(fault.Failed, "no server is called %q", name), "the servers are %s", strings.Join(m.names(), ", "))
}

// knows reports whether a server of that id belongs to the cluster.
func (m *manager) knows(id string) bool {
	return slices.ContainsFunc(m.servers, func(s lb.Server) bool { return s.ID == id })
}

func (m *manager) names() []string {
	var names []string
	for _, s := range m.servers {
		names = append(names, s.Name)
	}
	return names
}

// name is what the server of that id is called; of one that is gone, its id.
func (m *manager) name(id string) string {
	for _, s := range m.servers {
		if s.ID == id {
			return s.Name
		}
	}
	return id
}

// warnIdle tells, if so, that nobody balances, and what follows from that.
func (m *manager) warnIdle(c *cli.Context) {}

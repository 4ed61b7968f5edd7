package upkeep

import (
	"iwx/lib/backup"
	"iwx/lib/cluster"
	"iwx/lib/conf"
	"iwx/lib/lb"
	"iwx/lib/profile"
)

// Cluster is what the documents are made from: the cluster as its manager
// knows it. It is all values, so that a tool comes to the same documents as
// the daemon.
type Cluster struct {
	Identity  *cluster.Identity // the manager's
	Config    conf.Config
	Members   []cluster.Roster // by name, and those that are leaving, which mount until they have left
	Backup    *backup.Copy     // the manager's last daily one; nil: the nodes keep none
	Balancing lb.Setup
	Sites     bool // there are some
	DNS       *DNS // nil: DNS is left alone
	Own       bool // below a root directory, where the server itself is not touched
}

// Documents returns the profile of each member, by node id. One that is leaving
// takes back all it has.
func (c *Cluster) Documents() (map[string]profile.Document, error) {
	documents := make(map[string]profile.Document, len(c.Members))
	for i := range c.Members {
		n := &c.Members[i]
		if n.Membership == cluster.Leaving {
			documents[n.ID] = profile.Document{}
			continue
		}
		items, err := c.nodeItems(n)
		if err != nil {
			return nil, err
		}
		documents[n.ID] = profile.Document{Items: items}
	}
	return documents, nil
}

// Manager returns the manager's own profile.
func (c *Cluster) Manager() (profile.Document, error) {
	items, err := c.managerItems()
	return profile.Document{Items: items}, err
}

// nodeItems is what the cluster needs of a node.
func (c *Cluster) nodeItems(n *cluster.Roster) ([]profile.Item, error) {
	where, err := ManagerItem(c.Identity.ManagerAddresses())
	if err != nil {
		return nil, err
	}
	items, err := gather(
		func() ([]profile.Item, error) { return c.mounts(false) },
		func() ([]profile.Item, error) { return c.silent(n.ID) },
		func() ([]profile.Item, error) { return c.watch(n.ID) },
		func() ([]profile.Item, error) { return c.endpoint(n.ID, n.Address) },
		c.followsZones,
		c.web,
		func() ([]profile.Item, error) { return c.clients(n.ID, n.Address) },
		c.copies,
	)
	return append([]profile.Item{where}, items...), err
}

// managerItems is what the cluster needs of its manager.
func (c *Cluster) managerItems() ([]profile.Item, error) {
	return gather(
		c.exports,
		func() ([]profile.Item, error) { return c.mounts(true) },
		c.announced,
		func() ([]profile.Item, error) { return c.endpoint(lb.ManagerID, c.Identity.Address) },
		c.servesZones,
		c.web,
		func() ([]profile.Item, error) { return c.clients(lb.ManagerID, c.Identity.Address) },
	)
}

// gather returns the items of all parts, in their order.
func gather(parts ...func() ([]profile.Item, error)) (items []profile.Item, err error) {
	for _, part := range parts {
		more, err := part()
		if err != nil {
			return nil, err
		}
		items = append(items, more...)
	}
	return items, nil
}

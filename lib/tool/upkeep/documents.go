package upkeep

import (
	"slices"

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
	where, err := ManagerItem(c.Identity.Doors())
	if err != nil {
		return nil, err
	}
	mounts, err := c.mounts(false)
	if err != nil {
		return nil, err
	}
	addresses, err := c.silent(n.ID)
	if err != nil {
		return nil, err
	}
	watch, err := c.watch(n.ID)
	if err != nil {
		return nil, err
	}
	copies, err := c.copies()
	return slices.Concat([]profile.Item{where}, mounts, addresses, watch, copies), err
}

// managerItems is what the cluster needs of its manager.
func (c *Cluster) managerItems() ([]profile.Item, error) {
	exports, err := c.exports()
	if err != nil {
		return nil, err
	}
	mounts, err := c.mounts(true)
	if err != nil {
		return nil, err
	}
	addresses, err := c.announced()
	return slices.Concat(exports, mounts, addresses), err
}

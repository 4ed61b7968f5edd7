package upkeep

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"iwx/lib/cluster"
	"iwx/lib/profile"
	"iwx/lib/tool/local"
)

// KindManager is the kind of the item that tells a node where its manager is.
const KindManager = "manager"

// managerSpec lists the addresses of the manager's API, the quorum IP first.
// There are others while that moves.
type managerSpec struct {
	Addresses []netip.AddrPort `json:"addresses"`
}

// ManagerItem returns the item with the addresses at which the manager answers.
func ManagerItem(addresses []netip.AddrPort) (profile.Item, error) {
	spec, err := json.Marshal(managerSpec{Addresses: addresses})
	return profile.Item{Kind: KindManager, Name: "address", Spec: spec}, err
}

// Unmoved returns the names of the nodes that do not have their present
// profile, and so may not know where the manager is, or use an address of it
// that is about to go.
func (c *Cluster) Unmoved(nodes []cluster.Node) ([]string, error) {
	documents, err := c.Documents()
	if err != nil {
		return nil, err
	}
	var names []string
	for i := range nodes {
		n := &nodes[i]
		p := n.Status.Profile
		if p == nil || !p.Current() || p.Desired != documents[n.ID].Version() {
			names = append(names, n.Name)
		}
	}
	return names, nil
}

// finder is the applier of KindManager.
type finder struct {
	server *local.Server
	now    func() time.Time
}

func (f *finder) spec(item profile.Item) (list []netip.AddrPort, err error) {
	var spec managerSpec
	if err := json.Unmarshal(item.Spec, &spec); err != nil {
		return nil, err
	}
	if len(spec.Addresses) == 0 {
		return nil, fmt.Errorf("%s names no address", item)
	}
	return spec.Addresses, nil
}

// Check implements profile.Applier.
func (f *finder) Check(ctx context.Context, item profile.Item) (change string, err error) {
	list, err := f.spec(item)
	if err != nil {
		return "", err
	}
	is, err := f.server.Store.Identity(ctx)
	if err != nil || slices.Equal(is.ManagerAddresses(), list) {
		return "", err
	}
	var text []string
	for _, at := range list {
		text = append(text, at.String())
	}
	return "look for the manager at " + strings.Join(text, ", then at "), nil
}

// Apply implements profile.Applier. An address that is new has to let this node
// in before it is believed: a node that has lost its way cannot be told.
func (f *finder) Apply(ctx context.Context, item profile.Item) error {
	list, err := f.spec(item)
	if err != nil {
		return err
	}
	is, err := f.server.Store.Identity(ctx)
	if err != nil {
		return err
	}
	if list[0] != is.Manager {
		if err := Visit(ctx, f.server, list[0], f.now); err != nil {
			return err
		}
	}
	if err := f.server.Store.SetManager(ctx, list[0], list[1:]...); err != nil {
		return err
	}
	f.server.Poke()
	return nil
}

// Remove implements profile.Applier. Whoever leaves has to find the manager, to
// say so.
func (f *finder) Remove(context.Context, profile.Item) error { return nil }

// Visit asks the manager at one address, as the node that this server is, and
// fails unless it is let in there.
func Visit(ctx context.Context, s *local.Server, at netip.AddrPort, now func() time.Time) error {
	client, err := s.ManagerClient(ctx, nil, now)
	if err != nil {
		return err
	}
	defer client.Close()
	client.SetManagers([]netip.AddrPort{at})
	_, err = client.Hello(ctx)
	return err
}

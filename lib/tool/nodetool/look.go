package nodetool

import (
	"net/netip"

	"iwx/lib/cli"
	"iwx/lib/cluster"
	"iwx/lib/host"
	"iwx/lib/pki"
	"iwx/lib/state"
	"iwx/lib/tool/local"
	"iwx/lib/tool/nodestatus"
)

// knowledge is what this server knows of the nodes.
type knowledge struct {
	nodes []cluster.Node // members first, by name
	head  uint64         // of the manager's log, as far as this server knows

	contact *state.Contact // on a node: how it stands with its manager
}

// look returns what this server knows: the manager, every node there ever was; a
// node, itself.
func look(c *cli.Context, server *local.Server) (*knowledge, error) {
	if !server.IsManager() {
		return lookAtSelf(c, server)
	}
	nodes, err := server.Store.Nodes(c)
	if err != nil {
		return nil, err
	}
	if err := nodestatus.Desire(c, server, nodes); err != nil {
		return nil, err
	}
	if err := nodestatus.Baselines(c, server, nodes); err != nil {
		return nil, err
	}
	nodestatus.Reasons(c, nodes)
	head, err := server.Store.Head(c)
	if err == nil {
		err = nodestatus.Contacts(c, server, nodes, head.Seq)
	}
	return &knowledge{nodes: nodes, head: head.Seq}, err
}

// lookAtSelf adds to how this node is doing what else it knows of itself.
func lookAtSelf(c *cli.Context, server *local.Server) (*knowledge, error) {
	nodes, head, err := nodestatus.Nodes(c, server)
	if err != nil {
		return nil, err
	}
	known := &knowledge{nodes: nodes, head: head}
	if known.contact, err = server.Store.Contact(c); err != nil {
		return nil, err
	}
	id, node := server.Identity, &known.nodes[0]
	node.Address, node.MachineID = id.Address, id.MachineID
	var given []netip.Addr // none: use those of the interfaces
	if id.Address.IsValid() {
		given = append(given, id.Address)
	}
	if node.Facts, err = host.Read(server.Root, given...); err != nil {
		return nil, err
	}
	cert, err := pki.Store{Dir: server.PKI}.Certificate()
	if err != nil {
		return nil, err
	}
	node.CertSerial, node.CertExpires = cert.Leaf.SerialNumber.Text(16), cert.Leaf.NotAfter
	return known, nil
}

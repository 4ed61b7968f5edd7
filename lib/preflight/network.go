package preflight

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"iwx/lib/lb"
)

// NameNetwork is the check of what the network between the manager and its nodes
// lets through; that of one node has its name behind it.
const NameNetwork = "network"

// Crossed is what came through the network in a trial, between the manager and one
// node (cluster.Trial).
type Crossed struct {
	Node string // its name

	// Unknown reports why nothing is known of the node, and Remedy what to do about
	// it; both are "" if it took part.
	Unknown, Remedy string

	Sent   []netip.Addr // the virtual addresses of the trial
	Out    []netip.Addr // those of them with which, as their source, the node's packets came
	In     []netip.Addr // those of them to which the manager's packets came
	OwnOut bool         // the node's packets came that had its own address as their source
	OwnIn  bool         // the manager's came that were for the node's own address
}

// crossings returns a probe for each node. They share one trial.
func (b Balance) crossings() []Probe {
	var why string
	switch {
	case b.Paths.Own():
		why = "below a root directory of its own the network is left alone"
	case !b.is("ipvs"):
		why = "nothing is sent with addresses that are not the server's own by " + balancer(b.Setup)
	case len(b.Nodes) == 0:
		why = "there is no node to reach"
	case len(b.Setup.VIPs) == 0:
		why = "there is no virtual IP yet"
	}
	if why != "" {
		return []Probe{{NameNetwork, func(context.Context) Result { return skip("%s", why) }}}
	}
	var once sync.Once
	var found []Crossed
	var failed error
	var probes []Probe
	for _, node := range b.Nodes {
		probes = append(probes, Probe{NameNetwork + " " + node, func(ctx context.Context) Result {
			once.Do(func() { found, failed = b.Cross(ctx) })
			return b.crossing(node, found, failed)
		}})
	}
	return probes
}

// crossing reports what follows for one node.
func (b Balance) crossing(node string, found []Crossed, failed error) Result {
	i := slices.IndexFunc(found, func(c Crossed) bool { return c.Node == node })
	switch {
	case failed != nil:
		return warn("", "cannot try it: %v", failed)
	case i < 0:
		return skip("%s is no member any more", node)
	case found[i].Unknown != "":
		return warn(found[i].Remedy, "cannot try it: %s", found[i].Unknown)
	}
	c := &found[i]
	out, in := missing(c.Sent, c.Out), missing(c.Sent, c.In)
	const open = "have the firewalls between them let UDP port 9 through while this is tried"
	switch {
	case out != nil && !c.OwnOut:
		return warn(open, "no packet of %s comes, with its own address as the source neither, so that nothing is known of foreign ones", node)
	case out != nil:
		return b.filtered(out, "iwx-lb edit SERVICE --forwarding nat, or: iwx-lb engine haproxy",
			fmt.Sprintf("packets of %s with the source %s do not come: the network filters foreign sources, and clients would get no answer", node, list(out)))
	case in != nil && !c.OwnIn:
		return warn(open, "no packet to %s comes, for its own address neither, so that nothing is known of those for virtual IPs", node)
	case in != nil:
		return b.filtered(in, "iwx-lb edit SERVICE --forwarding tun, or: iwx-lb engine haproxy",
			fmt.Sprintf("packets that the manager passes on to %s for %s do not come: the network filters foreign addresses", node, list(in)))
	}
	return ok("packets with %s pass, to %s and from it", list(c.Sent), node)
}

// filtered is a failure where direct routing is in use, or about to be, and a
// warning where it is not.
func (b Balance) filtered(vips []netip.Addr, remedy, detail string) Result {
	used := func(p lb.Policy) bool { return b.Setup.KeepsVIP(&p) && slices.Contains(vips, p.VIP) }
	if len(b.Setup.Policies) > 0 && !slices.ContainsFunc(b.Setup.Policies, used) {
		return warn("", "%s; no policy needs it", detail)
	}
	return fail(remedy, "%s", detail)
}

// missing returns those of the addresses that did not come.
func missing(sent, came []netip.Addr) []netip.Addr {
	var list []netip.Addr
	for _, addr := range sent {
		if !slices.Contains(came, addr) {
			list = append(list, addr)
		}
	}
	return list
}

func list(addrs []netip.Addr) string {
	words := make([]string, len(addrs))
	for i, a := range addrs {
		words[i] = a.String()
	}
	return strings.Join(words, ", ")
}

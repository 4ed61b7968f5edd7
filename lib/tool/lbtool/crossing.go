package lbtool

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"iwx/lib/cli"
	"iwx/lib/cluster"
	"iwx/lib/host"
	"iwx/lib/pki"
	"iwx/lib/preflight"
	"iwx/lib/tool/crossing"
)

// trialLimit is how long the nodes have to report what came of a trial.
const trialLimit = 7 * time.Second

// trials are those of one run of preflight, by node id.
type trials struct {
	*manager
	facts  host.Facts
	orders map[string]*cluster.Trial
}

// cross tries what the network lets through, for Balance.Cross. The order to the
// nodes is taken back at the end, and ends by itself where it cannot be.
func (m *manager) cross(facts host.Facts, now func() time.Time) func(context.Context) ([]preflight.Crossed, error) {
	return func(ctx context.Context) ([]preflight.Crossed, error) {
		t := &trials{manager: m, facts: facts, orders: map[string]*cluster.Trial{}}
		nodes, err := m.Store.Standings(ctx)
		if err != nil {
			return nil, err
		}
		peers, err := t.begin(ctx, nodes, now().Add(trialLimit))
		defer m.Store.AskTrial(context.WithoutCancel(ctx), nil)
		if err != nil {
			return nil, err
		}
		ctx, cancel := context.WithTimeout(ctx, trialLimit)
		defer cancel()
		go func() {
			defer cancel()
			t.await(ctx)
		}()
		came, failed, err := crossing.Ask(ctx, facts.Addresses, peers)
		if err != nil {
			return nil, err
		}
		return t.judge(context.WithoutCancel(ctx), came, failed)
	}
}

// begin gives the nodes their orders.
func (t *trials) begin(ctx context.Context, nodes []cluster.Node, until time.Time) (peers []crossing.Peer, err error) {
	var vips []netip.Addr
	for _, v := range t.VIPs {
		vips = append(vips, v.Addr)
	}
	paths, err := crossing.Paths(t.facts.Addresses, vips)
	if err != nil {
		return nil, err
	}
	members, err := t.Store.Members(ctx)
	if err != nil {
		return nil, err
	}
	texts := map[string]string{}
	for i := range nodes {
		n := &nodes[i]
		at := slices.IndexFunc(members, func(m cluster.Node) bool { return m.ID == n.ID })
		if at < 0 || !n.SilentSince.IsZero() {
			continue
		}
		trial := &cluster.Trial{Until: until, Nonce: pki.NewID(), Paths: paths}
		t.orders[n.ID], texts[n.ID] = trial, trial.String()
		peers = append(peers, crossing.Peer{Addr: members[at].Address, Trial: trial})
	}
	err = t.Store.AskTrial(ctx, texts)
	t.Poke()
	return peers, err
}

// await returns when all nodes that have an order have told, or ctx ends.
func (t *trials) await(ctx context.Context) {
	waits := func(n cluster.Node) bool {
		order := t.orders[n.ID]
		return order != nil && (n.Status.Trial == nil || n.Status.Trial.Nonce != order.Nonce)
	}
	// What has not come is reported as unknown, whatever the reason.
	_ = t.Store.Follow(ctx, func() (bool, error) {
		nodes, err := t.Store.Standings(ctx)
		return err == nil && !slices.ContainsFunc(nodes, waits), nil
	})
}

// judge puts together what came here, and what the nodes tell.
func (t *trials) judge(ctx context.Context, came map[string][]netip.Addr, failed map[string]error) ([]preflight.Crossed, error) {
	nodes, err := t.Store.Standings(ctx)
	if err != nil {
		return nil, err
	}
	var list []preflight.Crossed
	for i := range nodes {
		n := &nodes[i]
		c := preflight.Crossed{Node: n.Name}
		order := t.orders[n.ID]
		if c.Unknown, c.Remedy = unknown(n, order, failed); c.Unknown == "" {
			for _, p := range order.Paths {
				c.Sent = append(c.Sent, p.VIP)
			}
			c.Out, c.OwnOut = split(came[order.Nonce], c.Sent)
			c.In, c.OwnIn = split(n.Status.Trial.Came, c.Sent)
		}
		list = append(list, c)
	}
	return list, nil
}

// unknown reports why nothing came of a node's part, and what to do; "" if it took
// part.
func unknown(n *cluster.Node, order *cluster.Trial, failed map[string]error) (why, remedy string) {
	show := "iwx-node show " + n.Name
	switch report := n.Status.Trial; {
	case order == nil:
		return "it is not reached", show
	case failed[order.Nonce] != nil:
		return failed[order.Nonce].Error(), "direct routing needs all servers on one link: iwx-lb edit SERVICE --forwarding tun, or: iwx-lb engine haproxy"
	case report != nil && report.Nonce == order.Nonce && report.Error != "":
		return "it reports: " + report.Error, show
	case report != nil && report.Nonce == order.Nonce:
		return "", ""
	case n.Status.Version != cli.Version:
		return fmt.Sprintf("iwx %s there does not know how", n.Status.Version), "install iwx " + cli.Version + " there"
	}
	return "it did not answer within " + cli.Duration(trialLimit), show
}

// split reports which of the virtual addresses are among those that came, and
// whether there was another, the server's own.
func split(came, vips []netip.Addr) (list []netip.Addr, own bool) {
	for _, addr := range came {
		if slices.Contains(vips, addr) {
			list = append(list, addr)
		} else {
			own = true
		}
	}
	return list, own
}

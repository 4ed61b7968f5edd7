package nodestatus

import (
	"fmt"
	"net/netip"
	"time"

	"iwx/lib/cli"
	"iwx/lib/cluster"
	"iwx/lib/tool/local"
)

// Contacts adds, on the manager, the data about the nodes' connections: what they
// have not fetched of the log, which ends at head; whether they connect from
// another address than their own; and the time of their last contact.
func Contacts(c *cli.Context, server *local.Server, nodes []cluster.Node, head uint64) error {
	began := server.DaemonBegan()
	epoch, err := server.Store.EpochBegan(c)
	if err != nil {
		return err
	}
	if epoch.After(began) {
		began = epoch
	}
	queued := map[uint64]time.Time{}
	for i := range nodes {
		n := &nodes[i]
		if !n.Membership.Belongs() {
			continue
		}
		n.LastSeen = server.LastContact(n.LastSeen, n.SilentSince, c.Now())
		if seq := max(n.Status.Head, n.Fetched) + 1; seq <= head {
			if _, known := queued[seq]; !known {
				at, err := server.Store.QueuedAt(c, seq)
				if err != nil {
					return err
				}
				queued[seq] = at
			}
			n.Fetch = fetch(n, seq, queued[seq], began, c.Now())
		}
		if n.Connects.IsValid() && n.Connects != n.Address {
			if n.Displaced, err = displaced(c, server, n); err != nil {
				return err
			}
		}
	}
	return nil
}

// fetch returns what a node has not received: entry seq, which was queued at the
// given time. It counts from then, or from when the node joined, was back after a
// silence, or the manager began to serve this log, whichever is latest: its daemon
// started, or restore, recover or accept changed the log.
func fetch(n *cluster.Node, seq uint64, queued, began, now time.Time) *cluster.Fetch {
	f := &cluster.Fetch{Seq: seq, Since: queued}
	for _, at := range []time.Time{n.JoinedAt, n.HeardSince, began} {
		if at.After(f.Since) {
			f.Since = at
		}
	}
	f.For = max(now.Sub(f.Since), 0)
	return f
}

// displaced reports whether a node that connects from another address than its
// own needs attention. A node that still has its own address, and mounts nothing
// from this manager, works: it has several addresses, and its routes select one.
func displaced(c *cli.Context, server *local.Server, n *cluster.Node) (bool, error) {
	storage := &server.Config.Storage
	if storage.Enabled && storage.Server == "" && !server.Own() {
		return true, nil
	}
	facts, err := server.Store.Facts(c, n.ID)
	_, has := facts.Find(n.Address)
	return !has, err
}

// FetchTrouble returns what a node has not fetched for a while, as text, or ""
// if it has fetched everything or is about to.
func FetchTrouble(n *cluster.Node) string {
	if n.Fetch == nil || n.Word() != cluster.WordFetching {
		return ""
	}
	return fmt.Sprintf("has not fetched entry %d for %s", n.Fetch.Seq, cli.Age(n.Fetch.For))
}

// AddressTrouble returns that a node connects from another address than its
// own, or "" if it does not.
func AddressTrouble(n *cluster.Node) string {
	if !n.Displaced {
		return ""
	}
	return fmt.Sprintf("connects from %s, not from its address %s", n.Connects, n.Address)
}

// AddressHint returns what to do about it.
func AddressHint(n *cluster.Node) string {
	return fmt.Sprintf("if %[1]s has moved there: iwx-node edit %[1]s --address %[2]s; if not, find out who uses its certificate: iwx-node show %[1]s", n.Name, n.Connects)
}

// displacedVerdict names the nodes that connect from another address.
func displacedVerdict(rows []Row) string {
	var names []string
	for i := range rows {
		if rows[i].Displaced {
			names = append(names, rows[i].Name)
		}
	}
	if names == nil {
		return ""
	}
	return "; not at its address: " + cli.Some(names, 5)
}

// waitTrouble returns that a node waits for its turn, or "" if it does not.
func waitTrouble(n *cluster.Node) string {
	if n.Word() != cluster.WordWaiting {
		return ""
	}
	return fmt.Sprintf("waits for its turn at entry %d", n.Status.Held)
}

// NotFetched returns the first entry that a node has not fetched, or nil.
func NotFetched(n *cluster.Node) any {
	if n.Fetch == nil {
		return nil
	}
	return cli.ID(n.Fetch.Seq)
}

// addressText returns an address, or nil if it is unknown.
func addressText(a netip.Addr) any {
	if !a.IsValid() {
		return nil
	}
	return a.String()
}

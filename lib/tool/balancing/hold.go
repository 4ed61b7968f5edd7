package balancing

import (
	"context"
	"errors"
	"fmt"
	"time"

	"iwx/lib/cli"
	"iwx/lib/cluster"
	"iwx/lib/endpoint"
	"iwx/lib/fault"
	"iwx/lib/profile"
	"iwx/lib/tool/upkeep"
	"iwx/lib/vip"
)

// holdLimit is for the items to be fetched and applied.
const holdLimit = 20 * time.Second

// Hold waits until the manager, and every node that can be reached, has the
// virtual IPs and the health endpoint that it should. Without iwx-queued on the
// manager there is nothing to wait for. The error, exit code 124, tells what is
// left, which goes on.
func (m *Manager) Hold(c *cli.Context) error {
	if !m.Queued().Runs() {
		return nil
	}
	ctx, cancel := context.WithTimeout(c.Context, holdLimit)
	defer cancel()
	var left []string
	err := m.Store.Follow(ctx, func() (bool, error) {
		now, err := m.unheld(c)
		if err == nil {
			left = now
		}
		return len(now) == 0, err
	})
	if err != nil && ctx.Err() != nil && c.Err() == nil {
		return fault.Hint(fault.New(fault.TimedOut, "not done after %s: %s; the daemon goes on", cli.Duration(holdLimit), cli.Some(left, 3)),
			"iwx-cluster-setup status\niwx-node status")
	}
	return err
}

// unheld returns what the servers do not have yet: "web1: vip 192.0.2.80".
func (m *Manager) unheld(ctx context.Context) (left []string, err error) {
	nodes, err := m.Store.Present(ctx)
	if err != nil {
		return nil, err
	}
	known, err := upkeep.Traffic(ctx, m.Server, nodes)
	if err != nil {
		return nil, err
	}
	own, err1 := known.Manager()
	documents, err2 := known.Documents()
	saved, err3 := m.Store.Profile().Load(ctx)
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	left = lacks(m.Identity.Name, own.Items, saved.Status)
	for i := range nodes {
		if n := &nodes[i]; n.Membership == cluster.Member && n.Word() != cluster.WordUnreachable {
			left = append(left, lacks(n.Name, documents[n.ID].Items, n.Profile())...)
		}
	}
	return left, nil
}

// lacks returns which virtual IPs and endpoint, of the items of its profile, a server
// does not have, and which it has still to take back.
func lacks(server string, items []profile.Item, s profile.Status) (left []string) {
	for _, r := range s.Unapplied(items, func(kind string) bool { return kind == vip.Kind || kind == endpoint.Kind }) {
		text := fmt.Sprintf("%s: %s", server, &r)
		if r.Removal {
			text = fmt.Sprintf("%s: take back %s", server, &r)
		}
		if r.Error != "" {
			text += ": " + r.Error
		}
		left = append(left, text)
	}
	return left
}

package setuptool

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"iwx/lib/cli"
	"iwx/lib/cluster"
	"iwx/lib/conf"
	"iwx/lib/fault"
	"iwx/lib/host"
	"iwx/lib/tool/local"
	"iwx/lib/tool/upkeep"
)

type quorumVerb struct {
	New     ip            `arg:"" complete:"address" help:"The new quorum IP, an address of the manager."`
	Port    uint16        `placeholder:"PORT" help:"Port of the API there; without it, the one it has."`
	DropOld bool          `help:"Manager: answer at the old address no longer, whoever does not know the new one."`
	Timeout time.Duration `placeholder:"TIME" default:"5m" help:"Manager: wait no longer than this for the nodes; the move goes on."`
}

// Examples implements cli.Exampled.
func (*quorumVerb) Examples() string {
	return "iwx-cluster-setup quorum-ip 192.0.2.20\niwx-cluster-setup quorum-ip 192.0.2.20 --drop-old"
}

// Run moves the cluster to another address of its manager. On a node it tells
// that node alone where its manager is.
func (v *quorumVerb) Run(c *cli.Context) error {
	h, err := lookAt(c)
	if err != nil {
		return err
	}
	defer h.Close()
	if h.Identity == nil {
		return fault.Hint(fault.New(fault.Failed, notInState), "iwx-cluster-setup status")
	}
	unlock, err := h.lock()
	if err != nil {
		return err
	}
	defer unlock()
	to := netip.AddrPortFrom(v.New.Unmap(), v.Port)
	if v.Port == 0 {
		to = netip.AddrPortFrom(to.Addr(), h.Identity.Manager.Port())
	}
	if h.Identity.Role == cluster.RoleNode {
		return v.find(h, to)
	}
	return v.move(h, to)
}

// find makes a node that has lost its manager look for it elsewhere. What
// answers there has to be the manager, and let this node in.
func (v *quorumVerb) find(h *here, to netip.AddrPort) error {
	if v.DropOld {
		return fault.New(fault.Usage, "--drop-old is for the manager; this server is %s", h.who())
	}
	if to == h.Identity.Manager && !h.Identity.Moving() {
		h.c.Notef("the manager is looked for at %s already", to)
		return nil
	}
	if err := upkeep.Visit(h.c, h.Server, to, h.c.Now); err != nil {
		return err
	}
	if err := h.Store.SetManager(h.c, to); err != nil {
		return err
	}
	h.Poke()
	h.c.Notef("the manager is looked for at %s from now on", to)
	return nil
}

// move begins the move, or goes on with it, and waits for its end.
func (v *quorumVerb) move(h *here, to netip.AddrPort) error {
	is := h.Identity
	switch {
	case v.DropOld:
		return v.drop(h, to)
	case to == is.Manager && !is.Moving():
		h.c.Notef("the quorum IP is %s already", to)
		return nil
	case to != is.Manager:
		if err := h.mayMove(to); err != nil {
			return err
		}
		if err := h.beginMove(to); err != nil {
			return err
		}
	}
	return v.await(h)
}

// mayMove finds what is wrong with an address before anything is changed.
func (h *here) mayMove(to netip.AddrPort) error {
	is, addr := h.Identity, to.Addr()
	switch {
	case addr.Is4() != is.Manager.Addr().Is4():
		return fault.New(fault.Usage, "%s is not of the same IP version as the present quorum IP, %s", addr, is.Manager.Addr())
	case addr == is.Address:
		return fault.Hint(fault.New(fault.Usage, "%s is this server's own address; the quorum IP is one that can move to another machine", addr),
			"add another address first: ip address add IP/24 dev INTERFACE")
	case !local.Queued(h.Paths).Runs():
		return fault.Hint(fault.New(fault.Busy, "iwx-queued is not running here: the manager would not answer at %s", addr), "%s", local.Queued(h.Paths).Hint())
	}
	members, err := h.Store.Members(h.c)
	if err != nil {
		return err
	}
	if i := slices.IndexFunc(members, func(n cluster.Node) bool { return n.Address == addr || n.Former == addr }); i >= 0 {
		return fault.New(fault.Usage, "%s is the address of node %s", addr, members[i].Name)
	}
	return h.isHere(to)
}

// isHere fails unless the address is this server's and its port is free, or
// served already.
func (h *here) isHere(to netip.AddrPort) error {
	var given []netip.Addr
	if h.Own() {
		given = []netip.Addr{to.Addr()}
	}
	facts, err := host.Read(h.Root, given...)
	if err != nil {
		return err
	}
	a, found := facts.Find(to.Addr())
	if !found {
		return fault.Hint(fault.New(fault.Usage, "address %s is not on any interface here", to.Addr()),
			"ip -brief address; add it: ip address add %s/24 dev INTERFACE", to.Addr())
	}
	if other, err := host.Holder(h.c, a.Interface, to.Addr()); err == nil && other != nil && !h.Own() {
		return fault.Hint(fault.New(fault.Failed, "another host on %s, %s, has %s too", a.Interface, other, to.Addr()),
			"take the address from it, or choose another one")
	}
	if slices.Contains(h.Identity.Others, to) {
		return nil
	}
	l, err := net.Listen("tcp", to.String())
	if err != nil {
		return fault.Hint(fmt.Errorf("port %d of %s: %w", to.Port(), to.Addr(), err), "see who has it: ss -ltnp 'sport = :%d'", to.Port())
	}
	return l.Close()
}

// beginMove has the manager answer at both addresses, and the nodes told.
func (h *here) beginMove(to netip.AddrPort) error {
	is := h.Identity
	others := slices.DeleteFunc(is.ManagerAddresses(), func(at netip.AddrPort) bool { return at == to })
	if err := h.Store.SetManager(h.c, to, others...); err != nil {
		return err
	}
	is.Manager, is.Others = to, others
	h.Poke()
	h.c.Notef("the quorum IP is now %s; the manager goes on answering at %s until every node knows", to, addressNames(others))
	return h.tellTokens()
}

func addressNames(addresses []netip.AddrPort) string {
	var names []string
	for _, at := range addresses {
		names = append(names, at.String())
	}
	return strings.Join(names, " and ")
}

// tellTokens names the invitations that lead to the old address.
func (h *here) tellTokens() error {
	tokens, err := h.Store.Tokens(h.c)
	if err != nil {
		return err
	}
	for i := range tokens {
		if t := &tokens[i]; t.Word(h.c.Now()) == cluster.TokenOpen {
			h.c.Notef("the token for %s names the old address, and is good while that is served; a new one: iwx-node add %s", t.Name, t.Name)
		}
	}
	return nil
}

// await waits until the daemon has ended the move, which it does when every node
// knows the new address.
func (v *quorumVerb) await(h *here) error {
	ctx, cancel := context.WithTimeout(h.c, v.Timeout)
	defer cancel()
	missing := ""
	err := h.Store.Follow(ctx, func() (bool, error) {
		done, now, err := h.lookAtMove(h.c)
		if err == nil && !done && now != missing && now != "" {
			h.c.Notef("not there yet: %s", now)
			missing = now
		}
		return done, err
	})
	if err != nil && ctx.Err() != nil {
		return v.late(h, missing)
	}
	return err
}

// lookAtMove reports whether the move has come to its end, and if not who is
// missing.
func (h *here) lookAtMove(ctx context.Context) (done bool, missing string, err error) {
	is, err := h.Store.Identity(ctx)
	if err != nil {
		return false, "", err
	}
	if !is.Moving() {
		h.c.Notef("every node knows the quorum IP %s, and the old one is answered no longer", is.Manager)
		return true, "", nil
	}
	missing, err = h.unmoved(ctx)
	return false, missing, err
}

// late is the end of a wait that was too long, or was interrupted.
func (v *quorumVerb) late(h *here, missing string) error {
	hint := fmt.Sprintf("wait again: iwx-cluster-setup quorum-ip %[1]s\nor do without those nodes: iwx-cluster-setup quorum-ip %[1]s --drop-old", v.New)
	if err := h.c.Err(); errors.Is(err, context.Canceled) {
		h.c.Notef("the move goes on; to wait again: iwx-cluster-setup quorum-ip %s", v.New)
		return err
	}
	return fault.Hint(fault.New(fault.TimedOut, "after %s the new quorum IP is not known to %s; the move goes on, and the manager answers at %s too",
		cli.Duration(v.Timeout), missing, addressNames(h.Identity.Others)), "%s", hint)
}

// unmoved names the nodes that are not known to have found the way, with why.
func (h *here) unmoved(ctx context.Context) (string, error) {
	nodes, err := h.Store.Present(ctx)
	if err != nil {
		return "", err
	}
	server := *h.Server
	if server.Config, err = conf.Load(ctx, h.Paths.Config); err != nil {
		return "", err
	}
	known, err := upkeep.Look(ctx, &server)
	if err != nil {
		return "", err
	}
	names, err := known.Unmoved(nodes)
	for i, name := range names {
		n := &nodes[slices.IndexFunc(nodes, func(n cluster.Node) bool { return n.Name == name })]
		if n.Word() == cluster.WordUnreachable {
			names[i] += " (unreachable)"
		} else if p := n.Status.Profile; p != nil && p.Trouble() != nil && p.Trouble().Error != "" {
			names[i] += " (" + p.Trouble().Error + ")"
		}
	}
	return strings.Join(names, ", "), err
}

// drop ends a move without waiting.
func (v *quorumVerb) drop(h *here, to netip.AddrPort) error {
	is := h.Identity
	switch {
	case to != is.Manager:
		return fault.Hint(fault.New(fault.Failed, "the quorum IP is %s, not %s", is.Manager, to), "move it first: iwx-cluster-setup quorum-ip %s", v.New)
	case !is.Moving():
		h.c.Notef("the manager answers at %s alone already", to)
		return nil
	}
	missing, err := h.unmoved(h.c)
	if err != nil {
		return err
	}
	if err := h.Store.EndMove(h.c, to); err != nil {
		return err
	}
	h.Poke()
	h.c.Notef("the manager answers at %s alone", to)
	if missing != "" {
		h.c.Notef("these may not use the new address yet: %s; on them, if needed: iwx-cluster-setup quorum-ip %s", missing, v.New)
	}
	return nil
}

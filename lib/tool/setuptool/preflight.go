package setuptool

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"

	"iwx/lib/api"
	"iwx/lib/cli"
	"iwx/lib/cluster"
	"iwx/lib/fault"
	"iwx/lib/join"
	"iwx/lib/preflight"
	"iwx/lib/profile"
	"iwx/lib/tool/upkeep"
)

type preflightVerb struct {
	cli.Output
	Role     string `placeholder:"ROLE" help:"The server's future role: manager or node. Without it, its present role; else a node, or with --quorum-ip a manager."`
	QuorumIP ip     `name:"quorum-ip" placeholder:"IP" complete:"address" help:"Manager: the address at which nodes connect to it."`
	Manager  string `placeholder:"ADDR" help:"Node: ask the manager at this address too, with its port if it is not the default."`
	Address  ip     `placeholder:"IP" complete:"address" help:"With --root: the server's own address."`
}

// Examples implements cli.Exampled.
func (*preflightVerb) Examples() string {
	return `iwx-cluster-setup preflight --quorum-ip 192.0.2.10
iwx-cluster-setup preflight --manager 192.0.2.10`
}

// Run makes all checks and prints them. The exit code is 3 when one fails.
func (v *preflightVerb) Run(c *cli.Context) error {
	if v.Role != "" && v.Role != string(preflight.Manager) && v.Role != string(preflight.Node) {
		return fault.New(fault.Usage, "--role %q is neither manager nor node", v.Role)
	}
	h, err := look(c, v.Address.Addr, v.QuorumIP.Addr)
	if err != nil {
		return err
	}
	defer h.Close()
	s := h.server(v.role(h))
	s.QuorumIP = v.QuorumIP.Addr
	if h.Identity != nil && !s.QuorumIP.IsValid() {
		s.QuorumIP = h.Identity.Manager.Addr()
	}
	if s.DNS.Provider, err = h.dnsProvider(); err != nil {
		return err
	}
	probes := s.Probes()
	if v.Manager != "" {
		at, err := v.manager(h)
		if err != nil {
			return err
		}
		probes = append(probes, h.managerProbes(at)...)
	}
	return showChecks(c, v.Output, s.Role, preflight.Run(c, probes, checkLimit))
}

func (v *preflightVerb) role(h *here) preflight.Role {
	switch {
	case v.Role != "":
		return preflight.Role(v.Role)
	case v.QuorumIP.IsValid():
		return preflight.Manager
	case h.Identity != nil:
		return preflight.Role(h.Identity.Role)
	}
	return preflight.Node
}

// dnsProvider is the setting that counts: a node is told by its profile what the
// manager's is.
func (h *here) dnsProvider() (string, error) {
	if h.Identity == nil || h.Identity.Role == cluster.RoleManager {
		return h.Config.DNS.Provider, nil
	}
	saved, err := h.Store.Profile().Load(h.c)
	if err == nil && slices.ContainsFunc(saved.Desired.Document.Items, func(i profile.Item) bool { return i.Kind == upkeep.KindDNS }) {
		return "bind", nil
	}
	return "", err
}

// manager reads the address of the manager's API.
func (v *preflightVerb) manager(h *here) (netip.AddrPort, error) {
	if at, err := netip.ParseAddrPort(v.Manager); err == nil {
		return at, nil
	}
	addr, err := netip.ParseAddr(v.Manager)
	if err != nil {
		return netip.AddrPort{}, fault.New(fault.Usage, "--manager %q is not an IP address, with or without a port", v.Manager)
	}
	return netip.AddrPortFrom(addr, uint16(h.Config.Cluster.Port)), nil
}

// showChecks prints the checks under their verdict.
func showChecks(c *cli.Context, o cli.Output, role preflight.Role, checks []preflight.Check) error {
	failed := 0
	for _, check := range checks {
		if check.Status == preflight.Fail {
			failed++
		}
	}
	if o.Human() {
		verdict := "this server meets the requirements of a " + string(role)
		if failed > 0 {
			verdict = fmt.Sprintf("this server does not meet the requirements of a %s: %d of %d checks failed", role, failed, len(checks))
		}
		if err := c.Printf("%s\n", verdict); err != nil {
			return err
		}
	}
	if err := checkTable().Write(c, o, checks); err != nil || failed == 0 {
		return err
	}
	return cli.Exit(fault.Unhealthy)
}

// managerProbes ask the manager, once, what anyone may ask it: they tell
// whether it is there, how far the clocks are apart, and whether it is in a
// network of this server.
func (h *here) managerProbes(at netip.AddrPort) []preflight.Probe {
	type answer struct {
		ahead time.Duration
		err   error
	}
	var once sync.Once
	var a answer
	ask := func(ctx context.Context) answer {
		once.Do(func() {
			var ca *x509.Certificate
			ca, a.ahead, a.err = api.FetchCA(ctx, at, h.Address, h.c.Now)
			if a.err == nil && ca == nil {
				a.err = fault.New(fault.Failed, "%s has no CA", at)
			}
		})
		return a
	}
	return []preflight.Probe{
		{Name: preflight.NamePorts, Run: func(ctx context.Context) preflight.Result {
			if err := ask(ctx).err; err != nil {
				return preflight.Result{Status: preflight.Fail, Detail: fault.Plain(err), Remedy: fault.HintOf(err)}
			}
			return preflight.Result{Status: preflight.OK, Detail: "the manager answers at " + at.String()}
		}},
		{Name: preflight.NameClock, Run: func(ctx context.Context) preflight.Result {
			a := ask(ctx)
			if a.err != nil {
				return preflight.Result{Status: preflight.Skip, Detail: "the manager does not answer"}
			}
			return clockResult(a.ahead)
		}},
		{Name: preflight.NameSegment, Run: func(context.Context) preflight.Result { return h.segment(at.Addr()) }},
	}
}

// clockResult judges how far the manager's clock is ahead.
func clockResult(ahead time.Duration) preflight.Result {
	if ahead.Abs() <= join.MaxSkew {
		return preflight.Result{Status: preflight.OK, Detail: "the manager's clock is less than " + strconv.Itoa(int(join.MaxSkew.Seconds())) + " s away"}
	}
	direction := "behind"
	if ahead < 0 {
		direction = "ahead of"
	}
	return preflight.Result{
		Status: preflight.Fail, Remedy: preflight.SyncClocks,
		Detail: fmt.Sprintf("this server's clock is %.0f s %s the manager's", ahead.Abs().Seconds(), direction),
	}
}

// segment looks for a network of this server that the manager is in.
func (h *here) segment(manager netip.Addr) preflight.Result {
	for _, a := range h.Facts.Addresses {
		if a.Prefix.Masked().Contains(manager) {
			return preflight.Result{Status: preflight.OK, Detail: fmt.Sprintf("%s is in %s", manager, a.Prefix.Masked())}
		}
	}
	return preflight.Result{
		Status: preflight.Fail, Remedy: "give this server an address in the manager's network",
		Detail: fmt.Sprintf("%s is in no network of this server", manager),
	}
}

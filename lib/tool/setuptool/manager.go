package setuptool

import (
	"errors"
	"fmt"
	"net/netip"
	"os"

	"iwx/lib/atomicfile"
	"iwx/lib/backup"
	"iwx/lib/cli"
	"iwx/lib/cluster"
	"iwx/lib/fault"
	"iwx/lib/pki"
	"iwx/lib/preflight"
	"iwx/lib/tool/local"
)

type managerVerb struct {
	QuorumIP ip       `name:"quorum-ip" required:"" placeholder:"IP" complete:"address" help:"Address of this server that the nodes reach it by."`
	Name     string   `placeholder:"NAME" help:"Name of the cluster; without it, the host name."`
	Address  ip       `placeholder:"IP" complete:"address" help:"With --root: the server's own address, beside the quorum IP."`
	Ignore   []string `placeholder:"CHECK" complete:"check" help:"Go on although this check fails."`
	DryRun   bool     `help:"Make the checks, print what would be done, and do nothing."`
}

// Examples implements cli.Exampled.
func (*managerVerb) Examples() string {
	return `iwx-cluster-setup manager --quorum-ip 192.0.2.10
iwx-cluster-setup manager --quorum-ip 192.0.2.10 --name web > recovery.key`
}

// Run makes this server the manager of a new cluster. The recovery key is all
// that goes to standard output.
func (v *managerVerb) Run(c *cli.Context) error {
	h, err := look(c, v.Address.Addr, v.QuorumIP.Addr)
	if err != nil {
		return err
	}
	defer h.Close()
	id, err := v.identity(h)
	if err != nil {
		return err
	}
	if err := v.differs(h, id); err != nil {
		return err
	}
	if h.Identity == nil {
		s := h.server(preflight.Manager)
		s.QuorumIP = v.QuorumIP.Addr
		if err := h.require(c, s, v.Ignore); err != nil {
			return err
		}
	}
	steps := h.managerSteps(id)
	if v.DryRun {
		return h.plan(steps)
	}
	return v.setUp(h, steps)
}

func (v *managerVerb) setUp(h *here, steps []step) error {
	if err := atomicfile.MkdirAll(h.Lib, 0o700); err != nil {
		return err
	}
	unlock, err := h.lock()
	if err != nil {
		return err
	}
	defer unlock()
	before := h.Identity
	changed, err := h.take(steps)
	switch {
	case err != nil:
		return err
	case !changed:
		h.c.Notef("already %s", h.who())
		return nil
	case before != nil:
		h.c.Notef("the setup was not complete; it is now")
		return nil
	}
	h.c.Notef("this server is now %s", h.who())
	h.sayEngine()
	h.sayStart()
	h.c.Notef("next, for each node: iwx-node add NAME")
	return nil
}

// sayStart reports how to start the daemon where that is the operator's to do.
func (h *here) sayStart() {
	if !h.systemd() {
		h.c.Notef("the daemon is not started here: %s", local.Queued(h.Paths).Start)
	}
}

// identity is what this server is to become.
func (v *managerVerb) identity(h *here) (*cluster.Identity, error) {
	name := v.Name
	if name == "" {
		name = h.shortName()
		if h.Identity != nil {
			name = h.Identity.ClusterName
		}
	}
	if err := cluster.CheckName(name); err != nil {
		return nil, fault.Hint(err, "name the cluster: --name NAME")
	}
	return &cluster.Identity{
		Role: cluster.RoleManager, ClusterName: name, Name: h.shortName(), MachineID: h.Facts.MachineID,
		Manager: netip.AddrPortFrom(v.QuorumIP.Addr, uint16(h.Config.Cluster.Port)),
		Address: h.ownAddress(v.QuorumIP.Addr),
	}, nil
}

// ownAddress is the manager's own one: in the quorum IP's network if it can be.
func (h *here) ownAddress(quorum netip.Addr) netip.Addr {
	if h.Address.IsValid() {
		return h.Address
	}
	network, _ := h.Facts.Find(quorum)
	var found netip.Addr
	for _, a := range h.Facts.Addresses {
		if a.Loopback || a.Addr() == quorum || a.Addr().IsLinkLocalUnicast() {
			continue
		}
		if network.Prefix.Masked().Contains(a.Addr()) {
			return a.Addr()
		}
		if !found.IsValid() {
			found = a.Addr()
		}
	}
	return found
}

// differs fails when this server is set up already, as something else than
// what is asked for.
func (v *managerVerb) differs(h *here, want *cluster.Identity) error {
	is := h.Identity
	if is == nil || is.Role == want.Role && is.ClusterName == want.ClusterName && is.Manager == want.Manager {
		return nil
	}
	if is.Role == want.Role && is.ClusterName == want.ClusterName && is.Manager.Addr() == want.Manager.Addr() {
		return fault.Hint(fault.New(fault.Failed, "this server is %s, and %s says port %d", h.who(), h.Paths.Config, want.Manager.Port()),
			"the nodes know the manager by its port: set [cluster] port to %d again", is.Manager.Port())
	}
	return fault.Hint(fault.New(fault.Failed, "this server is %s; it cannot become %s", h.who(), who(want)),
		"see its setup: iwx-cluster-setup status\nundo that: iwx-cluster-setup reset")
}

// managerSteps lead from a bare server to a manager at work.
func (h *here) managerSteps(id *cluster.Identity) []step {
	return []step{h.stateStep(), h.directories(), h.configStep(), h.keysStep(), h.engineStep(), h.managerStep(id), h.unitStep(unit), h.unitStep(backupTimer)}
}

// managerStep makes the recovery key and with it the server the manager. The key
// is shown before its public half is stored: a run that is killed in between
// shows another one the next time.
func (h *here) managerStep(id *cluster.Identity) step {
	return step{
		what: fmt.Sprintf("become %s, and show the recovery key", who(id)),
		done: func() (bool, error) { return h.Identity != nil, nil },
		do: func() error {
			ca, err := h.Keys.CA()
			if err != nil {
				return err
			}
			logKey, err := h.Keys.LogPublic()
			if err != nil {
				return err
			}
			secret, recipient, err := backup.NewRecoveryKey()
			if err != nil {
				return err
			}
			if err := h.showKey(id, secret); err != nil {
				return err
			}
			id.ClusterID, id.LogKey, id.Recovery, id.SetupAt = ca.ClusterID(), logKey, recipient, h.c.Now()
			if err := h.Store.SetIdentity(h.c, id); err != nil {
				return err
			}
			h.Identity = id
			return nil
		},
	}
}

// showKey prints the recovery key in the form of a key file, so that standard
// output can be one.
func (h *here) showKey(id *cluster.Identity, secret string) error {
	again := ""
	if h.Begun {
		again = "# A key that an earlier, unfinished setup showed is void.\n"
	}
	return h.c.Printf(`# The recovery key of cluster %s. It opens the cluster's backups, and nothing
# else does. It is shown this once and stored nowhere: keep it away from this
# server, in a password manager or on paper.
%s%s
`, id.ClusterName, again, secret)
}

// ensureCA returns the cluster's CA; a new one comes with the cluster's id.
func (h *here) ensureCA() (*pki.CA, error) {
	clusterID := pki.NewID()
	root, err := h.Keys.Root()
	if err == nil {
		clusterID, err = pki.ClusterID(root)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	return h.Keys.EnsureCA(clusterID, h.c.Now())
}

package setuptool

import (
	"crypto/x509"
	"encoding/pem"
	"net/netip"
	"time"

	"iwx/lib/api"
	"iwx/lib/atomicfile"
	"iwx/lib/cli"
	"iwx/lib/cluster"
	"iwx/lib/fault"
	"iwx/lib/join"
	"iwx/lib/pki"
	"iwx/lib/preflight"
)

type nodeVerb struct {
	File    string   `arg:"" optional:"" complete:"file" help:"File that holds the token; - for standard input. Without it, the token is asked for."`
	Address ip       `placeholder:"IP" complete:"address" help:"With --root: the server's own address."`
	Ignore  []string `placeholder:"CHECK" complete:"check" help:"Go on although this check fails, here or on the manager."`
	DryRun  bool     `help:"Make the checks, print what would be done, and do nothing."`
}

// Examples implements cli.Exampled.
func (*nodeVerb) Examples() string {
	return `iwx-cluster-setup node
iwx-cluster-setup node token.txt
ssh root@manager iwx-node add web2 | iwx-cluster-setup node -`
}

// Run joins the cluster that the token invites to.
func (v *nodeVerb) Run(c *cli.Context) error {
	if err := checkArgument(v.File); err != nil {
		return err
	}
	h, err := look(c, v.Address.Addr, netip.Addr{})
	if err != nil {
		return err
	}
	defer h.Close()
	if err := h.mayBeNode(); err != nil {
		return err
	}
	token, err := v.token(c)
	if err != nil {
		return err
	}
	if h.Identity != nil {
		lapsed, err := h.membership(token)
		if err != nil {
			return err
		}
		if !lapsed {
			return v.again(h)
		}
	}
	if err := h.require(c, h.server(preflight.Node), v.Ignore); err != nil {
		return err
	}
	if v.DryRun {
		return h.plan(h.nodeSteps(&joining{here: h, token: token}))
	}
	if token == nil {
		asked, err := askToken(c)
		if err != nil {
			return err
		}
		token = &asked
	}
	return v.join(h, token)
}

// token reads the one that was given; nil if it is to be asked for.
func (v *nodeVerb) token(c *cli.Context) (*join.Token, error) {
	if v.File == "" {
		return nil, nil
	}
	token, err := readToken(c, v.File)
	return &token, err
}

// mayBeNode fails on a manager.
func (h *here) mayBeNode() error {
	if h.Identity == nil || h.Identity.Role == cluster.RoleNode {
		return nil
	}
	return fault.Hint(fault.New(fault.Failed, "this server is %s; it cannot become a node", h.who()),
		"see its setup: iwx-cluster-setup status\nundo that: iwx-cluster-setup reset")
}

// membership reports whether this server has to join again to be the node that it
// is: its certificate has expired, or is gone. The error is for one that cannot,
// or that the token does not invite.
func (h *here) membership(token *join.Token) (lapsed bool, err error) {
	root, err := h.Keys.Root()
	if err != nil {
		return false, err
	}
	if token != nil && token.Pin != pki.PinOf(root) {
		return false, fault.Hint(fault.New(fault.Failed, "this server is %s, and the token is for another cluster, at %s", h.who(), token.Manager),
			"leave the one before joining the other: iwx-cluster-setup reset")
	}
	contact, err := h.Store.Contact(h.c)
	if err != nil {
		return false, err
	}
	if contact.Reason == cluster.RefusedDeleted || contact.Reason == cluster.RefusedClone {
		return false, fault.Hint(fault.New(fault.Failed, "this server is %s, which the manager refuses: %s", h.who(), contact.Error), "%s", contact.Hint)
	}
	cert, err := h.Keys.Certificate()
	return err != nil || h.c.Now().After(cert.Leaf.NotAfter), nil
}

// again is what there is to do on a member: what an earlier run left undone.
func (v *nodeVerb) again(h *here) error {
	steps := h.nodeSteps(nil)
	if v.DryRun {
		return h.plan(steps)
	}
	unlock, err := h.lock()
	if err != nil {
		return err
	}
	defer unlock()
	changed, err := h.take(steps)
	if err == nil && changed {
		h.c.Notef("the setup was not complete; it is now")
	} else if err == nil {
		h.c.Notef("already a member: %s", h.who())
	}
	return err
}

// join does what the plan says.
func (v *nodeVerb) join(h *here, token *join.Token) error {
	j := &joining{here: h, token: token, ignore: v.Ignore, fresh: !h.Begun}
	met := h.c.Slow("ask the manager at " + token.Manager.String())
	err := j.meet()
	met()
	if err != nil {
		return err
	}
	if err := atomicfile.MkdirAll(h.Lib, 0o700); err != nil {
		return err
	}
	unlock, err := h.lock()
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := h.take(h.nodeSteps(j)); err != nil {
		return err
	}
	h.warn(j.answer.Checks)
	h.c.Notef("this server is now %s", h.who())
	if j.answer.Left > 0 {
		h.c.Notef("it does not replay the entries from before it joined: %s of the log up to %d, but for the baseline", cli.Count(j.answer.Left, "record", "records"), j.answer.Start-1)
	}
	h.sayStart()
	if err := h.settle(); err != nil {
		return err
	}
	h.c.Notef("next: iwx-cluster-setup status")
	return nil
}

// nodeSteps lead from a bare server to a node at work. j is nil on a member.
func (h *here) nodeSteps(j *joining) []step {
	joinStep := step{what: "join the cluster", done: func() (bool, error) { return j == nil, nil }}
	if j != nil {
		joinStep.do = j.join
		if j.token != nil {
			joinStep.what += " of the manager at " + j.token.Manager.String()
		}
	}
	return []step{h.stateStep(), h.directories(), joinStep, h.configStep(), h.unitStep(unit)}
}

// joining is a conversation with the manager.
type joining struct {
	*here
	token  *join.Token
	ignore []string
	fresh  bool // nothing of an earlier run is here

	client *api.Client
	now    func() time.Time // the manager's clock
	ca     *x509.Certificate
	answer *cluster.JoinAnswer
}

// meet finds out whether who answers is the manager that made the token. It
// sends nothing secret and writes nothing.
func (j *joining) meet() error {
	ca, ahead, err := api.FetchCA(j.c, j.token.Manager, j.Address, j.c.Now)
	if err != nil {
		return err
	}
	if err := pki.CheckPin(ca, j.token.Pin); err != nil {
		return err
	}
	// The manager's certificate is judged by the manager's clock: if this one
	// is wrong, the manager says by how many seconds.
	j.now = func() time.Time { return j.c.Now().Add(ahead) }
	config, err := pki.ClientConfig(ca, new(pki.Credentials), j.now)
	if err != nil {
		return err
	}
	j.ca = ca
	j.client = api.NewClient([]netip.AddrPort{j.token.Manager}, j.Address, config)
	return nil
}

// join asks for a place and takes it. If the answer is lost, asking again with
// the same key gets the same place; if it is no, nothing of the attempt stays.
func (j *joining) join() error {
	defer j.client.Close()
	if err := j.ask(); err != nil {
		if final(err) && j.fresh {
			if _, undo := j.undoAll(); undo != nil {
				j.c.Warnf("%v", undo)
			}
		}
		return j.refused(err)
	}
	return j.save()
}

// final reports whether the manager has said no, and nothing was done there. An
// error of its own may come after this server was let in.
func final(err error) bool {
	r := refusal(err)
	return r != nil && (r.Reason == cluster.RefusedToken || r.Reason == cluster.RefusedChecks)
}

func (j *joining) ask() error {
	key, err := j.Keys.EnsureKey()
	if err != nil {
		return err
	}
	csr, err := pki.NewCSR(key)
	if err != nil {
		return err
	}
	request := &cluster.JoinRequest{
		TokenID: j.token.ID.String(), Secret: j.token.Secret[:],
		CSR:   string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: csr})),
		Facts: j.Facts, Version: cli.Version, Time: j.c.Now().UnixMilli(), Ignore: j.ignore,
	}
	if j.Identity != nil {
		request.NodeID = j.Identity.NodeID
	}
	j.answer, err = j.client.Join(j.c, request)
	return err
}

// save stores the place, the identity last: it is what makes this server a
// node.
func (j *joining) save() error {
	a := j.answer
	cert, err := api.ParseCertificate(a.Certificate)
	if err != nil {
		return err
	}
	id := &cluster.Identity{
		Role: cluster.RoleNode, ClusterID: a.ClusterID, ClusterName: a.ClusterName, NodeID: a.NodeID, Name: a.Name,
		MachineID: j.Facts.MachineID, Manager: j.token.Manager, Address: j.Address,
		LogKey: a.LogKey, Start: a.Start, SetupAt: j.c.Now(),
	}
	if manager, err := netip.ParseAddrPort(a.Manager); err == nil {
		id.Manager = manager
	}
	for _, save := range []func() error{
		func() error { return j.Keys.SaveRoot(j.ca) },
		func() error { return j.Keys.SaveLogPublic(a.LogKey) },
		func() error { return j.Keys.SaveCertificate(cert) },
		func() error { return j.Store.SetIdentity(j.c, id) },
	} {
		if err := save(); err != nil {
			return err
		}
	}
	j.Identity = id
	return nil
}

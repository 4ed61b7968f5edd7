package cluster

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"iwx/lib/fault"
	"iwx/lib/host"
	"iwx/lib/join"
	"iwx/lib/pki"
	"iwx/lib/preflight"
)

// A server may try to join this often; a token's secret is 128 bits, so this is
// against noise rather than guessing.
const (
	joinTries  = 20
	joinWindow = time.Minute
	joinPeers  = 4096 // addresses that are remembered
)

// limiter counts attempts by address.
type limiter struct {
	mu    sync.Mutex
	since time.Time
	tries map[netip.Addr]int
}

// allow reports whether one more attempt is within the limit.
func (l *limiter) allow(from netip.Addr, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.since) > joinWindow || l.tries == nil || len(l.tries) > joinPeers {
		l.since, l.tries = now, map[netip.Addr]int{}
	}
	l.tries[from]++
	return l.tries[from] <= joinTries
}

// hintNewToken is what to do about a token that is of no use.
const hintNewToken = "on the manager: iwx-node add %s"

// Join turns a token into a place in the cluster. The same key asking again
// gets the same place, so a lost answer costs nothing.
func (m *Manager) Join(ctx context.Context, remote netip.Addr, req *JoinRequest) (*JoinAnswer, error) {
	if !m.joins.allow(remote, m.Now()) {
		return nil, Refuse(RefusedLimit, "wait a minute, then try again",
			"%s has tried to join %d times within %s", remote, joinTries, joinWindow)
	}
	block, _ := pem.Decode([]byte(req.CSR))
	if block == nil {
		return nil, Refuse(RefusedMalformed, "", "the certificate request is not PEM")
	}
	key, err := pki.ParseCSR(block.Bytes)
	if err != nil {
		return nil, Refuse(RefusedMalformed, "", "the certificate request: %v", err)
	}
	public, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return nil, Refuse(RefusedMalformed, "", "the certificate request: %v", err)
	}
	a := &admission{m: m, req: req, remote: remote, csr: block.Bytes, keyHash: sha256.Sum256(public), now: m.Now()}
	// Strangers cause no work: look at the token before anything else.
	if err := m.Store.Admit(ctx, req.TokenID, a.checkOnly); err != nil {
		return nil, err
	}
	if a.facts, err = m.Facts(); err != nil {
		return nil, err
	}
	// Accounts of a directory service are in no file. Looking them up may take a
	// while, so do it before locking the state.
	if m.Known != nil {
		known, err := m.Known(ctx, a.facts.Users, req.Facts.Users)
		a.facts.Users, a.unanswered = append(a.facts.Users, known...), err
	}
	a.now = m.Now()
	if err := m.Store.Admit(ctx, req.TokenID, a.decide); err != nil {
		return nil, err
	}
	m.Log.Info("a node has joined", "node", a.node.Name, "id", a.node.ID, "remote", remote, "again", a.answer.Again)
	return &a.answer, m.Refresh(ctx)
}

// admission is one server's request to join, on its way to an answer.
type admission struct {
	m          *Manager
	facts      host.Facts // the manager's
	unanswered error      // why it is unknown whether a user of the node exists here
	req        *JoinRequest
	remote     netip.Addr
	csr        []byte
	keyHash    [sha256.Size]byte
	now        time.Time

	node   Node
	answer JoinAnswer
}

// checkOnly is a Decide that admits nobody: it fails if the token would.
func (a *admission) checkOnly(token *Token, _ []Node, _ uint64) ([]Node, error) {
	_, err := a.checkToken(token)
	return nil, err
}

// decide implements Decide.
func (a *admission) decide(token *Token, nodes []Node, head uint64) ([]Node, error) {
	again, err := a.checkToken(token)
	if err != nil {
		return nil, err
	}
	if again {
		for _, n := range nodes {
			if n.ID == token.NodeID && n.Membership.Belongs() {
				return a.admit(token, n, head, true)
			}
		}
		return nil, Refuse(RefusedToken, fmt.Sprintf(hintNewToken, token.Name), "token %s has been used, and the node that joined with it is gone", token.ID)
	}
	checks := preflight.Ignore(a.compare(token, nodes), a.req.Ignore)
	if preflight.Verdict(checks) == preflight.Fail {
		refusal := Refuse(RefusedChecks, "", "the manager does not take this server as %s", token.Name)
		refusal.Checks = checks
		return nil, refusal
	}
	if err := a.taken(token, nodes); err != nil {
		return nil, err
	}
	a.answer.Checks = checks
	return a.place(token, nodes, head)
}

// taken refuses a second member under one name or on one machine, which the
// checks tell of and an operator may have ignored.
func (a *admission) taken(token *Token, nodes []Node) error {
	for _, n := range nodes {
		if !n.Membership.Belongs() || n.ID == token.Rejoin {
			continue
		}
		rejoin := fmt.Sprintf(hintNewToken+" --rejoin", n.Name)
		sameMachine := n.MachineID == a.req.Facts.MachineID
		if !sameMachine && n.Name != token.Name {
			continue
		}
		switch {
		case n.Membership == Leaving:
			return Refuse(RefusedChecks, fmt.Sprintf("on the manager: iwx-node delete %s", n.Name),
				"the server is, or has the name of, node %s, which has not left the cluster yet", n.Name)
		case sameMachine && n.Name != token.Name:
			return Refuse(RefusedChecks, "on a copied server: rm /etc/machine-id && systemd-machine-id-setup && reboot",
				"the server is a member already, as %s", n.Name)
		case sameMachine:
			return Refuse(RefusedChecks, rejoin, "the server is a member already, as %s", n.Name)
		}
		return Refuse(RefusedChecks, rejoin, "another server is a member under the name %s", n.Name)
	}
	return nil
}

// checkToken tells each way apart in which a token can be of no use.
func (a *admission) checkToken(token *Token) (again bool, err error) {
	if token == nil {
		return false, Refuse(RefusedToken, fmt.Sprintf(hintNewToken, "NAME"), "the manager knows no token %.16q", a.req.TokenID)
	}
	hint := fmt.Sprintf(hintNewToken, token.Name)
	if len(a.req.Secret) != len(join.Secret{}) || len(token.Hash) != len(join.Hash{}) ||
		!join.Hash(token.Hash).Admits(join.Secret(a.req.Secret)) {
		return false, Refuse(RefusedToken, hint, "the secret of token %s is wrong", token.ID)
	}
	switch {
	case !token.UsedAt.IsZero() && string(token.KeyHash) == string(a.keyHash[:]):
		return true, nil
	case !token.UsedAt.IsZero():
		return false, Refuse(RefusedToken, a.hintUsed(token), "token %s was used at %s by %s", token.ID, stamp(token.UsedAt), token.UsedBy)
	case !token.RevokedAt.IsZero():
		return false, Refuse(RefusedToken, hint, "token %s was revoked at %s", token.ID, stamp(token.RevokedAt))
	case a.now.After(token.ExpiresAt):
		return false, Refuse(RefusedToken, hint, "token %s expired at %s", token.ID, stamp(token.ExpiresAt))
	case token.Address.IsValid() && token.Address != a.remote:
		return false, Refuse(RefusedToken, fmt.Sprintf("on the manager: iwx-node add %s --address %s", token.Name, a.remote),
			"token %s is bound to %s, and this server comes from %s", token.ID, token.Address, a.remote)
	}
	return false, nil
}

// hintUsed is the way on for who comes with a token that a member has used: a
// server of another name, or that member, set up anew.
func (a *admission) hintUsed(token *Token) string {
	return fmt.Sprintf(hintNewToken, "NAME") + fmt.Sprintf("\nif this is %[1]s, set up anew: iwx-node add %[1]s --rejoin", token.Name)
}

// compare holds the server against the manager and the other members.
func (a *admission) compare(token *Token, nodes []Node) []preflight.Check {
	var members []join.Member
	for _, n := range nodes {
		if n.Membership.Belongs() && n.ID != token.Rejoin {
			members = append(members, join.Member{Name: n.Name, MachineID: n.MachineID})
		}
	}
	manager := join.Manager{Facts: a.facts, QuorumIP: a.m.Where().Manager.Addr(), Version: a.m.Version}
	candidate := join.Candidate{Name: token.Name, Facts: a.req.Facts, Version: a.req.Version, Skew: time.UnixMilli(a.req.Time).Sub(a.now)}
	checks := join.Compare(manager, candidate, members)
	for i := range checks {
		if c := &checks[i]; c.Name == preflight.NameUIDs && c.Status == preflight.OK && a.unanswered != nil {
			c.Status, c.Detail, c.Remedy = preflight.Warn, "not all accounts could be compared: "+a.unanswered.Error(), fault.HintOf(a.unanswered)
		}
	}
	return checks
}

// place finds the node's place: a new one, or the one that it had.
func (a *admission) place(token *Token, nodes []Node, head uint64) ([]Node, error) {
	var replaced []Node
	for _, n := range nodes {
		if n.ID != token.Rejoin || !n.Membership.Belongs() {
			continue
		}
		if n.ID == a.req.NodeID {
			return a.admit(token, n, head, false)
		}
		// The same name on a server that has lost its state: what it has
		// replayed is not known, so it starts as a new node does.
		n.Membership, n.EndedAt, n.EndedBy = Deleted, a.now, "joining again without its state"
		replaced = append(replaced, n)
	}
	node := Node{ID: pki.NewID(), Name: token.Name, Membership: Member, JoinedAt: a.now, Start: head + 1}
	if token.From == FromBeginning {
		node.Start = 1
	}
	admitted, err := a.admit(token, node, head, false)
	return append(replaced, admitted...), err
}

// admit fills in the node and the answer.
func (a *admission) admit(token *Token, n Node, head uint64, again bool) ([]Node, error) {
	cert, err := a.m.Signer.SignNode(a.csr, n.ID)
	if err != nil {
		return nil, err
	}
	n.Address, n.MachineID, n.Facts = a.remote, a.req.Facts.MachineID, a.req.Facts
	n.CertSerial, n.CertExpires = cert.SerialNumber.Text(16), cert.NotAfter
	n.SilentSince, n.HeardSince, n.FactsAt = time.Time{}, time.Time{}, time.Time{}
	n.Connects, n.Former = netip.Addr{}, netip.Addr{}
	token.UsedAt, token.UsedBy, token.KeyHash, token.NodeID = a.now, a.remote.String(), a.keyHash[:], n.ID
	id := a.m.Where()
	a.node = n
	a.answer = JoinAnswer{
		NodeID: n.ID, Name: n.Name, ClusterID: id.ClusterID, ClusterName: id.ClusterName,
		Certificate: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})),
		LogKey:      id.LogKey, Manager: id.Manager.String(),
		Start: n.Start, Left: min(n.Start-1, head), Checks: a.answer.Checks, Again: again,
	}
	return []Node{n}, nil
}

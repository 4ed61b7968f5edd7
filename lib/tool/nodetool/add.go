package nodetool

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"time"

	"iwx/lib/cli"
	"iwx/lib/cluster"
	"iwx/lib/fault"
	"iwx/lib/join"
	"iwx/lib/pki"
	"iwx/lib/queue"
	"iwx/lib/state"
	"iwx/lib/tool/local"
)

// The bounds of a token's life. It is a secret that lies in a terminal's
// scrollback until it is used.
const (
	shortestTTL = time.Minute
	longestTTL  = 30 * 24 * time.Hour
)

type addVerb struct {
	Name    string        `arg:"" help:"Name of the node, a host name in lower case."`
	TTL     time.Duration `name:"ttl" default:"1h" placeholder:"TIME" help:"How long the token can be used."`
	Address string        `placeholder:"IP" help:"The token is good from this address only."`
	From    string        `enum:"now,beginning" default:"now" placeholder:"WHEN" help:"Where the node starts in the queue: now or beginning."`
	Rejoin  bool          `help:"The name is a member's: the server takes its place."`
}

// Examples implements cli.Exampled.
func (*addVerb) Examples() string {
	return `iwx-node add web2
iwx-node add web2 --address 192.0.2.12 --ttl 1d
iwx-node add web2 | ssh root@web2 iwx-cluster-setup node -`
}

// Run prints a token, alone, on standard output.
func (v *addVerb) Run(c *cli.Context) error {
	server, err := local.OpenManager(c, "only the manager adds nodes")
	if err != nil {
		return err
	}
	defer server.Close()
	invitation, err := v.invitation(c, server)
	if err != nil {
		return err
	}
	root, err := pki.Store{Dir: server.PKI}.Root()
	if err != nil {
		return err
	}
	token := join.NewToken(server.Identity.Manager, pki.PinOf(root))
	hash := token.Secret.Hash()
	invitation.ID, invitation.Hash = token.ID.String(), hash[:]
	replaced, err := openToken(c, server, v.Name)
	if err != nil {
		return err
	}
	if err := server.Store.AddToken(c, invitation); err != nil {
		return err
	}
	server.Poke()
	if replaced != nil {
		c.Notef("revoked token %s, an earlier one for %s", replaced.ID, v.Name)
	}
	v.sayNext(c, server, invitation)
	return c.Printf("%s\n", token.Text())
}

// invitation checks what was asked for and returns it without its secret.
func (v *addVerb) invitation(c *cli.Context, server *local.Server) (*cluster.Token, error) {
	if err := cluster.CheckName(v.Name); err != nil {
		return nil, err
	}
	if v.TTL < shortestTTL || v.TTL > longestTTL {
		return nil, fault.New(fault.Usage, "ttl %s is out of range %s..%s", cli.Duration(v.TTL), cli.Duration(shortestTTL), cli.Duration(longestTTL))
	}
	k := &cluster.Token{Name: v.Name, From: cluster.From(v.From), CreatedAt: c.Now(), ExpiresAt: c.Now().Add(v.TTL)}
	var err error
	if k.Address, err = v.address(server); err != nil {
		return nil, err
	}
	k.Rejoin, err = v.place(c, server)
	return k, err
}

func (v *addVerb) address(server *local.Server) (netip.Addr, error) {
	if v.Address == "" {
		return netip.Addr{}, nil
	}
	a, err := netip.ParseAddr(v.Address)
	if err != nil {
		return a, fault.New(fault.Usage, "address %q is not an IP address", v.Address)
	}
	a = a.Unmap()
	if id := server.Identity; a == id.Manager.Addr() || a == id.Address {
		return a, fault.New(fault.Usage, "address %s is the manager's own", a)
	}
	return a, nil
}

// place returns the id of the member whose place is taken again, "" for a new
// node.
func (v *addVerb) place(c *cli.Context, server *local.Server) (id string, err error) {
	if v.Name == server.Identity.Name {
		return "", fault.New(fault.Usage, "name %q is the manager's own", v.Name)
	}
	members, err := server.Store.Members(c)
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(members, func(n cluster.Node) bool { return n.Name == v.Name })
	switch {
	case i < 0 && v.Rejoin:
		return "", fault.Hint(fault.New(fault.Failed, "no node is called %q that could join again", v.Name),
			"for a new node: iwx-node add %s", v.Name)
	case i < 0:
		return "", nil
	case members[i].Membership == cluster.Leaving:
		return "", fault.Hint(fault.New(fault.Failed, "%q is still a member: %s", v.Name, departure(c, &members[i])),
			"wait until it has left: iwx-node delete %s", v.Name)
	case !v.Rejoin:
		return "", fault.Hint(fault.New(fault.Failed, "%q is a member already: it joined %s", v.Name, local.Ago(c, members[i].JoinedAt)),
			"if that server is to join again: iwx-node add %s --rejoin\nif it is gone: iwx-node delete %s --force", v.Name, v.Name)
	}
	if members[i].Word() != cluster.WordUnreachable {
		c.Warnf("%s is connected at this moment; the server that uses the token takes its place", v.Name)
	}
	return members[i].ID, warnPending(c, server, &members[i])
}

// warnPending lists the entries that a server without its state would not
// replay if it took the node's place: it starts as a new node does.
func warnPending(c *cli.Context, server *local.Server, n *cluster.Node) error {
	void := map[uint64]bool{}
	voids, err := server.Store.Voids(c, n.Status.Done+1, math.MaxInt64)
	if err != nil {
		return err
	}
	for _, v := range voids {
		if v.Node == "" || v.Node == n.ID {
			void[v.Seq] = true
		}
	}
	var pending []string
	err = server.Store.Entries(c, state.EntryFilter{Kind: queue.KindCommand, After: n.Status.Done}, func(r *queue.Record) error {
		targets, err := queue.DecodeTargets(r.Targets)
		if err == nil && !void[r.Seq] && targets.Scope != queue.ScopeBaseline && targets.Include(n.ID, n.Start, r.Seq) {
			pending = append(pending, fmt.Sprint(r.Seq))
		}
		return nil
	})
	if err != nil || len(pending) == 0 {
		return err
	}
	c.Warnf("%s has %s left to replay: %s; a server that joins without its state skips them", n.Name, cli.Count(len(pending), "entry", "entries"), cli.Some(pending, 10))
	c.Notef("hint: iwx-queue list --pending --node %s; once it has joined, queue those again that it still needs", n.Name)
	return nil
}

// sayNext reports what to do with the token, and for how long. It is not part of
// the output, which can be piped to the new server.
func (v *addVerb) sayNext(c *cli.Context, server *local.Server, k *cluster.Token) {
	where := v.Name
	if k.Address.IsValid() {
		where += " at " + k.Address.String()
	}
	c.Notef("a token for %s, to be used once, until %s (in %s)", where, k.ExpiresAt.Local().Format(time.DateTime), cli.Duration(v.TTL))
	c.Notef("hint: on %s: iwx-cluster-setup node", v.Name)
	server.WarnIdle(c, "no server can join until it does")
}

// openToken returns the token for name that is still good, or nil.
func openToken(c *cli.Context, server *local.Server, name string) (*cluster.Token, error) {
	tokens, err := server.Store.Tokens(c)
	if err != nil {
		return nil, err
	}
	for i := range tokens {
		if tokens[i].Name == name && tokens[i].Word(c.Now()) == cluster.TokenOpen {
			return &tokens[i], nil
		}
	}
	return nil, nil
}

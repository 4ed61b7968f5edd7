package nodetool

import (
	"slices"
	"strings"
	"time"

	"iwx/lib/cli"
	"iwx/lib/cluster"
	"iwx/lib/fault"
	"iwx/lib/tool/local"
)

type tokenVerbs struct {
	List   tokenListVerb   `cmd:"" help:"List the tokens."`
	Revoke tokenRevokeVerb `cmd:"" help:"Make a token void."`
}

type tokenListVerb struct {
	cli.Output
	Open bool `help:"Only those that can still be used."`
}

// Run lists the tokens, the newest first.
func (v *tokenListVerb) Run(c *cli.Context) error {
	server, err := local.OpenManager(c, "its manager has the tokens")
	if err != nil {
		return err
	}
	defer server.Close()
	tokens, err := server.Store.Tokens(c)
	if err != nil {
		return err
	}
	if v.Open {
		tokens = slices.DeleteFunc(tokens, func(k cluster.Token) bool { return k.Word(c.Now()) != cluster.TokenOpen })
	}
	return tokenTable(c.Now()).Write(c, v.Output, tokens)
}

func tokenTable(now time.Time) cli.Table[cluster.Token] {
	type k = cluster.Token
	return cli.Table[k]{Singular: "token", Plural: "tokens", Columns: []cli.Column[k]{
		{Name: "id", Value: func(t k) any { return t.ID }},
		{Name: "node", Value: func(t k) any { return t.Name }},
		{Name: "state", Value: func(t k) any { return cli.Mark{Text: t.Word(now), Level: tokenLevel(t.Word(now))} }},
		{Name: "expires", Value: func(t k) any { return t.ExpiresAt }},
		{Name: "address", Value: func(t k) any {
			if !t.Address.IsValid() {
				return ""
			}
			return t.Address.String()
		}},
		{Name: "used_by", Value: func(t k) any { return t.UsedBy }},
		{Name: "from", Value: func(t k) any { return string(t.From) }, Detail: true},
		{Name: "rejoin", Value: func(t k) any { return t.Rejoin != "" }, Detail: true},
		{Name: "created", Value: func(t k) any { return t.CreatedAt }, Detail: true},
		{Name: "used", Value: func(t k) any { return t.UsedAt }, Detail: true},
		{Name: "revoked", Value: func(t k) any { return t.RevokedAt }, Detail: true},
		{Name: "node_id", Value: func(t k) any { return t.NodeID }, Detail: true},
	}}
}

func tokenLevel(word string) cli.Level {
	if word == cluster.TokenOpen {
		return cli.Good
	}
	return cli.Plain
}

type tokenRevokeVerb struct {
	Token string `arg:"" complete:"token" help:"Id of the token, or name of the node that it is for."`
}

// Run revokes a token. One that is void already is no error.
func (v *tokenRevokeVerb) Run(c *cli.Context) error {
	server, err := local.OpenManager(c, "only the manager revokes tokens")
	if err != nil {
		return err
	}
	defer server.Close()
	tokens, err := server.Store.Tokens(c)
	if err != nil {
		return err
	}
	found := findToken(tokens, v.Token, c.Now())
	if found == nil {
		return fault.Hint(fault.New(fault.Failed, "there is no token %q, nor one for a node of that name", v.Token), "iwx-node token list")
	}
	switch word := found.Word(c.Now()); word {
	case cluster.TokenOpen, cluster.TokenUsed: // the state tells what a used one needs
	case cluster.TokenExpired:
		c.Notef("token %s, for %s, expired %s; nothing changed", found.ID, found.Name, local.Ago(c, found.ExpiresAt))
		return nil
	default:
		c.Notef("token %s, for %s, was %s %s; nothing changed", found.ID, found.Name, word, local.Ago(c, found.RevokedAt))
		return nil
	}
	if err := server.Store.RevokeToken(c, found.ID, c.Now()); err != nil {
		return err
	}
	server.Poke()
	c.Notef("revoked token %s, for %s", found.ID, found.Name)
	return nil
}

// findToken returns the token of that id, else the open one for a node of that
// name, else the newest for it; nil when there is none.
func findToken(tokens []cluster.Token, name string, now time.Time) *cluster.Token {
	var found *cluster.Token
	for i := range tokens {
		k := &tokens[i]
		switch {
		case k.ID == strings.ToLower(name):
			return k
		case k.Name != name:
		case found == nil, k.Word(now) == cluster.TokenOpen && found.Word(now) != cluster.TokenOpen:
			found = k
		}
	}
	return found
}

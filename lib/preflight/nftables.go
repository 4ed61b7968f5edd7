package preflight

import (
	"encoding/json"
	"slices"
)

// ruleset is what nft -j list ruleset prints, as far as it matters here:
// libnftables-json(5).
type ruleset struct {
	Nftables []struct {
		Set   *nftSet   `json:"set"`
		Chain *nftChain `json:"chain"`
		Rule  *nftRule  `json:"rule"`
	} `json:"nftables"`
}

// nftSet is a named set, which rules refer to as "@name".
type nftSet struct {
	Family string   `json:"family"`
	Table  string   `json:"table"`
	Name   string   `json:"name"`
	Elem   nftPorts `json:"elem"`
}

type nftChain struct {
	Family string `json:"family"`
	Table  string `json:"table"`
	Name   string `json:"name"`
	Hook   string `json:"hook"`
	Policy string `json:"policy"`
}

type nftRule struct {
	Family string         `json:"family"`
	Table  string         `json:"table"`
	Chain  string         `json:"chain"`
	Expr   []nftStatement `json:"expr"`
}

// nftStatement is one part of a rule. Verdicts are keys with null values, so
// what matters is which keys are there.
type nftStatement map[string]json.RawMessage

func (s nftStatement) has(key string) bool {
	_, ok := s[key]
	return ok
}

// nftMatch is the value of a "match" statement.
type nftMatch struct {
	Op   string `json:"op"`
	Left struct {
		Payload struct {
			Protocol string `json:"protocol"`
			Field    string `json:"field"`
		} `json:"payload"`
	} `json:"left"`
	Right nftPorts `json:"right"`
}

// nftPorts is the right side of a match or the elements of a set: a number, a
// list of numbers and ranges, the name of a set, or something else, which holds
// no ports.
type nftPorts struct {
	spans portRanges
	set   string // "@name"
}

// UnmarshalJSON never fails: what is not understood counts as no port.
func (p *nftPorts) UnmarshalJSON(data []byte) error {
	var number uint16
	var list []nftPorts
	var object struct {
		Set   []nftPorts `json:"set"`
		Range []uint16   `json:"range"`
	}
	switch {
	case json.Unmarshal(data, &number) == nil:
		p.spans = portRanges{{first: number, last: number}}
	case json.Unmarshal(data, &p.set) == nil:
	case json.Unmarshal(data, &list) == nil:
		p.add(list)
	case json.Unmarshal(data, &object) != nil:
	case len(object.Range) == 2:
		p.spans = portRanges{{first: object.Range[0], last: object.Range[1]}}
	default:
		p.add(object.Set)
	}
	return nil
}

func (p *nftPorts) add(list []nftPorts) {
	for _, e := range list {
		p.spans = append(p.spans, e.spans...)
	}
}

func parseRuleset(data []byte) (ruleset, error) {
	var r ruleset
	err := json.Unmarshal(data, &r)
	return r, err
}

// droppingTable returns the first table ("inet filter") whose input chain drops
// by policy or ends in a drop or reject without a condition.
func (r ruleset) droppingTable() (string, bool) {
	for _, e := range r.Nftables {
		if e.Chain == nil || e.Chain.Hook != "input" {
			continue
		}
		if e.Chain.Policy == "drop" || r.endsInDrop(*e.Chain) {
			return e.Chain.Family + " " + e.Chain.Table, true
		}
	}
	return "", false
}

func (r ruleset) endsInDrop(c nftChain) bool {
	var last *nftRule
	for _, e := range r.Nftables {
		if e.Rule != nil && e.Rule.Family == c.Family && e.Rule.Table == c.Table && e.Rule.Chain == c.Name {
			last = e.Rule
		}
	}
	return last != nil && !last.has("match") && (last.has("drop") || last.has("reject"))
}

// accepted returns the ports that any rule of a table accepts. Chains are not
// followed: a rule in a chain that is never reached counts too.
func (r ruleset) accepted(table string) portRanges {
	var open portRanges
	for _, rule := range r.accepting(table) {
		for _, s := range rule.Expr {
			var m nftMatch
			if json.Unmarshal(s["match"], &m) != nil || m.Op == "!=" || m.Left.Payload.Field != "dport" {
				continue
			}
			for _, span := range append(r.named(table, m.Right.set), m.Right.spans...) {
				span.proto = m.Left.Payload.Protocol
				if span.proto == "th" { // "th dport", whatever the transport
					span.proto = ""
				}
				open = append(open, span)
			}
		}
	}
	return open
}

// named returns the ports of the set that a rule calls "@name".
func (r ruleset) named(table, name string) portRanges {
	for _, e := range r.Nftables {
		if e.Set != nil && e.Set.Family+" "+e.Set.Table == table && "@"+e.Set.Name == name {
			return slices.Clone(e.Set.Elem.spans)
		}
	}
	return nil
}

// caveat reports rules that accept by something other than a port, such as an
// address or interface, and so may let in what no rule names.
func (r ruleset) caveat(table string) string {
	for _, rule := range r.accepting(table) {
		if !rule.matches("dport") && (rule.matches("saddr") || rule.matchesInterface()) {
			return " (a rule by address or interface may let them in all the same)"
		}
	}
	return ""
}

// accepting returns the rules of a table that end in accept.
func (r ruleset) accepting(table string) []nftRule {
	var rules []nftRule
	for _, e := range r.Nftables {
		if e.Rule != nil && e.Rule.Family+" "+e.Rule.Table == table && e.Rule.has("accept") {
			rules = append(rules, *e.Rule)
		}
	}
	return rules
}

func (r nftRule) has(key string) bool {
	return slices.ContainsFunc(r.Expr, func(s nftStatement) bool { return s.has(key) })
}

// matches reports whether the rule has a condition on a header field.
func (r nftRule) matches(field string) bool {
	return slices.ContainsFunc(r.Expr, func(s nftStatement) bool {
		var m nftMatch
		return json.Unmarshal(s["match"], &m) == nil && m.Left.Payload.Field == field
	})
}

// matchesInterface reports whether the rule has a condition on the interface.
func (r nftRule) matchesInterface() bool {
	return slices.ContainsFunc(r.Expr, func(s nftStatement) bool {
		var m struct {
			Left struct {
				Meta struct {
					Key string `json:"key"`
				} `json:"meta"`
			} `json:"left"`
			Right string `json:"right"`
		}
		known := json.Unmarshal(s["match"], &m) == nil
		return known && (m.Left.Meta.Key == "iifname" || m.Left.Meta.Key == "iif") && m.Right != "lo"
	})
}

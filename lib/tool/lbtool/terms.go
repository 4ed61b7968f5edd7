package lbtool

import (
	"maps"
	"slices"
	"time"

	"iwx/lib/cli"
	"iwx/lib/fault"
	"iwx/lib/health"
	"iwx/lib/lb"
)

// terms are the flags for what a policy is to be; those that were not given
// leave it as it is.
type terms struct {
	Scheduler     string         `placeholder:"NAME" complete:"scheduler" help:"Rule by which the next connection's server is chosen: wlc, rr, wrr, lc, lblc, sh, ..."`
	Persistence   *time.Duration `placeholder:"TIME" help:"A client comes back to its server for so long; 0 is never."`
	Forwarding    string         `placeholder:"HOW" complete:"forwarding" help:"How a connection gets to its server: dr, nat, tun or proxy."`
	Weight        map[string]int `placeholder:"NODE=N" mapsep:"," help:"A server's weight, 0 to 255; 0 takes no new connection."`
	Only          []string       `placeholder:"NODE" complete:"node" help:"Only these servers; all is every server again."`
	Fallback      string         `placeholder:"WHO" complete:"fallback" help:"Who answers when no server is left: manager, all or reject."`
	ServerPort    uint16         `placeholder:"PORT" help:"The servers' port, where it is another."`
	ProxyProtocol string         `placeholder:"ON" complete:"switch" help:"Pass the client's address to the servers, by the PROXY protocol: on or off."`

	CheckLevel     string         `placeholder:"LEVEL" complete:"level" help:"What a check asks for: connect, protocol or certificate."`
	CheckHost      string         `placeholder:"NAME" help:"The host name that a check asks for."`
	CheckPath      string         `placeholder:"PATH" help:"The path that a check of HTTP asks for."`
	CheckStatus    string         `placeholder:"LIST" help:"The statuses of HTTP that are good, such as 200,301-302."`
	Interval       *time.Duration `placeholder:"TIME" help:"Between the checks of a server."`
	ConnectTimeout *time.Duration `placeholder:"TIME" help:"Of a check, for the connection."`
	Timeout        *time.Duration `placeholder:"TIME" help:"Of a check, for each answer."`
	Fall           *int           `placeholder:"N" help:"So many failures in a row take a server out."`
	Rise           *int           `placeholder:"N" help:"So many answers in a row bring it back."`
	SlowStart      *time.Duration `placeholder:"TIME" help:"How long a server that came back takes to its whole weight; 0 is at once."`
}

// apply gives a policy what the flags say. Whether it can have that is the
// setup's to tell.
func (t *terms) apply(m *manager, p *lb.Policy) error {
	set(&p.Scheduler, t.Scheduler)
	set(&p.Forwarding, lb.Forwarding(t.Forwarding))
	set(&p.Fallback, lb.Fallback(t.Fallback))
	set(&p.ServerPort, t.ServerPort)
	given(&p.Persistence, t.Persistence)
	if err := t.applyServers(m, p); err != nil {
		return err
	}
	return t.applyCheck(&p.Check)
}

// applyServers turns names into ids, and forgets the servers that are gone; a
// policy for those alone is refused as long as it names nobody else.
func (t *terms) applyServers(m *manager, p *lb.Policy) error {
	weights := maps.Clone(p.Weights)
	maps.DeleteFunc(weights, func(id string, _ int) bool { return !m.Has(id) })
	if slices.ContainsFunc(p.Only, m.Has) {
		p.Only = slices.DeleteFunc(slices.Clone(p.Only), func(id string) bool { return !m.Has(id) })
	}
	if weights == nil {
		weights = map[string]int{}
	}
	for name, weight := range t.Weight {
		id, err := m.Find(name)
		if err != nil {
			return err
		}
		weights[id] = weight
	}
	p.Weights = weights
	if len(t.Only) == 0 {
		return nil
	}
	p.Only = nil
	for _, name := range t.Only {
		if name == everyServer && len(t.Only) == 1 {
			return nil
		}
		id, err := m.Find(name)
		if err != nil {
			return err
		}
		p.Only = append(p.Only, id)
	}
	return nil
}

// everyServer takes a policy's choice of servers back.
const everyServer = "all"

func (t *terms) applyCheck(check *health.Check) error {
	set(&check.Level, health.Level(t.CheckLevel))
	set(&check.Host, t.CheckHost)
	set(&check.Path, t.CheckPath)
	set(&check.Status, t.CheckStatus)
	given(&check.Interval, t.Interval)
	given(&check.Connect, t.ConnectTimeout)
	given(&check.Timeout, t.Timeout)
	given(&check.Fall, t.Fall)
	given(&check.Rise, t.Rise)
	given(&check.Slow, t.SlowStart)
	if t.SlowStart != nil && *t.SlowStart == 0 {
		check.Slow = noSlowStart
	}
	switch t.ProxyProtocol {
	case "":
	case "on", "off":
		check.Proxy = t.ProxyProtocol == "on"
	default:
		return fault.New(fault.Usage, "proxy protocol %q is neither on nor off", t.ProxyProtocol)
	}
	return nil
}

// noSlowStart is a Check.Slow that is not taken for one that was not given.
const noSlowStart = -1

func set[T comparable](at *T, value T) {
	var none T
	if value != none {
		*at = value
	}
}

func given[T any](at, value *T) {
	if value != nil {
		*at = *value
	}
}

// any reports whether a flag was given.
func (t *terms) any() bool {
	return t.Scheduler+t.Forwarding+t.Fallback+t.ProxyProtocol+t.CheckLevel+t.CheckHost+t.CheckPath+t.CheckStatus != "" ||
		len(t.Weight)+len(t.Only) > 0 || t.ServerPort != 0 || t.Persistence != nil || t.anyNumber()
}

func (t *terms) anyNumber() bool {
	return t.Interval != nil || t.ConnectTimeout != nil || t.Timeout != nil || t.Fall != nil || t.Rise != nil || t.SlowStart != nil
}

// completeTerm offers the words that a flag of this kind takes.
func (m *manager) completeTerm(kind string) (list []cli.Candidate) {
	ability, _ := lb.AbilityOf(m.Engine)
	words := map[string][]string{
		"scheduler": ability.Schedulers, "fallback": {string(lb.ToManager), string(lb.ToAll), string(lb.ToNone)},
		"level":  {string(health.Connect), string(health.Speak), string(health.Certificate)},
		"switch": {"on", "off"},
	}[kind]
	if kind == "forwarding" {
		words = forwardings(ability)
	}
	for _, word := range words {
		list = append(list, cli.Candidate{Value: word})
	}
	return list
}

func forwardings(ability lb.Ability) (words []string) {
	for _, f := range ability.Forwardings {
		words = append(words, string(f))
	}
	return words
}

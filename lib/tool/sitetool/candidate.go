package sitetool

import (
	"cmp"
	"path/filepath"
	"slices"
	"strings"

	"iwx/lib/cli"
	"iwx/lib/conf"
	"iwx/lib/fault"
	"iwx/lib/site"
	"iwx/lib/webconf"
)

// candidate is what is served under a name, or several, and could become a site.
type candidate struct {
	webconf.Found
	takeover
	request request
	owner   string     // of the document root, by name or else id
	site    *site.Site // that it would become; nil: nothing tells yet
	reasons []error    // why it stays as it is; none: it can be taken over
}

// name is what people call it by.
func (o *candidate) name() string {
	if len(o.Names) == 0 {
		return ""
	}
	return o.Names[0]
}

func (o *candidate) stays() bool { return len(o.reasons) > 0 }

func (o *candidate) stay(err error) {
	if err != nil {
		o.reasons = append(o.reasons, err)
	}
}

// importing is a run of iwx-site import: what there is, and what becomes of it.
type importing struct {
	m        *manager
	c        *cli.Context
	existing *webconf.Served
	verb     *importVerb
	all      []*candidate // all that there is
	chosen   []*candidate // what is to be taken over, if it can be
}

// look reads what the web server has, and chooses.
func (v *importVerb) look(c *cli.Context, m *manager) (*importing, error) {
	if m.web == nil {
		return nil, fault.New(fault.Usage, `there are no virtual hosts to take over: site.web_server is "none"`)
	}
	existing, err := m.web.Existing()
	if err != nil {
		return nil, err
	}
	i := &importing{m: m, c: c, existing: existing, verb: v}
	for _, f := range existing.Found {
		i.all = append(i.all, &candidate{Found: f})
	}
	if len(v.Domains) == 0 {
		i.chosen = i.all
	}
	for _, text := range v.Domains {
		one, err := i.find(text)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(i.chosen, one) {
			i.chosen = append(i.chosen, one)
		}
	}
	return i, nil
}

// find returns what is served under a name.
func (i *importing) find(text string) (*candidate, error) {
	domain, err := site.ParseDomain(text)
	if err != nil {
		return nil, err
	}
	for _, o := range i.all {
		for _, name := range o.Names {
			if parsed, err := site.ParseDomain(name); err == nil && parsed == domain {
				return o, nil
			}
		}
	}
	return nil, fault.Hint(fault.New(fault.Failed, "no virtual host of %s here is for %s", i.m.webName, domain), "iwx-site import --dry-run shows which there are")
}

// plan finds out what can be taken over, and makes the change of it; nil if
// there is nothing. Nothing has been changed.
func (i *importing) plan() (*change, error) {
	p, err := i.m.newPlan(i.c)
	if err != nil {
		return nil, err
	}
	for _, o := range i.chosen {
		if err := i.examine(p, o); err != nil {
			return nil, err
		}
	}
	i.files()
	var requests []request
	for _, o := range i.chosen {
		if !o.stays() {
			requests = append(requests, o.request)
		}
	}
	if requests == nil {
		return nil, nil
	}
	ch, err := i.m.planNew(i.c, requests)
	if err != nil {
		return nil, err
	}
	i.takeInto(ch)
	return ch, i.room(ch)
}

// takeInto gives the change what its sites take over.
func (i *importing) takeInto(ch *change) {
	ch.taken = map[string]takeover{}
	for _, o := range i.chosen {
		if o.stays() {
			continue
		}
		n := slices.IndexFunc(ch.Specs, func(s site.Spec) bool { return s.Domain == o.site.Domain })
		o.site = &ch.Specs[n].Site
		ch.taken[o.site.Domain] = o.takeover
	}
}

// examine says why something stays as it is, or what it would become. The error
// is of what makes all of it impossible.
func (i *importing) examine(p *plan, o *candidate) error {
	o.reasons = slices.Clone(o.Obstacles)
	o.stay(i.left(o))
	o.stay(i.shared(o))
	if err := i.content(o); err != nil {
		return err
	}
	if _, err := site.ParseAliases("", o.Names); err != nil || len(o.Names) == 0 {
		if len(o.Obstacles) == 0 { // else it has been said
			o.stay(err)
		}
		return nil
	}
	before := len(p.change.Specs)
	r := &o.request
	r.domain, r.Alias, r.Template, r.TLSCert, r.chain, r.TLSKey = o.Names[0], o.Names[1:], i.verb.Template, o.Certificate, o.Chain, o.Key
	o.stay(p.add(r))
	if len(p.change.Specs) > before {
		o.site = &p.change.Specs[before].Site
		o.stay(i.place(p, o))
	}
	return nil
}

// left reports the directives that would be lost.
func (i *importing) left(o *candidate) error {
	var words []string
	texts := slices.DeleteFunc(slices.Clone(o.Left), func(text string) bool {
		name, _, _ := strings.Cut(text, " ")
		dropped := slices.ContainsFunc(i.verb.Drop, func(d string) bool { return strings.EqualFold(d, name) })
		if !dropped && !slices.Contains(words, name) {
			words = append(words, name)
		}
		return dropped
	})
	if len(texts) == 0 {
		return nil
	}
	const most = 8
	err := fault.New(fault.Failed, "template %s does not support: %s", i.verb.Template, cli.Some(texts, most))
	if len(o.Obstacles) > 0 {
		return err // and nothing helps
	}
	return fault.Hint(err,
		"to have it without, or with a template of yours that has it: iwx-site import --template NAME --drop %s %s", strings.Join(words, " --drop "), o.name())
}

// shared reports other virtual hosts that serve the same files.
func (i *importing) shared(o *candidate) error {
	var same, inside []string
	for _, other := range i.all {
		switch {
		case other == o || o.Root == "" || other.Root == "":
		case filepath.Clean(other.Root) == filepath.Clean(o.Root):
			same = append(same, other.name())
		case conf.Within(other.Root, o.Root):
			inside = append(inside, other.name())
		}
	}
	switch {
	case len(same) > 0:
		return fault.New(fault.Failed, "shares its document root with %s", cli.Some(same, 5))
	case len(inside) > 0:
		return fault.New(fault.Failed, "has the document root of %s in its own", cli.Some(inside, 5))
	}
	return nil
}

// files wants the files of the configuration to have nothing that stays. What
// stays may make others stay.
func (i *importing) files() {
	for _, o := range i.chosen {
		for _, file := range o.Files {
			a, err := i.existing.Aside(file)
			o.stay(err)
			o.instead = append(o.instead, a)
		}
	}
	for again := true; again; {
		again = false
		for _, o := range i.chosen {
			if !o.stays() {
				o.stay(i.neighbour(o))
				again = again || o.stays()
			}
		}
	}
}

// neighbour reports another virtual host in the same file that stays.
func (i *importing) neighbour(o *candidate) error {
	for _, other := range i.all {
		if other == o || slices.Contains(i.chosen, other) && !other.stays() {
			continue
		}
		for _, file := range other.Files {
			if slices.Contains(o.Files, file) {
				return fault.Hint(fault.New(fault.Failed, "shares %s with %s, which stays", file, cmp.Or(other.name(), "one without a name")),
					"move it to a file of its own, or take both over")
			}
		}
	}
	return nil
}

package sitetool

import (
	"cmp"
	"strings"

	"iwx/lib/cli"
	"iwx/lib/fault"
	"iwx/lib/site"
	"iwx/lib/tool/await"
	"iwx/lib/tool/local"
)

type importVerb struct {
	cli.Yes
	cli.Output
	DryRun   bool     `help:"Print the plan, and do nothing."`
	Template string   `default:"default" placeholder:"NAME" complete:"template" help:"The template of the sites' virtual hosts."`
	Drop     []string `sep:"none" placeholder:"DIRECTIVE" help:"Take over what has this directive, without it. May be repeated."`
	NewUser  bool     `help:"Make a user for each site, whoever its files belong to."`
	await.Flags
	Domains []string `arg:"" optional:"" name:"domain" complete:"vhost" help:"What is served under these names; without any, all."`
}

// Examples implements cli.Exampled.
func (*importVerb) Examples() string {
	return `iwx-site import --dry-run
		iwx-site import example.org
		iwx-site import --new-user --yes --wait`
}

// Run shows what would become of the virtual hosts that iwx has not made, and
// then has those that it can be sites.
func (v *importVerb) Run(c *cli.Context) error {
	for _, name := range v.Domains {
		if _, err := site.ParseDomain(name); err != nil {
			return err
		}
	}
	m, err := openManager(c)
	if err != nil {
		return err
	}
	defer m.Close()
	if err := m.checkShare(c); err != nil {
		return err
	}
	i, err := v.look(c, m)
	if err != nil {
		return err
	}
	ch, err := i.plan()
	if err := cmp.Or(err, i.show()); err != nil {
		return err
	}
	if v.DryRun {
		return nil
	}
	if err := i.refused(); err != nil || ch == nil {
		return err
	}
	if err := c.Confirm(v.Yes.Yes, "take over %s?", cli.Count(len(ch.Specs), "virtual host", "virtual hosts")); err != nil {
		return err
	}
	op, err := m.carryOut(c, ch)
	if err != nil {
		return err
	}
	return m.announce(c, "took over "+describe(ch.Specs), op, v.Flags)
}

// refused is the error of virtual hosts that were named and that stay: all that
// is named is taken over, or nothing.
func (i *importing) refused() error {
	var wrong errorList
	for _, o := range i.chosen {
		if o.stays() && len(i.verb.Domains) > 0 {
			wrong.add(fault.Hint(fault.New(fault.Failed, "%s stays: %s", o.subject(), o.why()[0]), "%s", fault.HintOf(o.reasons[0])))
		}
	}
	return wrong.join()
}

// show prints the plan.
func (i *importing) show() error {
	out := i.verb.Output
	people := out.Human() && out.Columns == nil
	if people {
		stay := 0
		for _, o := range i.chosen {
			if o.stays() {
				stay++
			}
		}
		if len(i.chosen) == 0 {
			i.c.Notef("%s has no virtual hosts but those of sites", i.m.webName)
			return nil
		}
		if err := i.c.Printf("%s: %d to take over, %d to stay\n", cli.Count(len(i.chosen), "virtual host", "virtual hosts"), len(i.chosen)-stay, stay); err != nil {
			return err
		}
	}
	if err := i.table().Write(i.c, out, i.chosen); err != nil || !people {
		return err
	}
	return i.tell()
}

// tell says, for people, why things stay, and what goes with those that do not.
func (i *importing) tell() error {
	hinted := map[string]bool{}
	for _, o := range i.chosen {
		for _, text := range o.why() {
			if err := i.c.Printf("%s stays: %s\n", o.subject(), text); err != nil {
				return err
			}
		}
		for _, text := range o.remarks() {
			if err := i.c.Printf("%s: %s\n", o.subject(), text); err != nil {
				return err
			}
		}
	}
	for _, o := range i.chosen {
		for _, reason := range o.reasons {
			if hint := fault.HintOf(reason); hint != "" && !hinted[hint] {
				hinted[hint] = true
				i.c.Notef("hint: %s", hint)
			}
		}
	}
	return nil
}

// subject is a virtual host in a sentence.
func (o *candidate) subject() string {
	if o.name() == "" {
		return "the one in " + o.Files[0]
	}
	return o.name()
}

// why are the reasons as they are read after the name.
func (o *candidate) why() []string {
	texts := []string{}
	for _, reason := range o.reasons {
		texts = append(texts, strings.TrimPrefix(reason.Error(), "site "+strings.ToLower(o.name())+": "))
	}
	return texts
}

// remarks are what is worth knowing of one that is taken over.
func (o *candidate) remarks() (texts []string) {
	if o.stays() || o.from == "" {
		return nil
	}
	const most = 3
	if o.kept != nil && o.kept.Home != o.site.Home {
		texts = append(texts, "the home of user "+o.site.User+" becomes "+o.site.Home+"; other files in "+o.kept.Home+" stay there")
	}
	if list := o.content.LeftOut; len(list) > 0 {
		texts = append(texts, "sockets and devices are left out: "+cli.Some(list, most))
	}
	if list := o.content.Outside; len(list) > 0 {
		texts = append(texts, "links that lead out of the document root stay as they are: "+cli.Some(list, most))
	}
	return texts
}

// table is the plan.
func (i *importing) table() cli.Table[*candidate] {
	type row = *candidate
	at := func(path string) string { return strings.TrimPrefix(path, i.m.Root) } // as on the server itself
	return cli.Table[row]{Singular: "vhost", Plural: "vhosts", Columns: []cli.Column[row]{
		{Name: "domain", Value: func(o row) any { return o.name() }},
		{Name: "state", Value: func(o row) any { return o.mark() }},
		{Name: "owner", Value: func(o row) any { return o.owner }},
		{Name: "user", Value: func(o row) any { return o.future().User }},
		{Name: "uid", Head: "UID", Value: func(o row) any { return o.uid() }, Detail: true},
		{Name: "aliases", Value: func(o row) any { return o.Names[min(1, len(o.Names)):] }, Rare: true, Cut: true},
		{Name: "root", Value: func(o row) any { return at(o.Root) }, Cut: true},
		{Name: "size", Value: func(o row) any { return o.size() }},
		{Name: "certificate", Value: func(o row) any { return at(o.Certificate) }, Rare: true, Cut: true},
		{Name: "files", Value: func(o row) any { return each(o.Files, at) }, Cut: true},
		{Name: "home", Value: func(o row) any { return o.future().Home }, Detail: true},
		{Name: "why", Value: func(o row) any { return cli.Block{Text: cli.Text(strings.Join(o.why(), "; ")), Value: o.why()} }, Detail: true},
	}}
}

// each returns the list with do done to all that is in it.
func each(list []string, do func(string) string) []string {
	changed := make([]string, len(list))
	for i, one := range list {
		changed[i] = do(one)
	}
	return changed
}

func (o *candidate) mark() cli.Mark {
	if o.stays() {
		return cli.Mark{Text: "stays", Level: cli.Warn}
	}
	return cli.Mark{Text: "take over", Level: cli.Good}
}

// future is the site that it becomes; of one that stays, nothing.
func (o *candidate) future() site.Site {
	if o.stays() || o.site == nil {
		return site.Site{}
	}
	return *o.site
}

func (o *candidate) uid() any {
	if uid := o.future().UID; uid != 0 {
		return uid
	}
	return nil
}

func (o *candidate) size() any {
	if o.content == nil {
		return nil
	}
	return cli.Bytes(o.content.Bytes)
}

// completeVHost offers what is served, and is no site.
func completeVHost(server *local.Server) (list []cli.Candidate) {
	web := webServer(server)
	if web == nil {
		return nil
	}
	existing, err := web.Existing()
	if err != nil {
		return nil
	}
	for _, f := range existing.Found {
		if len(f.Names) > 0 {
			list = append(list, cli.Candidate{Value: f.Names[0], Help: f.Root})
		}
	}
	return list
}

package sitetool

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"iwx/lib/atomicfile"
	"iwx/lib/cli"
	"iwx/lib/daemon"
	"iwx/lib/fault"
	"iwx/lib/state"
	"iwx/lib/tool/local"
	"iwx/lib/vhost"
)

type templateCheckVerb struct {
	cli.Output
	Names []string `arg:"" optional:"" name:"name" complete:"template" help:"The templates; without one, all."`
}

// Examples implements cli.Exampled.
func (*templateCheckVerb) Examples() string {
	return `iwx-site template check
		iwx-site template check shop`
}

// Run has the web server test what the templates make of examples and of the sites
// that use them. Nothing that it reads is touched. The exit code is 3 when one
// fails.
func (v *templateCheckVerb) Run(c *cli.Context) error {
	server, err := open(c)
	if err != nil {
		return err
	}
	defer server.Close()
	list, err := v.chosen(server)
	if err != nil {
		return err
	}
	lock, err := daemon.WaitLock(c, server.SiteLock, lockWait, "changing sites")
	if err != nil {
		return err
	}
	defer lock.Close()
	k := &checker{Server: server, c: c, webs: map[string]*vhost.Server{}}
	if k.rows, err = server.Store.Sites(c); err != nil {
		return err
	}
	if err := k.find(list); err != nil {
		return err
	}
	var trials []trial
	for i := range list {
		more, err := k.check(&list[i])
		if err != nil {
			return err
		}
		trials = append(trials, more...)
	}
	return showTrials(c, v.Output, trials)
}

// chosen are the templates of those names, in every language.
func (v *templateCheckVerb) chosen(server *local.Server) ([]vhost.Template, error) {
	all, err := vhost.Templates(server.Root)
	if err != nil || len(v.Names) == 0 {
		return all, err
	}
	for _, name := range v.Names {
		if slices.ContainsFunc(all, func(t vhost.Template) bool { return t.Name == name }) {
			continue
		}
		syntax := syntaxOf(server)
		if syntax == "" {
			syntax = vhost.Syntaxes()[0]
		}
		_, err := vhost.FindTemplate(server.Root, name, syntax)
		return nil, err
	}
	return slices.DeleteFunc(all, func(t vhost.Template) bool { return !slices.Contains(v.Names, t.Name) }), nil
}

// The words for a trial.
const (
	trialFine     = "fine"
	trialFails    = "fails"
	trialUntested = "untested" // it could be filled in, and there is no web server to test it
)

// trial is how one template does with one kind of site.
type trial struct {
	template *vhost.Template
	of       string // what it was filled in for
	state    string
	message  string // the web server's, or of what reads templates
}

// checker tries templates.
type checker struct {
	*local.Server
	c    *cli.Context
	rows []state.SiteRow
	webs map[string]*vhost.Server // that test, by the language of their templates
}

// find finds the web servers that test these templates. The error is that one is
// broken already, so that nothing can be said.
func (k *checker) find(list []vhost.Template) error {
	candidates := vhost.Find(k.Root)
	if own := webServer(k.Server); own != nil {
		candidates = append([]*vhost.Server{own}, candidates...)
	}
	for _, web := range candidates {
		if k.webs[web.Syntax] != nil || !slices.ContainsFunc(list, func(t vhost.Template) bool { return t.Syntax == web.Syntax }) {
			continue
		}
		k.webs[web.Syntax] = web
		if err := web.Test(k.c); err != nil {
			return fault.Hint(fault.New(0, "cannot test templates: %s fails its own configuration test: %w", web.Name, err), "fix that first")
		}
	}
	return nil
}

// check tries one template with a site of each kind, and with all that use it.
func (k *checker) check(t *vhost.Template) ([]trial, error) {
	web := k.webs[t.Syntax]
	if err := atomicfile.MkdirAll(k.Run, 0o700); err != nil {
		return nil, err
	}
	scratch, err := os.MkdirTemp(k.Run, "template-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(scratch)
	samples, err := k.samples(web, scratch)
	if err != nil {
		return nil, err
	}
	var trials []trial
	for _, s := range samples {
		one := trial{template: t, of: s.Name}
		text, err := t.Render(s.Fields)
		if err == nil && web != nil {
			err = k.try(web, scratch, s.Name, []vhost.Change{{Domain: s.Domain, Text: text}})
		}
		trials = append(trials, one.ended(err, web != nil))
	}
	rows := using(k.rows, t.Name)
	if alike(trials) {
		trials[0].of = "any site"
		return trials[:1], k.c.Err()
	}
	if t.Syntax != syntaxOf(k.Server) || len(rows) == 0 {
		return trials, k.c.Err()
	}
	one := trial{template: t, of: cli.Count(len(rows), "site", "sites")}
	return append(trials, one.ended(k.trySites(web, scratch, t, rows), true)), k.c.Err()
}

// alike reports whether the trials of a template fail for one and the same reason.
func alike(trials []trial) bool {
	first := trials[0]
	return first.state == trialFails && !slices.ContainsFunc(trials, func(t trial) bool { return t.state != first.state || t.message != first.message })
}

// samples are sites of each kind. Their user is that of the web server's workers,
// which is there.
func (k *checker) samples(web *vhost.Server, scratch string) (list []vhost.Sample, err error) {
	user := "nobody"
	if web != nil {
		if user, _, err = web.Group(); err != nil {
			return nil, err
		}
	}
	return vhost.Samples(scratch, user, k.c.Now())
}

// trySites tries the template with sites that there are.
func (k *checker) trySites(web *vhost.Server, scratch string, t *vhost.Template, rows []state.SiteRow) error {
	var changes []vhost.Change
	for i := range rows {
		text, err := t.Render(vhost.FieldsOf(k.Root, &rows[i].Site))
		if err != nil {
			return fault.New(0, "site %s: %w", rows[i].Domain, err)
		}
		changes = append(changes, vhost.Change{Domain: rows[i].Domain, Text: text})
	}
	return k.try(web, scratch, "sites", changes)
}

// try has the web server test changes, in a directory of their own.
func (k *checker) try(web *vhost.Server, scratch, name string, changes []vhost.Change) error {
	dir := filepath.Join(scratch, "of-"+name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	return web.Try(k.c, dir, changes)
}

// ended returns the trial with its outcome.
func (t trial) ended(err error, tested bool) trial {
	switch {
	case err != nil:
		t.state, t.message = trialFails, strings.Join(strings.Fields(err.Error()), " ")
	case tested:
		t.state = trialFine
	default:
		t.state = trialUntested
	}
	return t
}

// showTrials prints the trials under their verdict.
func showTrials(c *cli.Context, o cli.Output, trials []trial) error {
	var failing []string
	verdict := "the templates are fine"
	for _, t := range trials {
		if t.state == trialUntested {
			verdict = "the templates are fine; those for another web server cannot be tested here"
		}
		if name := t.template.String(); t.state == trialFails && !slices.Contains(failing, name) {
			failing = append(failing, name)
		}
	}
	if o.Human() {
		if len(failing) > 0 {
			verdict = fmt.Sprintf("the web server rejects the virtual hosts of %s", cli.Some(failing, 5))
		}
		if err := c.Printf("%s\n", verdict); err != nil {
			return err
		}
	}
	if err := trialTable().Write(c, o, trials); err != nil || len(failing) == 0 {
		return err
	}
	return cli.Exit(fault.Unhealthy)
}

func trialTable() cli.Table[trial] {
	levels := map[string]cli.Level{trialFine: cli.Good, trialFails: cli.Bad, trialUntested: cli.Warn}
	return cli.Table[trial]{Singular: "trial", Plural: "trials", Columns: []cli.Column[trial]{
		{Name: "template", Value: func(t trial) any { return t.template.Name }},
		{Name: "syntax", Value: func(t trial) any { return t.template.Syntax }},
		{Name: "with", Value: func(t trial) any { return t.of }},
		{Name: "state", Value: func(t trial) any { return cli.Mark{Text: t.state, Level: levels[t.state]} }},
		{Name: "error", Value: func(t trial) any { return t.message }, Rare: true, Fold: true},
	}}
}

package sitetool

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"iwx/lib/account"
	"iwx/lib/cli"
	"iwx/lib/fault"
	"iwx/lib/input"
	"iwx/lib/site"
	"iwx/lib/tool/await"
)

// The shells of users who may log in, and of those who may not.
const (
	loginShell = "/bin/bash"
	noShell    = "/usr/sbin/nologin"
)

// terms are what can be asked for of a new site, beside its domain.
type terms struct {
	User     string   `placeholder:"NAME" help:"The name of its user and group; without it, one is made of the domain."`
	Alias    []string `sep:"none" placeholder:"DOMAIN" help:"A further name that it answers to. May be repeated."`
	Template string   `default:"default" placeholder:"NAME" complete:"template" help:"The template of its virtual host."`
	TLSCert  string   `name:"tls-cert" placeholder:"FILE" complete:"file" help:"Its certificate, in PEM, with those that it was signed with."`
	TLSKey   string   `name:"tls-key" placeholder:"FILE" complete:"file" help:"The key of the certificate, in PEM."`
	Shell    bool     `help:"Let the user log in."`
}

type addVerb struct {
	terms
	From string `placeholder:"FILE" complete:"file" help:"Add a site for each line of a file, or - for standard input: DOMAIN [user=NAME] [alias=DOMAIN]... [template=NAME] [tls-cert=FILE tls-key=FILE] [shell]."`
	await.Flags
	Domain string `arg:"" optional:"" help:"The domain, in any script."`
}

// Examples implements cli.Exampled.
func (*addVerb) Examples() string {
	return `iwx-site add example.org --alias www.example.org
		iwx-site add shop.example --user shop --tls-cert shop.pem --tls-key shop.key --wait
		iwx-site add --from sites.txt`
}

// request is a site that was asked for, and where.
type request struct {
	terms
	domain string
	where  string           // put in front of errors: "line 3: ", or ""
	chain  string           // file with what the certificate was signed with, "" for none
	keep   *account.Account // the user that it has already, nil for a new one
}

// Run makes the sites, all of them or none.
func (v *addVerb) Run(c *cli.Context) error {
	requests, err := v.requests(c)
	if err != nil {
		return err
	}
	m, err := openManager(c)
	if err == nil {
		defer m.Close()
		err = m.checkShare(c)
	}
	if err != nil {
		// Report wrong names before what the server lacks.
		if wrong := checkNames(requests); wrong != nil {
			return wrong
		}
		return err
	}
	ch, err := m.planNew(c, requests)
	if err != nil {
		return err
	}
	ch.awaited = v.Wanted()
	op, err := m.carryOut(c, ch)
	if err != nil {
		return err
	}
	return m.announce(c, "added "+describe(ch.Specs), op, v.Flags)
}

// checkNames returns one error for all names that are not names of sites.
func checkNames(requests []request) error {
	var wrong errorList
	for i := range requests {
		r := &requests[i]
		domain, err := site.ParseDomain(r.domain)
		if err == nil {
			if _, err = site.ParseAliases(domain, r.Alias); err != nil {
				err = fault.New(0, "alias of %s: %w", domain, err)
			}
		}
		if err != nil {
			wrong.add(fault.New(0, "%s%w", r.where, err))
		}
	}
	return wrong.join()
}

// describe is "site example.org, user example (20000)", or how many they are.
func describe(specs []site.Spec) string {
	if len(specs) > 1 {
		return fmt.Sprintf("%d sites", len(specs))
	}
	return fmt.Sprintf("site %s, user %s (%d)", specs[0].Domain, specs[0].User, specs[0].UID)
}

// requests are what the arguments ask for.
func (v *addVerb) requests(c *cli.Context) ([]request, error) {
	switch {
	case v.From != "" && v.Domain != "":
		return nil, fault.New(fault.Usage, "domain %q and --from %s: one of them", v.Domain, v.From)
	case v.Domain != "":
		return []request{{terms: v.terms, domain: v.Domain}}, nil
	case v.From == "":
		return nil, fault.Hint(fault.New(fault.Usage, "a domain is missing"), "iwx-site add example.org; or many: iwx-site add --from FILE")
	case v.User != "" || v.Alias != nil || v.TLSCert != "" || v.TLSKey != "":
		return nil, fault.New(fault.Usage, "--user, --alias, --tls-cert and --tls-key are each site's own; with --from they stand in the lines")
	case v.From == "-":
		return readRequests(c.Stdin, "standard input", v.terms)
	}
	f, err := input.Open(c, v.From)
	if err != nil {
		return nil, fault.Hint(fault.WithCode(err, fault.Usage), "a file has a site in each line, as iwx-site(8) says; - is standard input")
	}
	defer f.Close()
	return readRequests(f, v.From, v.terms)
}

// readRequests reads a site from each line. Empty lines and comments are passed
// over; all lines that are wrong are told at once.
func readRequests(r io.Reader, name string, common terms) ([]request, error) {
	var list []request
	var wrong errorList
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	lines := bufio.NewScanner(bytes.NewReader(input.Text(text)))
	for number := 1; lines.Scan(); number++ {
		words, err := cli.Words(lines.Text())
		if err == nil && len(words) == 0 {
			continue
		}
		one := request{terms: common, where: fmt.Sprintf("%s:%d: ", name, number)}
		if err == nil {
			one.domain = words[0]
			err = one.read(words[1:])
		}
		if err != nil {
			wrong.add(fault.New(fault.Usage, "%s%w", one.where, err))
		}
		list = append(list, one)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(list) == 0 {
		return nil, fault.New(fault.Usage, "%s holds no site", name)
	}
	return list, wrong.join()
}

// read takes the words of a line that come after the domain.
func (r *request) read(words []string) error {
	for _, word := range words {
		key, value, found := strings.Cut(word, "=")
		into := map[string]*string{"user": &r.User, "template": &r.Template, "tls-cert": &r.TLSCert, "tls-key": &r.TLSKey}[key]
		switch {
		case word == "shell":
			r.Shell = true
		case key == "alias" && found:
			r.Alias = append(r.Alias, value)
		case into != nil && found:
			*into = value
		default:
			return fault.Hint(fault.New(fault.Usage, "%q is none of user=, alias=, template=, tls-cert=, tls-key= and shell", word), "iwx-site add --help")
		}
	}
	return nil
}

// mostErrors is how many wrong lines are told at once.
const mostErrors = 10

// errorList collects what is wrong with many sites.
type errorList []error

func (l *errorList) add(err error) { *l = append(*l, err) }

// join returns the errors as one, those beyond the first few as their number; nil
// if there is none.
func (l errorList) join() error {
	switch {
	case len(l) == 0:
		return nil
	case len(l) > mostErrors:
		l = append(l[:mostErrors:mostErrors], fault.New(fault.Usage, "and %d more", len(l)-mostErrors))
	}
	return errors.Join(l...)
}

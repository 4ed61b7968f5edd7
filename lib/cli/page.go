package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// CheckPage compares a manual page in mdoc(7) with the tool's grammar and
// returns what does not agree, one sentence each; nil is agreement. The page is
// written like this:
//
//   - each verb has a subsection of its own in the section VERBS, named by its
//     words (".Ss add", ".Ss token revoke"); a subsection can be for several
//     verbs (".Ss pause, resume");
//   - a flag is an item that starts with all its names (".It Fl n , Fl -node Ar
//     NODE"; "Fl Fl node" will do as well), in the subsection of its verb, or
//     outside VERBS for flags that several verbs have;
//   - the item of a flag names its default, unless that is off, empty or 0;
//   - Fl is used for flags of this tool only; those of other programs are Ql.
//
// The page must also have each of the sections ("EXIT STATUS").
func CheckPage(t Tool, page []byte, sections ...string) []string {
	var g globals
	parser, err := t.parser(&g)
	if err != nil {
		return []string{err.Error()}
	}
	c := &pageCheck{page: parsePage(string(page))}
	c.walk(parser.Model.Node)
	c.unknownFlags(parser.Model.Node)
	c.unknownVerbs(parser.Model.Node)
	for _, name := range sections {
		if !slices.Contains(c.page.sections, name) {
			c.problem("section %s is missing", name)
		}
	}
	return c.problems
}

// mdocPage is what matters here of a page.
type mdocPage struct {
	sections []string
	verbs    []string   // named by the subsections of VERBS
	items    []mdocItem // of flags
	flags    []string   // all that are mentioned: "--node", "-n"
}

// mdocItem is ".It Fl …" with its text.
type mdocItem struct {
	verbs []string // whose subsection it is in; nil is outside VERBS
	flags []string
	text  string
}

// parsePage reads the lines that start with a dot, and the text of the items.
func parsePage(text string) mdocPage {
	var p mdocPage
	var verbs []string
	var item *mdocItem
	for line := range strings.Lines(strings.ReplaceAll(text, `\-`, "-")) {
		line = strings.TrimSpace(line)
		macro, rest, _ := strings.Cut(line, " ")
		switch macro {
		case `.\"`:
			continue
		case ".Sh":
			verbs, item = nil, nil
			p.sections = append(p.sections, strings.Trim(rest, `"`))
		case ".Ss":
			item = nil
			if len(p.sections) > 0 && p.sections[len(p.sections)-1] == "VERBS" {
				verbs = splitVerbs(rest)
				p.verbs = append(p.verbs, verbs...)
			}
		case ".It":
			item = nil
			if flags := flagsOf(line); strings.HasPrefix(rest, "Fl ") {
				p.items = append(p.items, mdocItem{verbs: verbs, flags: flags})
				item = &p.items[len(p.items)-1]
			}
		}
		if strings.HasPrefix(line, ".") {
			p.flags = append(p.flags, flagsOf(line)...)
		}
		if item != nil {
			item.text += line + "\n"
		}
	}
	return p
}

func splitVerbs(heading string) []string {
	var verbs []string
	for name := range strings.SplitSeq(strings.Trim(heading, `"`), ",") {
		verbs = append(verbs, strings.Join(strings.Fields(name), " "))
	}
	return verbs
}

// flagsOf returns the flags of a line: each Fl is a dash before the words that
// follow it, up to the next macro.
func flagsOf(line string) []string {
	var flags []string
	dashes := ""
	for word := range strings.FieldsSeq(strings.TrimPrefix(line, ".")) {
		switch {
		case word == "Fl":
			dashes += "-"
		case isMacro(word):
			dashes = ""
		case dashes != "" && isFlagName(word):
			flags = append(flags, spread(dashes+word)...)
			dashes = "-"
		default:
			dashes = ""
		}
	}
	return flags
}

// isMacro reports whether the word is a macro inside a line: "Ar", "Ns".
func isMacro(word string) bool {
	return len(word) == 2 && 'A' <= word[0] && word[0] <= 'Z' && 'a' <= word[1] && word[1] <= 'z'
}

// isFlagName reports whether the word is a flag without its first dash.
func isFlagName(word string) bool {
	return strings.Trim(strings.ToLower(word), "-abcdefghijklmnopqrstuvwxyz0123456789") == "" && strings.Trim(word, "-") != ""
}

// spread turns "-Hp" into "-H" and "-p".
func spread(flag string) []string {
	if strings.HasPrefix(flag, "--") {
		return []string{flag}
	}
	var flags []string
	for _, letter := range flag[1:] {
		flags = append(flags, "-"+string(letter))
	}
	return flags
}

type pageCheck struct {
	page     mdocPage
	problems []string
}

func (c *pageCheck) problem(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if !slices.Contains(c.problems, text) {
		c.problems = append(c.problems, text)
	}
}

// walk looks for what the page misses of the node and all below it.
func (c *pageCheck) walk(n *kong.Node) {
	for _, verb := range visibleVerbs(n) {
		c.walk(verb)
	}
	if len(visibleVerbs(n)) > 0 {
		return
	}
	if n.Path() != "" && !slices.Contains(c.page.verbs, n.Path()) {
		c.problem("verb %s has no subsection in VERBS", n.Path())
		return
	}
	for _, f := range visibleFlags(n) {
		c.flag(n.Path(), f)
	}
}

// flag looks for the item of a flag of the verb at path.
func (c *pageCheck) flag(path string, f *kong.Flag) {
	names := newFlagSpec(f).names
	i := slices.IndexFunc(c.page.items, func(item mdocItem) bool {
		return (item.verbs == nil || slices.Contains(item.verbs, path)) && slices.Contains(item.flags, names[0])
	})
	if i < 0 {
		c.problem("%s: flag %s is missing", path, names[0])
		return
	}
	item := c.page.items[i]
	for _, name := range names[1:] {
		if !slices.Contains(item.flags, name) {
			c.problem("%s: flag %s does not name %s", path, names[0], name)
		}
	}
	if tellingDefault(f.Value) && !strings.Contains(item.text, f.Default) {
		c.problem("%s: flag %s does not state its default, %s", path, names[0], f.Default)
	}
}

// unknownFlags looks for flags on the page that the tool does not have: in an
// item, none of the verbs it is for; elsewhere, no verb at all.
func (c *pageCheck) unknownFlags(root *kong.Node) {
	for _, name := range c.page.flags {
		if !hasFlag(root, "", name) {
			c.problem("there is no flag %s", name)
		}
	}
	for _, item := range c.page.items {
		if !slices.ContainsFunc(item.verbs, func(path string) bool { return hasVerb(root, path) }) {
			continue // outside VERBS, or a wrong verb, which is told elsewhere
		}
		for _, name := range item.flags {
			known := slices.ContainsFunc(item.verbs, func(path string) bool { return hasFlag(root, path, name) })
			if !known && hasFlag(root, "", name) {
				c.problem("%s: there is no flag %s", strings.Join(item.verbs, ", "), name)
			}
		}
	}
}

// hasFlag reports whether the verb at path has the flag; "" is any verb.
func hasFlag(n *kong.Node, path, name string) bool {
	if path == "" || n.Path() == path {
		for _, f := range visibleFlags(n) {
			if slices.Contains(newFlagSpec(f).names, name) {
				return true
			}
		}
	}
	return slices.ContainsFunc(visibleVerbs(n), func(v *kong.Node) bool { return hasFlag(v, path, name) })
}

func (c *pageCheck) unknownVerbs(root *kong.Node) {
	for _, verb := range c.page.verbs {
		if !hasVerb(root, verb) {
			c.problem("there is no verb %s", verb)
		}
	}
}

func hasVerb(root *kong.Node, path string) bool {
	return slices.ContainsFunc(verbSpecs(root), func(s verbSpec) bool { return s.path == path })
}

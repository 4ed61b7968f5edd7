package cli

import (
	"bytes"
	"context"
	"io"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"iwx/lib/fault"
)

// The completion scripts are static: everything but names comes from the
// grammar when they are generated. Names (nodes, entries, …) come from the tool
// itself, called as "TOOL __complete KIND", where KIND is the tag complete of
// the flag or argument. These kinds the shells answer by themselves: file, dir,
// command (and its arguments), user, group.

// Completion returns the completion script of the tool for bash, zsh or fish,
// and nil for another shell. It is installed as
// share/bash-completion/completions/TOOL, share/zsh/site-functions/_TOOL and
// share/fish/vendor_completions.d/TOOL.fish.
func Completion(t Tool, shell string) []byte {
	script := map[string]func(Tool, []verbSpec) string{
		"bash": bashCompletion,
		"zsh":  zshCompletion,
		"fish": fishCompletion,
	}[shell]
	if script == nil {
		return nil
	}
	var g globals
	parser, err := t.parser(&g)
	if err != nil { // a grammar that kong refuses; no tool of it runs either
		panic(err)
	}
	return []byte(script(t, verbSpecs(parser.Model.Node)))
}

// printCompletion is the hidden "TOOL __completion SHELL", which the build uses.
func (t Tool) printCompletion(c *Context, shell string) error {
	script := Completion(t, shell)
	if script == nil {
		return fault.New(fault.Usage, "shell %q is not bash, zsh or fish", shell)
	}
	_, err := c.Stdout.Write(script)
	return err
}

// completionLimit is how long a person who has pressed TAB is kept waiting, on a
// server that is busy: on any other it takes a few milliseconds.
const completionLimit = 500 * time.Millisecond

// candidates is the hidden "TOOL __complete KIND": a line for each value, with
// a tab and its description.
func (t Tool) candidates(c *Context, kind string) error {
	if t.Complete == nil {
		return nil
	}
	root, err := absolute(c.Getenv("IWX_ROOT"))
	if err != nil {
		return Exit(fault.Failed)
	}
	ctx, cancel := context.WithTimeout(c.Context, completionLimit)
	defer cancel()
	quiet := *c
	quiet.Context, quiet.Root, quiet.Stderr = ctx, root, io.Discard
	answer := make(chan []Candidate, 1)
	go func() {
		var values []Candidate
		defer func() {
			_ = recover() // a broken completion is silent, not loud
			answer <- values
		}()
		values = t.Complete(&quiet, kind)
	}()
	var b bytes.Buffer
	select {
	case values := <-answer:
		for _, v := range values {
			b.WriteString(candidateLine(v))
		}
	case <-ctx.Done(): // what does not heed its context is left to end with us
	}
	_, err = c.Stdout.Write(b.Bytes())
	return err
}

func candidateLine(v Candidate) string {
	if v.Help == "" {
		return printable(v.Value) + "\n"
	}
	return printable(v.Value) + "\t" + printable(v.Help) + "\n"
}

// verbSpec is what a completion has to know of the tool or of a verb.
type verbSpec struct {
	path  string // "", "add", "token revoke"
	verbs []Candidate
	flags []flagSpec
	args  []argSpec
}

// flagSpec is a flag, also an inherited one.
type flagSpec struct {
	names   []string // "--node", "-n"
	help    string
	value   bool // it takes one
	repeats bool
	label   string // "NODE"
	kind    string // see above; "first,last" for an enum; "" is unknown
}

// argSpec is a positional argument.
type argSpec struct {
	label string
	kind  string
	rest  bool // it takes all that follow
}

// verbSpecs returns the specs of the node and of all visible verbs below it.
func verbSpecs(n *kong.Node) []verbSpec {
	spec := verbSpec{path: n.Path()}
	for _, f := range visibleFlags(n) {
		spec.flags = append(spec.flags, newFlagSpec(f))
	}
	for _, p := range n.Positional {
		spec.args = append(spec.args, argSpec{
			label: p.Name,
			kind:  kindOf(p),
			rest:  p.Target.Kind() == reflect.Slice,
		})
	}
	var below []verbSpec
	for _, v := range visibleVerbs(n) {
		spec.verbs = append(spec.verbs, Candidate{v.Name, phrase(v.Help)})
		below = append(below, verbSpecs(v)...)
	}
	return append([]verbSpec{spec}, below...)
}

func newFlagSpec(f *kong.Flag) flagSpec {
	spec := flagSpec{
		names:   []string{"--" + f.Name},
		help:    phrase(f.Help),
		value:   !isSwitch(f),
		repeats: f.IsCumulative(),
		label:   placeholder(f),
	}
	if f.Short != 0 {
		spec.names = append(spec.names, "-"+string(f.Short))
	}
	if spec.value {
		spec.kind = kindOf(f.Value)
	}
	return spec
}

func kindOf(v *kong.Value) string {
	switch {
	case v.Tag.Get("complete") != "":
		return v.Tag.Get("complete")
	case v.Enum != "":
		return strings.Join(v.EnumSlice(), ",")
	}
	switch v.Tag.Type {
	case "path", "existingfile", "filecontent":
		return "file"
	case "existingdir":
		return "dir"
	}
	return ""
}

// takesCommand reports that the verb's arguments are a command line.
func (s verbSpec) takesCommand() bool {
	return slices.ContainsFunc(s.args, func(a argSpec) bool { return a.kind == "command" && a.rest })
}

// identifier turns the tool's name into one of a shell function.
func identifier(name string) string {
	return strings.Map(func(r rune) rune {
		if r == '-' || r == ' ' {
			return '_'
		}
		return r
	}, name)
}

// fill puts the names of the tool and its function into a script's fixed part.
func fill(script string, t Tool) string {
	return strings.NewReplacer("@TOOL@", t.Name, "@FN@", "_"+identifier(t.Name)).Replace(script)
}

// single quotes text for bash and zsh.
func single(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

package queue

import (
	"path"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// maxNesting limits the depth of nested commands: sudo of env of sh -c of
// another sh -c, and so on.
const maxNesting = 8

// simple is one simple command that a queued command runs, with its context.
type simple struct {
	argv    []string // expansions of the shell stay as written
	env     []string // NAME=VALUE before it
	input   bool     // its standard input has data
	piped   bool     // its standard output is a pipe to another command
	bounded bool     // it has an end: timeout(1), or it runs in the background
}

func (s *simple) program() string { return path.Base(s.argv[0]) }

func (s *simple) args() []string { return s.argv[1:] }

// simples returns the simple commands that c runs: c itself, what programs such
// as sudo(8), env(1) and find(1) run for it, and the commands in the script of a
// shell.
func simples(c *Command) []simple {
	first := simple{argv: c.Argv, env: c.Env, input: c.Stdin != nil}
	all := inner(first, 0)
	if c.Stdin != nil && slices.ContainsFunc(all, func(s simple) bool { return s.readsScript() }) {
		all = append(all, script(string(c.Stdin), simple{input: true}, 1)...)
	}
	return all
}

// inner returns s and the commands that it runs.
func inner(s simple, depth int) []simple {
	all := []simple{s}
	if depth > maxNesting {
		return all
	}
	if text, isScript := s.script(); isScript {
		return append(all, script(text, s, depth+1)...)
	}
	if next, found := s.wrapped(); found {
		all = append(all, inner(next, depth+1)...)
	}
	return all
}

// wrapper describes the arguments of a program that runs another.
type wrapper struct {
	values   string // short options that take a value
	longs    string // long options that take a separate argument
	operands int    // its own arguments before the command
	limits   bool   // it ends the command after a time
	feeds    bool   // the command does not get its standard input
}

// wrapperOf describes a program that runs the command in its arguments.
func wrapperOf(program string) (w wrapper, known bool) {
	switch program {
	case "sudo":
		w = wrapper{values: "ugpCDRrtThU", longs: "--user --group --prompt --close-from --chdir --chroot --role --type --host --other-user"}
	case "doas":
		w = wrapper{values: "uC"}
	case "pkexec":
		w = wrapper{longs: "--user"}
	case "gosu":
		w = wrapper{operands: 1}
	case "setpriv":
		w = wrapper{longs: "--reuid --regid --groups"}
	case "env":
		w = wrapper{values: "uCS", longs: "--unset --chdir --split-string"}
	case "nohup":
		w = wrapper{}
	case "setsid":
		w = wrapper{}
	case "nice":
		w = wrapper{values: "n", longs: "--adjustment"}
	case "ionice":
		w = wrapper{values: "cnpPu", longs: "--class --classdata"}
	case "chrt":
		w = wrapper{values: "TPDp", operands: 1}
	case "taskset":
		w = wrapper{operands: 1}
	case "timeout":
		w = wrapper{values: "ks", longs: "--kill-after --signal", operands: 1, limits: true}
	case "time":
		w = wrapper{values: "fo", longs: "--format --output"}
	case "stdbuf":
		w = wrapper{values: "ioe", longs: "--input --output --error"}
	case "chroot":
		w = wrapper{operands: 1}
	case "flock":
		w = wrapper{values: "wE", longs: "--timeout --wait --conflict-exit-code", operands: 1}
	case "unshare":
		w = wrapper{values: "SG"}
	case "prlimit":
		w = wrapper{}
	case "busybox":
		w = wrapper{}
	case "eatmydata":
		w = wrapper{}
	case "unbuffer":
		w = wrapper{}
	case "exec":
		w = wrapper{values: "a"}
	case "command":
		w = wrapper{}
	case "builtin":
		w = wrapper{}
	case "systemd-run":
		w = wrapper{values: "upMHEC", longs: "--unit --property --description --slice --uid --gid --setenv --working-directory --on-active --on-boot --on-calendar --service-type", limits: true, feeds: true}
	case "runuser":
		w = wrapper{values: "ugGws", longs: "--user --group --supp-group --shell --whitelist-environment"}
	case "systemd-inhibit":
		w = wrapper{longs: "--what --who --why --mode"}
	case "xargs":
		w = wrapper{values: "aEILnPsd", longs: "--arg-file --delimiter --max-args --max-procs --max-lines --replace", feeds: true}
	default:
		return w, false
	}
	return w, true
}

// wrapped returns the command in the arguments of s, if s runs one.
func (s *simple) wrapped() (simple, bool) {
	next := *s
	switch s.program() {
	case "find":
		at := slices.IndexFunc(s.argv, func(a string) bool { return slices.Contains([]string{"-exec", "-execdir", "-ok", "-okdir"}, a) })
		if at < 0 || at+1 == len(s.argv) {
			return next, false
		}
		next.argv = s.argv[at+1:]
		if end := slices.IndexFunc(next.argv, func(a string) bool { return a == ";" || a == "+" }); end > 0 {
			next.argv = next.argv[:end]
		}
		return next, true
	case "command":
		if hasShort(s.args(), "vV", "") {
			return next, false // it only prints the commands
		}
	}
	w, known := wrapperOf(s.program())
	if !known {
		return next, false
	}
	rest := afterOptions(s.args(), w.values, strings.Fields(w.longs))
	for len(rest) > 0 && isAssignment(rest[0]) {
		next.env = append(slices.Clone(next.env), rest[0])
		rest = rest[1:]
	}
	if len(rest) <= w.operands {
		return next, false
	}
	next.argv = rest[w.operands:]
	next.bounded = s.bounded || w.limits
	next.input = s.input || w.feeds
	return next, true
}

// script returns the shell script in the arguments of s.
func (s *simple) script() (text string, found bool) {
	args := s.args()
	switch s.program() {
	case "eval":
		return strings.Join(args, " "), len(args) > 0
	case "env":
		for i, arg := range args {
			if text, found := strings.CutPrefix(arg, "--split-string="); found {
				return text, true
			}
			if (arg == "-S" || arg == "--split-string") && i+1 < len(args) {
				return strings.Join(args[i+1:], " "), true
			}
			if text, found := strings.CutPrefix(arg, "-S"); found && text != "" {
				return strings.Join(append([]string{text}, args[i+1:]...), " "), true
			}
		}
		return "", false
	case "su", "runuser", "flock", "script":
		for i, arg := range args {
			if text, found := strings.CutPrefix(arg, "--command="); found {
				return text, true
			}
			short := len(arg) > 1 && arg[0] == '-' && arg[1] != '-' && strings.HasSuffix(arg, "c")
			if (short || arg == "--command") && i+1 < len(args) {
				return args[i+1], true
			}
		}
		return "", false
	case "watch":
		return strings.Join(afterOptions(args, "nqs", []string{"--interval"}), " "), true
	}
	if !s.isShell() {
		return "", false
	}
	rest, flags := s.shellOptions()
	if !strings.Contains(flags, "c") || len(rest) == 0 {
		return "", false
	}
	return rest[0], true
}

func (s *simple) isShell() bool {
	return slices.Contains([]string{"sh", "bash", "rbash", "dash", "ash", "ksh", "mksh", "zsh"}, s.program())
}

// shellOptions returns the arguments after the options of a shell, and the
// letters of these options. -o and -O take the next argument, wherever they are
// in a group.
func (s *simple) shellOptions() (rest []string, flags string) {
	for rest = s.args(); len(rest) > 0; rest = rest[1:] {
		arg := rest[0]
		switch {
		case arg == "--" || arg == "-":
			return rest[1:], flags
		case arg == "--rcfile" || arg == "--init-file":
			rest = rest[min(1, len(rest)-1):]
		case strings.HasPrefix(arg, "--"):
		case len(arg) > 1 && (arg[0] == '-' || arg[0] == '+'):
			flags += arg[1:]
			if strings.ContainsAny(arg, "oO") {
				rest = rest[min(1, len(rest)-1):]
			}
		default:
			return rest, flags
		}
	}
	return rest, flags
}

// readsScript reports whether s is a shell that reads its commands from
// standard input.
func (s *simple) readsScript() bool {
	if !s.isShell() || isHelp(s.args()) {
		return false
	}
	rest, flags := s.shellOptions()
	return !strings.Contains(flags, "c") && (strings.Contains(flags, "s") || len(rest) == 0)
}

// script returns the simple commands of a shell script that runs in the context
// around. A script that cannot be parsed in any dialect is split at the
// operators, regardless of quotes: an unnecessary question does less harm than
// a missing one.
func script(text string, around simple, depth int) []simple {
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(text), "")
	if err != nil {
		return split(text, around, depth)
	}
	w := walker{text: text, depth: depth, around: []simple{around}, piped: map[*syntax.Stmt]simple{}}
	syntax.Walk(file, w.visit)
	return w.found
}

func split(text string, around simple, depth int) (all []simple) {
	for line := range strings.FieldsFuncSeq(text, func(r rune) bool { return strings.ContainsRune(";&|(){}\n", r) }) {
		argv := strings.Fields(line)
		for len(argv) > 0 && slices.Contains([]string{"if", "then", "elif", "else", "while", "until", "do", "!", "time"}, argv[0]) {
			argv = argv[1:]
		}
		if len(argv) > 0 {
			around.argv = argv
			all = append(all, inner(around, depth)...)
		}
	}
	return all
}

// walker collects the simple commands of a script.
type walker struct {
	text   string
	depth  int
	around []simple                // the context of each open node
	piped  map[*syntax.Stmt]simple // pipelines' ends, with their context
	found  []simple
}

// visit handles a node, or nil at the end of one.
func (w *walker) visit(node syntax.Node) bool {
	if node == nil {
		w.around = w.around[:len(w.around)-1]
		return true
	}
	here := w.around[len(w.around)-1]
	switch n := node.(type) {
	case *syntax.Stmt:
		ends := w.piped[n]
		here.input = here.input || ends.input
		here.piped = here.piped || ends.piped
		here.bounded = here.bounded || n.Background
		for _, r := range n.Redirs {
			w.redirect(r, &here)
		}
	case *syntax.BinaryCmd:
		if n.Op == syntax.Pipe || n.Op == syntax.PipeAll {
			w.piped[n.X] = simple{piped: true}
			w.piped[n.Y] = simple{input: true}
		}
	case *syntax.WhileClause:
		if w.endless(n) {
			loop := here
			loop.argv = []string{"while", "true"}
			w.found = append(w.found, loop)
		}
	case *syntax.CallExpr:
		w.call(n, here)
	}
	w.around = append(w.around, here)
	return true
}

// call handles a simple command.
func (w *walker) call(n *syntax.CallExpr, here simple) {
	if len(n.Args) == 0 {
		return
	}
	here.argv = nil
	for _, word := range n.Args {
		here.argv = append(here.argv, w.word(word))
	}
	for _, assign := range n.Assigns {
		here.env = append(slices.Clone(here.env), w.source(assign))
	}
	w.found = append(w.found, inner(here, w.depth)...)
}

// redirect records the effect of a redirection. Writing to a file counts as
// tee(1).
func (w *walker) redirect(r *syntax.Redirect, here *simple) {
	switch r.Op {
	case syntax.RdrIn, syntax.RdrInOut, syntax.Hdoc, syntax.DashHdoc, syntax.WordHdoc, syntax.DplIn:
		here.input = true
	case syntax.RdrOut, syntax.AppOut, syntax.RdrAll, syntax.AppAll, syntax.RdrClob:
		w.found = append(w.found, simple{argv: []string{"tee", w.word(r.Word)}, input: true, bounded: true})
	}
}

// endless reports whether nothing in the script ends the loop.
func (w *walker) endless(n *syntax.WhileClause) bool {
	always := "true"
	if n.Until {
		always = "false"
	}
	if len(n.Cond) != 1 {
		return false
	}
	cond, isCall := n.Cond[0].Cmd.(*syntax.CallExpr)
	if !isCall || len(cond.Args) != 1 || n.Cond[0].Negated {
		return false
	}
	if word := w.word(cond.Args[0]); word != always && (n.Until || word != ":") {
		return false
	}
	ends := false
	syntax.Walk(&syntax.Block{Stmts: n.Do}, func(node syntax.Node) bool {
		if call, isCall := node.(*syntax.CallExpr); isCall && len(call.Args) > 0 {
			ends = ends || slices.Contains([]string{"break", "exit", "return", "exec", "kill"}, w.word(call.Args[0]))
		}
		return true
	})
	return !ends
}

// word returns a word without its quotes; expansions stay as written.
func (w *walker) word(word *syntax.Word) string {
	var b strings.Builder
	for _, part := range word.Parts {
		b.WriteString(w.part(part, false))
	}
	return b.String()
}

func (w *walker) part(part syntax.WordPart, quoted bool) string {
	switch p := part.(type) {
	case *syntax.Lit:
		if quoted {
			return p.Value
		}
		return unescape(p.Value)
	case *syntax.SglQuoted:
		return p.Value
	case *syntax.DblQuoted:
		var b strings.Builder
		for _, inside := range p.Parts {
			b.WriteString(w.part(inside, true))
		}
		return b.String()
	}
	return w.source(part)
}

// source returns the text of a node.
func (w *walker) source(node syntax.Node) string {
	from, to := int(node.Pos().Offset()), int(node.End().Offset())
	if from > to || to > len(w.text) {
		return ""
	}
	return w.text[from:to]
}

// unescape removes the backslashes that quote.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// isAssignment reports whether a word is NAME=VALUE, XBD 3.231.
func isAssignment(word string) bool {
	name, _, found := strings.Cut(word, "=")
	name = strings.TrimSuffix(name, "+")
	return found && name != "" && (name[0] < '0' || name[0] > '9') &&
		strings.IndexFunc(name, func(r rune) bool { return r != '_' && !isAlnum(r) }) < 0
}

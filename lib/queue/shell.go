package queue

import (
	"regexp"
	"slices"
	"strings"
	"unicode"

	"iwx/lib/fault"
)

// operator matches an argument that a shell would interpret itself: a pipe, a
// list, or a redirection such as 2>&1.
var operator = regexp.MustCompile(`^(\|\|?|\|&|&&?|;;?|[0-9]*(>>?|<|>\||<>|<<<?)(&[0-9-])?|&>>?|[0-9&]*>>?/dev/null)$`)

// CheckWords returns a usage error, with the right way to write it, if the words
// of a command contain syntax that only a shell understands. installed reports
// whether a program, or a file, of that name exists. asTyped says that a shell
// has already read the words: quotes are gone then, and any operator left was
// quoted.
func CheckWords(argv []string, asTyped bool, installed func(string) bool) error {
	if len(argv) == 0 || argv[0] == "" {
		return nil // Check reports this
	}
	first, line := argv[0], strings.Join(argv, " ")
	switch {
	case strings.ContainsAny(first, " \t\n") && len(argv) == 1 && !installed(first):
		hint := "iwx-queue add -- " + first
		if strings.ContainsAny(first, "|&;<>()$`*?[]{}~!'\"\\\n#") {
			hint = "let a shell read it: sh -c " + Quote(first)
		}
		return fault.Hint(fault.New(fault.Usage, "%q is a whole command in one argument, and no program has this name", first), "%s", hint)
	case isAssignment(first):
		if len(argv) == 1 {
			return fault.Hint(fault.New(fault.Usage, "%s sets a variable that no command gets: each entry has its own environment", first),
				"add it to a command: --env %s", Quote(first))
		}
		return fault.Hint(fault.New(fault.Usage, "%s in front of a command needs a shell", first), "add it to the environment: --env %s", Quote(first))
	case unprintable(first) >= 0 && !installed(first):
		return fault.Hint(fault.New(fault.Usage, "no program is called %q: it holds %U, which does not print", first, unprintable(first)),
			"it was probably copied with the text around it: type the command again")
	case isPrompt(first) && !installed(first):
		return fault.Hint(fault.New(fault.Usage, "%q is the prompt of a shell, and not a program", first), "leave it out: iwx-queue add -- %s", words(argv[1:]))
	case isShellOnly(first) || isShellMostly(first) && !installed(first):
		return fault.Hint(fault.New(fault.Usage, "%s is not a program but part of a shell: what it changes ends with that shell", first),
			"%s", builtinHint(argv))
	}
	if at := strayOperator(argv); at >= 0 && asTyped {
		return fault.Hint(fault.New(fault.Usage, "argument %s needs a shell: %s would get it as plain text", Quote(argv[at]), Quote(first)),
			"let a shell read it: sh -c %s", Quote(line))
	}
	return nil
}

// unprintable returns the first character of a program's name that an editor or a web
// page leaves there without showing it, such as a no-break space, a zero-width space or
// the ^Z that ends files of DOS, or -1. Bytes that are not UTF-8 may be a name in another
// encoding.
func unprintable(name string) rune {
	for _, r := range name {
		if r != ' ' && r != '\t' && r != '\n' && !unicode.IsPrint(r) {
			return r
		}
	}
	return -1
}

// prompt matches a shell's prompt, which comes along when a command is copied from a
// terminal or a manual.
var prompt = regexp.MustCompile(`^([#$%]|[^\s/]*[a-z0-9~\])][#$])$`)

func isPrompt(word string) bool {
	return prompt.MatchString(word) || strings.Contains(word, "@") && strings.ContainsAny(word[len(word)-1:], "#$%")
}

// builtinHint returns what to queue instead of a builtin.
func builtinHint(argv []string) string {
	switch argv[0] {
	case "cd", "pushd":
		return "name the directory: --cwd DIR; or let a shell do it: sh -c 'cd DIR && COMMAND'"
	case "export", "declare", "typeset", "set":
		return "add to the environment of a command: --env KEY=VALUE"
	case "umask":
		return "give a command its mask: iwx-queue add --umask MASK -- COMMAND"
	case "exec":
		if len(argv) > 1 {
			return "leave it out: iwx-queue add -- " + words(argv[1:])
		}
	case "source", ".":
		return "bash -c " + Quote(strings.Join(append([]string{"."}, argv[1:]...), " ")+" && COMMAND")
	}
	return "let a shell do it, with the commands after it: sh -c " + Quote(words(argv))
}

func words(argv []string) string {
	quoted := make([]string, len(argv))
	for i, arg := range argv {
		quoted[i] = Quote(arg)
	}
	return strings.Join(quoted, " ")
}

// isShellOnly reports whether a word is only useful in a shell: builtins that
// change the shell itself, and reserved words (POSIX XCU 2.4 and 2.14). On some
// systems there are programs of these names, which have no effect either.
func isShellOnly(word string) bool {
	return slices.Contains([]string{
		".", ":", "source", "cd", "export", "exec", "ulimit", "umask", "alias", "unalias", "set", "unset", "eval", "read", "shopt",
		"pushd", "popd", "dirs", "declare", "typeset", "local", "readonly", "return", "exit", "break", "continue", "shift", "trap", "wait",
		"jobs", "fg", "bg", "hash", "getopts", "let", "mapfile", "readarray", "disown", "builtin",
		"if", "then", "else", "elif", "fi", "for", "while", "until", "do", "done", "case", "esac", "select", "function", "coproc",
		"{", "}", "!", "[[", "]]", "((",
	}, word)
}

// isShellMostly reports whether a word is a builtin or reserved word of shells
// that some servers also have as a program.
func isShellMostly(word string) bool {
	return slices.Contains([]string{"time", "times", "type", "command", "history", "fc", "help", "bind", "complete", "compgen", "enable", "caller", "logout", "suspend"}, word)
}

// strayOperator returns the index of an operator that cannot be meant for the
// program, or -1 if there is none.
func strayOperator(argv []string) int {
	program := innermost(argv)
	base := program.program()
	from := len(argv) - len(program.argv)
	for i := from; i < len(argv); i++ {
		if !operator.MatchString(argv[i]) || i > 0 && takesOperator(base, argv[from+1:i], argv[i]) {
			continue
		}
		// A pipe or a redirection needs a word after it.
		if complete := strings.Contains(argv[i], ">&") || strings.HasSuffix(argv[i], "/dev/null") || argv[i] == ";" || argv[i] == "&"; i == len(argv)-1 && i > 0 && !complete {
			continue
		}
		return i
	}
	return -1
}

// innermost returns the command that sudo(8) and the like run. It does not look
// into scripts, nor into find(1) and xargs(1), whose arguments have operators of
// their own.
func innermost(argv []string) simple {
	s := simple{argv: argv}
	for range maxNesting {
		next, found := s.wrapped()
		if base := s.program(); !found || base == "find" || base == "xargs" {
			break
		}
		s = next
	}
	return s
}

// takesOperator reports whether a program takes an operator as an argument after
// the arguments before: find(1) its ;, expr(1) and test(1) their operators, a
// shell the arguments of its script, and text tools a separator or a pattern.
func takesOperator(program string, before []string, operator string) bool {
	switch program {
	case "find":
		return operator == ";"
	case "expr", "test", "[":
		return len(operator) == 1
	case "sh", "bash", "dash", "ash", "ksh", "zsh", "ssh", "tr":
		return len(before) > 0 || program == "tr"
	case "grep", "egrep", "fgrep", "zgrep", "rg", "sed", "awk", "gawk", "mawk", "perl", "cut", "sort", "join", "paste", "column", "xargs",
		"jq", "psql", "mysql", "sqlite3", "printf":
		if len(before) == 0 {
			return true
		}
		last := before[len(before)-1]
		return strings.HasPrefix(last, "-") || len(operands(before, "")) == 0
	}
	return false
}

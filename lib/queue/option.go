package queue

import (
	"slices"
	"strings"
)

// afterOptions returns the arguments after the options of a command, as
// getopt(3) with POSIXLY_CORRECT does. values are the short options that take a
// value, longs the long options that take it as a separate argument.
func afterOptions(args []string, values string, longs []string) []string {
	for len(args) > 0 {
		arg := args[0]
		switch {
		case arg == "--":
			return args[1:]
		case slices.Contains(longs, arg):
			args = args[1:]
		case strings.HasPrefix(arg, "--"), arg == "-":
		case !strings.HasPrefix(arg, "-"):
			return args
		case wantsNext(arg, values):
			args = args[1:]
		}
		args = args[min(1, len(args)):]
	}
	return nil
}

// wantsNext reports whether the last letter of a group of short options takes
// the next argument as its value.
func wantsNext(group, values string) bool {
	at := strings.IndexAny(group, values)
	return values != "" && at == len(group)-1
}

// operands returns the arguments that are not options, wherever they are.
func operands(args []string, values string, longs ...string) (list []string) {
	for len(args) > 0 {
		rest := afterOptions(args, values, longs)
		if len(rest) == 0 {
			return list
		}
		ended := len(rest) < len(args) && args[len(args)-len(rest)-1] == "--"
		if ended {
			return append(list, rest...)
		}
		list, args = append(list, rest[0]), rest[1:]
	}
	return list
}

// hasShort reports whether one of the letters is given as a short option, alone
// or in a group, such as -mu 2001. values are the options that take a value,
// which is the rest of their group.
func hasShort(args []string, letters, values string) bool {
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if arg == "--" {
			return false
		}
		if len(arg) < 2 || arg[0] != '-' || arg[1] == '-' {
			continue
		}
		for _, letter := range arg[1:] {
			if strings.ContainsRune(letters, letter) {
				return true
			}
			if strings.ContainsRune(values, letter) {
				break
			}
		}
		if wantsNext(arg, values) {
			i++
		}
	}
	return false
}

// hasLong reports whether the long option is given, as --flag or --flag=value,
// or abbreviated to at least two letters.
func hasLong(args []string, flag string) bool {
	for _, arg := range args {
		if arg == "--" {
			return false
		}
		name, _, _ := strings.Cut(arg, "=")
		if len(name) >= len("--xx") && strings.HasPrefix(flag, name) {
			return true
		}
	}
	return false
}

// isHelp reports whether a command only prints its help or version.
func isHelp(args []string) bool {
	return slices.Contains(args, "--help") || slices.Contains(args, "--version")
}

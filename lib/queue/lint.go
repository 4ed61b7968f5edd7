package queue

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// Finding is something about a command that would probably go wrong when every
// node replays it.
type Finding struct {
	Name   string // stable: "id", "shared-path", "reboot", "self", "terminal"
	Detail string // what is wrong, one line
	Remedy string // what to do instead
}

// Lint looks for the mistakes that cascading makes easy. shares are the
// absolute paths that all nodes mount; there may be none. A finding is a
// question to the operator, not an error.
func Lint(c *Command, shares []string) []Finding {
	if len(c.Argv) == 0 {
		return nil
	}
	var found []Finding
	for _, rule := range []func(*Command, []string) *Finding{
		lintID, lintSharedPath, lintReboot, lintSelf, lintTerminal,
	} {
		for _, one := range inner(c) {
			if f := rule(one, shares); f != nil {
				found = append(found, *f)
				break
			}
		}
	}
	return found
}

// inner returns c and, where it is a shell with a script in its arguments, the
// simple commands in it. The script is split at its operators without regard
// to quotes: a needless question about a text does less harm than none about a
// command.
func inner(c *Command) []*Command {
	all := []*Command{c}
	if len(c.Argv) < 3 || c.Argv[1] != "-c" || !slices.Contains([]string{"sh", "bash", "dash", "ash", "ksh", "zsh"}, program(c)) {
		return all
	}
	for simple := range strings.FieldsFuncSeq(c.Argv[2], func(r rune) bool { return strings.ContainsRune(";&|(){}\n", r) }) {
		if argv := strings.Fields(simple); len(argv) > 0 {
			all = append(all, &Command{Argv: argv})
		}
	}
	return all
}

func program(c *Command) string { return path.Base(c.Argv[0]) }

// hasFlag reports whether one of the flags is among args, alone, as
// "--flag=value", or as a short flag with its value attached.
func hasFlag(args []string, short, long string) bool {
	return slices.ContainsFunc(args, func(arg string) bool {
		return strings.HasPrefix(arg, short) && !strings.HasPrefix(arg, "--") ||
			arg == long || strings.HasPrefix(arg, long+"=")
	})
}

func lintID(c *Command, _ []string) *Finding {
	short, long := "-u", "--uid"
	switch program(c) {
	case "useradd", "adduser":
	case "groupadd", "addgroup":
		short, long = "-g", "--gid"
	default:
		return nil
	}
	if hasFlag(c.Argv[1:], short, long) {
		return nil
	}
	return &Finding{
		Name:   "id",
		Detail: fmt.Sprintf("%s without %s: every node would pick an id of its own, and files on shared storage would change owner", program(c), long),
		Remedy: fmt.Sprintf("name the id: %s %s NUMBER ...", program(c), long),
	}
}

func lintSharedPath(c *Command, shares []string) *Finding {
	for _, arg := range c.Argv[1:] {
		for _, share := range shares {
			if arg == share || strings.HasPrefix(arg, strings.TrimSuffix(share, "/")+"/") {
				return &Finding{
					Name:   "shared-path",
					Detail: fmt.Sprintf("%s is on the shared storage %s: every node would do the same work on the same files", arg, share),
					Remedy: "run it once, on the manager, without cascading it",
				}
			}
		}
	}
	return nil
}

func lintReboot(c *Command, _ []string) *Finding {
	verb := program(c)
	if verb == "systemctl" && len(c.Argv) > 1 {
		verb = c.Argv[1]
	}
	if !slices.Contains([]string{"reboot", "shutdown", "poweroff", "halt", "kexec"}, verb) {
		return nil
	}
	return &Finding{
		Name:   "reboot",
		Detail: verb + " takes every node down at once, and the outcome of the entry will be unknown on each",
		Remedy: "reboot the nodes one by one, from their own shells",
	}
}

func lintSelf(c *Command, _ []string) *Finding {
	if program(c) != "systemctl" && program(c) != "service" {
		return nil
	}
	args := c.Argv[1:]
	if !slices.ContainsFunc(args, func(a string) bool { return strings.TrimSuffix(a, ".service") == "iwx-queued" }) ||
		!slices.ContainsFunc(args, func(a string) bool { return a == "stop" || a == "disable" || a == "mask" }) {
		return nil
	}
	return &Finding{
		Name:   "self",
		Detail: "it stops the daemon that replays the queue: the nodes would not come back by themselves",
		Remedy: "to hold the nodes still: iwx-queue pause --all",
	}
}

func lintTerminal(c *Command, _ []string) *Finding {
	if !slices.Contains([]string{"vi", "vim", "nano", "emacs", "less", "more", "top", "htop", "visudo", "crontab"}, program(c)) {
		return nil
	}
	if program(c) == "crontab" && !slices.Contains(c.Argv, "-e") {
		return nil
	}
	return &Finding{
		Name:   "terminal",
		Detail: program(c) + " wants a terminal, and a replay has none",
		Remedy: "change the file here, then cascade it: iwx-queue push FILE",
	}
}

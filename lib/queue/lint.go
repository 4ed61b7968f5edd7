package queue

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

// Finding is something about a command that would probably go wrong when every
// node replays it.
type Finding struct {
	Name   string // stable: "id", "shared-path", "reboot", "self", "cut-off", "terminal", "endless", "input", "typography"
	Detail string // what is wrong, one line
	Remedy string // what to do instead
}

// Lint looks for common mistakes in commands for all nodes: in the command, in
// what programs such as sudo(8) and env(1) run for it, and in the script of a
// shell. shares are the absolute paths that all nodes mount; there may be none.
// A finding is a question to the operator, not an error.
func Lint(c *Command, shares []string) []Finding {
	if len(c.Argv) == 0 || c.Argv[0] == "" {
		return nil
	}
	all := simples(c)
	var found []Finding
	for _, rule := range []func(*simple, []string) *Finding{
		lintID, lintSharedPath, lintReboot, lintSelf, lintCutOff, lintTerminal, lintEndless, lintInput, lintTypography,
	} {
		for i := range all {
			if isHelp(all[i].args()) {
				continue
			}
			if f := rule(&all[i], shares); f != nil {
				found = append(found, *f)
				break
			}
		}
	}
	return found
}

// lintID finds new accounts without a number, for which each node would choose
// its own. System accounts may differ: they own nothing on shared storage.
func lintID(s *simple, _ []string) *Finding {
	args := s.args()
	program, flag := s.program(), "--uid"
	given, system := false, hasLong(args, "--system")
	switch program {
	case "useradd", "adduser":
		const values = "bcdefgGkKpPRsuZ"
		given = hasShort(args, "u", values) || hasLong(args, "--uid")
		system = system || hasShort(args, "rDS", values) || hasLong(args, "--defaults")
		if program == "adduser" && len(operands(args, "u", "--home", "--shell", "--gecos", "--comment", "--ingroup", "--gid", "--firstuid", "--lastuid", "--conf")) > 1 {
			return nil // adduser USER GROUP creates no account
		}
	case "groupadd", "addgroup":
		const values = "gKpRPU"
		flag = "--gid"
		given = hasShort(args, "g", values) || hasLong(args, "--gid")
		system = system || hasShort(args, "rS", values)
		if program == "addgroup" && len(operands(args, "g", "--gid", "--firstgid", "--lastgid", "--conf")) > 1 {
			return nil
		}
	case "newusers":
		if len(operands(args, "cs")) == 0 {
			return nil // the accounts are on its standard input, see lintInput
		}
		return &Finding{
			Name:   "id",
			Detail: "newusers assigns a uid to each line without one: each node would assign its own, and files on shared storage would change owner",
			Remedy: "give the uid in each line: NAME:PASSWORD:UID:GID:...; if all have one, add --yes",
		}
	default:
		return nil
	}
	if given || system {
		return nil
	}
	return &Finding{
		Name:   "id",
		Detail: fmt.Sprintf("%s without %s: each node would assign its own id, and files on shared storage would change owner", program, flag),
		Remedy: fmt.Sprintf("give the id: %s %s NUMBER ...", program, flag),
	}
}

func lintSharedPath(s *simple, shares []string) *Finding {
	for _, arg := range s.args() {
		for _, share := range shares {
			if within(arg, share) {
				return &Finding{
					Name:   "shared-path",
					Detail: fmt.Sprintf("%s is on the shared storage %s: every node would do the same work on the same files", arg, share),
					Remedy: "do it once, here on the manager",
				}
			}
		}
	}
	return nil
}

// within reports whether a path is dir, or below it.
func within(name, dir string) bool {
	return name == dir || strings.HasPrefix(name, strings.TrimSuffix(dir, "/")+"/")
}

// unitValues are the short options of systemctl(1) that take a value.
const unitValues = "tpnosHMP"

// systemctl returns the verb and the units of a systemctl(1) or service(8)
// command.
func systemctl(s *simple) (verb string, units []string) {
	list := operands(s.args(), unitValues, "--type", "--property", "--lines", "--output", "--signal", "--host", "--machine", "--job-mode", "--root", "--kill-whom")
	switch dir, name := path.Split(s.argv[0]); {
	case len(list) == 0:
	case name == "systemctl":
		verb, units = list[0], list[1:]
	case (name == "service" || name == "invoke-rc.d" || name == "rc-service") && len(list) > 1:
		verb, units = list[1], list[:1]
	case strings.HasSuffix(dir, "/init.d/"):
		verb, units = list[0], []string{name}
	}
	return verb, units
}

// downTargets are the targets of systemd.special(7) in which no node replays.
func downTargets() []string {
	return []string{
		"reboot", "poweroff", "halt", "kexec", "soft-reboot", "rescue", "emergency", "exit",
		"suspend", "hibernate", "hybrid-sleep", "suspend-then-hibernate", "sleep", "shutdown", "runlevel0", "runlevel1", "runlevel6",
	}
}

func lintReboot(s *simple, _ []string) *Finding {
	args, program := s.args(), s.program()
	down := ""
	switch program {
	case "reboot", "poweroff", "halt":
		if !hasShort(args, "w", "") && !hasLong(args, "--wtmp-only") {
			down = program
		}
	case "shutdown":
		if !hasShort(args, "ck", "") && !slices.Contains(args, "--show") {
			down = program
		}
	case "kexec":
		if hasShort(args, "e", "") || hasLong(args, "--exec") {
			down = program
		}
	case "init", "telinit":
		if list := operands(args, "t"); len(list) > 0 && slices.Contains([]string{"0", "1", "6", "s", "S"}, list[0]) {
			down = program + " " + list[0]
		}
	case "pm-suspend", "pm-hibernate", "rtcwake":
		down = program
	case "tee":
		if slices.Contains(args, "/proc/sysrq-trigger") {
			down = "/proc/sysrq-trigger"
		}
	case "systemctl", "loginctl":
		verb, units := systemctl(&simple{argv: append([]string{"systemctl"}, args...)})
		if slices.ContainsFunc(args, func(a string) bool { return a == "--dry-run" || a == "--when=cancel" || a == "--when=show" }) {
			return nil
		}
		if slices.Contains(downTargets(), verb) {
			down = verb
		}
		for _, unit := range units {
			if name, isTarget := strings.CutSuffix(unit, ".target"); (verb == "isolate" || verb == "start") && slices.Contains(downTargets(), name) &&
				(isTarget || verb == "isolate") {
				down = unit
			}
		}
	}
	if down == "" {
		return nil
	}
	return &Finding{
		Name:   "reboot",
		Detail: down + " takes every node down at once, and the outcome of the entry will be unknown on each",
		Remedy: "reboot the nodes one by one, from their own shells",
	}
}

// The parts of iwx on a node: the daemon that replays, the package, the state.
const (
	ownDaemon  = "iwx-queued"
	ownPackage = "iwx"
	ownState   = "/var/lib/iwx"
)

// ownDirs are the directories of iwx on a node.
func ownDirs() []string { return []string{ownState, "/etc/iwx", "/run/iwx"} }

// ownTools are the programs of iwx.
func ownTools() []string {
	return []string{"iwx-cluster-setup", "iwx-lb", "iwx-node", "iwx-queue", ownDaemon, "iwx-site"}
}

func lintSelf(s *simple, _ []string) *Finding {
	if stopsDaemon(s) {
		return &Finding{
			Name:   "self",
			Detail: "the command stops iwx-queued, which replays the queue: the nodes would not resume by themselves",
			Remedy: "to stop replaying for a while: iwx-queue pause --all",
		}
	}
	if removesOwn(s) {
		return &Finding{
			Name:   "self",
			Detail: "the command removes iwx or its state: the nodes would drop out of the cluster",
			Remedy: "take a node out of the cluster: iwx-node delete NODE",
		}
	}
	return nil
}

// stopsDaemon reports whether s ends the daemon, or keeps it from starting.
func stopsDaemon(s *simple) bool {
	args := s.args()
	isDaemon := func(unit string) bool {
		matched, err := path.Match(strings.TrimSuffix(unit, ".service"), ownDaemon)
		return err == nil && matched
	}
	switch s.program() {
	case "pkill", "killall":
		if hasShort(args, "0", "") || slices.ContainsFunc(args, func(a string) bool {
			return slices.Contains([]string{"-HUP", "-1", "-SIGHUP", "HUP", "SIGHUP"}, a)
		}) {
			return false // SIGHUP reloads the settings
		}
		return slices.ContainsFunc(operands(args, "sugGPtUFo", "--signal", "--user"), func(pattern string) bool {
			expr, err := regexp.Compile(pattern)
			return isDaemon(pattern) || err == nil && s.program() == "pkill" && expr.MatchString(ownDaemon)
		})
	case "kill":
		return slices.ContainsFunc(args, func(a string) bool { return strings.Contains(a, ownDaemon) }) &&
			!hasShort(args, "H01", "") // a reload
	case "update-rc.d":
		return slices.Contains(args, ownDaemon) && (slices.Contains(args, "remove") || slices.Contains(args, "disable"))
	}
	verb, units := systemctl(s)
	return slices.Contains([]string{"stop", "disable", "mask", "kill", "freeze"}, verb) && slices.ContainsFunc(units, isDaemon)
}

// removesOwn reports whether s removes the package or the state of iwx.
func removesOwn(s *simple) bool {
	args, program := s.args(), s.program()
	isOwn := func(name string) bool {
		matched, err := path.Match(name, ownPackage)
		return err == nil && matched
	}
	switch program {
	case "apt-get", "apt", "aptitude", "dnf", "yum", "microdnf", "zypper":
		list := operands(args, "octa", "--option", "--config-file", "--target-release")
		if len(list) == 0 {
			return false
		}
		removes := slices.Contains([]string{"remove", "purge", "erase", "autoremove", "rm"}, list[0])
		return slices.ContainsFunc(list[1:], func(name string) bool {
			return removes && isOwn(name) || name == ownPackage+"-" // apt-get install iwx-
		})
	case "dpkg", "rpm":
		removes := hasShort(args, "rPe", "") || hasLong(args, "--remove") || hasLong(args, "--purge") || hasLong(args, "--erase")
		return removes && slices.ContainsFunc(operands(args, ""), isOwn)
	case "iwx-cluster-setup":
		return len(args) > 0 && args[0] == "reset" && !slices.Contains(args, "--dry-run")
	case "rm", "shred", "unlink":
		deep := hasShort(args, "rR", "") || hasLong(args, "--recursive")
		return slices.ContainsFunc(operands(args, ""), func(name string) bool { return touchesOwn(name, deep) })
	case "mv":
		list := operands(args, "tS", "--target-directory", "--suffix")
		return slices.ContainsFunc(list[:max(len(list)-1, 0)], func(name string) bool { return touchesOwn(name, true) })
	case "tee":
		return slices.ContainsFunc(args, func(name string) bool { return within(path.Clean(name), ownState) })
	case "find":
		deletes := slices.Contains(args, "-delete")
		return deletes && len(args) > 0 && slices.ContainsFunc(ownDirs(), func(dir string) bool { return within(path.Clean(args[0]), dir) })
	}
	return false
}

// touchesOwn reports whether a path is a tool of iwx or in one of its directories. deep says that the
// command affects everything below the path, too.
func touchesOwn(name string, deep bool) bool {
	if !path.IsAbs(name) {
		return false
	}
	name = path.Clean(strings.TrimRight(name, "*"))
	if strings.HasSuffix(path.Dir(name), "/sbin") && slices.Contains(ownTools(), path.Base(name)) {
		return true
	}
	return slices.ContainsFunc(ownDirs(), func(dir string) bool { return within(name, dir) || deep && within(dir, name) })
}

// networkUnits are the services that a node needs to reach the manager, and to
// be reached.
func networkUnits() []string {
	return []string{"networking", "NetworkManager", "systemd-networkd", "network", "wicked", "dhcpcd", "ssh", "sshd"}
}

func lintCutOff(s *simple, _ []string) *Finding {
	if !cutsOff(s) {
		return nil
	}
	return &Finding{
		Name:   "cut-off",
		Detail: strings.Join(s.argv, " ") + " cuts the nodes off the network: neither the manager nor you could reach them",
		Remedy: "do it on one node at a time, from its console",
	}
}

func cutsOff(s *simple) bool {
	args := s.args()
	list := operands(args, "")
	word := func(i int, full string, least int) bool {
		return i < len(list) && len(list[i]) >= least && strings.HasPrefix(full, list[i])
	}
	switch s.program() {
	case "ifdown":
		return !slices.Equal(list, []string{"lo"})
	case "ifconfig":
		return len(list) > 1 && (slices.Contains(list[1:], "down") || list[1] == "0.0.0.0" || list[1] == "0")
	case "ip":
		switch {
		case word(0, "link", 1):
			return word(1, "set", 1) && slices.Contains(list, "down")
		case word(0, "address", 1):
			return word(1, "flush", 1)
		case word(0, "route", 1):
			return word(1, "flush", 1) || word(1, "delete", 1) && slices.Contains(list, "default")
		}
	case "route":
		return word(0, "delete", 3) && slices.Contains(list, "default")
	case "nmcli":
		return word(0, "networking", 1) && word(1, "off", 2) ||
			word(0, "connection", 1) && word(1, "down", 2) ||
			word(0, "device", 1) && (word(1, "disconnect", 2) || word(1, "down", 2))
	case "networkctl":
		return word(0, "down", 4)
	case "rfkill":
		return word(0, "block", 5)
	case "ufw":
		return word(0, "enable", 6) || word(0, "default", 7) && (slices.Contains(list, "outgoing") && !slices.Contains(list, "allow"))
	case "firewall-cmd":
		return slices.Contains(args, "--panic-on")
	case "iptables", "ip6tables":
		return shutsChain(args)
	}
	verb, units := systemctl(s)
	return slices.Contains([]string{"stop", "disable", "mask", "kill"}, verb) && slices.ContainsFunc(units, func(unit string) bool {
		return slices.Contains(networkUnits(), strings.TrimSuffix(strings.TrimSuffix(unit, ".service"), ".target"))
	})
}

// shutsChain reports whether iptables(8) is to drop all incoming or outgoing
// packets.
func shutsChain(args []string) bool {
	var rule []string // without options that do not select packets
	for i := 0; i < len(args); i++ {
		switch args[i] {
		case "-w", "--wait":
		case "-t", "--table":
			i++
		default:
			rule = append(rule, args[i])
		}
	}
	if len(rule) < 3 || rule[1] != "INPUT" && rule[1] != "OUTPUT" {
		return false
	}
	target := rule[len(rule)-1]
	policy := len(rule) == 3 && (rule[0] == "-P" || rule[0] == "--policy")
	all := len(rule) == 4 && slices.Contains([]string{"-A", "-I", "--append", "--insert"}, rule[0]) && (rule[2] == "-j" || rule[2] == "--jump")
	return (policy || all) && (target == "DROP" || target == "REJECT")
}

package queue

import (
	"slices"
	"strings"
)

// lintTerminal finds commands that prompt, or edit, on a terminal.
func lintTerminal(s *simple, _ []string) *Finding {
	what, remedy := wantsTerminal(s)
	if what == "" {
		return nil
	}
	return &Finding{Name: "terminal", Detail: what + " needs a terminal, and a replay has none", Remedy: remedy}
}

func wantsTerminal(s *simple) (what, remedy string) {
	args, program := s.args(), s.program()
	const push = "change the file here, then cascade it: iwx-queue push FILE"
	switch program {
	case "nano", "vipw", "vigr", "sudoedit", "vimdiff":
		return program, push
	case "vi", "vim", "emacs":
		if !hasShort(args, "s", "cSuUiTtw") && !hasLong(args, "--batch") { // a script is the editor
			return program, push
		}
	case "less", "more", "most", "mc", "htop", "btop", "atop", "iftop", "nload", "nmtui", "dialog", "whiptail", "mysql_secure_installation",
		"login", "cfdisk", "cgdisk", "mcedit", "mutt", "select-editor":
		return program, "leave it out, or use a command that prints"
	case "screen", "tmux":
		if len(args) == 0 {
			return program, "a service that is to stay belongs into a unit, systemd.service(5)"
		}
	case "iotop":
		if !hasShort(args, "b", "ndpuU") && !hasLong(args, "--batch") {
			return program, "iotop -b -n 1"
		}
	case "update-alternatives":
		if hasLong(args, "--config") || hasLong(args, "--all") {
			return "update-alternatives --config", "update-alternatives --set NAME PATH"
		}
	case "docker", "podman":
		if verb := slices.IndexFunc(args, func(a string) bool { return a == "exec" || a == "run" }); verb >= 0 {
			flags := args[verb+1:]
			if end := slices.IndexFunc(flags, func(a string) bool { return !strings.HasPrefix(a, "-") }); end >= 0 {
				flags = flags[:end]
			}
			if hasShort(flags, "t", "eulhpvw") && !hasShort(flags, "d", "eulhpvw") || hasLong(flags, "--tty") {
				return program + " " + args[verb] + " -t", "leave -t out"
			}
		}
	case "top":
		if !hasShort(args, "b", "dnopuUwE") && !hasLong(args, "--batch-mode") {
			return program, "top -b -n 1"
		}
	case "visudo":
		if !hasShort(args, "c", "fx") && !hasLong(args, "--check") {
			return program, push
		}
	case "crontab":
		if hasShort(args, "e", "u") {
			return program, "cascade a file: iwx-queue push /etc/cron.d/NAME"
		}
	case "systemctl":
		if verb, _ := systemctl(s); verb == "edit" && !hasLong(args, "--stdin") {
			return "systemctl edit", push
		}
	case "apt-get", "apt", "aptitude", "dnf", "yum", "microdnf", "zypper":
		return asksPackage(s)
	case "dpkg-reconfigure":
		silent := slices.ContainsFunc(s.env, func(kv string) bool { return strings.HasPrefix(kv, "DEBIAN_FRONTEND=") })
		if !silent && !hasShort(args, "f", "fp") && !hasLong(args, "--frontend") && !hasLong(args, "--default-priority") {
			return program, "answer before it asks: debconf-set-selections, then dpkg-reconfigure -f noninteractive PACKAGE"
		}
	}
	return "", ""
}

// asksPackage finds package managers that ask for confirmation.
func asksPackage(s *simple) (what, remedy string) {
	args, program := s.args(), s.program()
	list := operands(args, "octa", "--option", "--config-file", "--target-release")
	if s.input || len(list) == 0 { // yes | apt-get install
		return "", ""
	}
	asks := []string{"install", "remove", "purge", "upgrade", "dist-upgrade", "full-upgrade", "safe-upgrade", "autoremove", "autopurge",
		"erase", "reinstall", "downgrade", "distro-sync", "dup", "update", "patch", "rm", "in", "up", "groupinstall", "build-dep"}
	if strings.HasPrefix(program, "apt") {
		asks = slices.DeleteFunc(asks, func(verb string) bool { return verb == "update" })
	}
	const values = "octa"
	quiet := hasShort(args, "yYs", values) || slices.Contains(args, "-qq") || slices.ContainsFunc(args, func(a string) bool {
		return slices.Contains([]string{
			"--yes", "--assume-yes", "--assumeyes", "--assumeno", "--assume-no", "--force-yes", "--non-interactive", "--quiet=2", "-q=2",
			"--simulate", "--just-print", "--dry-run", "--no-act", "--recon", "--print-uris", "--no-confirm",
		}, a)
	}) || program == "zypper" && hasShort(args, "nD", "")
	if quiet || !slices.Contains(asks, list[0]) {
		return "", ""
	}
	flag := "-y"
	if program == "zypper" {
		flag = "--non-interactive"
	}
	return program + " " + list[0] + " without " + flag, program + " " + flag + " " + strings.Join(list, " ")
}

// lintEndless finds commands that never end by themselves.
func lintEndless(s *simple, _ []string) *Finding {
	if s.bounded || !isEndless(s) {
		return nil
	}
	return &Finding{
		Name:   "endless",
		Detail: strings.Join(s.argv, " ") + " never ends by itself: each node would halt when it times out",
		Remedy: "limit it: timeout 10 COMMAND; run a service as a unit, systemd.service(5)",
	}
}

func isEndless(s *simple) bool {
	args, program := s.args(), s.program()
	switch program {
	case "while": // a loop in a script
		return true
	case "tail":
		return (hasShort(args, "fF", "cns") || hasLong(args, "--follow")) && !hasLong(args, "--pid")
	case "watch":
		return !hasShort(args, "gq", "ns") && !hasLong(args, "--chgexit") && !hasLong(args, "--equexit")
	case "ping", "ping6":
		return !hasShort(args, "cw", "iIlmMpQsStTWF") && !hasLong(args, "--count")
	case "yes":
		return !s.piped
	case "sleep":
		return slices.Contains(args, "infinity") || slices.Contains(args, "inf")
	case "journalctl":
		return hasShort(args, "f", "nuopgtSUDMF") || hasLong(args, "--follow")
	case "dmesg":
		return hasShort(args, "wW", "Fflns") || hasLong(args, "--follow")
	case "top":
		return hasShort(args, "b", "dnopuUwE") && !hasShort(args, "n", "dopuUwE") && !hasLong(args, "--iterations")
	case "vmstat", "iostat", "mpstat", "pidstat", "sar":
		return len(slices.DeleteFunc(operands(args, "pjSG"), func(a string) bool { return strings.Trim(a, "0123456789.") != "" })) == 1
	case "tcpdump", "tshark":
		return !hasShort(args, "crDWa", "BisTwFVyzCZEG")
	case "strace", "ltrace":
		return hasShort(args, "p", "aAbeEIoOPsSuUX") || hasLong(args, "--attach")
	case "ip":
		list := operands(args, "")
		return len(list) > 0 && len(list[0]) > 1 && strings.HasPrefix("monitor", list[0])
	case "udevadm":
		return slices.Contains(args, "monitor")
	case "mtr":
		return !hasShort(args, "rwc", "fmisBQoyFaTuPLZG") && !hasLong(args, "--report") && !hasLong(args, "--report-cycles") && !hasLong(args, "--report-wide")
	case "nc", "ncat", "netcat":
		return hasShort(args, "l", "pwsiqXxTIMmOV") || hasLong(args, "--listen")
	case "inotifywait":
		return hasShort(args, "m", "etcofP") || hasLong(args, "--monitor")
	case "docker", "podman", "kubectl":
		if slices.Contains(args, "stats") && !hasLong(args, "--no-stream") || slices.Contains(args, "attach") && program != "kubectl" {
			return true
		}
		at := slices.Index(args, "logs")
		return at >= 0 && (hasShort(args[at:], "f", "n") || hasLong(args[at:], "--follow"))
	}
	return false
}

// lintInput finds commands that read their instructions from standard input and
// have none. Commands that only read data, such as cat(1), do no harm then.
func lintInput(s *simple, _ []string) *Finding {
	if s.input || !readsInput(s) {
		return nil
	}
	return &Finding{
		Name:   "input",
		Detail: s.program() + " reads its instructions from standard input, and has none",
		Remedy: "pass some: --stdin FILE; or --stdin -, for that of iwx-queue",
	}
}

// WantsInput returns the first program in c that reads its instructions from
// standard input and has none: a shell without a script, chpasswd(8), mysql(1).
// It returns "" if there is no such program.
func WantsInput(c *Command) string {
	if c.Stdin != nil || len(c.Argv) == 0 || c.Argv[0] == "" {
		return ""
	}
	for _, s := range simples(c) {
		if !s.input && !isHelp(s.args()) && readsInput(&s) {
			return s.program()
		}
	}
	return ""
}

func readsInput(s *simple) bool {
	args, program := s.args(), s.program()
	if s.readsScript() {
		return true
	}
	switch program {
	case "chpasswd", "chgpasswd", "batch":
		return true
	case "tee": // it empties the file
		return !hasShort(args, "a", "") && !hasLong(args, "--append") && len(operands(args, "")) > 0
	case "newusers", "debconf-set-selections", "iptables-restore", "ip6tables-restore":
		return len(operands(args, "csTM")) == 0
	case "python", "python3", "perl", "php":
		code := hasShort(args, "cemrEVvilRfB", "") // the code is in an argument, or there is none
		return slices.Contains(args, "-") || len(operands(args, "")) == 0 && !code
	case "passwd":
		other := func(a string) bool { return strings.HasPrefix(a, "--") && a != "--stdin" }
		return !hasShort(args, "adeluSiwxnk", "") && !slices.ContainsFunc(args, other)
	case "mysql", "mariadb":
		return !hasShort(args, "eV?", "hPuDS") && !hasLong(args, "--execute")
	case "psql":
		return !hasShort(args, "cflV", "hpUdovFRTP") && !hasLong(args, "--command") && !hasLong(args, "--file") && !hasLong(args, "--list")
	case "crontab":
		list := operands(args, "u")
		return slices.Contains(args, "-") || len(list) == 0 && !hasShort(args, "elrin", "u")
	case "at":
		return !hasShort(args, "fldcrV", "qt")
	case "patch":
		return !hasShort(args, "iv", "pdoDFVzBYr") && !hasLong(args, "--input") && len(operands(args, "pdoDFVzBYr")) < 2
	}
	return false
}

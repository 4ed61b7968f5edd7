package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// peer is another program for running a command on many servers. Each uses the
// settings that its documentation recommends for speed, and reports the exit codes
// of the command, as iwx-queue add --wait does.
type peer struct {
	name string
	args func(h *hosts, config string, fanout int) []string
}

func peers() []peer {
	ansible := func(module string) func(*hosts, string, int) []string {
		return func(h *hosts, config string, fanout int) []string {
			return []string{"ansible", "all", "-i", strings.Join(h.names, ",") + ",", "-f", fmt.Sprint(fanout),
				"--ssh-common-args", "-F " + config, "-m", module, "-a", "/bin/true"}
		}
	}
	return []peer{
		{"ssh, by xargs -P", func(h *hosts, config string, fanout int) []string {
			return []string{"xargs", "-a", h.list, "-P", fmt.Sprint(fanout), "-I{}", "ssh", "-F", config, "{}", "/bin/true"}
		}},
		{"pdsh -R ssh", func(h *hosts, _ string, fanout int) []string {
			return []string{"pdsh", "-S", "-f", fmt.Sprint(fanout), "-R", "ssh", "-w", strings.Join(h.names, ","), "/bin/true"}
		}},
		{"pdsh -R exec", func(h *hosts, config string, fanout int) []string {
			return []string{"pdsh", "-S", "-f", fmt.Sprint(fanout), "-R", "exec", "-w", strings.Join(h.names, ","), "ssh", "-F", config, "%h", "/bin/true"}
		}},
		{"clush", func(h *hosts, config string, fanout int) []string {
			return []string{"clush", "-S", "-f", fmt.Sprint(fanout), "-o", "-F " + config, "-w", strings.Join(h.names, ","), "/bin/true"}
		}},
		{"ansible -m raw", ansible("raw")},
		{"ansible -m command", ansible("command")},
	}
}

// environment returns the peers' own settings. Ansible gets pipelining, no terminal,
// and the path of Python, which saves it a search. It makes connections persistent by
// itself, which cold runs turn off.
func (h *hosts) environment(config string) []string {
	dir := filepath.Dir(config)
	env := append(os.Environ(), "LC_ALL=C.UTF-8", "PDSH_SSH_ARGS_APPEND=-F "+config,
		"ANSIBLE_HOME="+filepath.Join(dir, "ansible"), "ANSIBLE_HOST_KEY_CHECKING=False", "ANSIBLE_PIPELINING=True",
		"ANSIBLE_SSH_USETTY=False", "ANSIBLE_PYTHON_INTERPRETER=/usr/bin/python3", "ANSIBLE_SSH_CONTROL_PATH="+dir+"/%%n")
	if config == h.cold {
		env = append(env, "ANSIBLE_SSH_ARGS=-o ControlMaster=no")
	}
	return env
}

// peers measures the other tools on n hosts, which are one local sshd, with cold
// and with warm connections.
func (b *bench) peers(n int) error {
	dir := filepath.Join(b.dir, fmt.Sprintf("peers-%d", n))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	h, err := startSSHD(dir, n)
	if err != nil {
		b.report(fmt.Sprintf("peers, %d hosts", n), "", "not measured: %v", err)
		return nil
	}
	defer h.stop()
	for _, p := range peers() {
		if _, err := exec.LookPath(p.args(h, h.cold, 1)[0]); err != nil {
			b.report(fmt.Sprintf("%s, %d hosts", p.name, n), "", "not measured: it is not installed")
			continue
		}
		cold, err := b.peer(p, h, h.cold)
		if err != nil {
			return err
		}
		if err := h.connect(); err != nil {
			return fmt.Errorf("ssh with ControlMaster: %w", err)
		}
		warm, err := b.peer(p, h, h.warm)
		if err != nil {
			return err
		}
		b.readme.command(p.name, n, figure(warm.median())+" / "+figure(cold.median()))
	}
	return nil
}

// peer tries several fanouts, then measures and reports a peer with the fastest.
func (b *bench) peer(p peer, h *hosts, config string) (spread, error) {
	run := func(fanout int) func() error {
		return func() error {
			args := p.args(h, config, fanout)
			cmd := exec.Command(args[0], args[1:]...)
			cmd.Env = h.environment(config)
			if out, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("%s: %w: %.500s", p.name, err, out)
			}
			return nil
		}
	}
	best, quickest := 0, time.Duration(0)
	for _, fanout := range fanouts(len(h.names)) {
		s, err := measure(1, run(fanout))
		if err != nil {
			return nil, err
		}
		if best == 0 || s[0] < quickest {
			best, quickest = fanout, s[0]
		}
	}
	s, err := measure(5, run(best))
	if err == nil {
		b.report(fmt.Sprintf("%s /bin/true, %d hosts, %s", p.name, len(h.names), filepath.Base(config)), "", "%s  fanout %d", s, best)
	}
	return s, err
}

// fanouts returns how many hosts a peer may serve at a time: from a few, as this
// machine has few processors, up to all n.
func fanouts(n int) []int {
	list := []int{4, 16, 64}
	few := slices.DeleteFunc(list, func(f int) bool { return f >= n })
	return append(few, min(n, 64))
}

// versions prints the versions of the measured programs.
func (b *bench) versions() {
	for _, args := range [][]string{
		{filepath.Join(b.bin, "iwx-queue"), "--version"}, {"ssh", "-V"}, {"xargs", "--version"},
		{"pdsh", "-V"}, {"clush", "--version"}, {"ansible", "--version"},
	} {
		out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
		line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
		if err != nil {
			line = "not installed"
		}
		fmt.Printf("%-10s %s\n", filepath.Base(args[0]), line)
	}
}

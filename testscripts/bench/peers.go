package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// peer is a program that people use to run a command on many servers.
type peer struct {
	name string

	args func(hosts []string) []string
}

// peers measures the others on n hosts that are one local sshd.
func (b *bench) peers(n int) error {
	dir := filepath.Join(b.dir, fmt.Sprintf("peers-%d", n))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	hosts, stop, err := sshd(dir, n)
	if err != nil {
		b.report(fmt.Sprintf("peers, %d hosts", n), "", "not measured: %v", err)
		return nil
	}
	defer stop()
	config := filepath.Join(dir, "ssh_config")
	for _, p := range []peer{
		{"clush", func(h []string) []string {
			return []string{"clush", "-f", "64", "-o", "-F " + config, "-w", strings.Join(h, ","), "/bin/true"}
		}},
		{"pdsh", func(h []string) []string {
			return []string{"pdsh", "-f", "64", "-R", "ssh", "-w", strings.Join(h, ","), "/bin/true"}
		}},
		{"ansible -m raw", func(h []string) []string {
			return []string{"ansible", "all", "-f", "64", "-i", strings.Join(h, ",") + ",", "--ssh-common-args", "-F " + config, "-m", "raw", "-a", "/bin/true"}
		}},
	} {
		args := p.args(hosts)
		if _, err := exec.LookPath(args[0]); err != nil {
			b.report(fmt.Sprintf("%s, %d hosts", p.name, n), "", "not measured: it is not installed")
			continue
		}
		s, err := measure(5, func() error {
			cmd := exec.Command(args[0], args[1:]...)
			cmd.Env = append(os.Environ(), "PDSH_SSH_ARGS_APPEND=-F "+config, "ANSIBLE_HOST_KEY_CHECKING=False", "LC_ALL=C.UTF-8")
			out, err := cmd.CombinedOutput()
			if err != nil {
				return fmt.Errorf("%s: %w: %.500s", p.name, err, out)
			}
			return nil
		})
		if err != nil {
			return err
		}
		b.report(fmt.Sprintf("%s /bin/true, %d hosts", p.name, n), "", "%s", s)
	}
	return nil
}

// sshd starts a server with keys of its own on a loopback port, and writes an
// ssh_config under which n names lead to it.
func sshd(dir string, n int) (hosts []string, stop func(), err error) {
	program, err := exec.LookPath("/usr/sbin/sshd")
	if err != nil {
		return nil, nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, nil, err
	}
	for _, key := range []string{"host", "user"} {
		if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(dir, key)).CombinedOutput(); err != nil {
			return nil, nil, fmt.Errorf("ssh-keygen: %w: %s", err, out)
		}
	}
	_ = os.MkdirAll("/run/sshd", 0o755) // sshd wants it; only root can make it
	server := fmt.Sprintf("Port %d\nListenAddress 127.0.0.1\nHostKey %s/host\nAuthorizedKeysFile %s/user.pub\nStrictModes no\nUsePAM no\nMaxStartups 1000\nPidFile none\n", port, dir, dir)
	client := fmt.Sprintf("Host node*\n HostName 127.0.0.1\n Port %d\n IdentityFile %s/user\n StrictHostKeyChecking no\n UserKnownHostsFile /dev/null\n LogLevel ERROR\n", port, dir)
	if err := os.WriteFile(filepath.Join(dir, "sshd_config"), []byte(server), 0o600); err != nil {
		return nil, nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "ssh_config"), []byte(client), 0o600); err != nil {
		return nil, nil, err
	}
	cmd := exec.Command(program, "-D", "-f", filepath.Join(dir, "sshd_config"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	stop = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	for i := range n {
		hosts = append(hosts, fmt.Sprintf("node%d", i+1))
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		err := exec.Command("ssh", "-F", filepath.Join(dir, "ssh_config"), hosts[0], "/bin/true").Run()
		if err == nil {
			return hosts, stop, nil
		}
		if time.Now().After(deadline) {
			stop()
			return nil, nil, fmt.Errorf("the local sshd does not answer: %w", err)
		}
	}
}

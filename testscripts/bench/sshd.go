package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// hosts are n host names of one sshd on this machine, with the files by which ssh
// reaches them.
type hosts struct {
	names []string
	list  string // file: a name a line
	cold  string // ssh_config: a new connection for each command
	warm  string // ssh_config: commands share an open connection
	sshd  *exec.Cmd
}

// serverConfig is sshd_config(5). It turns off everything optional at login.
const serverConfig = `Port %d
ListenAddress 127.0.0.1
HostKey %[2]s/host
AuthorizedKeysFile %[2]s/user.pub
StrictModes no
UsePAM no
UseDNS no
PermitUserRC no
PrintMotd no
PrintLastLog no
MaxStartups 1000
PidFile none
`

// clientConfig is ssh_config(5).
const clientConfig = `Host node*
 HostName 127.0.0.1
 Port %d
 User root
 IdentityFile %[2]s/user
 IdentitiesOnly yes
 PreferredAuthentications publickey
 StrictHostKeyChecking no
 UpdateHostKeys no
 UserKnownHostsFile %[2]s/known_hosts
 LogLevel ERROR
`

// warmConfig keeps connections open. It needs a socket for each name: the names share
// an address, so the usual %%C would give one socket for all.
const warmConfig = ` ControlMaster auto
 ControlPersist 60s
 ControlPath %s/%%n
`

// startSSHD starts an sshd with its own keys on a loopback port.
func startSSHD(dir string, n int) (*hosts, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("it needs root")
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	h := &hosts{list: filepath.Join(dir, "hosts"), cold: filepath.Join(dir, "cold"), warm: filepath.Join(dir, "warm")}
	for i := range n {
		h.names = append(h.names, fmt.Sprintf("node%d", i+1))
	}
	passwd, err := barePasswd(dir)
	if err != nil {
		return nil, err
	}

	// Keys and settings.
	for _, key := range []string{"host", "user"} {
		if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(dir, key)).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("ssh-keygen: %w: %s", err, out)
		}
	}
	client := fmt.Sprintf(clientConfig, port, dir)
	for path, text := range map[string]string{
		filepath.Join(dir, "sshd_config"): fmt.Sprintf(serverConfig, port, dir),
		filepath.Join(dir, "passwd"):      passwd,
		h.cold:                            client,
		h.warm:                            client + fmt.Sprintf(warmConfig, dir),
		h.list:                            strings.Join(h.names, "\n") + "\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return nil, err
		}
	}

	// Run the server in its own mount namespace, because of its passwd(5).
	if err := os.MkdirAll("/run/sshd", 0o755); err != nil { // sshd refuses to start without it
		return nil, err
	}
	h.sshd = exec.Command("unshare", "--mount", "sh", "-c", `mount --bind "$1/passwd" /etc/passwd && exec /usr/sbin/sshd -D -f "$1/sshd_config"`, "sh", dir)
	h.sshd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := h.sshd.Start(); err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		err := h.each(h.cold, "{}", "/bin/true")
		if err == nil {
			return h, nil
		}
		if time.Now().After(deadline) {
			h.stop()
			return nil, fmt.Errorf("the local sshd does not answer: %w", err)
		}
	}
}

// barePasswd writes a copy of this machine's passwd(5) with another root account, whose
// shell is sh(1) and whose home is empty. bash reads its start-up files for every
// command from sshd, and on many machines that takes longer than the command. Only
// the benchmark's sshd sees the file; no account is created on the machine.
func barePasswd(dir string) (string, error) {
	home := filepath.Join(dir, "home")
	if err := os.MkdirAll(home, 0o700); err != nil {
		return "", err
	}
	all, err := os.ReadFile("/etc/passwd")
	if err != nil {
		return "", err
	}
	text := fmt.Sprintf("root:x:0:0:root:%s:/bin/sh\n", home)
	for line := range strings.Lines(string(all)) {
		if !strings.HasPrefix(line, "root:") {
			text += line
		}
	}
	return text, nil
}

// each runs ssh with a configuration and arguments for every host; {} stands for the
// host.
func (h *hosts) each(config string, args ...string) error {
	return exec.Command("xargs", append([]string{"-a", h.list, "-P", "8", "-I{}", "ssh", "-F", config}, args...)...).Run()
}

// connect opens the connections that are not open yet.
func (h *hosts) connect() error { return h.each(h.warm, "{}", "/bin/true") }

// stop closes the connections and ends the server.
func (h *hosts) stop() {
	_ = h.each(h.warm, "-O", "exit", "{}")
	_ = h.sshd.Process.Kill()
	_ = h.sshd.Wait()
}

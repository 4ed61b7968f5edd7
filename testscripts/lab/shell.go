package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// banner lists what the lab has, for its user.
const banner = `
A cluster of real servers: the manager, web1 and web2. You are at the client's seat,
on the cluster's network, with the programs of this machine.

  ssh manager              a root shell there (web1, web2 likewise)
  on web1 CMD...           one command there
  curl http://%[1]s%[2]d/    reach the quorum IP from here
  ssh manager iwx-node status

Leave the shell, and everything is switched off.

`

// Shell sets up a cluster and leaves a person in it.
func (l *Lab) Shell(ctx context.Context) error {
	fmt.Println("setting up a manager with web1 and web2")
	if _, err := l.Cluster(ctx, []string{"web1", "web2"}); err != nil {
		return err
	}
	settings := filepath.Join(l.bin(), "settings")
	if err := os.WriteFile(settings, []byte(l.shellSettings()), 0o600); err != nil {
		return err
	}
	fmt.Printf(banner, clusterNet, quorum)
	cmd := exec.Command("ip", "netns", "exec", l.net.Name, "bash", "--rcfile", settings, "-i")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	// The code of a person's last command says nothing about the lab.
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		return err
	}
	return nil
}

// shellSettings are the bashrc of the person: ssh knows the servers.
func (l *Lab) shellSettings() string {
	return fmt.Sprintf("PATH=%s:$PATH\nPS1='lab:\\w# '\nalias ssh='ssh -F %s' scp='scp -F %s'\n", l.bin(), l.login(), l.login())
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"iwx/lib/testenv"
	"iwx/testscripts/load"
)

// Lab is a network with servers, and a directory for their disks and consoles.
type Lab struct {
	options
	dir     string
	image   string // directory of the disk image and the login key
	seed    string // copy-on-write file with iwx installed, from which servers start; "" before
	net     *Network
	servers map[string]*Server
	unlock  func() // gives back the lab's directory
	release func() // and the image; nil before there is one
	figures load.Table
	wait    time.Duration // for one event

	// reach runs a command on a server.
	reach func(context.Context, *Server, Command) error
}

// Open makes the lab: image, network, and iwx installed on a seed from which the
// servers are copied. No server runs when it returns.
func Open(ctx context.Context, o options) (*Lab, error) { return open(ctx, o, "") }

// Beside makes another lab, with servers and a network of its own, which start
// from the seed of this one: it is to be closed first. n distinguishes them.
func (l *Lab) Beside(ctx context.Context, n int) (*Lab, error) {
	o := l.options
	o.logs = l.logDir()
	o.name = fmt.Sprint(o.name, n)
	return open(ctx, o, l.seed)
}

// open makes a lab; without a seed, iwx is installed on one.
func open(ctx context.Context, o options, seed string) (*Lab, error) {
	recipe, err := thisRecipe()
	if err != nil {
		return nil, err
	}
	l := &Lab{options: o, dir: filepath.Join("/var/tmp", "iwx-lab-"+o.name), servers: map[string]*Server{}, reach: overLogin, wait: testenv.Limit(waitLimit)}
	if err := l.claim(); err != nil {
		return nil, err
	}
	if err := l.prepare(ctx, recipe, seed); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// claim takes the lab's directory, empty but for the logs of earlier runs.
func (l *Lab) claim() (err error) {
	if err := os.MkdirAll(l.dir, 0o700); err != nil {
		return err
	}
	l.unlock, err = lockFile(filepath.Join(l.dir, "lock"), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return fmt.Errorf("a lab named %s is running; another one beside it: -name OTHER", l.name)
	}
	return err
}

func (l *Lab) prepare(ctx context.Context, recipe Recipe, seed string) (err error) {
	if l.net, err = NewNetwork(ctx, "iwxlab-"+l.name); err != nil {
		return err
	}
	if l.image, l.release, err = Image(ctx, recipe); err != nil {
		return err
	}
	if err := l.clear(); err != nil {
		return err
	}
	for _, h := range hosts() {
		l.servers[h.name] = &Server{host: h, lab: l}
	}
	if err := l.writeSeat(); err != nil {
		return err
	}
	if l.seed = seed; seed != "" {
		return nil
	}
	return l.install(ctx)
}

// clear removes what an earlier lab of the name has left, but for its logs.
func (l *Lab) clear() error {
	for _, pattern := range []string{"*.cow", "*.console", "*.mux", "share", "bin", "work"} {
		names, err := filepath.Glob(filepath.Join(l.dir, pattern))
		if err != nil {
			return err
		}
		for _, name := range names {
			if err := os.RemoveAll(name); err != nil {
				return err
			}
		}
	}
	return os.MkdirAll(l.share(), 0o755)
}

// share is the directory that all servers see as /lab.
func (l *Lab) share() string { return filepath.Join(l.dir, "share") }

// writeSeat writes what the client's seat needs: the names of the servers, how to
// log in to them, and the commands on and client.
func (l *Lab) writeSeat() error {
	if err := os.MkdirAll(l.bin(), 0o755); err != nil {
		return err
	}
	inside := "exec nsenter --net=/run/netns/" + l.net.Name
	for name, text := range map[string]string{
		filepath.Join(l.share(), "hosts"): names(),
		l.login():                         l.loginConfig(),
		filepath.Join(l.bin(), "client"):  "#!/bin/sh\n# client COMMAND...\ncommand -v \"$1\" >/dev/null || exit 127\n" + inside + ` "$@"` + "\n",
		filepath.Join(l.bin(), "on"): "#!/bin/bash\n# on SERVER COMMAND...\nserver=$1\nshift\n" +
			inside + " ssh -F " + l.login() + ` "$server" -- "${@@Q}"` + "\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o755); err != nil {
			return err
		}
	}
	return nil
}

// names is the hosts(5) of all servers.
func names() string {
	text := "127.0.0.1 localhost\n" + clusterNet + clientHost + " client\n"
	for _, h := range hosts() {
		text += h.address() + " " + h.name + "\n"
	}
	return text
}

// login is the ssh_config(5) with which servers are reached by their names.
func (l *Lab) login() string { return filepath.Join(l.dir, "ssh.conf") }

func (l *Lab) loginConfig() string {
	// Without questions to the server, a connection without traffic outlives a power cut.
	text := "Host *\n User root\n IdentityFile " + filepath.Join(l.image, "key") + `
 StrictHostKeyChecking no
 UserKnownHostsFile /dev/null
 LogLevel ERROR
 BatchMode yes
 ControlMaster auto
 ControlPersist yes
 ServerAliveInterval 10
 ServerAliveCountMax 6
 ControlPath ` + l.dir + "/%n.mux\n"
	for _, h := range hosts() {
		text += "Host " + h.name + "\n HostName " + h.seat() + "\n"
	}
	return text
}

// bin has the commands on and client.
func (l *Lab) bin() string { return filepath.Join(l.dir, "bin") }

// Fresh brings up the named servers as they are after iwx was installed. Others
// that run go on.
func (l *Lab) Fresh(ctx context.Context, names []string) error {
	return l.each(names, func(s *Server) error {
		s.Cut()
		if err := s.Renew(ctx); err != nil {
			return err
		}
		return s.On(ctx)
	})
}

// cutAll cuts the power of all servers.
func (l *Lab) cutAll() {
	for _, s := range l.servers {
		s.Cut()
	}
}

// each does something on all the named servers at the same time.
func (l *Lab) each(names []string, do func(*Server) error) error {
	errs := make([]error, len(names))
	var wait sync.WaitGroup
	for i, name := range names {
		s, known := l.servers[name]
		if !known {
			return fmt.Errorf("there is no server %s in the lab", name)
		}
		wait.Go(func() { errs[i] = do(s) })
	}
	wait.Wait()
	return errors.Join(errs...)
}

// Close switches everything off and removes what the lab has made but logs.
func (l *Lab) Close() {
	l.cutAll()
	if l.net != nil {
		l.net.Close()
	}
	if err := l.clear(); err != nil {
		fmt.Fprintln(os.Stderr, "lab:", err)
	}
	if l.release != nil {
		l.release()
	}
	l.unlock()
}

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"
)

// Command is a program that is to run on a server. Its arguments reach it as they
// are.
type Command struct {
	Args           []string
	Stdin          io.Reader // nil is empty
	Stdout, Stderr io.Writer // nil discards
}

// exited is the error of a command that ran, and ended with a code other than 0.
type exited int

func (e exited) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// overLogin runs a command over the server's connection, in the lab's own process:
// a script runs hundreds, and an ssh(1) for each takes as long as the command. A
// context that ends leaves the command to itself.
func overLogin(ctx context.Context, s *Server, c Command) error {
	if !s.running() {
		return fmt.Errorf("%s is off", s.name)
	}
	if err := s.connect(ctx); err != nil {
		return fmt.Errorf("%s cannot be reached: %w", s.name, err)
	}
	login := s.connection()
	if login == nil {
		return fmt.Errorf("%s went off", s.name)
	}
	// What hangs over there answers nothing, not even that its session is closed.
	defer context.AfterFunc(ctx, func() { login.Close() })()
	run, err := login.NewSession()
	if err != nil {
		return err
	}
	defer run.Close()
	run.Stdin, run.Stdout, run.Stderr = c.Stdin, c.Stdout, c.Stderr
	if c.Stdin == nil {
		run.Stdin = bytes.NewReader(nil)
	}
	err = run.Run(strings.Join(quoteAll(c.Args), " "))
	var exit *ssh.ExitError
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &exit):
		return exited(exit.ExitStatus()) // 128 and the signal's number, of one that was killed
	}
	return err
}

// loginPatience is what a server that has just answered has for the rest of the
// login: long, since all that it starts at boot runs beside it.
const loginPatience = time.Minute

// dial logs in to the server, once.
func (s *Server) dial(ctx context.Context) (*ssh.Client, error) {
	text, err := os.ReadFile(filepath.Join(s.lab.image, "key"))
	if err != nil {
		return nil, err
	}
	key, err := ssh.ParsePrivateKey(text)
	if err != nil {
		return nil, err
	}
	conn, err := s.lab.net.dial(ctx, net.JoinHostPort(s.seat(), "22"))
	if err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	conn.SetDeadline(time.Now().Add(loginPatience))
	c, channels, requests, err := ssh.NewClientConn(conn, s.name, &ssh.ClientConfig{
		User: "root", Auth: []ssh.AuthMethod{ssh.PublicKeys(key)},
		HostKeyCallback: ssh.InsecureIgnoreHostKey(), // a disk of the lab's own, on its own network
	})
	if err != nil {
		conn.Close()
		return nil, err
	}
	conn.SetDeadline(time.Time{})
	return ssh.NewClient(c, channels, requests), nil
}

// init keeps the first thread for main: it does not end with its goroutine as
// others do (runtime.LockOSThread), so that dial would leave it in the namespace,
// of which Close ends every process, and this one with them.
func init() { runtime.LockOSThread() }

// dial connects from the client's seat.
func (n *Network) dial(ctx context.Context, address string) (conn net.Conn, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends, with its namespace
		var ns *os.File
		if ns, err = os.Open("/run/netns/" + n.Name); err != nil {
			return
		}
		defer ns.Close()
		if err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			return
		}
		conn, err = (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp4", address)
	}()
	<-done
	return conn, err
}

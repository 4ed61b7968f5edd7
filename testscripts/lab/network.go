package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The cluster's network, and the one through which the lab logs in. The client's
// seat is host 254 on both.
const (
	clusterNet = "10.77.0."
	seatNet    = "10.78.0."
	clientHost = "254"
	virtual    = "100" // nobody's: a virtual IP
)

// Network is a network namespace with two bridges, to which every server is
// connected by a tap each. Nothing in it reaches the machine's own networks.
type Network struct {
	Name string // of the namespace
}

// NewNetwork makes the namespace. What an earlier lab of the name, killed before
// it could clean up, has left in it is ended first.
func NewNetwork(ctx context.Context, name string) (*Network, error) {
	n := &Network{Name: name}
	n.Close()
	if err := command(ctx, "ip", "netns", "add", name); err != nil {
		return nil, err
	}
	if err := n.ip(ctx, "link", "set", "lo", "up"); err != nil {
		return nil, err
	}
	for bridge, net := range map[string]string{"cluster": clusterNet, "seat": seatNet} {
		for _, args := range [][]string{
			// Of its own accord a bridge takes another hardware address when a port
			// leaves it, and nobody reaches the client until ARP has found out.
			{"link", "add", bridge, "address", "02:00:00:00:02:00", "type", "bridge"},
			{"address", "add", net + clientHost + "/24", "dev", bridge},
			{"link", "set", bridge, "up"},
		} {
			if err := n.ip(ctx, args...); err != nil {
				return nil, err
			}
		}
	}
	return n, nil
}

// ip runs ip(8) in the namespace.
func (n *Network) ip(ctx context.Context, args ...string) error {
	return command(ctx, "ip", append([]string{"-n", n.Name}, args...)...)
}

// Tap makes a tap, or the one that is there, a port of a bridge.
func (n *Network) Tap(ctx context.Context, tap, bridge string) error {
	if n.ip(ctx, "link", "show", tap) != nil {
		if err := n.ip(ctx, "tuntap", "add", tap, "mode", "tap"); err != nil {
			return err
		}
	}
	if err := n.ip(ctx, "link", "set", tap, "master", bridge); err != nil {
		return err
	}
	return n.ip(ctx, "link", "set", tap, "up")
}

// Close ends every process in the namespace, and removes it. Repeating it does
// nothing.
func (n *Network) Close() {
	deadline := time.Now().Add(10 * time.Second)
	for pids := n.processes(); len(pids) > 0 && time.Now().Before(deadline); pids = n.processes() {
		for _, pid := range pids {
			syscall.Kill(pid, syscall.SIGKILL)
		}
		time.Sleep(20 * time.Millisecond)
	}
	exec.Command("ip", "netns", "delete", n.Name).Run()
}

// processes are those that run in the namespace. Only what the lab has started
// there can be in it.
func (n *Network) processes() (pids []int) {
	if _, err := os.Stat("/run/netns/" + n.Name); err != nil {
		return nil
	}
	out, _ := exec.Command("ip", "netns", "pids", n.Name).Output()
	for _, word := range strings.Fields(string(out)) {
		if pid, err := strconv.Atoi(word); err == nil && pid > 1 {
			pids = append(pids, pid)
		}
	}
	return pids
}

// command runs a program to its end; the error has what it said.
func command(ctx context.Context, name string, args ...string) error {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

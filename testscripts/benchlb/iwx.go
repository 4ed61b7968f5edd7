package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// startIWX sets up a cluster with the tools themselves, each server below a
// directory of its own and in its namespace, and has it balance.
func startIWX(ctx context.Context, f *field) (balancer, error) {
	dir, err := os.MkdirTemp(f.dir, "cluster-")
	if err != nil {
		return balancer{}, err
	}
	c := &cluster{f: f, dir: dir}
	if err := c.setUp(ctx); err != nil {
		c.stop()
		return balancer{}, err
	}
	return balancer{stop: c.stop, has: haproxyHas(c.run("stats"))}, nil
}

type cluster struct {
	f     *field
	dir   string
	procs []*process
}

// tool runs a tool on a server.
func (c *cluster) tool(ctx context.Context, on string, stdin []byte, args ...string) ([]byte, error) {
	cmd := c.f.command(ctx, on, append([]string{filepath.Join(c.f.bin, args[0])}, args[1:]...)...)
	cmd.Env = append(cmd.Environ(), c.root(on))
	cmd.Stdin = bytes.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, stderr.Bytes())
	}
	return out, err
}

func (c *cluster) root(on string) string { return "IWX_ROOT=" + filepath.Join(c.dir, on) }

// run is a file of the manager's HAProxy.
func (c *cluster) run(name string) string {
	return filepath.Join(c.dir, "manager", "run", "iwx-haproxy", name)
}

// daemon starts one on a server, and waits until it says that it is ready, as
// sd_notify(3) has it.
func (c *cluster) daemon(ctx context.Context, on string, argv ...string) error {
	at := filepath.Join(c.dir, fmt.Sprint("ready-", len(c.procs)))
	told, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: at, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer told.Close()
	name := argv[0]
	argv[0] = filepath.Join(c.f.bin, name)
	p, err := c.f.start(ctx, on, []string{c.root(on), "NOTIFY_SOCKET=" + at}, argv...)
	if err != nil {
		return err
	}
	c.procs = append(c.procs, p)
	told.SetReadDeadline(time.Now().Add(time.Minute))
	for text := make([]byte, 4096); ; {
		n, err := told.Read(text)
		if err != nil {
			return fmt.Errorf("%s on %s does not get ready: %w\n%s", name, on, err, p.err.Bytes())
		}
		if slices.Contains(strings.Split(string(text[:n]), "\n"), "READY=1") {
			return nil
		}
	}
}

func (c *cluster) setUp(ctx context.Context) error {
	if _, err := c.tool(ctx, "manager", nil, "iwx-cluster-setup", "manager", "--quorum-ip", quorum, "--address", manager); err != nil {
		return err
	}
	if err := c.daemon(ctx, "manager", "iwx-queued"); err != nil {
		return err
	}
	for _, h := range webs() {
		token, err := c.tool(ctx, "manager", nil, "iwx-node", "add", h.name)
		if err != nil {
			return err
		}
		if _, err := c.tool(ctx, h.name, token, "iwx-cluster-setup", "node", "-", "--address", h.addr); err != nil {
			return err
		}
		if err := c.daemon(ctx, h.name, "iwx-queued"); err != nil {
			return err
		}
	}
	for _, args := range [][]string{
		{"iwx-lb", "engine", "haproxy"},
		{"iwx-lb", "vip", "add", virtual},
		{"iwx-lb", "add", "http", "--only", "web1,web2,web3", "--scheduler", "rr"},
	} {
		if _, err := c.tool(ctx, "manager", nil, args...); err != nil {
			return err
		}
	}
	return c.daemon(ctx, "manager", "iwx-lb", "daemon")
}

// stop ends the daemons, and the haproxy that outlives them.
func (c *cluster) stop() {
	for _, p := range c.procs {
		p.stop()
	}
	text, err := os.ReadFile(c.run("pid"))
	if err != nil {
		return
	}
	for _, word := range strings.Fields(string(text)) {
		if pid, err := strconv.Atoi(word); err == nil {
			_ = syscall.Kill(pid, syscall.SIGTERM)
		}
	}
}

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// cluster is a manager and nodes as processes on loopback addresses.
type cluster struct {
	b     *bench
	dir   string
	procs []*exec.Cmd
	nodes []*exec.Cmd
}

// startCluster sets up a manager and n nodes with the tools themselves, in a directory
// of that name. settings are more lines for the manager's iwx.toml.
func (b *bench) startCluster(name string, n int, settings string) (*cluster, error) {
	c := &cluster{b: b, dir: filepath.Join(b.dir, name)}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	conf := filepath.Join(c.dir, "manager", "etc", "iwx", "iwx.toml")
	if err := os.MkdirAll(filepath.Dir(conf), 0o755); err != nil {
		return nil, err
	}
	if err := os.WriteFile(conf, fmt.Appendf(nil, "[cluster]\nport = %d\n%s", port, settings), 0o644); err != nil {
		return nil, err
	}
	if _, err := c.tool("manager", nil, "iwx-cluster-setup", "manager", "--quorum-ip", "127.0.0.1", "--address", "127.0.0.2"); err != nil {
		return nil, err
	}
	if _, err := c.daemon("manager"); err != nil {
		return nil, err
	}
	for i := range n {
		name := fmt.Sprintf("node%d", i+1)
		token, err := c.tool("manager", nil, "iwx-node", "add", name)
		if err != nil {
			return c, err
		}
		if _, err := c.tool(name, token, "iwx-cluster-setup", "node", "-", "--address", fmt.Sprintf("127.0.1.%d", i+1)); err != nil {
			return c, err
		}
		p, err := c.daemon(name)
		if err != nil {
			return c, err
		}
		c.nodes = append(c.nodes, p)
	}
	_, err = c.tool("manager", nil, "iwx-queue", "add", "--wait", "--", "/bin/true")
	return c, err
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func (c *cluster) command(root string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(c.b.bin, args[0]), args[1:]...)
	cmd.Env = append(os.Environ(), "IWX_ROOT="+filepath.Join(c.dir, root))
	return cmd
}

// tool runs one of the tools on a server and returns its standard output.
func (c *cluster) tool(root string, stdin []byte, args ...string) ([]byte, error) {
	cmd := c.command(root, args...)
	cmd.Stdin = bytes.NewReader(stdin)
	out, err := cmd.Output()
	if exit, ok := err.(*exec.ExitError); ok {
		return out, fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, exit.Stderr)
	}
	return out, err
}

// daemon starts iwx-queued on a server and waits for its first log line.
func (c *cluster) daemon(root string) (*exec.Cmd, error) {
	cmd := c.command(root, "iwx-queued")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	c.procs = append(c.procs, cmd)
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "replaying the queue") || strings.Contains(lines.Text(), "serving the cluster") {
			go func() {
				for lines.Scan() { // keep the pipe empty
				}
			}()
			return cmd, nil
		}
	}
	return nil, fmt.Errorf("iwx-queued of %s ended", root)
}

// stop ends every daemon.
func (c *cluster) stop() {
	for _, p := range c.procs {
		_ = p.Process.Signal(syscall.SIGTERM)
	}
	for _, p := range c.procs {
		_ = p.Wait()
	}
}

// cluster measures a cluster of n nodes.
func (b *bench) cluster(n int) error {
	c, err := b.startCluster(fmt.Sprintf("cluster-%d", n), n, "")
	if c != nil {
		defer c.stop()
	}
	if err != nil {
		return err
	}
	target := map[int]string{8: "20 ms", 50: "100 ms", 200: "450 ms"}[n]
	s, err := c.adds()
	if err != nil {
		return err
	}
	b.report(fmt.Sprintf("iwx-queue add --wait, /bin/true, %d nodes", n), target, "%s", s)
	b.readme.command("iwx-queue add --wait", n, figure(s.median()))
	if n != 1 {
		return nil
	}
	if err := c.rate(); err != nil {
		return err
	}
	if err := c.retry(); err != nil {
		return err
	}
	return c.memory()
}

// adds measures how long a command takes on all nodes.
func (c *cluster) adds() (spread, error) {
	return measure(21, func() error {
		_, err := c.tool("manager", nil, "iwx-queue", "add", "--wait", "--", "/bin/true")
		return err
	})
}

// rate measures how many commands a node replays in a second.
func (c *cluster) rate() error {
	const commands = 1000
	bulk := []byte(strings.Repeat("/bin/true\n", commands))
	s, err := measure(5, func() error {
		_, err := c.tool("manager", bulk, "iwx-queue", "add", "--wait", "-")
		return err
	})
	if err != nil {
		return err
	}
	c.b.readme.row("commands that one node replays in a second, with `/bin/true`", "%s", count(commands/s.median().Seconds()))
	c.b.report("commands replayed a second on one node", "250", "%.0f  (%d commands: %s)", commands/s.median().Seconds(), commands, s)
	return nil
}

// retry measures from the start of iwx-queue retry until iwx-node status shows the
// node as current.
func (c *cluster) retry() error {
	mark := filepath.Join(c.dir, "mark")
	var s spread
	for range 9 {
		_ = os.Remove(mark)
		if _, err := c.tool("manager", nil, "iwx-queue", "add", "--", "test", "-e", mark); err != nil {
			return err
		}
		if err := c.until(`halted`); err != nil {
			return err
		}
		if err := os.WriteFile(mark, nil, 0o644); err != nil {
			return err
		}
		begin := time.Now()
		if _, err := c.tool("manager", nil, "iwx-queue", "retry", "node1"); err != nil {
			return err
		}
		if err := c.until(`current`); err != nil {
			return err
		}
		s = append(s, time.Since(begin))
	}
	slices.Sort(s)
	c.b.readme.row("from `iwx-queue retry` until `iwx-node status` shows the halted node as current", "%s", figure(s.median()))
	c.b.report("halted node current again after iwx-queue retry", "50 ms", "%s", s)
	return nil
}

// until waits for the node's state.
func (c *cluster) until(word string) error {
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		out, _ := c.tool("manager", nil, "iwx-node", "status", "-H", "-o", "state")
		if strings.TrimSpace(string(out)) == word {
			return nil
		}
	}
	return fmt.Errorf("the node is not %s after 10 s", word)
}

// memory reports what an idle node's daemon takes.
func (c *cluster) memory() error {
	time.Sleep(3 * time.Second) // an idle daemon is what is measured
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", c.nodes[0].Process.Pid))
	if err != nil {
		return err
	}
	kib := map[string]int{}
	for line := range strings.Lines(string(data)) {
		var name string
		var n int
		if _, err := fmt.Sscanf(line, "%s %d kB", &name, &n); err == nil {
			kib[strings.TrimSuffix(name, ":")] = n
		}
	}
	resident, own := float64(kib["Rss"])/1024, float64(kib["Anonymous"])/1024
	c.b.readme.row("memory of an idle node's daemon", "%.0f MiB of its own; %.0f MiB with the program's pages", own, resident)
	c.b.report("memory of an idle node's iwx-queued", "12 MiB", "%.1f MiB resident, %.1f MiB of it its own (anonymous)", resident, own)
	return nil
}

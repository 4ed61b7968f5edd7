package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Times of the starved cluster, and the limits of a starved server: its
// processes get a tenth of a core, and busy loops among them compete for all of
// it.
const (
	starvedLoops   = 8
	starvedSettle  = 20 * time.Second // after set-up, before anything is measured
	starvedMinute  = time.Minute
	starvedHeal    = 5 * time.Minute // longest wait until all is healthy
	starvedQuota   = 10_000          // of 100,000 µs
	starvedCgroup  = "/sys/fs/cgroup/cpu/iwx-bench"
	starvedTicks   = 100                   // of utime and stime a second: proc_pid_stat(5)
	starvedSession = 60 * time.Millisecond // processor time of a session of a mail service
)

// starved measures the processor time of iwx on a cluster with load balancing: idle,
// and with one node, both nodes, the manager, or all of them starved. It also measures
// how long the cluster takes to be healthy after the load. It needs root, HAProxy and
// control groups of version 1.
func (b *bench) starved() error {
	_, noProxy := exec.LookPath("haproxy")
	_, noGroups := os.Stat(filepath.Dir(starvedCgroup) + "/cpu.cfs_quota_us")
	if os.Geteuid() != 0 || noProxy != nil || noGroups != nil {
		b.report("a starved cluster", "", "not measured: it needs root, haproxy, and cgroup v1 at %s", filepath.Dir(starvedCgroup))
		return nil
	}
	// Use a network namespace, where all ports are free. The thread ends with the
	// goroutine, since it is never unlocked.
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			done <- err
			return
		}
		done <- b.starvedCluster()
	}()
	return <-done
}

// balanced is a cluster with load balancing, and the processes on each of its
// servers.
type balanced struct {
	*cluster
	servers map[string][]int // process IDs: iwx, services, HAProxy
	iwx     []int            // those of iwx alone
}

func (b *bench) starvedCluster() error {
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		return fmt.Errorf("ip link set lo up: %w: %s", err, out)
	}
	c, err := b.startBalanced()
	if c != nil {
		defer c.end()
		defer c.endWhenInterrupted()()
	}
	if err != nil {
		return err
	}
	time.Sleep(starvedSettle)
	idle, err := c.processorTime()
	if err != nil {
		return err
	}
	b.report("processor time of iwx, 1 minute, idle, 2 nodes balanced to", "", "%s", short(idle))
	for _, servers := range [][]string{{"node1"}, {"node1", "node2"}, {"manager"}, {"manager", "node1", "node2"}} {
		if err := c.starve(servers, idle); err != nil {
			return err
		}
	}
	time.Sleep(starvedSettle)
	again, err := c.processorTime() // on a machine with other work, it differs
	b.report("the same, idle again", "", "%s, %.2f times", short(again), again.Seconds()/idle.Seconds())
	return err
}

// startBalanced starts a cluster of two nodes whose services are balanced.
func (b *bench) startBalanced() (*balanced, error) {
	plain, err := b.startCluster("starved", 2, "")
	if plain == nil {
		return nil, err
	}
	c := &balanced{cluster: plain, servers: map[string][]int{}}
	if err != nil {
		return c, err
	}
	for i, server := range []string{"manager", "node1", "node2"} {
		addr := []string{"127.0.0.2", "127.0.1.1", "127.0.1.2"}[i]
		services := exec.Command("/proc/self/exe", "serve", addr)
		services.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := services.Start(); err != nil {
			return c, err
		}
		c.iwx = append(c.iwx, c.procs[i].Process.Pid)
		c.servers[server] = []int{c.procs[i].Process.Pid, services.Process.Pid}
		defer func() { c.procs = append(c.procs, services) }()
	}
	for _, args := range [][]string{
		{"iwx-lb", "vip", "add", "127.0.0.80"},
		{"iwx-lb", "engine", "haproxy"},
		{"iwx-lb", "add", "http", "smtp", "pop3", "imap"},
	} {
		if _, err := c.tool("manager", nil, args...); err != nil {
			return c, err
		}
	}
	daemon := c.command("manager", "iwx-lb", "daemon")
	daemon.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := daemon.Start(); err != nil {
		return c, err
	}
	c.procs = append(c.procs, daemon)
	c.iwx = append(c.iwx, daemon.Process.Pid)
	c.servers["manager"] = append(c.servers["manager"], daemon.Process.Pid)
	if _, err := c.healthy(); err != nil {
		return c, err
	}
	haproxy, err := c.haproxy()
	c.servers["manager"] = append(c.servers["manager"], haproxy...)
	return c, err
}

// haproxy returns the processes of the manager's HAProxy: the master and its workers.
func (c *balanced) haproxy() ([]int, error) {
	text, err := os.ReadFile(filepath.Join(c.dir, "manager", "run", "iwx-haproxy", "pid"))
	if err != nil {
		return nil, err
	}
	master, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, err
	}
	workers, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", master, master))
	pids := []int{master}
	for _, word := range strings.Fields(string(workers)) {
		pid, _ := strconv.Atoi(word)
		pids = append(pids, pid)
	}
	return pids, err
}

// end stops everything, also HAProxy, which goes on without iwx.
func (c *balanced) end() {
	if haproxy, err := c.haproxy(); err == nil {
		_ = syscall.Kill(haproxy[0], syscall.SIGTERM)
	}
	c.stop()
}

// endWhenInterrupted stops everything and exits on SIGINT and SIGTERM, until the returned
// function is called. All other processes end with this one.
func (c *balanced) endWhenInterrupted() (stop func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		if _, interrupted := <-signals; interrupted {
			c.end()
			_ = os.RemoveAll(c.b.dir)
			os.Exit(1)
		}
	}()
	return func() { signal.Stop(signals); close(signals) }
}

// starve runs servers with a tenth of a core under load for a minute, and
// measures how long the cluster then takes to be healthy.
func (c *balanced) starve(servers []string, idle time.Duration) error {
	if err := os.MkdirAll(starvedCgroup, 0o755); err != nil {
		return err
	}
	defer os.Remove(starvedCgroup)
	if err := os.WriteFile(starvedCgroup+"/cpu.cfs_quota_us", []byte(strconv.Itoa(starvedQuota)), 0); err != nil {
		return err
	}
	var loops []*os.Process
	var pids []int
	for _, server := range servers {
		pids = append(pids, c.servers[server]...)
	}
	for range starvedLoops {
		loop := exec.Command("sh", "-c", "while :; do :; done")
		loop.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := loop.Start(); err != nil {
			return err
		}
		defer func() { _ = loop.Wait() }()
		defer func() { _ = loop.Process.Kill() }()
		loops = append(loops, loop.Process)
		pids = append(pids, loop.Process.Pid)
	}
	for _, pid := range pids {
		if err := moveTo(starvedCgroup, pid); err != nil {
			return err
		}
	}
	took, err := c.processorTime()
	if err != nil {
		return err
	}
	// End the load.
	for _, loop := range loops {
		_ = loop.Kill()
	}
	for _, pid := range groupOf(starvedCgroup) {
		_ = moveTo(filepath.Dir(starvedCgroup), pid) // a loop may have ended
	}
	healed, err := c.healthy()
	outcome := "healthy " + short(healed) + " after the load"
	if err != nil {
		outcome = fmt.Sprintf("not healthy %s after the load: %v", short(healed), err)
	}
	c.b.report("the same, starved: "+strings.Join(servers, ", "), "1.2 times", "%s, %.2f times; %s", short(took), took.Seconds()/idle.Seconds(), outcome)
	return nil
}

// moveTo moves a process, with all its threads, into a control group.
func moveTo(group string, pid int) error {
	return os.WriteFile(group+"/cgroup.procs", []byte(strconv.Itoa(pid)), 0)
}

// groupOf returns the processes of a control group.
func groupOf(group string) (pids []int) {
	text, _ := os.ReadFile(group + "/cgroup.procs")
	for _, word := range strings.Fields(string(text)) {
		pid, _ := strconv.Atoi(word)
		pids = append(pids, pid)
	}
	return pids
}

// processorTime returns the processor time of iwx in a minute: of its daemons, and
// of their children that have ended.
func (c *balanced) processorTime() (time.Duration, error) {
	before, err := c.ticks()
	if err != nil {
		return 0, err
	}
	time.Sleep(starvedMinute)
	after, err := c.ticks()
	return time.Duration(after-before) * time.Second / starvedTicks, err
}

// ticks returns the sum of utime, stime, cutime and cstime of all daemons.
func (c *balanced) ticks() (sum int, err error) {
	for _, pid := range c.iwx {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return 0, err
		}
		_, rest, _ := strings.Cut(string(text), ") ") // fields 3 and on
		fields := strings.Fields(rest)
		for _, at := range []int{14, 15, 16, 17} {
			n, err := strconv.Atoi(fields[at-3])
			if err != nil {
				return 0, err
			}
			sum += n
		}
	}
	return sum, nil
}

// healthy returns the time until every node is current and every policy complete.
func (c *balanced) healthy() (time.Duration, error) {
	begin := time.Now()
	for {
		_, err := c.tool("manager", nil, "iwx-node", "status")
		if err == nil {
			_, err = c.tool("manager", nil, "iwx-lb", "status")
		}
		took := time.Since(begin)
		if err == nil || took > starvedHeal {
			return took, err
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// serveServices answers as a web and a mail server at an address, until it is
// killed. A session of a mail service uses processor time, like the start of a login
// process.
func serveServices(addr string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	for _, s := range []struct {
		port           int
		greeting       string
		burn           time.Duration
		answer, ending string
	}{
		{80, "", 0, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok", ""},
		{25, "220 mail ESMTP\r\n", starvedSession, "250 mail\r\n", "221 bye\r\n"},
		{110, "+OK ready\r\n", starvedSession, "+OK\r\n.\r\n", "+OK bye\r\n"},
		{143, "* OK ready\r\n", starvedSession, "* CAPABILITY IMAP4rev1\r\n%s OK done\r\n", "* BYE\r\n%s OK done\r\n"},
	} {
		l, err := net.Listen("tcp", net.JoinHostPort(addr, strconv.Itoa(s.port)))
		if err != nil {
			return err
		}
		defer l.Close()
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				go func() {
					defer conn.Close()
					burn(s.burn)
					talk(conn, s.greeting, s.answer, s.ending)
				}()
			}
		}()
	}
	<-ctx.Done()
	return nil
}

// burn uses processor time, not wall-clock time.
func burn(d time.Duration) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	used := func() time.Duration {
		var u unix.Rusage
		_ = unix.Getrusage(unix.RUSAGE_THREAD, &u)
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	for end := used() + d; used() < end; {
	}
}

// talk answers each line, and the last line with ending. HTTP has one answer, and
// no greeting.
func talk(conn net.Conn, greeting, answer, ending string) {
	fmt.Fprint(conn, greeting)
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		tag, rest, _ := strings.Cut(lines.Text(), " ")
		switch {
		case greeting == "" && lines.Text() == "":
			fmt.Fprint(conn, answer)
			return
		case greeting == "":
			continue
		case tag == "QUIT", rest == "LOGOUT":
			fmt.Fprint(conn, strings.ReplaceAll(ending, "%s", tag))
			return
		}
		fmt.Fprint(conn, strings.ReplaceAll(answer, "%s", tag))
	}
}

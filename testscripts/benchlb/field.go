package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// The servers of the field, and the addresses that they have. The virtual one is
// the manager's.
const (
	bridgeNet = "10.79.0."
	manager   = bridgeNet + "1"
	quorum    = bridgeNet + "10"
	virtual   = bridgeNet + "100"
	visitor   = bridgeNet + "254"
)

// webs are the servers behind the balancer.
func webs() []host {
	return []host{{"web1", bridgeNet + "11"}, {"web2", bridgeNet + "12"}, {"web3", bridgeNet + "13"}}
}

type host struct{ name, addr string }

// field is a namespace for each server, and a switch between them.
type field struct {
	dir, bin string
	prefix   string // of the names of the namespaces
	self     string // this program
	procs    []*process
}

// newField makes the namespaces.
func newField(ctx context.Context, dir, bin string) (*field, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	if bin, err = filepath.Abs(bin); err != nil {
		return nil, err
	}
	f := &field{dir: dir, bin: bin, prefix: fmt.Sprintf("blb%d-", os.Getpid()), self: self}
	if err := f.lay(ctx); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

func (f *field) lay(ctx context.Context) error {
	hub := f.prefix + "hub"
	if err := lines(ctx, "netns add "+hub, "-n "+hub+" link add hub type bridge", "-n "+hub+" link set hub up"); err != nil {
		return err
	}
	hosts := append(webs(), host{"manager", manager}, host{"visitor", visitor})
	for _, h := range hosts {
		ns := f.prefix + h.name
		err := lines(ctx,
			"netns add "+ns, "-n "+ns+" link set lo up",
			"-n "+hub+" link add "+h.name+" type veth peer name eth0 netns "+ns,
			"-n "+hub+" link set "+h.name+" master hub up",
			"-n "+ns+" address add "+h.addr+"/24 dev eth0", "-n "+ns+" link set eth0 up")
		if err != nil {
			return err
		}
		// Keep no connections in TIME_WAIT. They take the visitors' ports for a minute,
		// and each balancer would be slower than the one before it.
		if out, err := f.command(ctx, h.name, "sysctl", "-qw", "net.ipv4.tcp_max_tw_buckets=0").CombinedOutput(); err != nil {
			return fmt.Errorf("sysctl: %w: %s", err, bytes.TrimSpace(out))
		}
	}
	ns := f.prefix + "manager"
	return lines(ctx, "-n "+ns+" address add "+quorum+"/24 dev eth0", "-n "+ns+" address add "+virtual+"/24 dev eth0")
}

// cut takes a server off the switch, or puts it back.
func (f *field) cut(ctx context.Context, name string, off bool) error {
	way := "up"
	if off {
		way = "down"
	}
	return lines(ctx, "-n "+f.prefix+"hub link set "+name+" "+way)
}

// lines runs ip(8), once for each.
func lines(ctx context.Context, list ...string) error {
	for _, line := range list {
		if out, err := exec.CommandContext(ctx, "ip", strings.Fields(line)...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %w: %s", line, err, bytes.TrimSpace(out))
		}
	}
	return nil
}

// close ends what was started, and removes the namespaces.
func (f *field) close() {
	for _, p := range f.procs {
		p.stop()
	}
	for _, h := range append(webs(), host{name: "manager"}, host{name: "visitor"}, host{name: "hub"}) {
		_ = exec.Command("ip", "netns", "delete", f.prefix+h.name).Run()
	}
}

// process is a program that runs in a namespace, with its children.
type process struct {
	cmd  *exec.Cmd
	err  bytes.Buffer
	end  error // how it ended, once done is closed
	done chan struct{}
}

// command is a program in the namespace of a server.
func (f *field) command(ctx context.Context, name string, argv ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", f.prefix + name}, argv...)...)
}

// start starts a program on a server.
func (f *field) start(ctx context.Context, name string, env []string, argv ...string) (*process, error) {
	p := &process{cmd: f.command(ctx, name, argv...), done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stderr = &p.err
	// A session of its own, as a service has: the scheduler shares the processors
	// among sessions, sched(7), and a balancer that shares its visitors' is measured
	// with less of its own.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { p.end = p.cmd.Wait(); close(p.done) }()
	f.procs = append(f.procs, p)
	return p, nil
}

// kill ends a process and its children, as a crash does.
func (p *process) kill() {
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.done
}

func (p *process) signal(s syscall.Signal) error { return syscall.Kill(-p.cmd.Process.Pid, s) }

// stop asks it to end first.
func (p *process) stop() {
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(3 * time.Second):
		p.kill()
	}
}

// fate is an error if the process has ended.
func (p *process) fate() error {
	select {
	case <-p.done:
		return fmt.Errorf("%s: ended: %v: %s", strings.Join(p.cmd.Args[4:], " "), p.end, bytes.TrimSpace(p.err.Bytes()))
	default:
		return nil
	}
}

// fates tells of the processes that have ended, which may be why something is not
// as it should be.
func (f *field) fates() error {
	var list []error
	for _, p := range f.procs {
		list = append(list, p.fate())
	}
	return errors.Join(list...)
}

// await tries until something is so.
func await(ctx context.Context, what string, limit time.Duration, so func() error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := so()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("%s: not within %s", what, limit), err)
		case <-tick.C:
		}
	}
}

package main

import (
	"bytes"
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"
)

// host is a server that a script can ask for.
type host struct {
	name  string
	last  int   // last byte of its address on both networks
	extra []int // further addresses on the cluster's network
}

// quorum is the last byte of the quorum IP.
const quorum = 10

// hosts are all servers there can be. The manager comes up with the quorum IP;
// a script that moves it to spare does so with ip(8).
func hosts() []host {
	return []host{
		{name: "manager", last: 1, extra: []int{quorum}},
		{name: "spare", last: 2},
		{name: "web1", last: 11},
		{name: "web2", last: 12},
		{name: "web3", last: 13},
	}
}

func (h host) address() string { return fmt.Sprintf("%s%d", clusterNet, h.last) }
func (h host) seat() string    { return fmt.Sprintf("%s%d", seatNet, h.last) }

// addresses are those on the cluster's network, as the kernel's command line has them.
func (h host) addresses() string {
	list := []string{h.address() + "/24"}
	for _, last := range h.extra {
		list = append(list, fmt.Sprintf("%s%d/24", clusterNet, last))
	}
	return strings.Join(list, ",")
}

// Server is one of them in a lab: a kernel in user mode on a copy-on-write file
// over the image, and a connection to it. Its methods can be called from
// several goroutines.
type Server struct {
	host
	lab *Lab

	mu     sync.Mutex
	power  bool          // a kernel that asked for a reboot is started again
	kernel *exec.Cmd     // nil while it is off
	off    chan struct{} // closed when the kernel has ended
	login  *ssh.Client   // the connection that all commands share; nil without one
}

// file is a name of this server's own in the lab's directory.
func (s *Server) file(kind string) string { return filepath.Join(s.lab.dir, s.name+"."+kind) }

// Renew gives a server that is off the disk that it had at first.
func (s *Server) Renew(ctx context.Context) error {
	if s.lab.seed == "" {
		os.Remove(s.file("cow"))
		return nil
	}
	return command(ctx, "cp", "--sparse=always", s.lab.seed, s.file("cow"))
}

// On switches the server on, and waits until systemd has started everything. A
// server that is on already is waited for.
func (s *Server) On(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 4*time.Minute)
	defer cancel()
	s.mu.Lock()
	s.power = true
	err := s.start(ctx)
	s.mu.Unlock()
	if err != nil {
		return err
	}
	return s.ready(ctx)
}

// start boots the kernel, if none runs. The caller has the lock.
func (s *Server) start(ctx context.Context) error {
	if s.kernel != nil {
		return nil
	}
	for tap, bridge := range map[string]string{s.name: "cluster", s.name + "-s": "seat"} {
		if err := s.lab.net.Tap(ctx, tap, bridge); err != nil {
			return err
		}
	}
	os.Remove(s.file("mux")) // of a connection to the kernel before, if any
	console, err := os.OpenFile(s.file("console"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer console.Close()
	cmd := exec.Command("ip", append([]string{"netns", "exec", s.lab.net.Name, "taskset", "--cpu-list", s.cpu(), "linux.uml"}, s.kernelArgs()...)...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = console, console, s.lab.dir
	cmd.Env = append(os.Environ(), "TMPDIR="+memoryDir())
	// A group of its own: that is what a power cut ends.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	s.kernel, s.off = cmd, make(chan struct{})
	go s.watch(context.WithoutCancel(ctx), cmd, s.off)
	return nil
}

// cpu is the one that the server runs on. Its kernel and its processes take turns,
// and never run at the same time: on two CPUs, each system call wakes the other.
func (s *Server) cpu() string { return strconv.Itoa(s.last % runtime.NumCPU()) }

// kernelArgs is the kernel's command line. The machine-id follows from the name:
// copies of one image would all draw the same.
func (s *Server) kernelArgs() []string {
	id := md5.Sum([]byte("iwx lab " + s.name))
	return []string{
		"mem=512M", "root=/dev/ubda", "rw", "quiet", "con=null", "con0=null,fd:1",
		"ubd0=" + s.file("cow") + "," + filepath.Join(s.lab.image, "disk.img"),
		fmt.Sprintf("vec0:transport=tap,ifname=%s,mac=02:00:00:00:00:%02x", s.name, s.last),
		fmt.Sprintf("vec1:transport=tap,ifname=%s-s,mac=02:00:00:00:01:%02x", s.name, s.last),
		"hostfs=" + s.lab.share(),
		fmt.Sprintf("systemd.machine_id=%x", id), "systemd.hostname=" + s.name,
		"labip=" + s.addresses(), "labseat=" + s.seat() + "/24",
	}
}

// memoryDir is where the memory of the servers is kept: in memory, if there is room.
func memoryDir() string {
	var fs syscall.Statfs_t
	if syscall.Statfs("/dev/shm", &fs) == nil && fs.Bavail*uint64(fs.Bsize) > 4<<30 {
		return "/dev/shm"
	}
	return os.TempDir()
}

// watch waits for the end of the kernel. One that was asked to reboot is started
// again: see image/lab-reboot.
func (s *Server) watch(ctx context.Context, kernel *exec.Cmd, off chan struct{}) {
	kernel.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kernel = nil
	if s.login != nil {
		s.login.Close()
	}
	if s.power && s.rebooting() {
		if err := s.start(ctx); err != nil {
			fmt.Fprintf(os.Stderr, "lab: %s does not reboot: %v\n", s.name, err)
		}
	}
	close(off)
}

// rebooting reports whether the console ends with the mark of a reboot.
func (s *Server) rebooting() bool {
	text, err := os.ReadFile(s.file("console"))
	return err == nil && strings.Contains(lastLines(string(text), 3), "lab: reboot")
}

// ready opens the connection and waits for systemd. A connection that is lost on
// the way, one to the kernel before, is opened again.
func (s *Server) ready(ctx context.Context) error {
	for {
		if err := s.connect(ctx); err != nil {
			return fmt.Errorf("%s does not come up: %w; its console ends with:\n%s", s.name, err, s.consoleEnd())
		}
		var out bytes.Buffer
		err := s.Run(ctx, Command{Args: []string{"systemctl", "is-system-running", "--wait"}, Stdout: &out})
		switch state := strings.TrimSpace(out.String()); state {
		case "running", "degraded": // a unit that has failed is for a script to find out
			return nil
		case "":
		default:
			return fmt.Errorf("%s is not running but %s: %v", s.name, state, err)
		}
	}
}

func (s *Server) consoleEnd() string {
	text, _ := os.ReadFile(s.file("console"))
	return lastLines(string(text), 10)
}

// connect opens the shared connection, trying until the server answers.
func (s *Server) connect(ctx context.Context) error {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for s.connection() == nil {
		login, err := s.dial(ctx)
		if err == nil {
			s.keep(login)
			continue
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-s.ended():
			return errors.New("it went off")
		case <-tick.C:
		}
	}
	return nil
}

func (s *Server) ended() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.off
}

// connection is the one there is, or nil.
func (s *Server) connection() *ssh.Client {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.login
}

// keep makes a connection the server's, until it is lost.
func (s *Server) keep(login *ssh.Client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.login != nil || s.kernel == nil {
		login.Close()
		return
	}
	s.login = login
	go func() {
		login.Wait()
		s.mu.Lock()
		defer s.mu.Unlock()
		s.login = nil
	}()
}

// Run runs a command on the server.
func (s *Server) Run(ctx context.Context, c Command) error { return s.lab.reach(ctx, s, c) }

// Do runs a program on the server; the error has what it said.
func (s *Server) Do(ctx context.Context, stdin []byte, args ...string) ([]byte, error) {
	var out, errs bytes.Buffer
	if err := s.Run(ctx, Command{Args: args, Stdin: bytes.NewReader(stdin), Stdout: &out, Stderr: &errs}); err != nil {
		return nil, fmt.Errorf("on %s: %s: %w\n%s%s", s.name, strings.Join(args, " "), err, out.Bytes(), errs.Bytes())
	}
	return out.Bytes(), nil
}

// Cut is a power cut: what the server had not synced is lost. It returns when
// nothing of it runs. A server that is off stays so.
func (s *Server) Cut() {
	s.mu.Lock()
	s.power = false
	kernel, off := s.kernel, s.off
	s.mu.Unlock()
	if kernel == nil {
		return
	}
	syscall.Kill(-kernel.Process.Pid, syscall.SIGKILL)
	<-off
}

// ShutDown lets systemd stop everything and waits for the server to be off.
func (s *Server) ShutDown(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	off := s.ended()
	s.Do(ctx, nil, "systemctl", "poweroff") // the connection ends with it
	return s.wait(ctx, off, "shut down")
}

// Reboot goes through a clean shutdown and waits until the server is up again.
func (s *Server) Reboot(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	off := s.ended()
	s.Do(ctx, nil, "systemctl", "reboot")
	if err := s.wait(ctx, off, "reboot"); err != nil {
		return err
	}
	return s.On(ctx)
}

func (s *Server) wait(ctx context.Context, off <-chan struct{}, what string) error {
	select {
	case <-off:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s does not %s: %w; its console ends with:\n%s", s.name, what, ctx.Err(), s.consoleEnd())
	}
}

// Link cuts or reconnects the server's link to the cluster's network: it is a port of
// the bridge, or of nothing. The tap itself stays up, since the kernel in user
// mode does not read again from one that was down. The lab's own way in stays open.
func (s *Server) Link(ctx context.Context, up bool) error {
	if up {
		return s.lab.net.ip(ctx, "link", "set", s.name, "master", "cluster")
	}
	return s.lab.net.ip(ctx, "link", "set", s.name, "nomaster")
}

// quoteAll quotes words for a shell.
func quoteAll(words []string) []string {
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
	}
	return quoted
}

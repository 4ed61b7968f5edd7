package queuetool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"iwx/lib/attempt/process"
	"iwx/lib/cli"
	"iwx/lib/fault"
	"iwx/lib/queue"
	"iwx/lib/state"
	"iwx/lib/tool/await"
	"iwx/lib/tool/local"
)

type runVerb struct {
	recipients
	terms
	await.Flags
	cli.Yes
	Command cli.Argv `arg:"" passthrough:"partial" complete:"command" help:"The command and its arguments."`
}

// Examples implements cli.Exampled.
func (*runVerb) Examples() string {
	return `iwx-queue run -- apt-get -y install php-gd
		iwx-queue run --wait -- a2enmod rewrite`
}

// Run runs the command here, as this shell would, and gives it to the nodes when
// it succeeds. The exit code is the command's own; 125 when iwx failed, 126 and
// 127 when the command cannot be run or is not there, as with env(1).
func (v *runVerb) Run(c *cli.Context) error {
	server, err := local.OpenManager(c, readOnly)
	if err != nil {
		return fault.WithCode(err, fault.Internal)
	}
	defer server.Close()
	h, err := v.hold(c, server)
	if err != nil {
		return err
	}
	status, err := v.perform(c, h)
	// A signal that ended the command must not keep its outcome from being
	// written.
	detached := *c
	detached.Context = context.WithoutCancel(c.Context)
	h.c = &detached
	if err != nil || status != 0 {
		return h.cancel(status, err)
	}
	if err := h.release(); err != nil {
		return err
	}
	return v.Wait(c, server, h.last, h.targets)
}

// holding is a command that is held while it runs here.
type holding struct {
	*batch
	id        int64
	stdin     []byte
	sensitive bool
	last      uint64 // its number, once released
}

// hold writes the entry down before the command runs, so that a crash between
// the two leaves something to see.
func (v *runVerb) hold(c *cli.Context, server *local.Server) (*holding, error) {
	if err := keepOrForget(&v.recipients, &v.terms); err != nil {
		return nil, err
	}
	if err := server.Store.MayAppend(c); err != nil {
		return nil, err // before anything runs here
	}
	b, err := newBatch(c, server, &v.recipients)
	if err != nil {
		return nil, err
	}
	h := &holding{batch: b, sensitive: v.Sensitive}
	if h.stdin, err = v.input(c); err != nil {
		return nil, err
	}
	if err := queue.CheckWords(v.Command, true, hasProgram); err != nil {
		return nil, err
	}
	command, err := v.command(c, server, v.Command, h.stdin)
	if err != nil {
		return nil, err
	}
	if err := refuseUnread(c, command); err != nil {
		return nil, err
	}
	command.Umask = currentUmask()
	if err := lint(c, server, v.Yes, []*queue.Command{command}, func(int) string { return "" }, misplaced(c, v.Command)...); err != nil {
		return nil, err
	}
	body, err := command.Encode()
	if err != nil {
		return nil, err
	}
	h.id, err = server.Store.Hold(c, state.Held{Targets: b.targets, Body: body, PID: os.Getpid(), Boot: birth(os.Getpid()), At: c.Now()})
	return h, fault.WithCode(err, fault.Internal)
}

// started records the process of the command: it survives the death of this
// one, and nobody may release the entry meanwhile.
func (h *holding) started(pid int) {
	if err := h.server.Store.Started(context.WithoutCancel(h.c.Context), h.id, pid, birth(pid)); err != nil {
		h.c.Warnf("cannot record the process of %s: %v", heldName(h.id), err)
	}
}

// release gives the entry its number.
func (h *holding) release() error {
	op, err := h.server.Store.Release(h.c, h.id, h.sensitive)
	if err != nil {
		return fault.Hint(
			fault.New(fault.Internal, "the command succeeded here, but cannot be queued for the nodes: %w", err),
			"once that is fixed: iwx-queue release %s", heldName(h.id))
	}
	h.server.Poke()
	h.last = op.Seq
	h.announce(fmt.Sprintf("queued as %d", op.Seq))
	return nil
}

// cancel forgets the entry of a command that failed, and passes on how.
func (h *holding) cancel(status fault.Code, failure error) error {
	if err := h.server.Store.Cancel(h.c, h.id); err != nil {
		h.c.Warnf("cannot cancel %s: %v", heldName(h.id), err)
	}
	if failure != nil {
		return failure
	}
	h.c.Notef("%s: the command failed here (exit %d): nothing was queued", h.c.Tool, status)
	return cli.Exit(status)
}

// perform runs the command here and returns the exit code that a shell would
// show.
func (v *runVerb) perform(c *cli.Context, h *holding) (fault.Code, error) {
	cmd := exec.Command(v.Command[0], v.Command[1:]...)
	cmd.Dir = v.Cwd
	cmd.Env = append(os.Environ(), v.Env...)
	in, out, messages := c.Streams()
	cmd.Stdout, cmd.Stderr = out, messages
	switch {
	case h.stdin != nil:
		cmd.Stdin = bytes.NewReader(h.stdin)
	case c.IsTerminal(in):
		cmd.Stdin = in
	} // otherwise it gets /dev/null, as on the nodes
	forward, stop := signals(c)
	defer stop()
	if err := cmd.Start(); err != nil {
		return 0, startError(v.Command[0], err)
	}
	ended := make(chan struct{})
	go func() {
		for {
			select {
			case s := <-forward:
				_ = cmd.Process.Signal(s) // it may have ended just now
			case <-ended:
				return
			}
		}
	}()
	h.started(cmd.Process.Pid)
	err := cmd.Wait()
	close(ended)
	return exitStatus(cmd.ProcessState, err)
}

// signals keeps the signals that are meant for the command from ending
// iwx-queue, and returns those to pass on. What a terminal sends (^C, ^\) the
// command gets from there, being in the same process group.
func signals(c *cli.Context) (<-chan os.Signal, func()) {
	typed := make(chan os.Signal, 1)
	forward := make(chan os.Signal, 4)
	signal.Notify(forward, syscall.SIGTERM, syscall.SIGHUP)
	if in, _, _ := c.Streams(); c.IsTerminal(in) {
		signal.Notify(typed, syscall.SIGINT, syscall.SIGQUIT)
	} else {
		signal.Notify(forward, syscall.SIGINT, syscall.SIGQUIT)
	}
	return forward, func() {
		signal.Stop(forward)
		signal.Stop(typed)
	}
}

// startError is why a command could not be run at all.
func startError(program string, err error) error {
	code := fault.Code(126)
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		code = 127
	}
	return fault.New(code, "nothing was queued: %s cannot be run here: %w", queue.Quote(program), err)
}

func exitStatus(state *os.ProcessState, err error) (fault.Code, error) {
	if state == nil {
		return 0, fault.New(fault.Internal, "wait for the command: %w", err)
	}
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return fault.Code(128 + int(status.Signal())), nil
	}
	return fault.Code(state.ExitCode()), nil
}

// currentUmask returns the mask that this process was given, proc(5); there is
// no way to ask for it without setting it, which other threads would see.
func currentUmask() uint32 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0o022
	}
	for line := range strings.Lines(string(status)) {
		if text, found := strings.CutPrefix(line, "Umask:"); found {
			if mask, err := strconv.ParseUint(strings.TrimSpace(text), 8, 32); err == nil {
				return uint32(mask)
			}
		}
	}
	return 0o022
}

// birth tells a process apart from any other that ever has its number: the boot
// id and the time of its start in ticks since then, proc(5). It is "" for one
// that is gone, a zombie included.
func birth(pid int) string {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	p, err := process.Get(pid)
	if err != nil || p.State == 'Z' || p.State == 'X' {
		return ""
	}
	return fmt.Sprintf("%s/%d", strings.TrimSpace(string(boot)), p.StartTicks)
}

// lives reports whether a held command, or the iwx-queue that runs it, still
// runs here.
func lives(h *state.Held) bool { return attended(h) || h.Child != "" && h.Child == birth(h.ChildPID) }

// attended reports whether the iwx-queue that runs a held command still runs.
func attended(h *state.Held) bool { return h.Boot != "" && h.Boot == birth(h.PID) }

package haproxy

import (
	"context"
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"

	"iwx/lib/atomicfile"
	"iwx/lib/attempt/process"
	"iwx/lib/fault"
	"iwx/lib/systemd"
)

// runner starts and ends the instance. All can be repeated.
type runner interface {
	prepare() error                  // makes the directory of the sockets
	start(ctx context.Context) error // starts it, also at boot
	leave(ctx context.Context) error // has it end with its last connection, and not start at boot
	end(ctx context.Context) error   // ends it with all of its connections
	hint() string                    // where it says what is wrong

	pid(ctx context.Context) (int, error) // of the master
	kill(ctx context.Context) error       // kills all of its processes at once, for a restart
}

// unitName is packaging/systemd/iwx-haproxy.service.
const unitName = "iwx-haproxy.service"

// unit is the instance as a unit of systemd, which makes the directory itself.
type unit struct{ master master }

func (unit) prepare() error { return nil }

func (unit) hint() string { return "journalctl -u " + unitName }

func (unit) start(ctx context.Context) error {
	return withSystemd(ctx, func(c *systemd.Conn) error { return c.EnableNow(ctx, unitName) })
}

func (u unit) leave(ctx context.Context) error {
	err := withSystemd(ctx, func(c *systemd.Conn) error { return c.Disable(ctx, unitName) })
	return errors.Join(err, u.master.leave(ctx))
}

func (u unit) end(ctx context.Context) error {
	if _, err := u.master.status(ctx); errors.Is(err, errNobody) {
		return nil
	}
	return withSystemd(ctx, func(c *systemd.Conn) error { return c.DisableNow(ctx, unitName) })
}

func (unit) pid(ctx context.Context) (pid int, err error) {
	err = withSystemd(ctx, func(c *systemd.Conn) (err error) { pid, err = c.MainPID(ctx, unitName); return err })
	return pid, err
}

func (unit) kill(ctx context.Context) error {
	return withSystemd(ctx, func(c *systemd.Conn) error { return c.Kill(ctx, unitName) })
}

func withSystemd(ctx context.Context, f func(*systemd.Conn) error) error {
	conn, err := systemd.Connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return f(conn)
}

// background is the instance as a process of its own session.
type background struct {
	layout layout
	master master
}

func (b background) prepare() error { return atomicfile.MkdirAll(b.layout.run, 0o700) }

func (b background) hint() string { return "haproxy -c -f " + b.layout.config }

// start returns when the worker listens: with -D, HAProxy detaches itself then.
func (b background) start(ctx context.Context) error {
	program, err := b.layout.program()
	if err != nil {
		return err
	}
	ctx, cancel := fault.Within(ctx, checkLimit, "haproxy")
	defer cancel()
	return runProgram(ctx, program, "-W", "-D", "-f", b.layout.config, "-S", b.layout.master+",mode,600", "-p", b.layout.pid)
}

func (b background) leave(ctx context.Context) error { return b.master.leave(ctx) }

// end waits until nobody answers any more.
func (b background) end(ctx context.Context) error {
	s, err := b.master.status(ctx)
	if errors.Is(err, errNobody) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := signal(s.pid, syscall.SIGTERM); err != nil {
		return err
	}
	return until(ctx, endLimit, "haproxy does not end", b.hint(), func(ctx context.Context) (bool, error) {
		_, err := b.master.status(ctx)
		return errors.Is(err, errNobody), nil
	})
}

func (b background) pid(context.Context) (int, error) {
	text, err := os.ReadFile(b.layout.pid)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}

// kill relies on the next pass of the engine, which finds no answer, to start it
// again.
func (b background) kill(ctx context.Context) error {
	pid, err := b.pid(ctx)
	if err != nil {
		return err
	}
	list, err := process.Children(pid)
	for _, p := range list {
		err = errors.Join(err, signal(p.PID, syscall.SIGKILL))
	}
	return errors.Join(err, signal(pid, syscall.SIGKILL))
}

// leave has the instance end with its last connection, management guide §4.
func (m master) leave(ctx context.Context) error {
	s, err := m.status(ctx)
	if errors.Is(err, errNobody) {
		return nil
	}
	if err != nil {
		return err
	}
	return signal(s.pid, syscall.SIGUSR1)
}

func signal(pid int, sig syscall.Signal) error {
	p, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	if err := p.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

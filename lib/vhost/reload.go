package vhost

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"iwx/lib/attempt/process"
	"iwx/lib/fault"
	"iwx/lib/host"
	"iwx/lib/wait"
)

// Limits of a reload: for the command, and then until the server has started a worker.
const (
	reloadLimit = time.Minute
	workerLimit = 30 * time.Second
)

// Reload has the server load its configuration as it is on the disk; open connections
// end as they would have. Files of a Put that was killed are put back first, and the
// server tests the configuration, so that it loads nothing untested. Reload returns when
// a new worker serves, and fails if the server ends or starts none. A server that does
// not run loads its configuration when it starts. Repeating it is safe; the caller keeps
// others from calling Put and Reload meanwhile.
func (s *Server) Reload(ctx context.Context) error {
	if err := s.restore(); err != nil {
		return err
	}
	pid, err := s.mainProcess(ctx)
	if err != nil || pid == 0 {
		return err
	}
	if err := s.Test(ctx); err != nil {
		return err
	}
	old, err := process.Children(pid)
	if err != nil {
		return err
	}
	switch {
	case s.Root != "" && s.Syntax == "nginx":
		err = syscall.Kill(pid, syscall.SIGHUP)
	case s.Root != "":
		err = syscall.Kill(pid, syscall.SIGUSR1) // apache's graceful restart
	default:
		limited, cancel := fault.Within(ctx, reloadLimit, "systemctl reload "+s.Name)
		defer cancel()
		_, err = s.output(limited, "systemctl", "reload", s.Name)
	}
	if err != nil {
		return fmt.Errorf("reload %s, process %d: %w", s.Name, pid, err)
	}
	return s.awaitWorker(ctx, pid, old)
}

// mainProcess returns the id of the process that is reloaded: systemd knows it, or below
// a root the server's own file. It is 0 if the server does not run.
func (s *Server) mainProcess(ctx context.Context) (pid int, err error) {
	file, text := s.at(s.pid), ""
	switch {
	case s.Root != "":
		b, err := os.ReadFile(file)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return 0, err
		}
		text = string(b)
	case host.Booted():
		ctx, cancel := fault.Within(ctx, reloadLimit, "systemctl show "+s.Name)
		defer cancel()
		file = "systemctl show --property=MainPID"
		if text, err = s.output(ctx, "systemctl", "show", "--property=MainPID", "--value", s.Name); err != nil {
			return 0, err
		}
	}
	text = strings.TrimSpace(text)
	if text == "" || text == "0" { // nginx -t makes an empty file
		return 0, nil
	}
	if pid, err = strconv.Atoi(text); err != nil || pid <= 1 {
		return 0, fault.New(fault.Failed, "%s holds %.20q instead of a process id", file, text)
	}
	if is, err := process.Get(pid); err != nil || is.State == 'Z' {
		return 0, nil // it has ended
	}
	return pid, nil
}

// awaitWorker blocks until the server has a newer worker than the old ones, given the
// newest first: apache and nginx start some with each configuration that they load. A
// server without workers need only live.
func (s *Server) awaitWorker(ctx context.Context, pid int, old []process.Process) error {
	limited, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	err := wait.Until(limited, wait.Every(50*time.Millisecond), func() (bool, error) {
		now, err := process.Children(pid)
		if main, gone := process.Get(pid); err != nil || gone != nil || main.State == 'Z' {
			return false, errors.Join(err, fault.New(fault.Failed, "%s has ended at its reload", s.Name))
		}
		return len(old) == 0 || len(now) > 0 && now[0].StartTicks > old[0].StartTicks, nil
	})
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return fault.New(fault.Failed, "%s has started no worker within %s of its reload, and serves what it did before: see its error log", s.Name, s.patience)
	}
	return err
}

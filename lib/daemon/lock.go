package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"iwx/lib/atomicfile"
	"iwx/lib/fault"
	"iwx/lib/flock"
	"iwx/lib/wait"
)

// Lock makes sure that one daemon of a unit runs on a server: it holds flock(2)
// on path, which has the daemon's process id inside, until the returned file is closed or
// the process ends in any way. The file stays; it is the lock that counts. The
// error of a lock that is taken names the holder, exit code 4.
func Lock(path, unit string) (io.Closer, error) {
	f, err := flock.Open(path)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	err = flock.TryLock(f)
	if errors.Is(err, flock.ErrTaken) {
		defer f.Close()
		return nil, taken(f, unit)
	}
	if err == nil {
		err = f.Truncate(0)
	}
	if err == nil {
		_, err = f.WriteString(strconv.Itoa(os.Getpid()) + "\n")
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock: %w", err)
	}
	return f, nil
}

// taken is the error for a lock that another process holds.
func taken(f *os.File, unit string) error {
	holder := "another process"
	text, _ := io.ReadAll(io.LimitReader(f, 32))
	if pid, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil {
		holder = fmt.Sprintf("process %d", pid)
	}
	return fault.Hint(fault.New(fault.Busy, "%s is held by %s: the daemon is running already", f.Name(), holder),
		"systemctl status %s", unit)
}

// lockEvery is how often a lock that another process has is tried.
const lockEvery = 20 * time.Millisecond

// WaitLock keeps the processes of this server apart that do the same kind of
// work: it waits for flock(2) on path, which the kernel gives back however the
// process ends, until the file is closed in it and in the children that were given
// it. After limit it gives up with code Busy, and doing says in the error what the
// other process has been doing.
func WaitLock(ctx context.Context, path string, limit time.Duration, doing string) (*os.File, error) {
	if err := atomicfile.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	f, err := flock.Open(path)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	if err := await(ctx, f, limit, doing); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// await tries until it has the lock. A blocking flock could not be ended.
func await(ctx context.Context, f *os.File, limit time.Duration, doing string) error {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var failed error
	err := wait.Until(limited, wait.Every(lockEvery), func() (bool, error) {
		failed = flock.TryLock(f)
		return !errors.Is(failed, flock.ErrTaken), nil
	})
	switch {
	case err == nil:
		return failed
	case ctx.Err() != nil:
		return fmt.Errorf("another process is still %s: %w", doing, ctx.Err())
	}
	return fault.New(fault.Busy, "another process has been %s for %s", doing, limit)
}

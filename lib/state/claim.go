package state

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"iwx/lib/fault"
	"iwx/lib/flock"
	"iwx/lib/wait"
)

// agreeWait is the time to wait for processes that have other files open under
// the state's name: daemons notice within a second, and end.
const agreeWait = 5 * time.Second

// agreeEvery is the interval of checks whether they have ended.
const agreeEvery = 10 * time.Millisecond

// claim lets the processes of a server agree on which files are its state. It is
// a lock file in the run directory, and holds the identity of the files that the
// first process found. Each process holds a shared lock on it while it has the
// state open; the text is valid while anybody holds one. The run directory is on
// another file system than the state: if the state's directory is moved away, or
// mounted over, the claim stays.
type claim struct {
	file  *os.File
	names names
}

// joinClaim waits until no other process has other files open under the state's
// name than those that are there now. first reports that no other process has the
// state open; the claim is then locked exclusively until settle. Without a run
// directory nothing is running, and the claim is nil.
func joinClaim(ctx context.Context, name, state string) (c *claim, first bool, err error) {
	if name == "" {
		return nil, false, nil
	}
	f, err := flock.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	c = &claim{file: f, names: namesOf(state)}
	if first, err = c.join(ctx); err != nil {
		f.Close()
		return nil, false, err
	}
	return c, first, nil
}

func (c *claim) join(ctx context.Context) (first bool, err error) {
	err = retry(ctx, func() error {
		err := flock.TryLock(c.file)
		if first = err == nil; first {
			return nil
		}
		if err := flock.TryShare(c.file); err != nil {
			return c.busy(err)
		}
		now, err := c.names.identify()
		if err == nil {
			err = c.compare(now)
		}
		if err != nil {
			flock.Unlock(c.file) // the process with other files may be the last one
		}
		return err
	})
	return first, err
}

// settle compares the opened files with those of the other processes. The first
// process records them for later ones.
func (c *claim) settle(ctx context.Context, first bool, opened files) error {
	if c == nil {
		return nil
	}
	if first {
		if err := c.note(opened); err != nil {
			return err
		}
		// Another process may come first during the change of the lock, so compare
		// here too.
		err := retry(ctx, func() error { return c.busy(flock.TryShare(c.file)) })
		if err != nil {
			return err
		}
	}
	return c.compare(opened)
}

// retry calls try until it succeeds, fails with another error than a busy
// claim, or agreeWait is over.
func retry(ctx context.Context, try func() error) error {
	ctx, cancel := context.WithTimeout(ctx, agreeWait)
	defer cancel()
	var err error
	_ = wait.Until(ctx, wait.Every(agreeEvery), func() (bool, error) {
		err = try()
		return fault.CodeOf(err) != fault.Busy, nil
	})
	return err
}

func (c *claim) note(opened files) error {
	text := opened.String() + "\n"
	_, err := c.file.WriteAt([]byte(text), 0)
	if err == nil {
		err = c.file.Truncate(int64(len(text)))
	}
	return err
}

// compare fails if the processes that have the state open have other files.
func (c *claim) compare(now files) error {
	text, err := io.ReadAll(io.NewSectionReader(c.file, 0, 256))
	if err != nil {
		return err
	}
	if strings.TrimSpace(string(text)) == now.String() {
		return nil
	}
	return fault.Hint(
		fault.New(fault.Busy, "%s is not the state that iwx has open: it, its -wal or its -shm was removed or replaced while in use", c.names[0]),
		"list the processes that have the old file open, and end them: fuser -v %s\nthen start the daemons again: systemctl restart iwx-queued iwx-lb", c.file.Name())
}

func (c *claim) busy(err error) error {
	if !errors.Is(err, flock.ErrTaken) {
		return err
	}
	return fault.Hint(fault.New(fault.Busy, "another process has been opening %s for %s", c.names[0], agreeWait),
		"see who holds %[1]s: fuser -v %[1]s", c.file.Name())
}

// close releases the claim, after the state is closed.
func (c *claim) close() {
	if c != nil {
		c.file.Close()
	}
}

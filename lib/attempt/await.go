package attempt

import (
	"context"
	"os"
	"time"

	"iwx/lib/wait"

	"golang.org/x/sys/unix"
)

// The pauses between looks at an attempt: they double from the first to the
// last. Where the kernel tells of the end, looking is for what it missed.
const (
	firstLook    = 100 * time.Microsecond
	lastLook     = time.Second
	lastLookDeaf = 20 * time.Millisecond
)

// await blocks until over says that an attempt has ended; an error of over, and
// the end of ctx, end it too. over is asked when the attempt's file is closed by
// one who could write to it, which is how the end of a shim shows, and now and
// then. A blocking flock(2) could not be called off.
func (f files) await(ctx context.Context, id ID, over func() (bool, error)) error {
	b := hang(f.specPath(id))
	defer b.close()
	pause := firstLook
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for {
		if is, err := over(); is || err != nil {
			return err
		}
		timer.Reset(pause)
		pause = min(2*pause, b.last())
		select {
		case <-timer.C:
		case <-b.rings:
			pause = firstLook // the file is closed a moment before its lock is free
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// awaitLock blocks until no shim holds the attempt's file.
func (f files) awaitLock(ctx context.Context, id ID) error {
	return f.await(ctx, id, func() (bool, error) {
		held, err := f.locked(id)
		return !held, err
	})
}

// bell rings when a file is closed that was open for writing: inotify(7).
type bell struct {
	inotify *os.File // nil: this process can have no more of them
	rings   wait.Signal
}

// hang makes a bell for the file at path. Without it the looks are closer.
func hang(path string) *bell {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return &bell{}
	}
	b := &bell{inotify: os.NewFile(uintptr(fd), "inotify"), rings: wait.NewSignal()}
	if _, err := unix.InotifyAddWatch(fd, path, unix.IN_CLOSE_WRITE); err != nil {
		b.close()
		return &bell{}
	}
	go b.listen()
	return b
}

// listen rings until the bell is closed.
func (b *bell) listen() {
	events := make([]byte, 16*unix.SizeofInotifyEvent)
	for {
		if _, err := b.inotify.Read(events); err != nil {
			return
		}
		b.rings.Set()
	}
}

func (b *bell) last() time.Duration {
	if b.inotify == nil {
		return lastLookDeaf
	}
	return lastLook
}

func (b *bell) close() {
	if b.inotify != nil {
		b.inotify.Close()
	}
}

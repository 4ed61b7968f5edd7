// Package flock locks open files with flock(2). The kernel releases a lock when the
// open file is closed, in this process and in the children that were given it, or
// when these end in any way. Any file can be locked, also a directory.
package flock

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// ErrTaken is wrapped by the error for a lock that another open file has.
const ErrTaken = unix.EWOULDBLOCK

// Open opens a lock file, and creates it with mode 0600 if it is missing. Nobody
// removes it: two processes could then have different files of that name locked.
func Open(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
}

// Lock waits for the exclusive lock, in the order in which processes came. The wait
// cannot be interrupted.
func Lock(f *os.File) error { return flock(f, unix.LOCK_EX) }

// TryLock takes the exclusive lock, unless another open file has a lock.
func TryLock(f *os.File) error { return flock(f, unix.LOCK_EX|unix.LOCK_NB) }

// TryShare takes a shared lock, in place of the lock that f has, unless another open
// file has the exclusive one.
func TryShare(f *os.File) error { return flock(f, unix.LOCK_SH|unix.LOCK_NB) }

// Unlock releases the lock that f has. Repeating it is safe.
func Unlock(f *os.File) error { return flock(f, unix.LOCK_UN) }

// Held reports whether some process has the exclusive lock of the file at path. A
// missing file is not locked.
func Held(path string) (bool, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	err = TryShare(f)
	if errors.Is(err, ErrTaken) {
		return true, nil
	}
	return false, err
}

func flock(f *os.File, how int) error {
	for {
		err := unix.Flock(int(f.Fd()), how)
		if err == nil {
			return nil
		}
		if err != unix.EINTR {
			return &fs.PathError{Op: "flock", Path: f.Name(), Err: err}
		}
	}
}

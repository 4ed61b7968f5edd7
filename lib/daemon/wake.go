package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"iwx/lib/fault"
	"iwx/lib/sockets"
	"iwx/lib/wait"
)

// wakeName is the datagram socket in the run directory.
const wakeName = "wake"

// Waker is the end of the wake socket that the daemon holds.
type Waker struct {
	// C has a value after one or more pokes; those that come before it is read
	// are one.
	C <-chan struct{}

	conn *net.UnixConn
	path string
	end  sync.WaitGroup
}

// Listen opens the wake socket in dir (mode 0600; dir must exist and should be
// 0700). The socket of a daemon that is gone is replaced; one that is alive
// makes it fail with exit code 4.
func Listen(dir string) (*Waker, error) {
	address, release, err := sockets.Name(dir, wakeName)
	if err != nil {
		return nil, fmt.Errorf("wake socket: %w", err)
	}
	defer release()
	path := filepath.Join(dir, wakeName)
	if send(address) == nil {
		return nil, fault.New(fault.Busy, "wake socket %s: another daemon listens there", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("wake socket: %w", err)
	}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
	if err != nil {
		return nil, fmt.Errorf("wake socket %s: %w", path, err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		conn.Close()
		return nil, fmt.Errorf("wake socket: %w", err)
	}
	c := wait.NewSignal()
	w := &Waker{C: c, conn: conn, path: path}
	w.end.Go(func() { w.receive(c) })
	return w, nil
}

// receive turns datagrams into values of C. Their content is of no account.
func (w *Waker) receive(c wait.Signal) {
	var buf [16]byte
	for {
		if _, _, err := w.conn.ReadFromUnix(buf[:]); err != nil {
			return // closed; were it anything else, the daemon polls anyway
		}
		c.Set()
	}
}

// Close removes the socket.
func (w *Waker) Close() error {
	err := errors.Join(os.Remove(w.path), w.conn.Close())
	w.end.Wait()
	return err
}

// Poke wakes the daemon that listens in dir, after a commit. It never blocks and
// has no error: without a daemon there is nobody to wake, and one that misses
// the poke polls the state once a second.
func Poke(dir string) {
	address, release, err := sockets.Name(dir, wakeName)
	if err != nil {
		return
	}
	defer release()
	_ = send(address)
}

// Alive reports whether a daemon listens in dir. It does not wake it and, unlike
// Lock, cannot get in the way of one that is about to start.
func Alive(dir string) bool {
	address, release, err := sockets.Name(dir, wakeName)
	if err != nil {
		return false
	}
	defer release()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	return unix.Connect(fd, &unix.SockaddrUnix{Name: address}) == nil
}

// Since returns the time at which the daemon began to listen in dir, to the
// millisecond, or zero if none does.
func Since(dir string) time.Time {
	info, err := os.Lstat(filepath.Join(dir, wakeName))
	if err != nil || !Alive(dir) {
		return time.Time{}
	}
	return info.ModTime().Truncate(time.Millisecond)
}

// send puts a datagram into the socket, if it is there and has room. A full
// socket is one that will wake its reader anyway.
func send(address string) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	err = unix.Sendto(fd, []byte{1}, unix.MSG_NOSIGNAL, &unix.SockaddrUnix{Name: address})
	if errors.Is(err, unix.EAGAIN) {
		return nil
	}
	return err
}

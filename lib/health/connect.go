package health

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// socket is a connection that was made without net, which would make hundreds a
// second a third dearer, and take an answer that came while this server had no
// time to look for none.
type socket struct{ *os.File }

func (socket) LocalAddr() net.Addr  { return nil }
func (socket) RemoteAddr() net.Addr { return nil }

// connect connects to a target, until a moment.
func connect(ctx context.Context, t Target, until time.Time) (net.Conn, error) {
	to, family := sockaddr(t.Addr)
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), t.Name)
	if t.Check.Level == Connect {
		err = knock(fd)
	} else {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	}
	if err == nil {
		err = await(ctx, file, until, func() error { return unix.Connect(fd, to) })
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return socket{file}, nil
}

// knock prepares a socket for a connection that only the kernel of the server
// sees. Without TCP_QUICKACK the last packet of the handshake waits for data to
// go with, for 200 ms (tcp(7)), and with a linger of 0 the close sends a reset
// in its place.
func knock(fd int) error {
	return errors.Join(
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_QUICKACK, 0),
		unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}),
	)
}

// await connects, and connects again whenever there is news of the socket: that
// tells how far it has come (connect(2)). It is asked a last time when the time
// is over. The deadline ends with the wait: what follows has its own.
func await(ctx context.Context, file *os.File, until time.Time, connect func() error) error {
	came := connect()
	if !underWay(came) {
		return came
	}
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	if err := file.SetWriteDeadline(until); err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { file.SetWriteDeadline(time.Unix(1, 0)) })()
	err = raw.Write(func(uintptr) bool { came = connect(); return !underWay(came) })
	if errors.Is(err, os.ErrDeadlineExceeded) {
		came = connect()
	}
	switch {
	case came == nil, came == unix.EISCONN:
		return file.SetWriteDeadline(time.Time{})
	case underWay(came):
		return err
	}
	return came
}

// underWay reports whether a connection is still being made.
func underWay(err error) bool { return err == unix.EINPROGRESS || err == unix.EALREADY }

// sockaddr is an address as the kernel has it.
func sockaddr(addr netip.AddrPort) (to unix.Sockaddr, family int) {
	port := int(addr.Port())
	if ip := addr.Addr().Unmap(); ip.Is4() {
		return &unix.SockaddrInet4{Port: port, Addr: ip.As4()}, unix.AF_INET
	}
	return &unix.SockaddrInet6{Port: port, Addr: addr.Addr().As16()}, unix.AF_INET6
}

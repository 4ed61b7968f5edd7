package sockets

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// FreeBind returns the Control of a net.ListenConfig with which the address need not be
// on an interface yet: IP_FREEBIND, ip(7), and IPV6_FREEBIND. It sets the given options
// of level SOL_SOCKET, socket(7), too.
func FreeBind(options ...int) func(network, address string, c syscall.RawConn) error {
	return func(network, _ string, c syscall.RawConn) (err error) {
		set := func(fd uintptr) {
			level, option := unix.SOL_IP, unix.IP_FREEBIND
			if strings.HasSuffix(network, "6") {
				level, option = unix.SOL_IPV6, unix.IPV6_FREEBIND
			}
			err = unix.SetsockoptInt(int(fd), level, option, 1)
			for _, option := range options {
				if err == nil {
					err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, option, 1)
				}
			}
		}
		if closed := c.Control(set); closed != nil {
			return closed
		}
		return err
	}
}

// TryBind listens at a TCP address for a moment, with [FreeBind]. The error wraps
// EADDRINUSE if another socket has the port.
func TryBind(ctx context.Context, at netip.AddrPort, options ...int) error {
	config := net.ListenConfig{Control: FreeBind(options...)}
	l, err := config.Listen(ctx, "tcp", at.String())
	if err != nil {
		return err
	}
	return l.Close()
}

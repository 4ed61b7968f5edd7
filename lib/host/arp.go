package host

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// The asking of an ARP probe, RFC 5227 §2.1.1, but quicker: a link of servers
// answers within milliseconds.
const (
	arpProbes = 3
	arpWait   = 300 * time.Millisecond // for the answers to one probe
	arpLook   = 20                     // milliseconds between looks whether to give up
)

// Holder asks the link of an interface who else holds an IPv4 address, and
// returns that host's hardware address; nil if nobody answers within a second.
// It blocks that long, changes nothing in anybody's ARP cache (RFC 5227 §1.1),
// and needs CAP_NET_RAW. Of an interface without hardware addresses, and of an
// IPv6 address, whose duplicates the kernel detects itself (RFC 4862 §5.4), it
// returns nil.
func Holder(ctx context.Context, name string, addr netip.Addr) (net.HardwareAddr, error) {
	link, err := net.InterfaceByName(name)
	if err != nil {
		return nil, err
	}
	if len(link.HardwareAddr) != 6 || !addr.Is4() {
		return nil, nil
	}
	holder, err := askLink(ctx, link, addr)
	if err != nil {
		return nil, fmt.Errorf("ask who has %s on %s: %w", addr, name, err)
	}
	return holder, nil
}

func askLink(ctx context.Context, link *net.Interface, addr netip.Addr) (net.HardwareAddr, error) {
	protocol := binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, unix.ETH_P_ARP)) // in network order
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, int(protocol))
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: protocol, Ifindex: link.Index}); err != nil {
		return nil, err
	}
	everyone := &unix.SockaddrLinklayer{Protocol: protocol, Ifindex: link.Index, Halen: 6, Addr: [8]byte{255, 255, 255, 255, 255, 255}}
	for range arpProbes {
		if err := unix.Sendto(fd, arpProbe(link.HardwareAddr, addr), 0, everyone); err != nil {
			return nil, err
		}
		holder, err := awaitHolder(ctx, fd, link.HardwareAddr, addr)
		if holder != nil || err != nil {
			return holder, err
		}
	}
	return nil, nil
}

// arpProbe is an ARP request for addr that tells no address of its own (RFC 826,
// RFC 5227).
func arpProbe(own net.HardwareAddr, addr netip.Addr) []byte {
	p := []byte{0, 1, 8, 0, 6, 4, 0, 1} // Ethernet, IPv4, lengths of their addresses, request
	p = append(p, own...)
	p = append(p, make([]byte, 4+6)...)
	return append(p, addr.AsSlice()...)
}

// awaitHolder reads what comes, for a while, until somebody else says that addr
// is his.
func awaitHolder(ctx context.Context, fd int, own net.HardwareAddr, addr netip.Addr) (net.HardwareAddr, error) {
	wait, cancel := context.WithTimeout(ctx, arpWait)
	defer cancel()
	packet := make([]byte, 64)
	for wait.Err() == nil {
		ready, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, arpLook)
		if ready < 1 && (err == nil || errors.Is(err, unix.EINTR)) {
			continue
		}
		n, _, err := unix.Recvfrom(fd, packet, 0)
		if err != nil {
			return nil, err
		}
		if holder := arpSender(packet[:n], addr); holder != nil && !bytes.Equal(holder, own) {
			return holder, nil
		}
	}
	return nil, ctx.Err()
}

// arpSender returns who sent an ARP packet, if he says in it that he has addr.
func arpSender(p []byte, addr netip.Addr) net.HardwareAddr {
	if len(p) < 28 || !bytes.Equal(p[:6], []byte{0, 1, 8, 0, 6, 4}) || !bytes.Equal(p[14:18], addr.AsSlice()) {
		return nil
	}
	return net.HardwareAddr(bytes.Clone(p[8:14]))
}

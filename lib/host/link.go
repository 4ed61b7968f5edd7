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

	"iwx/lib/wait"

	"golang.org/x/sys/unix"
)

// How the link is asked who holds an address: as an ARP probe does (RFC 5227
// §2.1.1), but quicker, since a link of servers answers within milliseconds.
const (
	linkProbes = 3
	linkWait   = 300 * time.Millisecond // for the answers to one probe
	linkLook   = 20                     // milliseconds between looks whether to give up
)

// How a new holder of an address makes itself known (RFC 5227 §2.3, RFC 4861
// §7.2.6): more often and faster than they say, as traffic waits for it.
const (
	announcements = 3
	announceEvery = 100 * time.Millisecond
)

// Holder asks the link of an interface who else holds an address, with ARP or
// neighbour discovery, and returns that host's hardware address; nil if nobody
// answers within a second. It blocks that long, changes nothing in anybody's
// cache (RFC 5227 §1.1, RFC 4862 §5.4.2), and needs CAP_NET_RAW. Of an interface
// without hardware addresses it returns nil.
func Holder(ctx context.Context, name string, addr netip.Addr) (net.HardwareAddr, error) {
	link, err := ethernet(name)
	if err != nil || link == nil {
		return nil, err
	}
	holder, err := askLink(ctx, link, probeFor(link.HardwareAddr, addr))
	if err != nil {
		return nil, fmt.Errorf("ask who has %s on %s: %w", addr, name, err)
	}
	return holder, nil
}

// Announce tells the link of an interface that this host holds an address, so
// that whoever knew another holder comes here. It takes a fraction of a second
// and needs CAP_NET_RAW. On an interface without hardware addresses it does
// nothing. Repeating it is safe.
func Announce(ctx context.Context, name string, addr netip.Addr) error {
	link, err := ethernet(name)
	if err != nil || link == nil {
		return err
	}
	if err := tellLink(ctx, link, announcementFor(link.HardwareAddr, addr)); err != nil {
		return fmt.Errorf("announce %s on %s: %w", addr, name, err)
	}
	return nil
}

// ethernet returns an interface that has a hardware address of Ethernet's kind,
// nil for another one.
func ethernet(name string) (*net.Interface, error) {
	link, err := net.InterfaceByName(name)
	if err != nil {
		return nil, fmt.Errorf("interface %s: %w", name, err)
	}
	if len(link.HardwareAddr) != 6 {
		return nil, nil
	}
	return link, nil
}

// frame is what is sent to a link, and how an answer to it is told.
type frame struct {
	protocol uint16 // EtherType
	to       [8]byte
	packet   []byte
	answers  func(packet []byte) bool
}

// probeFor asks who has addr.
func probeFor(own net.HardwareAddr, addr netip.Addr) frame {
	if addr.Is4() {
		return frame{unix.ETH_P_ARP, everyone(), arpProbe(own, addr), func(p []byte) bool { return arpTells(p, addr) }}
	}
	return frame{unix.ETH_P_IPV6, multicast(solicitedNode(addr)), solicitation(addr), func(p []byte) bool { return advertises(p, addr) }}
}

// announcementFor says that addr is at the hardware address own.
func announcementFor(own net.HardwareAddr, addr netip.Addr) frame {
	if addr.Is4() {
		return frame{protocol: unix.ETH_P_ARP, to: everyone(), packet: arpAnnouncement(own, addr)}
	}
	return frame{protocol: unix.ETH_P_IPV6, to: multicast(netip.IPv6LinkLocalAllNodes()), packet: advertisement(own, addr)}
}

// everyone is Ethernet's broadcast address.
func everyone() [8]byte { return [8]byte{255, 255, 255, 255, 255, 255} }

// networkOrder is a number as packet(7) wants it.
func networkOrder(n uint16) uint16 {
	return binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, n))
}

// dialLink opens a socket for one EtherType of one interface, packet(7).
func dialLink(link *net.Interface, protocol uint16) (fd int, err error) {
	protocol = networkOrder(protocol)
	fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, int(protocol))
	if err != nil {
		return -1, err
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: protocol, Ifindex: link.Index}); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func send(fd int, link *net.Interface, f frame) error {
	to := &unix.SockaddrLinklayer{Protocol: networkOrder(f.protocol), Ifindex: link.Index, Halen: 6, Addr: f.to}
	return unix.Sendto(fd, f.packet, 0, to)
}

func askLink(ctx context.Context, link *net.Interface, question frame) (net.HardwareAddr, error) {
	fd, err := dialLink(link, question.protocol)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	for range linkProbes {
		if err := send(fd, link, question); err != nil {
			return nil, err
		}
		holder, err := awaitHolder(ctx, fd, link.HardwareAddr, question)
		if holder != nil || err != nil {
			return holder, err
		}
	}
	return nil, nil
}

// awaitHolder reads what comes, for a while, until somebody else answers, and
// returns who that was.
func awaitHolder(ctx context.Context, fd int, own net.HardwareAddr, question frame) (net.HardwareAddr, error) {
	wait, cancel := context.WithTimeout(ctx, linkWait)
	defer cancel()
	packet := make([]byte, 256)
	for wait.Err() == nil {
		ready, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, linkLook)
		if ready < 1 && (err == nil || errors.Is(err, unix.EINTR)) {
			continue
		}
		n, from, err := unix.Recvfrom(fd, packet, 0)
		if err != nil {
			return nil, err
		}
		if at, is := from.(*unix.SockaddrLinklayer); is && question.answers(packet[:n]) && !bytes.Equal(at.Addr[:6], own) {
			return net.HardwareAddr(bytes.Clone(at.Addr[:6])), nil
		}
	}
	return nil, ctx.Err()
}

func tellLink(ctx context.Context, link *net.Interface, news frame) error {
	fd, err := dialLink(link, news.protocol)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	sent := 0
	return wait.Until(ctx, wait.Every(announceEvery), func() (bool, error) {
		sent++
		return sent == announcements, send(fd, link, news)
	})
}

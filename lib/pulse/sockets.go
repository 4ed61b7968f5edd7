package pulse

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Of the kernel's linux/inet_diag.h and sock_diag.h.
const (
	sockDiagByFamily = 20
	tcpEstablished   = 1 // of net/tcp_states.h
	tcpCloseWait     = 8
	tcpListen        = 10
	requestSize      = 56 // struct inet_diag_req_v2
	answerSize       = 72 // struct inet_diag_msg
	attrV6Only       = 11 // INET_DIAG_SKV6ONLY
)

// answerWait bounds a dump, which the kernel answers from memory.
const answerWait = 2 * time.Second

// errInterrupted is a dump during which the table changed (NLM_F_DUMP_INTR).
var errInterrupted = errors.New("the table changed while it was read")

// dumpTries is how often a dump is begun that is interrupted.
const dumpTries = 3

// sockets asks the kernel for TCP sockets, over NETLINK_SOCK_DIAG.
type sockets struct {
	fd     int
	seq    uint32
	buffer []byte
	queued map[byte]bool // the families in which connections waited, when last asked for what listens
}

// socket is what a struct inet_diag_msg tells of one.
type socket struct {
	family byte           // that it was made for
	at     netip.AddrPort // its own end
	both   bool           // at is of IPv6, unspecified, and takes connections of IPv4 too
	cookie uint64         // which no other socket has had
	queue  uint32         // of one that listens: connections that wait to be accepted
	inode  uint32         // 0: no process has it
}

func openSockets() (*sockets, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return nil, fmt.Errorf("sock_diag: %w", err)
	}
	wait := unix.NsecToTimeval(answerWait.Nanoseconds())
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("sock_diag: %w", err)
	}
	return &sockets{fd: fd, buffer: make([]byte, 32<<10)}, nil
}

func (s *sockets) close() { unix.Close(s.fd) }

// listening calls found for every address at which a TCP socket listens, and tells
// how many connections wait there. One that takes connections of both families is
// there twice.
func (s *sockets) listening(found func(at netip.AddrPort, queue uint32)) error {
	s.queued = map[byte]bool{}
	return s.each(1<<tcpListen, families(), func(k socket) {
		s.queued[k.family] = s.queued[k.family] || k.queue > 0
		found(k.at, k.queue)
		if k.both {
			found(netip.AddrPortFrom(netip.IPv4Unspecified(), k.at.Port()), k.queue)
		}
	})
}

// waiting calls found for every connection that the kernel has accepted and no
// process has: it is still open at this end, and belongs to nobody. found gets the
// port, and what tells the connection from all others. It goes by what listening
// saw last.
func (s *sockets) waiting(found func(port uint16, cookie uint64)) error {
	queued := slices.DeleteFunc(families(), func(f byte) bool { return !s.queued[f] })
	return s.each(1<<tcpEstablished|1<<tcpCloseWait, queued, func(k socket) {
		if k.inode == 0 {
			found(k.at.Port(), k.cookie)
		}
	})
}

func families() []byte { return []byte{unix.AF_INET, unix.AF_INET6} }

// each calls found for every socket of the families in one of the states.
func (s *sockets) each(states uint32, families []byte, found func(socket)) error {
	for _, family := range families {
		var list []socket
		err := errInterrupted
		for i := 0; i < dumpTries && errors.Is(err, errInterrupted); i++ {
			list = list[:0]
			err = s.dump(family, states, func(k socket) { list = append(list, k) })
		}
		if err != nil {
			return fmt.Errorf("sock_diag: %w", err)
		}
		for _, k := range list {
			found(k)
		}
	}
	return nil
}

// dump reads the sockets of one family in one of the states.
func (s *sockets) dump(family byte, states uint32, found func(socket)) error {
	s.seq++
	if err := unix.Sendto(s.fd, s.request(family, states), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	var interrupted error
	for {
		n, _, err := unix.Recvfrom(s.fd, s.buffer, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		done, err := s.read(s.buffer[:n], found)
		if errors.Is(err, errInterrupted) {
			interrupted = err
		} else if err != nil {
			return err
		}
		if done {
			return interrupted
		}
	}
}

// request asks for the sockets of a family in states, a bit for each: struct
// nlmsghdr and struct inet_diag_req_v2.
func (s *sockets) request(family byte, states uint32) []byte {
	out := make([]byte, unix.NLMSG_HDRLEN+requestSize)
	native := binary.NativeEndian
	native.PutUint32(out, uint32(len(out)))
	native.PutUint16(out[4:], sockDiagByFamily)
	native.PutUint16(out[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	native.PutUint32(out[8:], s.seq)
	out[16], out[17] = family, unix.IPPROTO_TCP
	native.PutUint32(out[20:], states)
	return out
}

// read takes the messages of one datagram; done after the last one of a dump.
func (s *sockets) read(data []byte, found func(socket)) (done bool, err error) {
	native := binary.NativeEndian
	for len(data) >= unix.NLMSG_HDRLEN {
		size := int(native.Uint32(data))
		if size < unix.NLMSG_HDRLEN || size > len(data) {
			return false, errors.New("an answer is cut short")
		}
		kind, flags, seq, body := native.Uint16(data[4:]), native.Uint16(data[6:]), native.Uint32(data[8:]), data[unix.NLMSG_HDRLEN:size]
		data = data[min(align(size), len(data)):]
		if seq != s.seq {
			continue // of a dump that was given up
		}
		if flags&unix.NLM_F_DUMP_INTR != 0 {
			err = errInterrupted
		}
		switch kind {
		case unix.NLMSG_DONE:
			return true, err
		case unix.NLMSG_ERROR:
			return false, refusal(body)
		case sockDiagByFamily:
			if k, ok := parse(body); ok {
				found(k)
			}
		}
	}
	return false, err
}

func align(n int) int { return (n + unix.NLMSG_ALIGNTO - 1) &^ (unix.NLMSG_ALIGNTO - 1) }

// refusal is the error of an NLMSG_ERROR: a negative errno.
func refusal(body []byte) error {
	if len(body) < 4 {
		return errors.New("an error is cut short")
	}
	return unix.Errno(-int32(binary.NativeEndian.Uint32(body)))
}

// parse reads one struct inet_diag_msg. Ports and addresses are in network order.
func parse(body []byte) (k socket, ok bool) {
	if len(body) < answerSize {
		return k, false
	}
	native := binary.NativeEndian
	k.family, k.cookie, k.queue, k.inode = body[0], native.Uint64(body[44:]), native.Uint32(body[56:]), native.Uint32(body[68:])
	port := binary.BigEndian.Uint16(body[4:])
	if k.family == unix.AF_INET {
		k.at = netip.AddrPortFrom(netip.AddrFrom4([4]byte(body[8:12])), port)
		return k, true
	}
	addr := netip.AddrFrom16([16]byte(body[8:24])).Unmap()
	k.at = netip.AddrPortFrom(addr, port)
	k.both = addr == netip.IPv6Unspecified() && !v6Only(body[answerSize:])
	return k, true
}

// v6Only looks among the attributes (struct nlattr) for the socket option of
// that name, ipv6(7). The kernel tells it of every listening socket.
func v6Only(attrs []byte) bool {
	for len(attrs) > unix.NLA_HDRLEN {
		size, kind := int(binary.NativeEndian.Uint16(attrs)), binary.NativeEndian.Uint16(attrs[2:])
		if size < unix.NLA_HDRLEN || size > len(attrs) {
			return false
		}
		if kind == attrV6Only && size > unix.NLA_HDRLEN {
			return attrs[unix.NLA_HDRLEN] != 0
		}
		attrs = attrs[min(align(size), len(attrs)):]
	}
	return false
}

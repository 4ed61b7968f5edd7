package vip

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// TrialPort is the UDP port of trial packets, at which nothing listens: that of
// the service discard (RFC 863).
const TrialPort = 9

// Sizes of heads, in bytes (RFC 791 §3.1, RFC 8200 §3, RFC 768).
const (
	head4   = 20
	head6   = 40
	headUDP = 8

	trialHops  = 1   // nobody is to pass a trial packet on
	mostPacket = 512 // bytes that are looked at
)

// hearEvery is how often who waits for a packet looks whether to give up.
const hearEvery = 50 * time.Millisecond

// Packet is a trial packet: of UDP, to TrialPort, with a text that tells one trial
// from all others.
type Packet struct {
	From, To netip.Addr
	Text     string
}

// Send sends a packet to a host of an interface's link, whoever has the addresses
// in it: with direct routing, neither end of a packet has both. It needs
// CAP_NET_RAW, and changes nothing: neither the kernel's routes nor its neighbours
// have a part in it.
func Send(link string, to net.HardwareAddr, p Packet) error {
	i, err := net.InterfaceByName(link)
	if err != nil {
		return fmt.Errorf("interface %s: %w", link, err)
	}
	if len(to) != 6 || len(i.HardwareAddr) != 6 {
		return fmt.Errorf("interface %s has no hardware addresses", link)
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("packet(7): %w", err)
	}
	defer unix.Close(fd)
	at := &unix.SockaddrLinklayer{Protocol: networkOrder(etherType(p.To)), Ifindex: i.Index, Halen: 6}
	copy(at.Addr[:], to)
	if err := unix.Sendto(fd, p.encode(), 0, at); err != nil {
		return fmt.Errorf("send from %s to %s on %s: %w", p.From, p.To, link, err)
	}
	return nil
}

func etherType(addr netip.Addr) uint16 {
	if addr.Is4() {
		return unix.ETH_P_IP
	}
	return unix.ETH_P_IPV6
}

// networkOrder is a number as packet(7) wants it.
func networkOrder(n uint16) uint16 {
	return binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, n))
}

// encode returns the packet as it travels, from the IP header on.
func (p *Packet) encode() []byte {
	big := binary.BigEndian
	udp := big.AppendUint16(big.AppendUint16(nil, TrialPort), TrialPort)
	udp = big.AppendUint16(udp, uint16(headUDP+len(p.Text)))
	udp = append(append(udp, 0, 0), p.Text...)
	big.PutUint16(udp[6:], ^sum(0, append(p.pseudo(len(udp)), udp...)))
	if p.To.Is6() {
		head := []byte{6 << 4, 0, 0, 0, 0, byte(len(udp)), unix.IPPROTO_UDP, trialHops}
		return append(append(append(head, p.From.AsSlice()...), p.To.AsSlice()...), udp...)
	}
	head := []byte{4<<4 | head4/4, 0, 0, byte(head4 + len(udp)), 0, 0, 0x40, 0, trialHops, unix.IPPROTO_UDP, 0, 0} // not to be fragmented
	head = append(append(head, p.From.AsSlice()...), p.To.AsSlice()...)
	big.PutUint16(head[10:], ^sum(0, head))
	return append(head, udp...)
}

// pseudo is what the checksum of UDP counts besides (RFC 768, RFC 8200 §8.1).
func (p *Packet) pseudo(size int) []byte {
	head := append(append([]byte{}, p.From.AsSlice()...), p.To.AsSlice()...)
	return append(head, 0, 0, 0, byte(size), 0, 0, 0, unix.IPPROTO_UDP)
}

// sum is the sum of RFC 1071 §1, before its complement.
func sum(from uint32, data []byte) uint16 {
	for len(data) > 1 {
		from, data = from+uint32(binary.BigEndian.Uint16(data)), data[2:]
	}
	if len(data) == 1 {
		from += uint32(data[0]) << 8
	}
	for from > 0xffff {
		from = from&0xffff + from>>16
	}
	return uint16(from)
}

// decode reads a packet from the IP header on; false for any other than a trial's.
func decode(data []byte) (p Packet, ok bool) {
	var udp []byte
	switch {
	case len(data) >= head4 && data[0]>>4 == 4:
		size := int(data[0]&0x0f) * 4
		if size < head4 || len(data) < size || data[9] != unix.IPPROTO_UDP {
			return p, false
		}
		p.From, p.To, udp = netip.AddrFrom4([4]byte(data[12:16])), netip.AddrFrom4([4]byte(data[16:20])), data[size:]
	case len(data) >= head6 && data[0]>>4 == 6 && data[6] == unix.IPPROTO_UDP:
		p.From, p.To, udp = netip.AddrFrom16([16]byte(data[8:24])), netip.AddrFrom16([16]byte(data[24:40])), data[head6:]
	default:
		return p, false
	}
	if len(udp) < headUDP || binary.BigEndian.Uint16(udp[2:]) != TrialPort {
		return p, false
	}
	size := int(binary.BigEndian.Uint16(udp[4:]))
	if size < headUDP || size > len(udp) {
		return p, false
	}
	p.Text = string(udp[headUDP:size])
	return p, true
}

// Ear hears the trial packets that come to this server, before its kernel judges
// them: one that has a source of this server's own would be dropped there. It is
// for one goroutine, and has to be closed.
type Ear struct{ fd int }

// Listen opens an ear, on all interfaces. It needs CAP_NET_RAW.
func Listen() (*Ear, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("packet(7): %w", err)
	}
	filter := trialFilter()
	wait := unix.NsecToTimeval(hearEvery.Nanoseconds())
	err = errors.Join(
		unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait),
	)
	if err == nil { // only now, so that nothing comes past the filter
		err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: networkOrder(unix.ETH_P_ALL)})
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("packet(7): %w", err)
	}
	return &Ear{fd}, nil
}

// Close ends it.
func (e *Ear) Close() { unix.Close(e.fd) }

// trialFilter is a program of bpf(4), as the kernel's filter.rst describes it, that
// takes UDP to TrialPort, without options in the header, and nothing else.
func trialFilter() []unix.SockFilter {
	load := func(size uint16, at uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_ABS | size, K: at}
	}
	jump := func(value uint32, yes, no uint8) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: yes, Jf: no, K: value}
	}
	return []unix.SockFilter{
		load(unix.BPF_B, 0),
		jump(4<<4|head4/4, 0, 4),
		load(unix.BPF_B, 9),
		jump(unix.IPPROTO_UDP, 0, 9),
		load(unix.BPF_H, head4+2),
		jump(TrialPort, 6, 7),
		{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: 0xf0},
		jump(6<<4, 0, 5),
		load(unix.BPF_B, 6),
		jump(unix.IPPROTO_UDP, 0, 3),
		load(unix.BPF_H, head6+2),
		jump(TrialPort, 0, 1),
		{Code: unix.BPF_RET | unix.BPF_K, K: mostPacket},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0},
	}
}

// Next waits for a packet that was sent to this server; its error is that of the
// context, or of the kernel.
func (e *Ear) Next(ctx context.Context) (Packet, error) {
	data := make([]byte, mostPacket)
	for {
		if err := ctx.Err(); err != nil {
			return Packet{}, err
		}
		n, from, err := unix.Recvfrom(e.fd, data, 0)
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return Packet{}, fmt.Errorf("packet(7): %w", err)
		}
		link, is := from.(*unix.SockaddrLinklayer)
		if p, ok := decode(data[:n]); ok && is && link.Pkttype == unix.PACKET_HOST {
			return p, nil
		}
	}
}

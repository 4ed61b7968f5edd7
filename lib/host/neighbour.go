package host

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Numbers of ICMPv6 (RFC 4861 §4.3, §4.4, §4.6.1).
const (
	icmpSolicitation   = 135
	icmpAdvertisement  = 136
	advertiseOverride  = 0x20 // what is cached is to be replaced
	optionTargetOnLink = 2    // the target's hardware address
	ndHopLimit         = 255  // none other is taken: it never passed a router
	ipv6Head           = 40   // bytes (RFC 8200 §3)
)

// solicitation asks who has addr, as who wants the address himself does: from
// no address, so that nobody caches the asker (RFC 4862 §5.4.2).
func solicitation(addr netip.Addr) []byte {
	body := append([]byte{icmpSolicitation, 0, 0, 0, 0, 0, 0, 0}, addr.AsSlice()...)
	return icmpPacket(netip.IPv6Unspecified(), solicitedNode(addr), body)
}

// advertisement tells all hosts, unasked, where addr is (RFC 4861 §7.2.6).
func advertisement(own net.HardwareAddr, addr netip.Addr) []byte {
	body := append([]byte{icmpAdvertisement, 0, 0, 0, advertiseOverride, 0, 0, 0}, addr.AsSlice()...)
	body = append(append(body, optionTargetOnLink, 1), own...)
	return icmpPacket(addr, netip.IPv6LinkLocalAllNodes(), body)
}

// advertises reports whether a packet says that its sender has addr.
func advertises(p []byte, addr netip.Addr) bool {
	return len(p) >= ipv6Head+24 && p[0]>>4 == 6 && p[6] == unix.IPPROTO_ICMPV6 && p[7] == ndHopLimit &&
		p[ipv6Head] == icmpAdvertisement && bytes.Equal(p[ipv6Head+8:ipv6Head+24], addr.AsSlice())
}

// solicitedNode is the multicast address that who has addr listens to (RFC 4291
// §2.7.1).
func solicitedNode(addr netip.Addr) netip.Addr {
	to := netip.MustParseAddr("ff02::1:ff00:0").As16()
	from := addr.As16()
	copy(to[13:], from[13:])
	return netip.AddrFrom16(to)
}

// multicast is Ethernet's address for one of IPv6's (RFC 2464 §7).
func multicast(group netip.Addr) [8]byte {
	g := group.As16()
	return [8]byte{0x33, 0x33, g[12], g[13], g[14], g[15]}
}

// icmpPacket is an IPv6 packet around a message, whose checksum it fills in.
func icmpPacket(from, to netip.Addr, body []byte) []byte {
	p := []byte{6 << 4, 0, 0, 0, 0, byte(len(body)), unix.IPPROTO_ICMPV6, ndHopLimit}
	p = append(append(p, from.AsSlice()...), to.AsSlice()...)
	// The pseudo-header of RFC 8200 §8.1: both addresses, the length, the protocol.
	sum := checksum(p[8:ipv6Head]) + uint32(len(body)) + unix.IPPROTO_ICMPV6 + checksum(body)
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	binary.BigEndian.PutUint16(body[2:], ^uint16(sum))
	return append(p, body...)
}

// checksum adds up the 16-bit words of data, which are even in number (RFC 1071).
func checksum(data []byte) (sum uint32) {
	for ; len(data) >= 2; data = data[2:] {
		sum += uint32(binary.BigEndian.Uint16(data))
	}
	return sum
}

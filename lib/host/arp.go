package host

import (
	"bytes"
	"net"
	"net/netip"
)

// arpHead is Ethernet, IPv4, and the lengths of their addresses (RFC 826).
func arpHead() []byte { return []byte{0, 1, 8, 0, 6, 4} }

// arpProbe is an ARP request for addr that tells no address of its own (RFC
// 5227 §1.1).
func arpProbe(own net.HardwareAddr, addr netip.Addr) []byte {
	return arpRequest(own, netip.IPv4Unspecified(), addr)
}

// arpAnnouncement is a request for an address by its own holder (RFC 5227 §2.3),
// by which everybody updates what he has cached.
func arpAnnouncement(own net.HardwareAddr, addr netip.Addr) []byte {
	return arpRequest(own, addr, addr)
}

func arpRequest(own net.HardwareAddr, sender, target netip.Addr) []byte {
	p := append(arpHead(), 0, 1)
	p = append(append(p, own...), sender.AsSlice()...)
	return append(append(p, make([]byte, 6)...), target.AsSlice()...)
}

// arpTells reports whether the sender of an ARP packet says in it that he has
// addr.
func arpTells(p []byte, addr netip.Addr) bool {
	return len(p) >= 28 && bytes.HasPrefix(p, arpHead()) && bytes.Equal(p[14:18], addr.AsSlice())
}

package ipvs

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"iwx/lib/lb"
)

// The commands and attributes of linux/ip_vs.h that are used here.
const (
	cmdNewService = 1
	cmdSetService = 2
	cmdDelService = 3
	cmdGetService = 4
	cmdNewDest    = 5
	cmdSetDest    = 6
	cmdDelDest    = 7
	cmdGetDest    = 8
	cmdGetInfo    = 15

	attrService = 1
	attrDest    = 2

	serviceFamily    = 1
	serviceProtocol  = 2
	serviceAddr      = 3
	servicePort      = 4
	serviceMark      = 5
	serviceScheduler = 6
	serviceFlags     = 7
	serviceTimeout   = 8
	serviceNetmask   = 9

	destAddr     = 1
	destPort     = 2
	destMethod   = 3
	destWeight   = 4
	destUpper    = 5
	destLower    = 6
	destActive   = 7
	destInactive = 8
	destFamily   = 11
)

const (
	protocolTCP = unix.IPPROTO_TCP

	flagPersistent = 1
	// flagFallback lets the schedulers sh and mh take the next server when the one
	// that a client's address falls on has weight 0: otherwise a drain would turn
	// that server's clients away.
	flagFallback = 8

	methodMask   = 7
	methodNAT    = 0 // "masquerading"
	methodTunnel = 2
	methodDirect = 3
)

// service is a virtual service as the kernel has it.
type service struct {
	addr      netip.Addr
	port      uint16
	protocol  uint16
	mark      uint32 // of nft; not 0: it has no address and port
	scheduler string
	flags     uint32
	timeout   uint32 // of persistence, in seconds; the kernel has one for services without
}

// dest is a real server as the kernel has it.
type dest struct {
	addr     netip.AddrPort
	method   uint32
	weight   uint32
	active   uint32
	inactive uint32
}

// newService returns what the kernel is to have for a virtual service.
func newService(key netip.AddrPort, v lb.Virtual) service {
	s := service{addr: key.Addr(), port: key.Port(), protocol: protocolTCP, scheduler: v.Scheduler}
	if v.Persistence > 0 {
		s.flags |= flagPersistent
		s.timeout = uint32(max(1, v.Persistence/time.Second))
	}
	if v.Scheduler == "sh" || v.Scheduler == "mh" {
		s.flags |= flagFallback
	}
	return s
}

func (s service) key() netip.AddrPort { return netip.AddrPortFrom(s.addr, s.port) }

func (s service) persistence() time.Duration {
	if s.flags&flagPersistent == 0 {
		return 0
	}
	return time.Duration(s.timeout) * time.Second
}

// encodeKey writes what names a virtual service.
func (s service) encodeKey(e *netlink.AttributeEncoder) error {
	e.Uint16(serviceFamily, familyOf(s.addr))
	e.Uint16(serviceProtocol, s.protocol)
	e.Bytes(serviceAddr, s.addr.AsSlice())
	e.Bytes(servicePort, binary.BigEndian.AppendUint16(nil, s.port))
	return nil
}

// encode writes a virtual service with all its values.
func (s service) encode(e *netlink.AttributeEncoder) error {
	s.encodeKey(e)
	e.String(serviceScheduler, s.scheduler)
	// The flags, and a mask of those that are meant: all.
	flags := binary.NativeEndian.AppendUint32(nil, s.flags)
	e.Bytes(serviceFlags, binary.NativeEndian.AppendUint32(flags, ^uint32(0)))
	e.Uint32(serviceTimeout, s.timeout)
	e.Uint32(serviceNetmask, netmask(s.addr))
	return nil
}

// netmask is that of one client, by which persistence goes: of IPv4 the mask
// itself, of IPv6 the length of the prefix.
func netmask(a netip.Addr) uint32 {
	if a.Is4() {
		return ^uint32(0)
	}
	return 128
}

func familyOf(a netip.Addr) uint16 {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// address reads the kernel's union of both families, which has 16 bytes for
// either.
func address(family uint16, b []byte) (netip.Addr, error) {
	switch {
	case family == unix.AF_INET && len(b) >= 4:
		return netip.AddrFrom4([4]byte(b[:4])), nil
	case family == unix.AF_INET6 && len(b) >= 16:
		return netip.AddrFrom16([16]byte(b[:16])), nil
	}
	return netip.Addr{}, fmt.Errorf("ipvs: an address of family %d and %d bytes", family, len(b))
}

// bigEndian reads a port.
func bigEndian(b []byte) uint16 {
	if len(b) != 2 {
		return 0
	}
	return binary.BigEndian.Uint16(b)
}

// decodeService reads an answer to cmdGetService.
func decodeService(data []byte) (s service, err error) {
	var family uint16
	var addr []byte
	err = nested(data, attrService, func(d *netlink.AttributeDecoder) {
		switch d.Type() {
		case serviceFamily:
			family = d.Uint16()
		case serviceProtocol:
			s.protocol = d.Uint16()
		case serviceAddr:
			addr = d.Bytes()
		case servicePort:
			s.port = bigEndian(d.Bytes())
		case serviceMark:
			s.mark = d.Uint32()
		case serviceScheduler:
			s.scheduler = d.String()
		case serviceFlags:
			if b := d.Bytes(); len(b) >= 4 {
				s.flags = binary.NativeEndian.Uint32(b)
			}
		case serviceTimeout:
			s.timeout = d.Uint32()
		}
	})
	if err != nil || s.mark != 0 {
		return s, err
	}
	s.addr, err = address(family, addr)
	return s, err
}

// encodeKey writes what names a real server within its virtual service.
func (d dest) encodeKey(e *netlink.AttributeEncoder) error {
	e.Uint16(destFamily, familyOf(d.addr.Addr()))
	e.Bytes(destAddr, d.addr.Addr().AsSlice())
	e.Bytes(destPort, binary.BigEndian.AppendUint16(nil, d.addr.Port()))
	return nil
}

// encode writes a real server with all its values. There are no limits on its
// connections.
func (d dest) encode(e *netlink.AttributeEncoder) error {
	d.encodeKey(e)
	e.Uint32(destMethod, d.method)
	e.Uint32(destWeight, d.weight)
	e.Uint32(destUpper, 0)
	e.Uint32(destLower, 0)
	return nil
}

// decodeDest reads an answer to cmdGetDest. Kernels before 3.18 tell no family:
// it is that of the virtual service.
func decodeDest(data []byte, family uint16) (dest, error) {
	var out dest
	var addr []byte
	var port uint16
	err := nested(data, attrDest, func(d *netlink.AttributeDecoder) {
		switch d.Type() {
		case destFamily:
			family = d.Uint16()
		case destAddr:
			addr = d.Bytes()
		case destPort:
			port = bigEndian(d.Bytes())
		case destMethod:
			out.method = d.Uint32() & methodMask
		case destWeight:
			out.weight = d.Uint32()
		case destActive:
			out.active = d.Uint32()
		case destInactive:
			out.inactive = d.Uint32()
		}
	})
	if err != nil {
		return out, err
	}
	a, err := address(family, addr)
	out.addr = netip.AddrPortFrom(a, port)
	return out, err
}

// nested calls f for every attribute inside that of a type.
func nested(data []byte, typ uint16, f func(*netlink.AttributeDecoder)) error {
	d, err := netlink.NewAttributeDecoder(data)
	if err != nil {
		return fmt.Errorf("ipvs: the kernel's answer: %w", err)
	}
	for d.Next() {
		if d.Type() != typ {
			continue
		}
		d.Nested(func(d *netlink.AttributeDecoder) error {
			for d.Next() {
				f(d)
			}
			return nil
		})
	}
	if err := d.Err(); err != nil {
		return fmt.Errorf("ipvs: the kernel's answer: %w", err)
	}
	return nil
}

// methodOf is the kernel's number for a way of forwarding; "" is direct routing.
func methodOf(f lb.Forwarding) (uint32, error) {
	switch f {
	case lb.Direct, "":
		return methodDirect, nil
	case lb.NAT:
		return methodNAT, nil
	case lb.Tunnel:
		return methodTunnel, nil
	}
	return 0, fmt.Errorf("ipvs has no forwarding %q", f)
}

// forwardingOf is the way of forwarding of a number; "" for one that is not ours.
func forwardingOf(method uint32) lb.Forwarding {
	switch method {
	case methodDirect:
		return lb.Direct
	case methodNAT:
		return lb.NAT
	case methodTunnel:
		return lb.Tunnel
	}
	return ""
}

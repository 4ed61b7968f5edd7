package vip

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// kernel is a connection to rtnetlink(7). What it does can be repeated.
type kernel struct{ conn *netlink.Conn }

// withKernel opens a connection for one use.
func withKernel(ctx context.Context, use func(*kernel) error) error {
	conn, err := netlink.Dial(unix.NETLINK_ROUTE, nil)
	if err != nil {
		return fmt.Errorf("rtnetlink: %w", err)
	}
	defer conn.Close()
	if deadline, is := ctx.Deadline(); is {
		if err := conn.SetDeadline(deadline); err != nil {
			return fmt.Errorf("rtnetlink: %w", err)
		}
	}
	return use(&kernel{conn})
}

// do sends one request: a head of the kind's own, and attributes. An error that
// is harmless is none.
func (k *kernel) do(kind, flags uint16, head []byte, attrs func(*netlink.AttributeEncoder), harmless ...error) error {
	_, err := k.ask(kind, flags|unix.NLM_F_ACK, head, attrs)
	for _, other := range harmless {
		if errors.Is(err, other) {
			return nil
		}
	}
	return err
}

func (k *kernel) ask(kind, flags uint16, head []byte, attrs func(*netlink.AttributeEncoder)) ([]netlink.Message, error) {
	e := netlink.NewAttributeEncoder()
	attrs(e)
	data, err := e.Encode()
	if err != nil {
		return nil, err
	}
	return k.conn.Execute(netlink.Message{
		Header: netlink.Header{Type: netlink.HeaderType(kind), Flags: netlink.Request | netlink.HeaderFlags(flags)},
		Data:   append(head, data...),
	})
}

func family(addr netip.Addr) byte {
	if addr.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// onLink is a struct ifaddrmsg for the address alone. IFA_F_NODAD: it was asked
// for already, and would not answer while the kernel does so again.
func onLink(index int, addr netip.Addr) []byte {
	head := []byte{family(addr), byte(addr.BitLen()), 0, unix.RT_SCOPE_UNIVERSE}
	return binary.NativeEndian.AppendUint32(head, uint32(index))
}

// forever is INFINITY_LIFE_TIME of the kernel's net/addrconf.h.
const forever = 0xffffffff

// addAddress adds an address to an interface, with no route to a network. An
// IPv6 one is deprecated from the first, so that this server does not choose it
// as the source of its own connections (RFC 6724 §5, rule 3).
func (k *kernel) addAddress(link string, addr netip.Addr) error {
	i, err := net.InterfaceByName(link)
	if err != nil {
		return fmt.Errorf("interface %s: %w", link, err)
	}
	err = k.do(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, onLink(i.Index, addr), func(e *netlink.AttributeEncoder) {
		e.Bytes(unix.IFA_LOCAL, addr.AsSlice())
		e.Bytes(unix.IFA_ADDRESS, addr.AsSlice())
		e.Uint32(unix.IFA_FLAGS, unix.IFA_F_NODAD|unix.IFA_F_NOPREFIXROUTE)
		if addr.Is6() {
			e.Bytes(unix.IFA_CACHEINFO, lifetimes(0, forever))
		}
	}, unix.EEXIST)
	if err != nil {
		return fmt.Errorf("add %s to %s: %w", addr, link, err)
	}
	return nil
}

// lifetimes is a struct ifa_cacheinfo of seconds.
func lifetimes(preferred, valid uint32) []byte {
	data := binary.NativeEndian.AppendUint32(nil, preferred)
	data = binary.NativeEndian.AppendUint32(data, valid)
	return append(data, make([]byte, 8)...)
}

// deleteAddress takes an address from an interface.
func (k *kernel) deleteAddress(link string, addr netip.Addr) error {
	i, err := net.InterfaceByName(link)
	if err != nil {
		return nil // it went with its interface
	}
	err = k.do(unix.RTM_DELADDR, 0, onLink(i.Index, addr), func(e *netlink.AttributeEncoder) {
		e.Bytes(unix.IFA_LOCAL, addr.AsSlice())
	}, unix.EADDRNOTAVAIL)
	if err != nil {
		return fmt.Errorf("delete %s from %s: %w", addr, link, err)
	}
	return nil
}

// setLink sets an interface up or down.
func (k *kernel) setLink(link string, up bool) error {
	i, err := net.InterfaceByName(link)
	if err != nil {
		return nil // there is nothing left to set down
	}
	flags := uint32(0)
	if up {
		flags = unix.IFF_UP
	}
	head := binary.NativeEndian.AppendUint32(make([]byte, 4), uint32(i.Index)) // struct ifinfomsg
	head = binary.NativeEndian.AppendUint32(head, flags)
	head = binary.NativeEndian.AppendUint32(head, unix.IFF_UP)
	return k.do(unix.RTM_NEWLINK, 0, head, func(*netlink.AttributeEncoder) {})
}

package vip

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"iwx/lib/wait"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// routeProtocol marks our routes (rtm_protocol of rtnetlink(7)): a number that
// /etc/iproute2/rt_protos gives to nobody.
const routeProtocol = 73

// wantsRoute reports whether this server's own connections to the address have
// to come from another one: a silent server would send its answers to the
// virtual address to itself. The kernel's route for an IPv6 address cannot be
// passed over, only replaced, which is not done to an administrator's.
func (h *holding) wantsRoute() bool {
	return h.Role == Announced && h.Direct && h.link.Prefix.IsValid() && (h.addr.Is4() || h.ours())
}

// misrouted reports how the source of this server's own connections to the address
// is to be changed.
func (h *holding) misrouted(ctx context.Context) (change string, err error) {
	if h.Role != Announced || !h.link.Prefix.IsValid() {
		return "", nil
	}
	err = withKernel(ctx, func(k *kernel) error {
		source, err := k.sourceTo(h.addr)
		switch {
		case err != nil:
			return err
		case h.wantsRoute() && source != h.link.Addr():
			change = fmt.Sprintf("connect to %s from %s", h.addr, h.link.Addr())
		case !h.wantsRoute() && source != h.addr && h.ours():
			change = fmt.Sprintf("connect to %s from itself", h.addr)
		}
		return nil
	})
	return change, err
}

// route makes it so. Where the address was added just now, the kernel may be about
// to add its own route before ours.
func (h *holding) route(ctx context.Context, k *kernel, added bool) error {
	if h.Role != Announced || !h.link.Prefix.IsValid() {
		return nil
	}
	source, err := k.sourceTo(h.addr)
	if err != nil {
		return err
	}
	if !h.wantsRoute() {
		if source == h.addr || !h.ours() {
			return nil
		}
		return h.unroute(ctx, k)
	}
	if source == h.link.Addr() && !added {
		return nil
	}
	return k.addRoute(ctx, h.link.Interface, h.addr, h.link.Addr())
}

// unroute has the kernel make its own route again: that of an IPv6 address comes
// with the address alone.
func (h *holding) unroute(ctx context.Context, k *kernel) error {
	if err := k.deleteRoute(h.addr); err != nil || h.addr.Is4() {
		return err
	}
	if err := k.deleteAddress(h.link.Interface, h.addr); err != nil {
		return err
	}
	if err := k.addAddress(h.link.Interface, h.addr); err != nil {
		return err
	}
	return awaitOwnRoute(ctx, func() (done bool, err error) {
		source, err := k.sourceTo(h.addr)
		return source == h.addr, err
	})
}

// localRoute is a struct rtmsg for the address in the table of local addresses.
func localRoute(addr netip.Addr, protocol byte) []byte {
	scope := byte(unix.RT_SCOPE_HOST)
	if addr.Is6() {
		scope = unix.RT_SCOPE_UNIVERSE
	}
	return append([]byte{family(addr), byte(addr.BitLen()), 0, 0, unix.RT_TABLE_LOCAL, protocol, scope, unix.RTN_LOCAL}, make([]byte, 4)...)
}

// addRoute has this server's own connections to addr come from source. The IPv4
// route goes before the kernel's, which comes and goes with the address; IPv6
// has no order among local routes but the metric, and the kernel's is the
// smallest there is, so that it has to go.
func (k *kernel) addRoute(ctx context.Context, link string, addr, source netip.Addr) error {
	if err := k.deleteRoute(addr); err != nil {
		return err
	}
	if addr.Is6() {
		if err := k.deleteOwnRoute(ctx, link, addr); err != nil {
			return err
		}
	}
	lo, err := net.InterfaceByName(loopback)
	if err != nil {
		return fmt.Errorf("interface %s: %w", loopback, err)
	}
	err = k.do(unix.RTM_NEWROUTE, unix.NLM_F_CREATE, localRoute(addr, routeProtocol), func(e *netlink.AttributeEncoder) {
		e.Bytes(unix.RTA_DST, addr.AsSlice())
		e.Uint32(unix.RTA_OIF, uint32(lo.Index))
		e.Bytes(unix.RTA_PREFSRC, source.AsSlice())
	})
	if err != nil {
		return fmt.Errorf("connect to %s from %s: %w", addr, source, err)
	}
	return nil
}

// deleteRoute deletes our route to addr, if there is one.
func (k *kernel) deleteRoute(addr netip.Addr) error {
	err := k.do(unix.RTM_DELROUTE, 0, localRoute(addr, routeProtocol), func(e *netlink.AttributeEncoder) {
		e.Bytes(unix.RTA_DST, addr.AsSlice())
	}, unix.ESRCH)
	if err != nil {
		return fmt.Errorf("delete the route to %s: %w", addr, err)
	}
	return nil
}

// The kernel adds its route to an IPv6 address a moment after the address
// (addrconf_dad_work).
const (
	ownRouteWait  = time.Second // where it never comes, it was deleted before
	ownRouteEvery = 2 * time.Millisecond
)

// awaitOwnRoute tries until there is the kernel's own route, or it is not to be
// expected any more.
func awaitOwnRoute(ctx context.Context, try func() (done bool, err error)) error {
	ctx, cancel := context.WithTimeout(ctx, ownRouteWait)
	defer cancel()
	for {
		if done, err := try(); done || err != nil {
			return err
		}
		if wait.Sleep(ctx, ownRouteEvery) != nil {
			return nil
		}
	}
}

// deleteOwnRoute deletes the kernel's own route to an address of an interface,
// once it is there: coming later, it would go before ours.
func (k *kernel) deleteOwnRoute(ctx context.Context, link string, addr netip.Addr) error {
	i, err := net.InterfaceByName(link)
	if err != nil {
		return fmt.Errorf("interface %s: %w", link, err)
	}
	err = awaitOwnRoute(ctx, func() (done bool, err error) {
		err = k.do(unix.RTM_DELROUTE, 0, localRoute(addr, unix.RTPROT_KERNEL), func(e *netlink.AttributeEncoder) {
			e.Bytes(unix.RTA_DST, addr.AsSlice())
			e.Uint32(unix.RTA_OIF, uint32(i.Index))
		})
		if errors.Is(err, unix.ESRCH) {
			return false, nil
		}
		return true, err
	})
	if err != nil {
		return fmt.Errorf("delete the kernel's route to %s: %w", addr, err)
	}
	return nil
}

// sourceTo returns from which address this server's own connections to addr
// come.
func (k *kernel) sourceTo(addr netip.Addr) (netip.Addr, error) {
	head := append([]byte{family(addr), byte(addr.BitLen())}, make([]byte, 10)...) // struct rtmsg
	answers, err := k.ask(unix.RTM_GETROUTE, 0, head, func(e *netlink.AttributeEncoder) {
		e.Bytes(unix.RTA_DST, addr.AsSlice())
	})
	if err != nil {
		return netip.Addr{}, fmt.Errorf("the route to %s: %w", addr, err)
	}
	for _, m := range answers {
		if source := preferredSource(m.Data); source.IsValid() {
			return source, nil
		}
	}
	return netip.Addr{}, fmt.Errorf("the route to %s: %w", addr, errors.New("the kernel reports no source address"))
}

// preferredSource reads RTA_PREFSRC of a route.
func preferredSource(data []byte) (source netip.Addr) {
	if len(data) < unix.SizeofRtMsg {
		return source
	}
	d, err := netlink.NewAttributeDecoder(data[unix.SizeofRtMsg:])
	if err != nil {
		return source
	}
	d.ByteOrder = binary.NativeEndian
	for d.Next() {
		if d.Type() == unix.RTA_PREFSRC {
			source, _ = netip.AddrFromSlice(d.Bytes())
		}
	}
	return source
}

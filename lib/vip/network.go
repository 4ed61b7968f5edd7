package vip

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"

	"iwx/lib/fault"
	"iwx/lib/host"
)

const loopback = "lo"

// prefix is the address alone, as a network: 192.0.2.80/32.
func prefix(addr netip.Addr) netip.Prefix { return netip.PrefixFrom(addr, addr.BitLen()) }

// Network returns which of a server's addresses is in the network of a virtual
// one, the smallest network first: its interface is where the virtual address is
// held. The error of one that is in none names those there are.
func Network(here []host.Address, addr netip.Addr) (host.Address, error) {
	var best host.Address
	var networks []string
	for _, a := range here {
		if a.Prefix.IsSingleIP() || a.Loopback || a.Addr().IsLinkLocalUnicast() || a.Interface == loopback {
			continue
		}
		networks = append(networks, a.Prefix.Masked().String()+" ("+a.Interface+")")
		if a.Prefix.Contains(addr) && (!best.Prefix.IsValid() || a.Prefix.Bits() > best.Prefix.Bits()) {
			best = a
		}
	}
	if best.Prefix.IsValid() {
		return best, nil
	}
	err := fault.New(fault.Failed, "virtual IP %s is in none of this server's networks", addr)
	slices.Sort(networks)
	return best, fault.Hint(err, "choose a free address of %s", strings.Join(slices.Compact(networks), " or "))
}

// Usable reports what is in the way of a new virtual address: that it is in no
// network of this server, or that another host has it, who is asked by holder
// (host.Holder), which takes a second. One that this server itself has already is
// usable, unless it is its address in that network.
func Usable(ctx context.Context, here []host.Address, addr netip.Addr, holder func(context.Context, string, netip.Addr) (net.HardwareAddr, error)) error {
	link, err := Network(here, addr)
	if err != nil {
		return err
	}
	if link.Addr() == addr {
		err := fault.New(fault.Failed, "%s is this server's own address on %s", addr, link.Interface)
		return fault.Hint(err, "choose a free address of %s", link.Prefix.Masked())
	}
	if link.Prefix.Masked().Addr() == addr || addr == broadcast(link.Prefix) {
		err := fault.New(fault.Failed, "%s stands for all of the network %s", addr, link.Prefix.Masked())
		return fault.Hint(err, "choose a free address of it")
	}
	if _, held := (host.Facts{Addresses: here}).Find(addr); held {
		return nil
	}
	other, err := holder(ctx, link.Interface, addr)
	if err != nil || other == nil {
		return err
	}
	return taken(link.Interface, addr, other)
}

// broadcast is the last address of an IPv4 network; the zero Addr for IPv6, and
// for one that has none (RFC 3021).
func broadcast(p netip.Prefix) netip.Addr {
	if !p.Addr().Is4() || p.Bits() > 30 {
		return netip.Addr{}
	}
	b := p.Masked().Addr().As4()
	for bit := p.Bits(); bit < 32; bit++ {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	return netip.AddrFrom4(b)
}

func taken(link string, addr netip.Addr, other net.HardwareAddr) error {
	err := fault.New(fault.Failed, "virtual IP %s is in use: another host on %s, %s, has it", addr, link, other)
	return fault.Hint(err, "find it: ip neighbour show dev %s; take the address from it, or choose another one", link)
}

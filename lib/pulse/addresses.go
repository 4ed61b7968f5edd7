package pulse

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
)

// loopback is the interface on which a server of direct routing holds the
// virtual addresses: it takes packets for them there and tells nobody.
const loopback = "lo"

// addresses returns which of the virtual addresses are on lo, and for which of
// them this server would answer ARP or ND.
func addresses(vips []netip.Addr) (held, noisy []netip.Addr, err error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil, nil, fmt.Errorf("the interfaces: %w", err)
	}
	answers := false // to ARP, for an address that another interface holds
	for _, i := range interfaces {
		addrs, err := i.Addrs()
		if err != nil {
			return nil, nil, fmt.Errorf("the addresses of %s: %w", i.Name, err)
		}
		on := among(vips, addrs)
		if i.Name == loopback {
			held = append(held, on...)
			continue
		}
		noisy = append(noisy, on...)
		if i.Flags&net.FlagUp != 0 && i.Flags&net.FlagBroadcast != 0 {
			answers = answers || !quiet(i.Name)
		}
	}
	if answers {
		noisy = append(noisy, slices.DeleteFunc(slices.Clone(held), netip.Addr.Is6)...)
	}
	return sorted(held), sorted(noisy), nil
}

// quiet reports whether an interface answers ARP for its own addresses alone:
// the larger of its arp_ignore and that of all counts (ip-sysctl.rst). IPv6
// needs no such thing: ND answers for the interface's own addresses (RFC 4861
// §7.2.3).
func quiet(name string) bool { return ignores("all") || ignores(name) }

func ignores(name string) bool {
	text, err := os.ReadFile("/proc/sys/net/ipv4/conf/" + name + "/arp_ignore")
	return err == nil && strings.TrimSpace(string(text)) != "0"
}

// among returns which of the virtual addresses an interface has.
func among(vips []netip.Addr, addrs []net.Addr) (list []netip.Addr) {
	for _, a := range addrs {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil && slices.Contains(vips, prefix.Addr()) {
			list = append(list, prefix.Addr())
		}
	}
	return list
}

func sorted(list []netip.Addr) []netip.Addr {
	slices.SortFunc(list, netip.Addr.Compare)
	return slices.Compact(list)
}

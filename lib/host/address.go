package host

import (
	"net"
	"net/netip"

	"iwx/lib/fault"
)

// Address is an address of this server with the network it is in.
type Address struct {
	Prefix    netip.Prefix `json:"prefix"` // the address itself and its mask, 192.0.2.7/24
	Interface string       `json:"interface"`
	Loopback  bool         `json:"loopback,omitempty"`
}

// Addr returns the address without its mask.
func (a Address) Addr() netip.Addr { return a.Prefix.Addr() }

// Find returns the entry for addr.
func (f Facts) Find(addr netip.Addr) (Address, bool) {
	for _, a := range f.Addresses {
		if a.Addr() == addr.Unmap() {
			return a, true
		}
	}
	return Address{}, false
}

// addresses lists those of the interfaces, or the given ones.
func addresses(given []netip.Addr) ([]Address, error) {
	all, err := Addresses()
	if err != nil || len(given) == 0 {
		return all, err
	}
	return choose(all, given)
}

// choose looks each given address up among all. Any address in a loopback
// network counts as present: the kernel answers to all of 127.0.0.0/8.
func choose(all []Address, given []netip.Addr) ([]Address, error) {
	var chosen []Address
	for _, addr := range given {
		a, ok := lookup(all, addr.Unmap())
		if !ok {
			err := fault.New(fault.Usage, "address %s is not on any interface here", addr)
			return nil, fault.Hint(err, "ip -brief address")
		}
		chosen = append(chosen, a)
	}
	return chosen, nil
}

func lookup(all []Address, addr netip.Addr) (Address, bool) {
	for _, a := range all {
		if a.Addr() == addr {
			return a, true
		}
		if a.Loopback && addr.IsLoopback() && a.Prefix.Contains(addr) {
			a.Prefix = netip.PrefixFrom(addr, a.Prefix.Bits())
			return a, true
		}
	}
	return Address{}, false
}

// Addresses returns those of this server, in the order of its interfaces.
func Addresses() ([]Address, error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	var all []Address
	for _, i := range interfaces {
		addrs, err := i.Addrs()
		if err != nil {
			return nil, err
		}
		for _, a := range addrs {
			if p, ok := prefixOf(a); ok {
				all = append(all, Address{Prefix: p, Interface: i.Name, Loopback: p.Addr().IsLoopback()})
			}
		}
	}
	return all, nil
}

func prefixOf(a net.Addr) (netip.Prefix, bool) {
	n, ok := a.(*net.IPNet)
	if !ok {
		return netip.Prefix{}, false
	}
	addr, ok := netip.AddrFromSlice(n.IP)
	if !ok {
		return netip.Prefix{}, false
	}
	ones, _ := n.Mask.Size()
	return netip.PrefixFrom(addr.Unmap(), ones), true
}

// Package vip holds virtual addresses on this server: the applier of the items
// of kind "vip" in its profile.
//
// The manager holds one on the interface whose network it is in, and makes that
// known (RFC 5227, RFC 4861), unless another host has it. A server of direct
// routing or of a tunnel holds it on lo, in silence: it takes packets for the
// address that the manager passes on, and never answers ARP for it
// (arp_ignore and arp_announce, the kernel's ip-sysctl.rst), which is set before
// the address is there and taken back after it is gone. ND needs nothing: it
// answers for the addresses of the interface that was asked (RFC 4861 §7.2.3).
//
// It neither balances nor checks. What it changed lives in the kernel, which a
// boot empties, and so does the file in which it is noted: what is noted was not
// there before, and is taken back in the end; the rest stays.
package vip

import (
	"context"
	"fmt"
	"net"
	"net/netip"

	"iwx/lib/fault"
	"iwx/lib/host"
	"iwx/lib/profile"
)

// Kind is the kind of the items, whose names are the addresses.
const Kind = "vip"

// Role is how a server holds a virtual address.
type Role string

const (
	Announced Role = "announced" // on the interface of its network, for all to know
	Silent    Role = "silent"    // on lo, and no other host learns of it
)

// Spec is what an item says of its address.
type Spec struct {
	Role   Role `json:"role"`
	Direct bool `json:"direct,omitempty"` // announced: silent servers answer for it, to this server too
	Pass   bool `json:"pass,omitempty"`   // announced: addresses are translated, so this server passes packets on
	Tunnel bool `json:"tunnel,omitempty"` // silent: the packets come in a tunnel, IP in IP
}

// Item returns the item for a virtual address.
func Item(addr netip.Addr, spec Spec) (profile.Item, error) {
	return profile.Make(Kind, addr.String(), spec)
}

// Of returns the addresses that a profile has the server hold.
func Of(doc profile.Document) (list []netip.Addr) {
	for _, item := range doc.Items {
		if addr, err := netip.ParseAddr(item.Name); item.Kind == Kind && err == nil {
			list = append(list, addr)
		}
	}
	return list
}

// Applier holds the virtual addresses of this server. It needs CAP_NET_ADMIN and
// CAP_NET_RAW, and root for the settings.
type Applier struct {
	Notes string // a file on what a boot empties, in a directory that is there
	Sys   string // the kernel's settings, "/proc/sys"

	// Holder asks the link who else holds an address, and Announce tells it that
	// this host does: see package host.
	Holder   func(ctx context.Context, link string, addr netip.Addr) (net.HardwareAddr, error)
	Announce func(ctx context.Context, link string, addr netip.Addr) error
	// Command runs a program, for modprobe(8).
	Command func(ctx context.Context, name string, args ...string) ([]byte, error)
}

// holding is one item at work.
type holding struct {
	*Applier
	Spec
	addr     netip.Addr
	notes    *notes
	here     []host.Address
	link     host.Address // where it is to be held; of an announced one, with the address that this server has there
	settings []setting    // that it needs
}

// begin reads what is wanted, and what there is.
func (a *Applier) begin(item profile.Item) (*holding, error) {
	h := &holding{Applier: a}
	err := item.Decode(&h.Spec)
	if err == nil {
		h.addr, err = netip.ParseAddr(item.Name)
	}
	if err == nil {
		h.notes, err = readNotes(a.Notes)
	}
	if err == nil {
		h.here, err = host.Addresses()
	}
	return h, err
}

// place finds out where the address belongs, and what it needs there.
func (h *holding) place() (err error) {
	switch h.Role {
	case Announced:
		h.link, err = h.network()
		if err == nil {
			h.settings, err = h.announcedSettings()
		}
	case Silent:
		h.link = host.Address{Interface: loopback}
		if other := h.held(func(link string) bool { return link != loopback }); other != "" {
			err = fmt.Errorf("virtual IP %s is on %s of this server, which answers for it", h.addr, other)
			return fault.Hint(err, "ip address delete %s dev %s", prefix(h.addr), other)
		}
		h.settings, err = h.silentSettings()
	default:
		err = fmt.Errorf("virtual IP %s: this version of iwx does not know the role %q", h.addr, h.Role)
	}
	return err
}

// network is Network. What holds the address already stays where it is while
// the interface has no address of its own, as between two leases.
func (h *holding) network() (host.Address, error) {
	link, err := Network(h.here, h.addr)
	if noted := h.notes.Addresses[h.addr]; err != nil && noted != "" && h.held(only(noted)) != "" {
		return host.Address{Interface: noted}, nil
	}
	return link, err
}

// held returns the interface that has the address, of those that are wanted; ""
// for none.
func (h *holding) held(wanted func(link string) bool) string {
	for _, a := range h.here {
		if a.Addr() == h.addr && wanted(a.Interface) {
			return a.Interface
		}
	}
	return ""
}

// only wants one interface.
func only(name string) func(string) bool { return func(link string) bool { return link == name } }

// ours reports whether the address was put where it is by this package.
func (h *holding) ours() bool { return h.notes.Addresses[h.addr] != "" }

// isHeld reports whether the address is where it belongs. An administrator's may
// be on any interface that tells the others.
func (h *holding) isHeld() bool {
	if h.Role == Announced && !h.ours() {
		return h.held(func(link string) bool { return link != loopback }) != ""
	}
	return h.held(only(h.link.Interface)) != ""
}

// Check implements profile.Applier.
func (a *Applier) Check(ctx context.Context, item profile.Item) (change string, err error) {
	h, err := a.begin(item)
	if err == nil {
		err = h.place()
	}
	if err != nil {
		return "", err
	}
	if !h.isHeld() {
		if h.Role == Silent {
			return fmt.Sprintf("hold %s on lo, in silence", h.addr), nil
		}
		return fmt.Sprintf("hold %s on %s", h.addr, h.link.Interface), nil
	}
	if text, err := h.unsettled(); text != "" || err != nil {
		return text, err
	}
	return h.misrouted(ctx)
}

// Apply implements profile.Applier.
func (a *Applier) Apply(ctx context.Context, item profile.Item) error {
	h, err := a.begin(item)
	if err != nil {
		return err
	}
	if h.Tunnel {
		if err := h.loadTunnel(ctx); err != nil {
			return err
		}
	}
	if err := h.place(); err != nil {
		return err
	}
	if err := h.settle(ctx); err != nil {
		return err
	}
	return withKernel(ctx, func(k *kernel) error { return h.hold(ctx, k) })
}

// hold puts the address where it belongs, and tells the others.
func (h *holding) hold(ctx context.Context, k *kernel) error {
	missing := !h.isHeld()
	if missing {
		if err := h.sole(ctx); err != nil {
			return err
		}
		if err := h.move(k); err != nil {
			return err
		}
	}
	if err := h.route(ctx, k, missing); err != nil {
		return err
	}
	if !missing || h.Role != Announced {
		return nil
	}
	return h.Announce(ctx, h.link.Interface, h.addr)
}

// sole fails if another host has the address. One that this server had a moment
// ago, and somebody here took away, is put back without asking: that takes a
// second, in which nobody would answer.
func (h *holding) sole(ctx context.Context) error {
	if h.Role != Announced || h.ours() {
		return nil
	}
	other, err := h.Holder(ctx, h.link.Interface, h.addr)
	if err != nil || other == nil {
		return err
	}
	return taken(h.link.Interface, h.addr, other)
}

// move adds the address, noting that first, and takes it from where this package
// had it before.
func (h *holding) move(k *kernel) error {
	if was := h.notes.Addresses[h.addr]; was != "" && was != h.link.Interface {
		if err := k.deleteAddress(was, h.addr); err != nil {
			return err
		}
	}
	h.notes.Addresses[h.addr] = h.link.Interface
	if err := h.notes.write(h.Notes); err != nil {
		return err
	}
	return k.addAddress(h.link.Interface, h.addr)
}

// Remove implements profile.Applier: the address goes first, then what kept it
// quiet.
func (a *Applier) Remove(ctx context.Context, item profile.Item) error {
	h, err := a.begin(item)
	if err != nil {
		return err
	}
	err = withKernel(ctx, func(k *kernel) error {
		if err := k.deleteRoute(h.addr); err != nil {
			return err
		}
		if link := h.notes.Addresses[h.addr]; link != "" {
			return k.deleteAddress(link, h.addr)
		}
		return nil
	})
	if err != nil {
		return err
	}
	h.settings = nil
	if err := h.release(ctx); err != nil {
		return err
	}
	delete(h.notes.Addresses, h.addr)
	return h.notes.write(a.Notes)
}

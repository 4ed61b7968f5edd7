package vip

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// setting is something of the kernel that a virtual address needs: a file below
// Sys, or whether an interface is up.
type setting struct {
	name  string   // "net/ipv4/conf/all/arp_ignore", or linkPrefix and an interface
	value string   // that is set
	fine  []string // other values that do as well
}

// linkPrefix begins the names of the settings that are interfaces.
const linkPrefix = "link/"

// String returns the change for sentences.
func (s setting) String() string {
	if link, is := strings.CutPrefix(s.name, linkPrefix); is {
		return fmt.Sprintf("set %s %s", link, s.value)
	}
	return fmt.Sprintf("set %s to %s", strings.ReplaceAll(s.name, "/", "."), s.value)
}

func (s setting) holds(value string) bool { return value == s.value || slices.Contains(s.fine, value) }

// silentSettings keep a server from answering ARP for an address on lo, and from
// telling it as the sender of its own questions. arp_ignore 2 and 8, and no other
// value, are as quiet as 1 (ip-sysctl.rst).
func (h *holding) silentSettings() (list []setting, err error) {
	if h.addr.Is4() {
		list = append(list,
			setting{"net/ipv4/conf/all/arp_ignore", "1", []string{"2", "8"}},
			setting{"net/ipv4/conf/all/arp_announce", "2", nil})
	}
	if !h.Tunnel {
		return list, nil
	}
	device, _ := h.tunnel()
	list = append(list, setting{linkPrefix + device, "up", nil})
	loose, err := h.looseFilter(device)
	return append(list, loose...), err
}

// announcedSettings let the answers of silent servers in, whose source is an
// address of this very server (accept_local), and which the routes do not expect
// from that interface (rp_filter).
func (h *holding) announcedSettings() (list []setting, err error) {
	if h.Pass {
		list = h.passSettings()
	}
	if !h.Direct || !h.addr.Is4() {
		return list, nil
	}
	loose, err := h.looseFilter(h.link.Interface)
	list = append(list, loose...)
	return append(list, setting{"net/ipv4/conf/" + h.link.Interface + "/accept_local", "1", nil}), err
}

// passSettings have the kernel pass packets on. An IPv6 host that does no longer
// heeds router advertisements, from which it may have its default route, unless
// accept_ra says so (ip-sysctl.rst).
func (h *holding) passSettings() []setting {
	if h.addr.Is4() {
		return []setting{{"net/ipv4/ip_forward", "1", nil}}
	}
	return []setting{
		{"net/ipv6/conf/" + h.link.Interface + "/accept_ra", "2", []string{"0"}},
		{"net/ipv6/conf/all/forwarding", "1", nil},
	}
}

// looseFilter turns a strict reverse path filter of an interface into a loose
// one (RFC 3704 §2.4). The larger of the values for all and for the interface
// counts, so that nothing has to be changed for the other interfaces. IPv6 has
// no such filter.
func (h *holding) looseFilter(link string) ([]setting, error) {
	if !h.addr.Is4() {
		return nil, nil
	}
	s := setting{"net/ipv4/conf/" + link + "/rp_filter", "2", nil}
	all, err1 := h.read("net/ipv4/conf/all/rp_filter")
	own, err2 := h.read(s.name)
	if h.notes.Settings[s.name] == nil && max(all, own) != "1" {
		return nil, errors.Join(err1, err2)
	}
	return []setting{s}, errors.Join(err1, err2)
}

// tunnel is the interface at which packets in a tunnel from anywhere arrive, and
// the module that makes it (ip-tunnel(8)).
func (h *holding) tunnel() (device, module string) {
	if h.addr.Is4() {
		return "tunl0", "ipip"
	}
	return "ip6tnl0", "ip6_tunnel"
}

// loadTunnel has the kernel load the tunnel's module, which stays.
func (h *holding) loadTunnel(ctx context.Context) error {
	device, module := h.tunnel()
	if _, err := net.InterfaceByName(device); err == nil {
		return nil
	}
	if _, err := h.Command(ctx, "modprobe", module); err != nil {
		return fmt.Errorf("the tunnel for %s: modprobe %s: %w", h.addr, module, err)
	}
	return nil
}

// read returns the value of a setting; of an interface that is not there, "".
func (a *Applier) read(name string) (string, error) {
	if link, is := strings.CutPrefix(name, linkPrefix); is {
		return linkState(link), nil
	}
	data, err := os.ReadFile(filepath.Join(a.Sys, name))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return strings.TrimSpace(string(data)), err
}

// linkState is "up" or "down", "" for no such interface.
func linkState(name string) string {
	link, err := net.InterfaceByName(name)
	switch {
	case err != nil:
		return ""
	case link.Flags&net.FlagUp != 0:
		return "up"
	}
	return "down"
}

// set changes a setting. Of an interface that is gone nothing is left to set.
func (a *Applier) set(ctx context.Context, name, value string) error {
	if link, is := strings.CutPrefix(name, linkPrefix); is {
		return withKernel(ctx, func(k *kernel) error { return k.setLink(link, value == "up") })
	}
	err := os.WriteFile(filepath.Join(a.Sys, name), []byte(value+"\n"), 0o644)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return err
}

// unsettled tells the first setting that is not as it should be.
func (h *holding) unsettled() (change string, err error) {
	for _, s := range h.settings {
		is, err := h.read(s.name)
		if err != nil {
			return "", err
		}
		if n := h.notes.Settings[s.name]; !s.holds(is) || n != nil && !n.uses(h.addr) {
			return s.String(), nil
		}
	}
	for name, n := range h.notes.Settings {
		if n.uses(h.addr) && !h.needs(name) {
			return "set " + strings.ReplaceAll(name, "/", ".") + " back", nil
		}
	}
	return "", nil
}

func (h *holding) needs(name string) bool {
	return slices.ContainsFunc(h.settings, func(s setting) bool { return s.name == name })
}

// settle makes the settings as the address needs them, and takes back those that
// it no longer does.
func (h *holding) settle(ctx context.Context) error {
	for _, s := range h.settings {
		if err := h.make(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	return h.release(ctx)
}

// make makes one setting, noting that first. One that was so before stays out of
// the notes.
func (h *holding) make(ctx context.Context, s setting) error {
	is, err := h.read(s.name)
	if err != nil {
		return err
	}
	n := h.notes.Settings[s.name]
	if n == nil && s.holds(is) {
		return nil
	}
	if n == nil {
		n = &noted{Was: is, Is: s.value}
		h.notes.Settings[s.name] = n
	}
	n.add(h.addr)
	if err := h.notes.write(h.Notes); err != nil || s.holds(is) {
		return err
	}
	return h.set(ctx, s.name, s.value)
}

// release sets back what the address no longer needs, and no other one does.
func (h *holding) release(ctx context.Context) error {
	for name, n := range h.notes.Settings {
		if !n.uses(h.addr) || h.needs(name) {
			continue
		}
		if n.drop(h.addr) {
			if err := h.unset(ctx, name, n); err != nil {
				return fmt.Errorf("set %s back to %s: %w", name, n.Was, err)
			}
			delete(h.notes.Settings, name)
		}
		if err := h.notes.write(h.Notes); err != nil {
			return err
		}
	}
	return nil
}

// unset sets back one setting, unless somebody else has changed it since.
func (h *holding) unset(ctx context.Context, name string, n *noted) error {
	is, err := h.read(name)
	if err != nil || is != n.Is {
		return err
	}
	return h.set(ctx, name, n.Was)
}

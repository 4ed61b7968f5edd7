// Package ipvs balances with the kernel's IP virtual server, ipvsadm(8), over
// generic netlink: the family "IPVS" of linux/ip_vs.h.
//
// It programs virtual services and real servers, and nothing around them: the
// virtual addresses, and the ARP settings that direct routing needs, are other
// packages'. Of the kernel's table only what is ours is seen or touched, which is
// TCP services on our virtual addresses. What it programmed stays when the
// program ends, and is found again by Observe.
//
// It is the only package that imports mdlayher's genetlink.
package ipvs

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"

	"github.com/mdlayher/genetlink"

	"iwx/lib/fault"
	"iwx/lib/lb"
)

// Engine is the kernel's virtual server, as an lb.Engine. Its methods may be
// called by several goroutines. It takes CAP_NET_ADMIN, and End CAP_NET_RAW.
type Engine struct {
	vips     func(context.Context) ([]netip.Addr, error)
	dial     func() (*genetlink.Conn, error)
	settings string // directory of the kernel's settings of IPVS
	table    string // the kernel's list of connections

	mu     sync.Mutex
	ours   map[netip.Addr]bool              // virtual addresses that are ours, or were
	method map[netip.AddrPort]lb.Forwarding // last given to a virtual service
	left   map[netip.AddrPort][]connection  // open ones of a real server when it was last deleted
}

var _ lb.Engine = (*Engine)(nil)

// New returns the engine. vips tells the virtual addresses whose services are
// ours; one that it no longer tells stays ours as long as the Engine lives, so
// that what is left on it can be seen and removed.
func New(vips func(context.Context) ([]netip.Addr, error)) *Engine {
	return &Engine{
		vips:     vips,
		dial:     func() (*genetlink.Conn, error) { return genetlink.Dial(nil) },
		settings: "/proc/sys/net/ipv4/vs",
		table:    "/proc/net/ip_vs_conn",
		ours:     map[netip.Addr]bool{},
		method:   map[netip.AddrPort]lb.Forwarding{},
		left:     map[netip.AddrPort][]connection{},
	}
}

// Available reports whether the kernel has IPVS and this process may use it.
// Asking lets the kernel load the module ip_vs, where it is allowed to.
func Available(ctx context.Context) error {
	return New(nil).use(ctx, func(k *kernel) error { return k.version() })
}

// use runs f with a connection to the kernel of its own: it costs some 50 µs, and
// there is none to go stale when the module is loaded anew.
func (e *Engine) use(ctx context.Context, f func(*kernel) error) error {
	conn, err := e.dial()
	if err != nil {
		return fmt.Errorf("connect to the kernel: %w", err)
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return fmt.Errorf("connect to the kernel: %w", err)
		}
	}
	family, err := conn.GetFamily("IPVS")
	if err != nil {
		return absent(err)
	}
	return f(&kernel{ctx: ctx, conn: conn, family: family.ID})
}

// absent is the error of a kernel that does not know the family.
func absent(err error) error {
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fault.Hint(errors.New("this kernel has no ipvs"), "modprobe ip_vs, or: iwx-lb engine haproxy")
	case errors.Is(err, os.ErrPermission):
		return fault.Hint(fmt.Errorf("ipvs: %w", err), "run as root")
	}
	return fmt.Errorf("ask the kernel for ipvs: %w", err)
}

// Name returns "ipvs".
func (e *Engine) Name() string { return "ipvs" }

// Schedulers returns those of ipvsadm(8) that fit web and mail, each a module
// ip_vs_NAME that the kernel loads when it is first asked for. wlc is also
// ipvsadm's default.
func (e *Engine) Schedulers() []string {
	return []string{"wlc", "rr", "wrr", "lc", "lblc", "lblcr", "sh", "sed", "nq", "mh"}
}

// Forwardings returns all three that IPVS has.
func (e *Engine) Forwardings() []lb.Forwarding {
	return []lb.Forwarding{lb.Direct, lb.NAT, lb.Tunnel}
}

// Observe returns the virtual services that are ours with their real servers.
// The kernel knows no names: those are empty, and Local is false.
//
// The forwarding of a service is that of its real servers, "" when they differ,
// so that it is set again; without any, what it was last given here.
func (e *Engine) Observe(ctx context.Context) (table lb.Table, err error) {
	table = lb.Table{}
	err = e.each(ctx, func(s service, dests []dest) {
		table[s.key()] = e.virtual(s, dests)
	})
	return table, err
}

// Sessions returns how many connections each real server of ours has: Active are
// established ones, Other those that open or close (ipvsadm's ActiveConn and
// InActConn).
func (e *Engine) Sessions(ctx context.Context) (list []lb.Sessions, err error) {
	err = e.each(ctx, func(s service, dests []dest) {
		for _, d := range dests {
			list = append(list, lb.Sessions{Key: s.key(), Addr: d.addr, Active: int(d.active), Other: int(d.inactive)})
		}
	})
	return list, err
}

// each calls f for every virtual service that is ours.
func (e *Engine) each(ctx context.Context, f func(service, []dest)) error {
	mine, err := e.mine(ctx)
	if err != nil {
		return err
	}
	return e.use(ctx, func(k *kernel) error {
		services, err := k.services()
		if err != nil {
			return err
		}
		for _, s := range services {
			if s.protocol != protocolTCP || s.mark != 0 || !mine(s.addr) {
				continue
			}
			dests, err := k.dests(s)
			if err != nil {
				return err
			}
			f(s, dests)
		}
		return nil
	})
}

// mine returns what tells whether an address is, or was, one of ours.
func (e *Engine) mine(ctx context.Context) (func(netip.Addr) bool, error) {
	vips, err := e.vips(ctx)
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, vip := range vips {
		e.ours[vip] = true
	}
	return func(a netip.Addr) bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		return e.ours[a]
	}, err
}

func (e *Engine) virtual(s service, dests []dest) lb.Virtual {
	v := lb.Virtual{
		Scheduler:   s.scheduler,
		Persistence: s.persistence(),
		Forwarding:  e.forwarding(s.key(), dests),
		Servers:     make(map[netip.AddrPort]lb.Real, len(dests)),
	}
	for _, d := range dests {
		v.Servers[d.addr] = lb.Real{Weight: int(d.weight)}
	}
	return v
}

func (e *Engine) forwarding(key netip.AddrPort, dests []dest) lb.Forwarding {
	if len(dests) == 0 {
		e.mu.Lock()
		defer e.mu.Unlock()
		return e.method[key]
	}
	for _, d := range dests[1:] {
		if d.method != dests[0].method {
			return ""
		}
	}
	return forwardingOf(dests[0].method)
}

package vip

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"iwx/lib/backoff"
	"iwx/lib/host"
	"iwx/lib/panics"
	"iwx/lib/wait"
)

// Watcher notices when a virtual address, or the interface that is to have it,
// comes and goes: networkd and NetworkManager take away what they do not know.
type Watcher struct {
	Wanted func(ctx context.Context) ([]netip.Addr, error) // those that this server is to hold
	Look   func()                                          // has them looked at; does not wait
	Log    *slog.Logger
}

const settleFor = 20 * time.Millisecond // after a change, for others that come with it

// listenWaits are the waits after a failure to listen to the kernel.
func listenWaits() backoff.Waits {
	return backoff.Waits{First: 5 * time.Second, Most: 30 * time.Second}
}

// Run watches until ctx is done. While the kernel cannot be listened to it logs
// that and tries again.
func (w *Watcher) Run(ctx context.Context) error {
	tries := backoff.Tries{Waits: listenWaits()}
	for {
		err := panics.Try(w.Log, "watch of the addresses", func() error { return w.listen(ctx, tries.Reset) })
		if ctx.Err() == nil {
			w.Log.Error("cannot watch changes of addresses", "error", err)
		}
		if wait.Sleep(ctx, tries.Failed(0)) != nil {
			return nil
		}
	}
}

// listen looks at first, and then whenever the kernel reports a change. It fails if
// the kernel had to drop a message because this process was too slow. It calls received
// for each message.
func (w *Watcher) listen(ctx context.Context, received func()) error {
	conn, err := netlink.Dial(unix.NETLINK_ROUTE, &netlink.Config{
		Groups: groups(unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR),
	})
	if err != nil {
		return fmt.Errorf("rtnetlink: %w", err)
	}
	defer conn.Close() // which ends read too
	changed, ended := wait.NewSignal(), make(chan error, 1)
	go func() { ended <- panics.Catch(func() error { return read(conn, changed) }) }()
	for {
		if err := w.look(ctx); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-ended:
			return fmt.Errorf("rtnetlink: %w", err)
		case <-changed:
			received()
		}
		if wait.Sleep(ctx, settleFor) != nil {
			return ctx.Err()
		}
	}
}

// read signals whatever comes, until the connection ends.
func read(conn *netlink.Conn, changed wait.Signal) error {
	for {
		if _, err := conn.Receive(); err != nil {
			return err
		}
		changed.Set()
	}
}

// groups is the bit mask of multicast groups, rtnetlink(7).
func groups(list ...uint) (mask uint32) {
	for _, g := range list {
		mask |= 1 << (g - 1)
	}
	return mask
}

// look has the addresses looked at if one that is wanted is not there.
func (w *Watcher) look(ctx context.Context) error {
	wanted, err := w.Wanted(ctx)
	if err != nil || len(wanted) == 0 {
		return err
	}
	here, err := host.Addresses()
	if err != nil {
		return err
	}
	for _, addr := range wanted {
		if _, held := (host.Facts{Addresses: here}).Find(addr); !held {
			w.Look()
			return nil
		}
	}
	return nil
}

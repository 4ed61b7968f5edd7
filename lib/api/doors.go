package api

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// doorWait is how long one address of several may take to let a client in.
const doorWait = 2 * time.Second

// doors are the addresses at which the manager answers. The one that let a
// client in last is tried first; there is more than one while the quorum IP
// moves.
type doors struct {
	connect func(ctx context.Context, network, address string) (net.Conn, error)
	config  *tls.Config

	mu   sync.Mutex
	list []netip.AddrPort
}

// set replaces the addresses, which are from now on tried in this order.
func (d *doors) set(list []netip.AddrPort) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.list = slices.Clone(list)
}

func (d *doors) all() []netip.AddrPort {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.list)
}

// prefer has the address tried first.
func (d *doors) prefer(at netip.AddrPort) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if i := slices.Index(d.list, at); i > 0 {
		d.list = slices.Insert(slices.Delete(d.list, i, i+1), 0, at)
	}
}

// String names the addresses for sentences.
func (d *doors) String() string {
	var text []string
	for _, at := range d.all() {
		text = append(text, at.String())
	}
	return strings.Join(text, " or ")
}

// dial implements http.Transport's DialTLSContext: whose address it was asked
// for does not matter, it is always the manager's. The error is that of the
// address which is tried first.
func (d *doors) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	list := d.all()
	limit := dialWait
	if len(list) > 1 {
		limit = doorWait
	}
	var first error
	for _, at := range list {
		conn, err := d.enter(ctx, network, at, limit)
		if err == nil {
			d.prefer(at)
			return conn, nil
		}
		if first == nil {
			first = err
		}
	}
	return nil, first
}

// enter connects to one address, and finds out whether the manager is there.
func (d *doors) enter(ctx context.Context, network string, at netip.AddrPort, limit time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	raw, err := d.connect(ctx, network, at.String())
	if err != nil {
		return nil, err
	}
	keepShort(raw)
	conn := tls.Client(raw, d.config)
	if err := conn.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, err
	}
	return conn, nil
}

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

// addressWait limits the connection to one address of several.
const addressWait = 2 * time.Second

// managerAddresses are the addresses at which the manager answers. The one that
// was connected to last is tried first. There is more than one while the quorum IP
// moves.
type managerAddresses struct {
	connect func(ctx context.Context, network, address string) (net.Conn, error)
	config  *tls.Config

	mu   sync.Mutex
	list []netip.AddrPort
}

// set replaces the addresses, which are from now on tried in this order.
func (m *managerAddresses) set(list []netip.AddrPort) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.list = slices.Clone(list)
}

func (m *managerAddresses) all() []netip.AddrPort {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.list)
}

// prefer has the address tried first.
func (m *managerAddresses) prefer(at netip.AddrPort) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if i := slices.Index(m.list, at); i > 0 {
		m.list = slices.Insert(slices.Delete(m.list, i, i+1), 0, at)
	}
}

// String names the addresses for sentences.
func (m *managerAddresses) String() string {
	var text []string
	for _, at := range m.all() {
		text = append(text, at.String())
	}
	return strings.Join(text, " or ")
}

// dial implements http.Transport's DialTLSContext. It ignores the address that it
// is given, and connects to the manager. The error is that of the address which is
// tried first.
func (m *managerAddresses) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	list := m.all()
	limit := dialWait
	if len(list) > 1 {
		limit = addressWait
	}
	var first error
	for _, at := range list {
		conn, err := m.connectTo(ctx, network, at, limit)
		if err == nil {
			m.prefer(at)
			return conn, nil
		}
		if first == nil {
			first = err
		}
	}
	return nil, first
}

// connectTo connects to one address, and checks that the manager is there.
func (m *managerAddresses) connectTo(ctx context.Context, network string, at netip.AddrPort, limit time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	raw, err := m.connect(ctx, network, at.String())
	if err != nil {
		return nil, err
	}
	keepShort(raw)
	conn := tls.Client(raw, m.config)
	if err := conn.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, err
	}
	return conn, nil
}

package sockets

import (
	"errors"
	"net"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

// TestTryBind: an address that is not there is no obstacle, a port that is taken is.
func TestTryBind(t *testing.T) {
	for _, text := range []string{"192.0.2.1:0", "[2001:db8::1]:0", "127.0.0.1:0", "0.0.0.0:0"} {
		if err := TryBind(t.Context(), netip.MustParseAddrPort(text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	config := net.ListenConfig{Control: FreeBind(unix.SO_REUSEPORT)}
	for _, text := range []string{"127.0.0.1:0", "192.0.2.1:0", "[2001:db8::1]:0"} {
		l, err := config.Listen(t.Context(), "tcp", text)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		at := netip.MustParseAddrPort(l.Addr().String())
		if err := TryBind(t.Context(), at); !errors.Is(err, unix.EADDRINUSE) {
			t.Errorf("%s is taken: %v", at, err)
		}
		if err := TryBind(t.Context(), at, unix.SO_REUSEPORT); err != nil {
			t.Errorf("%s is shared: %v", at, err)
		}
	}
	if err := TryBind(t.Context(), netip.MustParseAddrPort("127.0.0.1:0"), -1); !errors.Is(err, unix.ENOPROTOOPT) {
		t.Errorf("no such option: %v", err)
	}
}

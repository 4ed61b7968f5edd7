package vip

import (
	"net/netip"
	"testing"
)

func TestPacketAsBytes(t *testing.T) {
	for _, p := range []Packet{
		{netip.MustParseAddr("192.0.2.80"), netip.MustParseAddr("192.0.2.1"), "abc"},
		{netip.MustParseAddr("2001:db8::80"), netip.MustParseAddr("2001:db8::1"), "abcd"},
		{netip.MustParseAddr("192.0.2.80"), netip.MustParseAddr("192.0.2.1"), ""},
	} {
		data := p.encode()
		if got, ok := decode(data); !ok || got != p {
			t.Errorf("%+v, %t, want %+v", got, ok, p)
		}
		head := data[:len(data)-headUDP-len(p.Text)]
		if p.To.Is4() && sum(0, head) != 0xffff {
			t.Errorf("%+v: the header's checksum is wrong", p)
		}
		udp := data[len(head):]
		if sum(0, append(p.pseudo(len(udp)), udp...)) != 0xffff {
			t.Errorf("%+v: the checksum is wrong", p)
		}
		for n := range data {
			if got, ok := decode(data[:n]); ok {
				t.Errorf("%d bytes of %d are %+v", n, len(data), got)
			}
		}
	}
}

func FuzzPacket(f *testing.F) {
	f.Add((&Packet{netip.MustParseAddr("192.0.2.80"), netip.MustParseAddr("192.0.2.1"), "abc"}).encode())
	f.Add((&Packet{netip.MustParseAddr("2001:db8::80"), netip.MustParseAddr("2001:db8::1"), "abc"}).encode())
	f.Fuzz(func(t *testing.T, data []byte) {
		if p, ok := decode(data); ok && (p.From.Is4() != p.To.Is4() || len(p.Text) > len(data)) {
			t.Errorf("%+v", p)
		}
	})
}

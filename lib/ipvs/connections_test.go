package ipvs

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"iwx/lib/lb"
)

// list is /proc/net/ip_vs_conn of Linux 6.1.
const list = `Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData
TCP 0A4D00FE 9C42 C000020A 0050 C0000201 0050 ESTABLISHED     899
TCP 0A4D00FE 9C43 C000020A 0050 C0000202 0050 ESTABLISHED     899
TCP 0A4D00FE 9C44 C000020A 0050 C0000201 0050 TIME_WAIT       119
TCP 0A4D00FE 9C45 C000020A 0050 C0000201 0050 FIN_WAIT        119
IP  0A4D00FE 0000 C000020A 0050 C0000201 0050 NONE            299
TCP 2001:0db8:0000:0000:0000:0000:0000:00fe 9C46 2001:0db8:0000:0000:0000:0000:0000:0010 01BB 2001:0db8:0000:0000:0000:0000:0000:0001 01BB SYN_RECV         59
TCP 2001:0db8:0000:0000:0000:0000:0000:00fe 9C47 2001:0db8:0000:0000:0000:0000:0000:0010 01BB C0000201 0050 CLOSE_WAIT       59
`

func TestConnectionsOfAServer(t *testing.T) {
	name := filepath.Join(t.TempDir(), "ip_vs_conn")
	if err := os.WriteFile(name, []byte(list), 0o600); err != nil {
		t.Fatal(err)
	}
	var got []connection
	err := readTable(name, func(c connection) {
		if c.server == web1 && c.open() {
			got = append(got, c)
		}
	})
	end := netip.MustParseAddrPort
	want := []connection{
		{end("10.77.0.254:40002"), web, web1, "ESTABLISHED"},
		{end("10.77.0.254:40005"), web, web1, "FIN_WAIT"},
		{end("[2001:db8::fe]:40007"), end("[2001:db8::10]:443"), web1, "CLOSE_WAIT"},
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%+v, %v\nwant %+v", got, err, want)
	}
}

// TestConnectionsAreKeptForEnd: the kernel forgets them when a server is deleted.
func TestConnectionsAreKeptForEnd(t *testing.T) {
	k := newTable()
	e := k.engine(t, "192.0.2.10")
	v := virtual("rr", lb.Real{Weight: 5}, lb.Real{Weight: 5})
	apply(t, e, lb.Operation{Verb: lb.AddService, Key: web, Virtual: v})
	if err := os.WriteFile(e.table, []byte(list), 0o600); err != nil {
		t.Fatal(err)
	}
	op := lb.Operation{Verb: lb.DeleteServer, Key: web, Virtual: v, Addr: web1}
	apply(t, e, op)
	if len(e.left[web1]) != 3 || len(e.left[web2]) != 0 {
		t.Errorf("kept %v", e.left)
	}
	op.Verb = lb.AddServer
	apply(t, e, op)
	if len(e.left) != 0 {
		t.Errorf("kept %v of a server that is back", e.left)
	}
}

// TestChecksum: over a segment with its checksum, the sum is zero (RFC 1071 §1).
func TestChecksum(t *testing.T) {
	for _, ends := range [][2]string{{"192.0.2.10:80", "10.77.0.254:40002"}, {"[2001:db8::10]:443", "[2001:db8::fe]:65535"}} {
		from, to := netip.MustParseAddrPort(ends[0]), netip.MustParseAddrPort(ends[1])
		s := segment(from, to, 1<<31)
		if checksum(from.Addr(), to.Addr(), s) != 0 || binary.BigEndian.Uint16(s[16:]) == 0 {
			t.Errorf("%v: %x", ends, s)
		}
	}
	s := segment(netip.MustParseAddrPort("127.0.0.1:80"), netip.MustParseAddrPort("127.0.0.2:1"), 0)
	if got := hex.EncodeToString(s); got != "0050000100000000000000005010"+"0000"+"b180"+"0000" {
		t.Errorf("segment %s", got)
	}
}

func FuzzParseConnection(f *testing.F) {
	f.Add(list)
	f.Add("TCP 0A4D00FE 9C42 C000020A 0050 C0000201 0050 ESTABLISHED     899")
	f.Fuzz(func(t *testing.T, line string) {
		if c, ok := parseConnection(line); ok && !(c.client.IsValid() && c.virtual.IsValid() && c.server.IsValid()) {
			t.Errorf("%q is taken for %+v", line, c)
		}
	})
}

func FuzzDecode(f *testing.F) {
	s := service{addr: web.Addr(), port: 80, protocol: protocolTCP, scheduler: "rr"}
	f.Add(wrap(attrService, s.encode).Data)
	f.Add(wrap(attrDest, dest{addr: web1}.encode).Data)
	f.Fuzz(func(t *testing.T, data []byte) {
		if s, err := decodeService(data); err == nil && s.mark == 0 && !s.addr.IsValid() {
			t.Errorf("%x is taken for %+v", data, s)
		}
		if d, err := decodeDest(data, 0); err == nil && !d.addr.IsValid() {
			t.Errorf("%x is taken for %+v", data, d)
		}
	})
}

package ipvs

import (
	"context"
	"io"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/mdlayher/genetlink"
	"github.com/mdlayher/genetlink/genltest"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"iwx/lib/lb"
)

const familyID = 30

// table is a kernel's: what ip_vs_ctl.c does with a request, kept in maps.
type table struct {
	absent   bool
	without  string // a scheduler that this kernel does not have
	services map[netip.AddrPort]service
	dests    map[netip.AddrPort]map[netip.AddrPort]dest
	foreign  []service // by mark or of UDP: found by their own keys
	changes  int
}

func newTable() *table {
	return &table{services: map[netip.AddrPort]service{}, dests: map[netip.AddrPort]map[netip.AddrPort]dest{}}
}

// engine returns an engine on the table, whose virtual addresses are vips.
func (t *table) engine(test *testing.T, vips ...string) *Engine {
	e := New(func(context.Context) (list []netip.Addr, err error) {
		for _, vip := range vips {
			list = append(list, netip.MustParseAddr(vip))
		}
		return list, nil
	})
	e.dial = func() (*genetlink.Conn, error) { return genltest.Dial(t.answer), nil }
	e.settings, e.table = test.TempDir(), filepath.Join(test.TempDir(), "ip_vs_conn")
	for _, s := range Settings() {
		if err := os.WriteFile(filepath.Join(e.settings, s.Name), []byte("0\n"), 0o600); err != nil {
			test.Fatal(err)
		}
	}
	return e
}

func (t *table) answer(request genetlink.Message, header netlink.Message) ([]genetlink.Message, error) {
	const controller, getFamily = 0x10, 3
	switch {
	case header.Header.Type == controller && t.absent:
		return nil, genltest.Error(int(unix.ENOENT))
	case header.Header.Type == controller:
		return []genetlink.Message{family()}, nil
	}
	switch request.Header.Command {
	case cmdGetInfo:
		return []genetlink.Message{{}}, nil
	case cmdGetService:
		return orEnd(t.listServices())
	case cmdGetDest:
		s, err := decodeService(request.Data)
		if err != nil {
			return nil, err
		}
		return orEnd(listDests(t.dests[s.key()]))
	}
	return t.change(request)
}

// family is the controller's answer (linux/genetlink.h).
func family() genetlink.Message {
	e := netlink.NewAttributeEncoder()
	e.Uint16(unix.CTRL_ATTR_FAMILY_ID, familyID)
	e.String(unix.CTRL_ATTR_FAMILY_NAME, "IPVS")
	e.Uint32(unix.CTRL_ATTR_VERSION, 1)
	data, _ := e.Encode()
	return genetlink.Message{Data: data}
}

// orEnd is the end of a list that has nothing in it.
func orEnd(list []genetlink.Message) ([]genetlink.Message, error) {
	if len(list) == 0 {
		return nil, io.EOF
	}
	return list, nil
}

func wrap(typ uint16, encode func(*netlink.AttributeEncoder) error) genetlink.Message {
	e := netlink.NewAttributeEncoder()
	e.Nested(typ, encode)
	data, _ := e.Encode()
	return genetlink.Message{Data: data}
}

func (t *table) listServices() (list []genetlink.Message) {
	for _, key := range slices.SortedFunc(maps.Keys(t.services), netip.AddrPort.Compare) {
		list = append(list, wrap(attrService, t.services[key].encode))
	}
	for _, s := range t.foreign {
		list = append(list, wrap(attrService, func(e *netlink.AttributeEncoder) error {
			e.Uint32(serviceMark, s.mark)
			if s.mark != 0 {
				return nil
			}
			return s.encode(e)
		}))
	}
	return list
}

func listDests(dests map[netip.AddrPort]dest) (list []genetlink.Message) {
	for _, d := range dests {
		list = append(list, wrap(attrDest, func(e *netlink.AttributeEncoder) error {
			d.encode(e)
			e.Uint32(destActive, d.active)
			e.Uint32(destInactive, d.inactive)
			return nil
		}))
	}
	return list
}

// change does what the kernel does, with its refusals.
func (t *table) change(request genetlink.Message) ([]genetlink.Message, error) {
	t.changes++
	s, err := decodeService(request.Data)
	if err != nil {
		return nil, err
	}
	_, known := t.services[s.key()]
	number := unix.Errno(0)
	switch cmd := request.Header.Command; {
	case cmd == cmdNewService && known:
		number = unix.EEXIST
	case cmd != cmdNewService && !known:
		number = unix.ESRCH
	case cmd == cmdDelService:
		delete(t.services, s.key())
		delete(t.dests, s.key())
	case cmd == cmdNewService || cmd == cmdSetService:
		number = t.put(s)
	default:
		d, err := decodeDest(request.Data, unix.AF_UNSPEC)
		if err != nil {
			return nil, err
		}
		number = changeDests(t.dests[s.key()], cmd, d)
	}
	if number != 0 {
		return nil, genltest.Error(int(number))
	}
	return []genetlink.Message{}, io.EOF
}

func (t *table) put(s service) unix.Errno {
	if s.scheduler == t.without {
		return unix.ENOENT
	}
	t.services[s.key()] = s
	if t.dests[s.key()] == nil {
		t.dests[s.key()] = map[netip.AddrPort]dest{}
	}
	return 0
}

func changeDests(dests map[netip.AddrPort]dest, cmd uint8, d dest) unix.Errno {
	old, known := dests[d.addr]
	switch {
	case cmd == cmdNewDest && known:
		return unix.EEXIST
	case cmd != cmdNewDest && !known:
		return unix.ENOENT
	case cmd == cmdDelDest:
		delete(dests, d.addr)
	default:
		d.active, d.inactive = old.active, old.inactive
		dests[d.addr] = d
	}
	return 0
}

// virtual is a virtual service for tests, with real servers as "address:port"
// and weights in turn.
func virtual(scheduler string, servers ...lb.Real) lb.Virtual {
	v := lb.Virtual{Scheduler: scheduler, Forwarding: lb.Direct, Servers: map[netip.AddrPort]lb.Real{}}
	for i, real := range servers {
		v.Servers[netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(1 + i)}), 80)] = real
	}
	return v
}

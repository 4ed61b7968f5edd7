package realip

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"iwx/lib/profile"
)

// told is a program that notes what is done to it.
type told struct {
	is, refuses string
	done        []string
	dies        bool // once it is changed, before it is reloaded
}

// died is what a run that is cut short comes to.
var died = errors.New("the power is cut")

func (p *told) String() string                                  { return "told" }
func (p *told) differs(_ context.Context, s Spec) (bool, error) { return p.is != text(s), nil }
func (p *told) drop(context.Context) error                      { p.is = ""; p.done = append(p.done, "drop"); return nil }
func (p *told) reload(context.Context) error                    { p.done = append(p.done, "reload"); return nil }
func text(s Spec) string                                        { return s.Balancers[0].String() }
func httpItem(t *testing.T, a string) profile.Item {
	item, err := Item("http", Spec{Balancers: []netip.Prefix{netip.MustParsePrefix(a + "/32")}})
	if err != nil {
		t.Fatal(err)
	}
	return item
}

func (p *told) put(_ context.Context, s Spec) (bool, error) {
	if p.refuses == text(s) {
		return false, errors.New("syntax error")
	}
	p.is = text(s)
	p.done = append(p.done, "put "+p.is)
	if p.dies {
		return false, died
	}
	return true, nil
}

// TestChangeOne holds that a program is reloaded once for each change, that one which
// an earlier run did not live to reload is made again, and that a change which is
// refused is none.
func TestChangeOne(t *testing.T) {
	a := &Applier{Notes: filepath.Join(t.TempDir(), "clients")}
	p := &told{refuses: "192.0.2.9/32"}
	apply := func(address string) error {
		item := httpItem(t, address)
		var spec Spec
		if err := item.Decode(&spec); err != nil {
			t.Fatal(err)
		}
		return a.changeOne(t.Context(), item, p, believe(t.Context(), spec))
	}
	steps := []struct {
		address, done string
		dies, fails   bool
		owes          bool
	}{
		{address: "192.0.2.1", done: "put 192.0.2.1/32 reload"},
		{address: "192.0.2.1"},
		{address: "192.0.2.9", fails: true, owes: true},
		{address: "192.0.2.1", done: "put 192.0.2.1/32 reload"},
		{address: "192.0.2.2", done: "put 192.0.2.2/32", dies: true, fails: true, owes: true},
		{address: "192.0.2.2", done: "put 192.0.2.2/32 reload"},
		{address: "192.0.2.2"},
	}
	for i, step := range steps {
		p.done, p.dies = nil, step.dies
		err := apply(step.address)
		if got := strings.Join(p.done, " "); got != step.done || (err != nil) != step.fails || a.owes(httpItem(t, step.address), p) != step.owes {
			t.Errorf("step %d: %q, %v, owes %v; want %+v", i+1, got, err, !step.owes, step)
		}
	}
}

func TestHasLabel(t *testing.T) {
	const list = `SELinux Port Type              Proto    Port Number
http_cache_port_t              tcp      8080, 8118, 10001-10010
http_port_t                    tcp      80, 81, 443, 8008-8010
http_port_t                    udp      10443
`
	for port, want := range map[uint16]bool{80: true, 443: true, 8009: true, 8011: false, 10443: false, 10005: false} {
		if got := hasLabel(list, port, "http_port_t"); got != want {
			t.Errorf("port %d: %v", port, got)
		}
	}
}

// TestVacant holds that a port which another program has is told of with the way
// to find out which, and that asking leaves it free.
func TestVacant(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := netip.MustParseAddrPort(l.Addr().String())
	if err := vacant(t.Context(), at, "http_port_t", 1); err == nil || !strings.Contains(err.Error(), "another program has port") {
		t.Errorf("%v", err)
	}
	if err := vacant(t.Context(), at, "http_port_t", os.Getpid()); err != nil {
		t.Errorf("the program has the port itself: %v", err)
	}
	l.Close()
	for range 2 {
		if err := vacant(t.Context(), at, "http_port_t", 0); err != nil {
			t.Error(err)
		}
	}
}

// TestUnknownService holds that an item of a newer manager says what to do, and that
// a server without any of the programs has nothing to do.
func TestUnknownService(t *testing.T) {
	a := &Applier{Root: t.TempDir(), Notes: filepath.Join(t.TempDir(), "clients"), Lock: func(context.Context) (func(), error) {
		return nil, errors.New("nothing is to be locked")
	}}
	item, err := Item("gopher", Spec{Balancers: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")}})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Apply(t.Context(), item); err == nil || !strings.Contains(err.Error(), "does not know how gopher") {
		t.Errorf("%v", err)
	}
	if change, err := a.Check(t.Context(), httpItem(t, "192.0.2.1")); change != "" || err != nil {
		t.Errorf("%q, %v", change, err)
	}
	if err := a.Apply(t.Context(), httpItem(t, "192.0.2.1")); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(a.Notes); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("notes were written: %v", err)
	}
}

package ipvs

import (
	"errors"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"iwx/lib/fault"
	"iwx/lib/lb"
)

var (
	web  = netip.MustParseAddrPort("192.0.2.10:80")
	web1 = netip.MustParseAddrPort("192.0.2.1:80")
	web2 = netip.MustParseAddrPort("192.0.2.2:80")
)

func apply(t *testing.T, e *Engine, ops ...lb.Operation) {
	t.Helper()
	if err := e.Apply(t.Context(), ops); err != nil {
		t.Fatal(err)
	}
}

// has fails unless the engine observes the table.
func has(t *testing.T, e *Engine, want lb.Table) {
	t.Helper()
	got, err := e.Observe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !maps.EqualFunc(got, want, func(a, b lb.Virtual) bool { return reflect.DeepEqual(a, b) }) {
		t.Errorf("observed %+v\nwant     %+v", got, want)
	}
}

func TestWhatIsAppliedIsObserved(t *testing.T) {
	six := netip.MustParseAddrPort("[2001:db8::10]:993")
	imaps := lb.Virtual{
		Scheduler: "sh", Persistence: 300 * time.Second, Forwarding: lb.NAT,
		Servers: map[netip.AddrPort]lb.Real{netip.MustParseAddrPort("[2001:db8::1]:1993"): {Weight: 255}},
	}
	http := virtual("wlc", lb.Real{Weight: 100}, lb.Real{Weight: 0})
	e := newTable().engine(t, "192.0.2.10", "2001:db8::10")
	add := []lb.Operation{
		{Verb: lb.AddService, Key: web, Virtual: http},
		{Verb: lb.AddService, Key: six, Virtual: imaps},
	}
	for range 2 { // the second time it exists already
		apply(t, e, add...)
		has(t, e, lb.Table{web: http, six: imaps})
	}
	apply(t, e,
		lb.Operation{Verb: lb.EditServer, Key: web, Virtual: http, Addr: web2, Real: lb.Real{Weight: 7}},
		lb.Operation{Verb: lb.DeleteServer, Key: web, Virtual: http, Addr: web1},
		lb.Operation{Verb: lb.DeleteServer, Key: web, Virtual: http, Addr: web1},
		lb.Operation{Verb: lb.DeleteService, Key: six},
		lb.Operation{Verb: lb.DeleteService, Key: six},
	)
	http.Servers = map[netip.AddrPort]lb.Real{web2: {Weight: 7}}
	has(t, e, lb.Table{web: http})
}

func TestEditedService(t *testing.T) {
	k := newTable()
	e := k.engine(t, "192.0.2.10")
	v := virtual("wlc", lb.Real{Weight: 5}, lb.Real{Weight: 9})
	apply(t, e, lb.Operation{Verb: lb.AddService, Key: web, Virtual: v})
	v.Scheduler, v.Persistence, v.Forwarding = "mh", time.Hour, lb.Tunnel
	apply(t, e, lb.Operation{Verb: lb.EditService, Key: web, Virtual: v})
	has(t, e, lb.Table{web: v})
	if k.services[web].flags != flagPersistent|flagFallback {
		t.Errorf("flags %#x", k.services[web].flags)
	}
}

func TestForwardingOfWhatWasFound(t *testing.T) {
	k := newTable()
	k.put(service{addr: web.Addr(), port: 80, protocol: protocolTCP, scheduler: "rr"})
	v := virtual("rr")
	v.Forwarding = ""
	has(t, k.engine(t, "192.0.2.10"), lb.Table{web: v})

	// as an earlier iwx-lb, or somebody's ipvsadm, has left it
	k.dests[web][web1] = dest{addr: web1, method: methodDirect, weight: 3}
	k.dests[web][web2] = dest{addr: web2, method: methodNAT, weight: 4}
	e := k.engine(t, "192.0.2.10")
	v = virtual("rr", lb.Real{Weight: 3}, lb.Real{Weight: 4})
	v.Forwarding = ""
	has(t, e, lb.Table{web: v})
	v.Forwarding = lb.Direct
	apply(t, e, lb.Operation{Verb: lb.EditService, Key: web, Virtual: v})
	has(t, e, lb.Table{web: v})

	// and without a real server it is remembered
	none := virtual("rr")
	apply(t, e, lb.Operation{Verb: lb.DeleteServer, Key: web, Addr: web1}, lb.Operation{Verb: lb.DeleteServer, Key: web, Addr: web2})
	has(t, e, lb.Table{web: none})
}

func TestOnlyOursIsSeen(t *testing.T) {
	k := newTable()
	other := netip.MustParseAddr("192.0.2.99")
	k.put(service{addr: other, port: 80, protocol: protocolTCP, scheduler: "rr"})
	k.foreign = []service{
		{mark: 7},
		{addr: web.Addr(), port: 53, protocol: unix.IPPROTO_UDP, scheduler: "rr"},
	}
	has(t, k.engine(t, "192.0.2.10"), lb.Table{})

	// An address that was ours stays so, that what is on it can be removed.
	e := k.engine(t, "192.0.2.10")
	apply(t, e, lb.Operation{Verb: lb.AddService, Key: web, Virtual: virtual("rr")})
	e.vips = k.engine(t).vips
	has(t, e, lb.Table{web: virtual("rr")})
}

func TestRefusals(t *testing.T) {
	v := virtual("mh", lb.Real{Weight: 1})
	proxy := virtual("rr", lb.Real{Weight: 1})
	proxy.Forwarding = lb.Proxy
	for _, c := range []struct {
		op         lb.Operation
		text, hint string
		code       fault.Code
	}{
		{lb.Operation{Verb: lb.AddService, Key: web, Virtual: v}, `add service 192.0.2.10:80: this kernel has no scheduler "mh"`, "modprobe ip_vs_mh, or another scheduler: iwx-lb edit --scheduler wlc", fault.Failed},
		{lb.Operation{Verb: lb.AddService, Key: web, Virtual: proxy}, `add service 192.0.2.10:80: ipvs has no forwarding "proxy"`, "", fault.Failed},
		{lb.Operation{Verb: lb.EditService, Key: web, Virtual: v}, "edit service 192.0.2.10:80: it is no longer there", "ipvsadm -L -n; iwx-lb daemon corrects it at its next pass", fault.Busy},
		{lb.Operation{Verb: lb.AddServer, Key: web, Virtual: v, Addr: web1}, "add server 192.0.2.1:80 of 192.0.2.10:80: it is no longer there", "ipvsadm -L -n; iwx-lb daemon corrects it at its next pass", fault.Busy},
		{lb.Operation{Verb: "fix", Key: web}, "fix 192.0.2.10:80: there is no such operation", "", fault.Failed},
	} {
		k := newTable()
		k.without = "mh"
		err := k.engine(t, "192.0.2.10").Apply(t.Context(), []lb.Operation{c.op, {Verb: lb.AddService, Key: web, Virtual: virtual("rr")}})
		if err == nil || err.Error() != c.text || fault.HintOf(err) != c.hint || fault.CodeOf(err) != c.code {
			t.Errorf("%s: %v\nhint: %s\ncode: %d", c.op.Verb, err, fault.HintOf(err), fault.CodeOf(err))
		}
		if len(k.services) > 1 || c.op.Verb != lb.AddService && len(k.services) > 0 {
			t.Errorf("%s: it went on after what could not be done", c.op.Verb)
		}
	}
}

func TestKernelWithoutIPVS(t *testing.T) {
	k := newTable()
	k.absent = true
	_, err := k.engine(t, "192.0.2.10").Observe(t.Context())
	if err == nil || err.Error() != "this kernel has no ipvs" || !strings.HasPrefix(fault.HintOf(err), "modprobe ip_vs") {
		t.Errorf("%v, hint %q", err, fault.HintOf(err))
	}
}

func TestSessions(t *testing.T) {
	k := newTable()
	e := k.engine(t, "192.0.2.10")
	apply(t, e, lb.Operation{Verb: lb.AddService, Key: web, Virtual: virtual("rr", lb.Real{Weight: 1})})
	d := k.dests[web][web1]
	d.active, d.inactive = 12, 34
	k.dests[web][web1] = d
	got, err := e.Sessions(t.Context())
	if want := []lb.Sessions{{Key: web, Addr: web1, Active: 12, Other: 34}}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestSettings(t *testing.T) {
	e := newTable().engine(t)
	apply(t, e)
	for _, s := range Settings() {
		text, err := os.ReadFile(filepath.Join(e.settings, s.Name))
		if err != nil || string(text) != s.Value+"\n" {
			t.Errorf("%s is %q, %v", s.Name, text, err)
		}
	}
	os.Remove(filepath.Join(e.settings, "conn_reuse_mode"))
	err := e.Apply(t.Context(), nil)
	if !errors.Is(err, os.ErrNotExist) || fault.HintOf(err) != "sysctl -w net.ipv4.vs.conn_reuse_mode=1" {
		t.Errorf("%v, hint %q", err, fault.HintOf(err))
	}
}

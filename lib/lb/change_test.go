package lb

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"iwx/lib/fault"
	"iwx/lib/health"
)

func TestCatalogue(t *testing.T) {
	for text, want := range map[string]Service{
		"http": {"http", 80, health.HTTP, 0},
		"993":  {"imaps", 993, health.IMAPS, mailbox},
		"8080": {"tcp", 8080, health.TCP, 0},
	} {
		if got, err := Lookup(text); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, bad := range []string{"0", "65536", "gopher", "", "-1"} {
		if _, err := Lookup(bad); err == nil || fault.HintOf(err) == "" || !strings.Contains(err.Error(), `"`+bad+`"`) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if n := len(Group("web")) + len(Group("mail")); n != len(Services()) || Group("dns") != nil {
		t.Errorf("%d in groups", n)
	}
}

func TestAddIsIdempotent(t *testing.T) {
	v := scene(2)
	p := v.Setup.Policies[0]
	empty := Setup{Engine: "ipvs", VIPs: v.Setup.VIPs}
	one, changed, err := empty.Add(p, v.Servers)
	if err != nil || !changed || !reflect.DeepEqual(one.Policies, v.Setup.Policies) {
		t.Fatalf("%v %v %v", one, changed, err)
	}
	p.Weights = map[string]int{"id1": DefaultWeight}
	if two, changed, err := one.Add(p, v.Servers); err != nil || changed || !reflect.DeepEqual(one, two) {
		t.Errorf("again: %v %v %v", two, changed, err)
	}
	imap, _ := Lookup("imap")
	two, _, err := one.Add(NewPolicy(imap, vip), v.Servers)
	if err != nil || len(two.Policies) != 2 || len(one.Policies) != 1 {
		t.Errorf("%v %v: the old setup is to stay", two, err)
	}
	if three, changed := two.Delete(p.Key()); !changed || len(three.Policies) != 1 || len(two.Policies) != 2 {
		t.Errorf("%v", three)
	}
	if _, changed := one.Delete(two.Policies[1].Key()); changed {
		t.Error("deleted what is not there")
	}
}

func TestEdit(t *testing.T) {
	v := scene(2)
	p := v.Setup.Policies[0]
	if _, changed, err := v.Setup.Edit(p, v.Servers); err != nil || changed {
		t.Error(changed, err)
	}
	p.Scheduler = "rr"
	is, changed, err := v.Setup.Edit(p, v.Servers)
	if err != nil || !changed || is.Policies[0].Scheduler != "rr" || v.Setup.Policies[0].Scheduler != "wlc" {
		t.Errorf("%v %v %v", is, changed, err)
	}
	p.Port = 81
	if _, _, err := v.Setup.Edit(p, v.Servers); err == nil || err.Error() != "http on 192.0.2.10: there is no such policy" {
		t.Error(err)
	}
}

func TestValidate(t *testing.T) {
	for _, tt := range []struct {
		engine     string
		change     func(*Policy)
		want, hint string
	}{
		{"ipvs", func(p *Policy) { p.Weights = map[string]int{"id1": 300} },
			"http on 192.0.2.10: weight 300 of web1 is out of range 0..255", "iwx-lb edit http --vip 192.0.2.10 --weight web1=100"},
		{"ipvs", func(p *Policy) { p.Weights = map[string]int{"web7": 3} },
			"http on 192.0.2.10: --weight web7 is not a server of this cluster", "its servers are manager, web1 and web2"},
		{"ipvs", func(p *Policy) { p.Only = []string{"web7"} },
			"http on 192.0.2.10: --only web7 is not a server of this cluster", "its servers are manager, web1 and web2"},
		{"ipvs", func(p *Policy) { p.Only, p.Weights = []string{"id2"}, map[string]int{"id1": 5} },
			"http on 192.0.2.10: web1 has a weight, and is not among its servers", "iwx-lb edit http --vip 192.0.2.10 --weight web1=100"},
		{"haproxy", func(p *Policy) { p.Scheduler = "lblc" },
			`http on 192.0.2.10: haproxy does not support scheduler "lblc", only wlc, rr, wrr, lc and sh`, "iwx-lb edit http --vip 192.0.2.10 --scheduler wlc"},
		{"haproxy", func(p *Policy) { p.Forwarding = Direct },
			`http on 192.0.2.10: haproxy does not support forwarding "dr", only proxy`, "iwx-lb edit http --vip 192.0.2.10 --forwarding proxy"},
		{"ipvs", func(p *Policy) { p.ServerPort = 8080 },
			"http on 192.0.2.10: server port 8080 differs from 80, which forwarding dr cannot do", "iwx-lb edit http --vip 192.0.2.10 --server-port 80"},
		{"ipvs", func(p *Policy) { p.ServerPort, p.Forwarding = 8080, NAT }, "", ""},
		{"haproxy", func(p *Policy) { p.ServerPort = 8080 }, "", ""},
		{"ipvs", func(p *Policy) { p.Check.Proxy = true },
			"http on 192.0.2.10: forwarding dr sends no PROXY header, which its check would", "leave --proxy-protocol away, or change the engine: iwx-lb engine haproxy"},
		{"ipvs", func(p *Policy) { p.Persistence = 1500 * time.Millisecond },
			"http on 192.0.2.10: persistence 1.5s is not whole seconds from 0s to 744h0m0s", "iwx-lb edit http --vip 192.0.2.10 --persistence 300s"},
		{"ipvs", func(p *Policy) { p.Fallback = "none" },
			`http on 192.0.2.10: fallback "none" is unknown`, "iwx-lb edit http --vip 192.0.2.10 --fallback manager, all or reject"},
		{"ipvs", func(p *Policy) { p.VIP = p.VIP.Next() },
			"http on 192.0.2.11: 192.0.2.11 is not one of the virtual IPs", "iwx-lb vip add 192.0.2.11"},
		{"ipvs", func(p *Policy) { p.Check.Fall = -1 }, "http on 192.0.2.10: check: fall -1 is out of range 1..100", ""},
		{"pound", func(*Policy) {}, `engine "pound" is unknown`, "the engines are ipvs and haproxy"},
		{"", func(*Policy) {}, "no engine was chosen", "iwx-lb engine NAME: ipvs and haproxy"},
	} {
		v := scene(2)
		v.Setup.Engine = tt.engine
		p := v.Setup.Policies[0]
		tt.change(&p)
		err := v.Setup.Validate(&p, v.Servers)
		if got := text(err); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
		if got := hint(err); got != tt.hint {
			t.Errorf("%s: hint\ngot  %s\nwant %s", tt.want, got, tt.hint)
		}
	}
}

// TestHintOfAPolicyThatIsNotThere: what cannot be added cannot be edited either.
func TestHintOfAPolicyThatIsNotThere(t *testing.T) {
	v := scene(1)
	p := v.Setup.Policies[0]
	v.Setup.Policies = nil
	p.Scheduler = "nope"
	_, _, err := v.Setup.Add(p, v.Servers)
	if got, want := hint(err), "iwx-lb add http --vip 192.0.2.10 --scheduler wlc"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// hint is that of the first of joined errors.
func hint(err error) string {
	if err == nil {
		return ""
	}
	return fault.HintOf(err)
}

func TestTwoPoliciesForOneVirtualService(t *testing.T) {
	v := scene(1)
	p := v.Setup.Policies[0]
	p.Scheduler = "rr"
	is, changed, err := v.Setup.Add(p, v.Servers)
	if changed || !reflect.DeepEqual(is, v.Setup) || text(err) != "http on 192.0.2.10: there is a policy for that virtual service already, with other values" {
		t.Errorf("%v %v", changed, err)
	}
	if got := hint(err); !strings.Contains(got, "iwx-lb edit http --vip 192.0.2.10") {
		t.Error(got)
	}
}

func TestUseEngine(t *testing.T) {
	v := scene(1)
	is, changed, err := v.Setup.UseEngine("haproxy")
	if err != nil || !changed || is.Engine != "haproxy" {
		t.Errorf("%v %v %v", is, changed, err)
	}
	if _, changed, err := is.UseEngine("haproxy"); changed || err != nil {
		t.Error(changed, err)
	}
	v.Setup.Policies[0].Scheduler = "lblc"
	if is, _, err := v.Setup.UseEngine("haproxy"); err == nil || is.Engine != "ipvs" {
		t.Errorf("%v %v", is, err)
	}
}

//go:build !lab

package haproxy

import (
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"iwx/lib/host"
	"iwx/lib/lb"
)

func TestMain(m *testing.M) {
	flag.Bool("update", false, "rewrite the files of testdata")
	m.Run()
}

func update() bool { return flag.Lookup("update").Value.String() == "true" }

// tables are all that a virtual service can be.
func tables() map[string]lb.Table {
	two := func() reals {
		return reals{
			addr("192.0.2.1:80"):  {Name: "manager.example", Weight: 100, Local: true},
			addr("192.0.2.11:80"): {Name: "web1", Weight: 255},
		}
	}
	http, smtp := addr("192.0.2.10:80"), addr("192.0.2.10:25")
	many := table1(http, lb.Virtual{Name: "http on 192.0.2.10", Scheduler: "wlc", HTTP: true}, two())
	many[smtp] = table1(smtp, lb.Virtual{Name: "smtp on 192.0.2.10", Scheduler: "rr"}, two())[smtp]
	imap, imap6 := addr("192.0.2.10:143"), addr("[2001:db8::10]:143")
	return map[string]lb.Table{
		"http":    table1(http, lb.Virtual{Name: "http on 192.0.2.10", Scheduler: "wlc", HTTP: true}, two()),
		"source":  table1(imap, lb.Virtual{Name: "imap on 192.0.2.10", Scheduler: "sh"}, two()),
		"stays":   table1(imap, lb.Virtual{Name: "imap on 192.0.2.10", Scheduler: "lc", Persistence: 5 * time.Minute}, two()),
		"proxy":   table1(smtp, lb.Virtual{Name: "smtp on 192.0.2.10", Scheduler: "wrr", Proxy: true}, two()),
		"drained": table1(smtp, lb.Virtual{Name: "smtp on 192.0.2.10"}, reals{addr("192.0.2.11:25"): {Name: "web1"}}),
		"reject":  table1(smtp, lb.Virtual{Name: "smtp on 192.0.2.10"}, nil),
		"ipv6": table1(imap6, lb.Virtual{Name: "imap on 2001:db8::10", Scheduler: "wlc", Persistence: time.Hour}, reals{
			addr("[2001:db8::11]:143"): {Name: "web1", Weight: 100},
			addr("192.0.2.12:143"):     {Name: "web2", Weight: 100},
		}),
		"many": many,
	}
}

// production is where a server has its files.
func production() layout { return layoutAt(host.At("")) }

func TestConfigurations(t *testing.T) {
	for name, table := range tables() {
		file := filepath.Join("testdata", name+".cfg")
		got := production().text(table)
		if update() {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s (-update rewrites it): got\n%s", file, got)
		}
		e := newEngine(t)
		if err := e.directories(); err != nil {
			t.Fatal(err)
		}
		if err := e.check(t.Context(), e.programs[1], got); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		if parsed := parse(got); !reflect.DeepEqual(parsed, withoutServers(table)) {
			t.Errorf("%s: parsed\n%v\nwant\n%v", file, parsed, withoutServers(table))
		}
	}
}

func withoutServers(table lb.Table) lb.Table {
	bare := lb.Table{}
	for key, v := range table {
		v.Servers = nil
		bare[key] = v
	}
	return bare
}

func TestConfigurationThatIsRefused(t *testing.T) {
	e := newEngine(t)
	if err := e.directories(); err != nil {
		t.Fatal(err)
	}
	err := e.check(t.Context(), e.programs[1], "defaults\n  mode tcp\n  balance nonsense\n")
	if err == nil || !strings.Contains(err.Error(), "draft.cfg:3]") || strings.Contains(err.Error(), "NOTICE") {
		t.Errorf("the error is not HAProxy's complaint: %v", err)
	}
	if _, err := os.Stat(e.config); !os.IsNotExist(err) {
		t.Errorf("a configuration was written: %v", err)
	}
}

// TestMarkIsOfServicesAlone: a worker is told of servers, and reloaded for
// everything else.
func TestMarkIsOfServicesAlone(t *testing.T) {
	key := addr("192.0.2.10:80")
	one := func(v lb.Virtual, all reals) string { return markOf(production().text(table1(key, v, all))) }
	base := one(lb.Virtual{}, reals{addr("192.0.2.11:80"): {Name: "web1", Weight: 100}})
	if base == "" {
		t.Fatal("there is no mark")
	}
	if got := one(lb.Virtual{}, reals{addr("192.0.2.12:80"): {Name: "web2"}}); got != base {
		t.Error("other servers make another mark")
	}
	for _, v := range []lb.Virtual{{Scheduler: "sh"}, {Persistence: time.Second}, {Proxy: true}, {HTTP: true}, {Name: "other"}} {
		if one(v, nil) == base {
			t.Errorf("%+v has the same mark", v)
		}
	}
	other := layoutAt(host.At("/elsewhere"))
	if markOf(other.text(table1(key, lb.Virtual{}, nil))) == base {
		t.Error("other sockets have the same mark")
	}
}

func TestNamesHaveWhatIsKnownOfAServer(t *testing.T) {
	for _, tt := range []struct {
		addr string
		real lb.Real
		name string
	}{
		{"192.0.2.11:80", lb.Real{Name: "web1", Weight: 9}, "web1_192.0.2.11:80"},
		{"192.0.2.1:25", lb.Real{Name: "m.shop.example", Local: true, Weight: 1}, "m.shop.example_192.0.2.1:25_local"},
		{"[2001:db8::11]:143", lb.Real{Name: "web-1"}, "web-1_2001:db8::11:143"},
	} {
		a := netip.MustParseAddrPort(tt.addr)
		if got := serverName(a, tt.real); got != tt.name {
			t.Errorf("%v: got %s, want %s", tt, got, tt.name)
		}
		s, ours := parseName("192.0.2.10:80", tt.name)
		s.weight, s.maint = tt.real.Weight, tt.real.Weight == 0
		if !ours || s.addr != a || s.real() != tt.real {
			t.Errorf("%s is read as %+v, %v", tt.name, s, s.real())
		}
	}
}

func TestServersAreRead(t *testing.T) {
	key, web1, web2 := addr("192.0.2.10:80"), addr("192.0.2.11:80"), addr("192.0.2.12:80")
	states := "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight\n" +
		"2 192.0.2.10:80 1 web1_192.0.2.11:80 192.0.2.11 2 0 100 100\n" +
		"2 192.0.2.10:80 2 web2_192.0.2.12:80 192.0.2.12 0 5 0 1\n" +
		"3 stats 1 other 192.0.2.13 2 0 1 1\n"
	for text, want := range map[string][]server{
		states:                                 {{key: key, addr: web1, name: "web1_192.0.2.11:80", weight: 100}, {key: key, addr: web2, name: "web2_192.0.2.12:80", maint: true}},
		"1\n# be_id be_name srv_id srv_name\n": nil,
	} {
		if got, err := parseStates(text); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q is read as %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "2\n# be_id be_name\n", "Unknown command.\n"} {
		if got, err := parseStates(text); err == nil {
			t.Errorf("%q is read as %+v", text, got)
		}
	}
	got, err := parseSessions("# pxname,svname,qcur,scur,\n192.0.2.10:80,web1_192.0.2.11:80,0,3,\nstats,other,0,1,\n\n")
	if want := []server{{key: key, addr: web1, name: "web1_192.0.2.11:80", sessions: 3}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
}

func FuzzParseServers(f *testing.F) {
	f.Add("# pxname,svname,scur,\n192.0.2.10:80,web1_192.0.2.11:80,3,\n")
	f.Add("# pxname,svname\n2001:db8::1:80,\"a,b\"\n")
	f.Add("1\n# be_id be_name srv_name srv_admin_state srv_uweight\n2 192.0.2.10:80 web1_192.0.2.11:80 0 1\n")
	f.Add("Can't find the target PID matching the prefix '@!1'\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, parse := range []func(string) ([]server, error){parseSessions, parseStates} {
			list, err := parse(text)
			for _, s := range list {
				if err != nil || !s.key.IsValid() || !s.addr.IsValid() || !strings.Contains(text, s.name) {
					t.Errorf("%q is read as %+v, %v", text, s, err)
				}
			}
		}
	})
}

func FuzzParseStatus(f *testing.F) {
	f.Add("#<PID> <type> <reloads> <uptime> <version>\n1162 master 5 [failed: 0] 0d00h02m07s 2.5\n# workers\n1271 worker 1 0d00h00m00s 2.5\n")
	f.Add("12 master 1 [failed: 3] 0d 2.6\n")
	f.Fuzz(func(t *testing.T, text string) {
		if s, err := parseStatus(text); err == nil && s.pid <= 0 {
			t.Errorf("%q is read as %+v", text, s)
		}
	})
}

func TestStatusOfTheMaster(t *testing.T) {
	text := "#<PID> <type> <reloads> <uptime> <version>\n" +
		"1162            master          5 [failed: 2]   0d00h02m07s     2.6.12-1\n# workers\n" +
		"1271            worker          1               0d00h00m00s     2.6.12-1\n# old workers\n" +
		"1233            worker          3               0d00h00m43s     2.6.12-1\n# programs\n\n"
	want := status{pid: 1162, reloads: 5, failed: true, workers: []int{1271, 1233}}
	if got, err := parseStatus(text); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if _, err := parseStatus("Unknown command\n"); err == nil {
		t.Error("no master is taken for one")
	}
}

func FuzzParseConfiguration(f *testing.F) {
	for _, table := range tables() {
		f.Add(production().text(table))
	}
	f.Fuzz(func(t *testing.T, text string) {
		// What is read, and written again, reads the same.
		once := parse(text)
		if again := parse(production().text(once)); len(once) != len(again) {
			t.Errorf("%q: %v, then %v", text, once, again)
		}
	})
}

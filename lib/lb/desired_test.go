package lb

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"iwx/lib/health"
)

var (
	vip   = netip.MustParseAddr("192.0.2.10")
	epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
)

// scene is a view with one policy, http, over the manager (10.0.0.1) and so many
// nodes (10.0.0.2 and on).
func scene(nodes int) *View {
	v := &View{Setup: Setup{Engine: "ipvs", VIPs: []VIP{{Addr: vip}}}, Verdicts: map[string]health.Verdict{}, Actual: Table{}, Now: epoch}
	for n := range nodes + 1 {
		s := Server{ID: fmt.Sprint("id", n), Name: fmt.Sprint("web", n), Addrs: []netip.Addr{netip.AddrFrom4([4]byte{10, 0, 0, byte(n + 1)})}}
		if n == 0 {
			s.ID, s.Name, s.Manager = ManagerID, "manager", true
		}
		v.Servers = append(v.Servers, s)
	}
	http, _ := Lookup("http")
	v.Setup.Policies = []Policy{NewPolicy(http, vip)}
	return v
}

// letters are what a member can be, in stories: up, hard down, softly down,
// unknown, starting (half way), unready, unfit, drained, of weight 0; a capital
// for one that the engine has; Z is up, and still has weight 0 there.
func (v *View) tell(story string) *View {
	p := &v.Setup.Policies[0]
	servers := map[netip.AddrPort]Real{}
	for n, letter := range story {
		s := &v.Servers[n]
		addr, _ := s.addr(p, Direct)
		verdict := health.Verdict{State: health.Up, Since: epoch.Add(time.Duration(n) * time.Second)}
		switch strings.ToLower(string(letter)) {
		case "h":
			verdict.State, verdict.Hard = health.Down, true
		case "s":
			verdict.State = health.Down
		case "?":
			verdict = health.Verdict{}
		case "h~", "t":
			verdict.State, verdict.Since = health.Starting, epoch.Add(-p.Check.Slow/2)
		case "r":
			s.Unready = "its profile is not applied"
		case "f":
			s.Unfit = "/srv/iwx hangs"
		case "d":
			v.Setup.Drains = append(v.Setup.Drains, Drain{Server: s.ID})
		case "0":
			p.Weights = map[string]int{s.ID: 0}
		}
		v.Verdicts[TargetID(p.Key(), s.ID, addr)] = verdict
		if strings.ToUpper(string(letter)) == string(letter) && letter != '?' {
			servers[addr] = Real{Weight: 100}
		}
		if letter == 'Z' {
			servers[addr] = Real{}
		}
	}
	v.Actual[p.Key()] = Virtual{Servers: servers}
	return v
}

// outcome is what the engine is to have of the one policy: "manager=100 web1=0",
// and after a bar the fallback in force.
func (v *View) outcome() string {
	table, reports := v.Desired()
	var words []string
	for _, r := range table[v.Setup.Policies[0].Key()].Servers {
		words = append(words, fmt.Sprintf("%s=%d", r.Name, r.Weight))
	}
	slices.Sort(words)
	if reports[0].Standby != "" {
		words = append(words, "|", reports[0].Standby)
	}
	return strings.Join(words, " ")
}

func TestDesired(t *testing.T) {
	for _, tt := range []struct{ name, story, want string }{
		{"all up", "UUU", "manager=100 web1=100 web2=100"},
		{"one refused", "UUH", "manager=100 web1=100"},
		{"all but one refused", "HUH", "web1=100"},
		{"all refused: the manager", "HHH", "manager=100 | manager"},
		{"one silent", "UUS", "manager=100 web1=100"},
		{"two silent: half of three is one, the longest", "USS", "manager=100 web2=100"},
		{"all silent: the last ones stay", "SSS", "web1=100 web2=100"},
		{"of two that are left, one may go", "HSU", "web2=100"},
		{"the last is not taken out softly", "HHS", "web2=100"},
		{"softly down, and not in: half stays, or comes", "sss", "web1=100 web2=100"},
		{"nothing known, nothing there", "??u", "web2=100"},
		{"unready, and in", "UUR", "manager=100 web1=100 web2=100"},
		{"unready, and not in", "UUr", "manager=100 web1=100"},
		{"unfit counts as soft", "UFF", "manager=100 web2=100"},
		{"unfit is not brought in while others are", "uuf", "manager=100 web1=100"},
		{"unfit is the manager, and out", "FUU", "web1=100 web2=100"},
		{"unfit is the manager, and the last: it stays", "FHH", "manager=100"},
		{"unfit is the manager, out and the last: it answers all the same", "fHH", "manager=100 | manager"},
		{"unfit is not added, be it the last", "HHf", "manager=100 | manager"},
		{"unfit that is out counts among the half", "FfF", "manager=100 web2=100"},
		{"drained", "UUD", "manager=100 web1=100 web2=0"},
		{"all drained: the manager", "DDD", "manager=100 web1=0 web2=0 | manager"},
		{"drained does not count as left", "HHD", "manager=100 web2=0 | manager"},
		{"weight 0 is not left either", "H0H", "manager=100 web1=0 | manager"},
		{"half way through the slow start", "UUT", "manager=100 web1=100 web2=50"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := scene(2).tell(tt.story).outcome(); got != tt.want {
				t.Errorf("%s: got  %s\nwant %s", tt.story, got, tt.want)
			}
		})
	}
}

// TestDesiredPending holds that a server which is to take traffic, and to which the
// engine sends none yet, is not reported like one that does.
func TestDesiredPending(t *testing.T) {
	for _, tt := range []struct{ name, story, want string }{
		{"all there", "UUU", ""},
		{"one is back", "UUu", "web2"},
		{"one was undrained a moment ago", "UZU", "web1"},
		{"drained ones and dead ones get none", "UDh", ""},
		{"one that may not be added", "UUr", ""},
	} {
		if got := scene(2).tell(tt.story).pending(); got != tt.want {
			t.Errorf("%s: pending %q, want %q", tt.name, got, tt.want)
		}
	}
	stopped, blind := scene(2).tell("uuu"), scene(2).tell("uuu")
	stopped.Setup.Stopped, blind.Actual = true, nil
	if got := stopped.pending(); got != "manager" {
		t.Errorf("stopped: pending %q, want the manager alone", got)
	}
	if got := blind.pending(); got != "" {
		t.Errorf("what the engine has is unknown: pending %q", got)
	}
}

// pending are the members of the one policy that the engine is to give traffic.
func (v *View) pending() string {
	_, reports := v.Desired()
	var names []string
	for _, m := range reports[0].Members {
		if m.Pending {
			names = append(names, m.Name)
		}
	}
	return strings.Join(names, " ")
}

// What nothing is known of stays as the engine has it: a watcher that is
// restarted takes nothing out.
func TestDesiredUnknownIsKept(t *testing.T) {
	v := scene(2).tell("UUU")
	clear(v.Verdicts)
	if got := v.outcome(); got != "manager=100 web1=100 web2=100" {
		t.Error(got)
	}
}

func TestDesiredFallbacks(t *testing.T) {
	for _, tt := range []struct {
		fallback    Fallback
		story, want string
	}{
		{ToAll, "HHH", "manager=100 web1=100 web2=100 | all"},
		{ToAll, "HHD", "manager=100 web1=100 web2=0 | all"},
		{ToAll, "hhr", "manager=100 web1=100 | all"},
		{ToNone, "HHH", "| reject"},
		{ToNone, "HHD", "web2=0 | reject"},
	} {
		v := scene(2).tell(tt.story)
		v.Setup.Policies[0].Fallback = tt.fallback
		if got := v.outcome(); got != tt.want {
			t.Errorf("%s %s: got %s, want %s", tt.fallback, tt.story, got, tt.want)
		}
	}
}

func TestDesiredManagerOutsideThePolicyIsTheFallback(t *testing.T) {
	v := scene(2).tell("UHH")
	v.Setup.Policies[0].Only = []string{"id1", "id2"}
	if got := v.outcome(); got != "manager=100 | manager" {
		t.Error(got)
	}
}

func TestDesiredStoppedAndExternal(t *testing.T) {
	v := scene(2).tell("UUU")
	v.Setup.Stopped = true
	if got := v.outcome(); got != "manager=100 | manager" {
		t.Error(got)
	}
	v.Setup.External = true
	if table, reports := v.Desired(); len(table) != 0 || len(reports) != 1 || !reports[0].Members[1].In {
		t.Errorf("%v %v", table, reports)
	}
}

func TestDesiredValues(t *testing.T) {
	v := scene(1).tell("UU")
	p := &v.Setup.Policies[0]
	p.Persistence, p.Check.Proxy = 300*time.Second, true
	table, _ := v.Desired()
	got := bare(table[p.Key()])
	want := Virtual{Name: "http on 192.0.2.10", Scheduler: "wlc", Persistence: 300 * time.Second, Forwarding: Direct, Proxy: true, HTTP: true}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	v.Setup.Engine = "haproxy"
	if table, _ = v.Desired(); table[p.Key()].Forwarding != Proxy {
		t.Error(table)
	}
}

func TestDesiredFamilies(t *testing.T) {
	v := scene(1).tell("UU")
	v6 := netip.MustParseAddr("2001:db8::10")
	p := &v.Setup.Policies[0]
	p.VIP = v6
	v.Servers[0].Addrs = append(v.Servers[0].Addrs, netip.MustParseAddr("2001:db8::1"))
	_, reports := v.Desired()
	if m := reports[0].Members; m[0].Unready != "" || m[1].Unready != "it has no address of the family of 2001:db8::10" {
		t.Errorf("%+v", m)
	}
	if targets := Targets(v.Setup, v.Servers); len(targets) != 1 || targets[0].Addr.String() != "[2001:db8::1]:80" {
		t.Errorf("%v", targets)
	}
	v.Setup.Engine = "haproxy"
	if targets := Targets(v.Setup, v.Servers); len(targets) != 2 || targets[1].Addr.String() != "10.0.0.2:80" || targets[1].Name != "web1 http" {
		t.Errorf("%v", targets)
	}
}

// TestDrainedThatFails: a service that was told to end refuses new connections
// and finishes those it has; from a server that is lost nothing comes.
func TestDrainedThatFails(t *testing.T) {
	for _, tt := range []struct {
		word health.Word
		had  bool
		want string
	}{
		{health.Refused, true, "manager=100 web1=100 web2=0"},
		{health.Wrong, true, "manager=100 web1=100 web2=0"},
		{health.Silent, true, "manager=100 web1=100"},
		{health.Unreachable, true, "manager=100 web1=100"},
		{health.Refused, false, "manager=100 web1=100"},
	} {
		v := scene(2).tell("UUD")
		p := &v.Setup.Policies[0]
		addr, _ := v.Servers[2].addr(p, Direct)
		v.Verdicts[TargetID(p.Key(), v.Servers[2].ID, addr)] = health.Verdict{
			State: health.Down, Since: epoch, Hard: tt.word.Hard(), Last: health.Result{Word: tt.word},
		}
		if !tt.had {
			delete(v.Actual[p.Key()].Servers, addr)
		}
		if got := v.outcome(); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.word, got, tt.want)
		}
	}
}

func TestDrainOfOneService(t *testing.T) {
	v := scene(1).tell("UU")
	v.Setup.Drains = []Drain{{Server: "id1", Service: "imap"}}
	if got := v.outcome(); got != "manager=100 web1=100" {
		t.Error(got)
	}
	v.Setup.Drains[0].Service = "http"
	if got := v.outcome(); got != "manager=100 web1=0" {
		t.Error(got)
	}
}

// Over random pools: the half, the hard failures, and that a second look at what
// the first wanted changes nothing.
func TestDesiredRandom(t *testing.T) {
	letters := []byte("UuHhSs?RrFfDd0Tt")
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 2))
		story := make([]byte, 1+r.IntN(7))
		for i := range story {
			story[i] = letters[r.IntN(len(letters))]
		}
		v := scene(len(story) - 1).tell(string(story))
		v.Setup.Policies[0].Fallback = []Fallback{ToManager, ToAll, ToNone}[r.IntN(3)]
		if err := v.breach(); err != nil {
			t.Fatalf("seed %d, %s, %s: %v", seed, story, v.Setup.Policies[0].Fallback, err)
		}
	}
}

// breach is the rule that Desired breaks.
func (v *View) breach() error {
	key := v.Setup.Policies[0].Key()
	table, reports := v.Desired()
	servers, able, out := table[key].Servers, 0, 0
	for _, m := range reports[0].Members {
		_, in := servers[m.Addr]
		barred := v.barred(m)
		if m.Verdict.Hard && in && servers[m.Addr].Weight > 0 && reports[0].Standby == "" {
			return fmt.Errorf("%s failed hard, and is in", m.Name)
		}
		if barred && in && reports[0].Standby != "manager" {
			return fmt.Errorf("%s may not be added, and is", m.Name)
		}
		if m.Draining || v.Setup.Policies[0].weight(m.Server) == 0 || m.Verdict.Hard || barred || !m.In && m.Verdict.State == health.Unknown {
			continue
		}
		able++
		if !in {
			out++
		}
	}
	if out > able/2 {
		return fmt.Errorf("%d of %d are out softly: %v", out, able, servers)
	}
	if able > 0 && reports[0].Standby != "" {
		return fmt.Errorf("%d can serve, and the fallback is in force", able)
	}
	v.Actual = table
	if again, _ := v.Desired(); !maps.EqualFunc(again, table, func(a, b Virtual) bool { return reflect.DeepEqual(a, b) }) {
		return fmt.Errorf("first %v, then %v", table, again)
	}
	return nil
}

func (v *View) barred(m MemberReport) bool {
	i := slices.IndexFunc(v.Servers, func(s Server) bool { return s.ID == m.Server })
	return (v.Servers[i].Unready != "" || v.Servers[i].Unfit != "") && !m.In
}

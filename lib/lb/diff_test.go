package lb

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"iwx/lib/health"
)

// randomTable is a table over few keys, servers and values, so that two of them
// have much in common.
func randomTable(r *rand.Rand) Table {
	t := Table{}
	for n := range 4 {
		if r.IntN(3) == 0 {
			continue
		}
		v := Virtual{Name: "a name", Scheduler: []string{"rr", "wlc"}[r.IntN(2)], Forwarding: Direct, Servers: map[netip.AddrPort]Real{}}
		v.Persistence = time.Duration(r.IntN(2)) * time.Minute
		for s := range 5 {
			if r.IntN(2) == 0 {
				addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(s)}), 80)
				v.Servers[addr] = Real{Name: fmt.Sprint("web", s), Weight: r.IntN(3) * 50}
			}
		}
		t[netip.AddrPortFrom(vip, uint16(80+n))] = v
	}
	return t
}

// serving counts the servers that take new connections.
func (v Virtual) serving() (n int) {
	for _, r := range v.Servers {
		n += min(r.Weight, 1)
	}
	return n
}

func TestDiffMakesActualDesired(t *testing.T) {
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 3))
		desired, actual := randomTable(r), randomTable(r)
		ops := Diff(desired, actual)
		if again := Diff(desired, actual); !reflect.DeepEqual(ops, again) {
			t.Fatalf("seed %d: first %v, then %v", seed, ops, again)
		}
		is := actual.Clone()
		for _, op := range ops {
			is.Apply(op)
			once := is.Clone()
			if is.Apply(op); !reflect.DeepEqual(is, once) {
				t.Fatalf("seed %d: %s twice is not as once", seed, op)
			}
			if err := emptied(desired, actual, is); err != nil {
				t.Fatalf("seed %d: after %s: %v", seed, op, err)
			}
		}
		if !reflect.DeepEqual(is, desired) {
			t.Fatalf("seed %d\ngot  %v\nwant %v", seed, is, desired)
		}
		if rest := Diff(desired, is); len(rest) != 0 {
			t.Fatalf("seed %d: left: %v", seed, rest)
		}
	}
}

// emptied reports a pool that takes nothing although it did before and will again.
func emptied(desired, actual, is Table) error {
	for key := range desired {
		before, during, after := actual[key].serving(), is[key].serving(), desired[key].serving()
		if before > 0 && after > 0 && during == 0 {
			return fmt.Errorf("%s has nobody", key)
		}
	}
	return nil
}

func TestDiffOfEqualsIsEmpty(t *testing.T) {
	table := randomTable(rand.New(rand.NewPCG(1, 1)))
	other := maps.Clone(table)
	for key, v := range other {
		v.Name = "another name"
		other[key] = v
	}
	if ops := Diff(table, other); len(ops) != 0 {
		t.Error(ops)
	}
}

func TestExplain(t *testing.T) {
	v := scene(3).tell("UHDU")
	p := &v.Setup.Policies[0]
	addr, _ := v.Servers[1].addr(p, Direct)
	id := TargetID(p.Key(), "id1", addr)
	verdict := v.Verdicts[id]
	verdict.Last = health.Result{Word: health.Refused, Reason: "refused"}
	v.Verdicts[id] = verdict
	table, reports := v.Desired()
	v.Actual[p.Key()] = Virtual{Scheduler: "rr", Servers: v.Actual[p.Key()].Servers}
	ops := Diff(table, v.Actual)
	Explain(ops, reports)
	var lines []string
	for _, op := range ops {
		lines = append(lines, op.String())
	}
	want := `http on 192.0.2.10: edit service to scheduler wlc, persistence 0s, forwarding dr
http on 192.0.2.10: edit server web2 (10.0.0.3:80), weight 100 to 0: drained
http on 192.0.2.10: delete server web1 (10.0.0.2:80): refused`
	if got := strings.Join(lines, "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	fresh := Diff(table, Table{})
	if got := fresh[0].String(); got != "http on 192.0.2.10: add service with scheduler wlc, persistence 0s, forwarding dr, 3 servers" {
		t.Error(got)
	}
}

package haproxy

import (
	"testing"

	"iwx/lib/lb"
)

// starts returns how often the instance has had a new worker.
func starts(t *testing.T, e *Engine) int {
	t.Helper()
	s, err := e.master.status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s.reloads
}

func TestServersComeAndGoWithoutAReload(t *testing.T) {
	e, key := newEngine(t), freePort(t, "127.0.0.9")
	a, b := newEcho(t, "web1", "127.0.0.1"), newEcho(t, "web2", "127.0.0.1")
	apply(t, e, table1(key, lb.Virtual{}, reals{a.addr: a.real(100)}))
	if got := mustDial(t, key).server; got != "web1" {
		t.Errorf("%s answers", got)
	}
	before := starts(t, e)
	held := mustDial(t, key)
	for _, step := range []struct {
		servers reals
		want    string
	}{
		{reals{a.addr: a.real(0), b.addr: b.real(100)}, "web2"}, // added and drained
		{reals{a.addr: a.real(255), b.addr: b.real(0)}, "web1"}, // and back
		{reals{b.addr: b.real(1)}, "web2"},                      // deleted, with a connection
		{reals{a.addr: a.real(7)}, "web1"},                      // and added again
	} {
		apply(t, e, table1(key, lb.Virtual{}, step.servers))
		for range 4 {
			if got := mustDial(t, key).server; got != step.want {
				t.Errorf("%v: %s answers", step.servers, got)
			}
		}
		if err := held.say("still here"); err != nil {
			t.Errorf("%v: a connection from before: %v", step.servers, err)
		}
	}
	if after := starts(t, e); after != before {
		t.Errorf("%d reloads", after-before)
	}
}

package endpoint_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"iwx/lib/api"
	"iwx/lib/endpoint"
	"iwx/lib/fault"
	"iwx/lib/health"
	"iwx/lib/testenv"
)

// rig is an endpoint that answers, whose services are as the test says.
type rig struct {
	t     *testing.T
	files endpoint.Files
	spec  endpoint.Spec
	stop  context.CancelFunc
	ended chan error
	alive chan struct{}

	mu   sync.Mutex
	down map[string]string // by service: why it does not answer; "panic": the probe does
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// free returns an address at which nobody listens.
func free(t *testing.T, host string) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	check(t, err)
	defer l.Close()
	return netip.MustParseAddrPort(l.Addr().String())
}

func service(name string, port uint16) endpoint.Service {
	c := health.Defaults(health.TCP)
	c.Rise = 1
	return endpoint.Service{Name: name, Addr: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.2"), port), Check: c}
}

func serve(t *testing.T, services ...endpoint.Service) *rig {
	t.Helper()
	r := &rig{t: t, files: endpoint.Files(t.TempDir() + "/health"), down: map[string]string{}, ended: make(chan error, 1), alive: make(chan struct{})}
	r.spec = endpoint.Spec{Listen: free(t, "127.0.0.1"), Services: services, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	check(t, r.files.WriteSpec(r.spec))
	check(t, r.files.WriteStanding(endpoint.Standing{}))
	ctx, stop := context.WithCancel(t.Context())
	r.stop = stop
	ready := make(chan struct{})
	s := &endpoint.Server{
		Files: r.files, Probe: r.probe, Limit: api.LimitListener, Now: time.Now, Log: slog.New(slog.DiscardHandler),
		Ready: func() { close(ready) },
		Alive: func() {
			select {
			case r.alive <- struct{}{}:
			default:
			}
		},
	}
	go func() { r.ended <- s.Run(ctx) }()
	select {
	case <-ready:
	case err := <-r.ended:
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		if err := <-r.ended; err != nil {
			t.Error(err)
		}
	})
	return r
}

func (r *rig) probe(_ context.Context, t health.Target) health.Result {
	r.mu.Lock()
	defer r.mu.Unlock()
	if why, is := r.down[t.Name]; is {
		if why == "panic" {
			panic("no such answer")
		}
		return health.Result{Word: health.Refused, Reason: why, At: time.Now()}
	}
	return health.Result{Word: health.Good, At: time.Now()}
}

func (r *rig) set(name, why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.down, name)
	if why != "" {
		r.down[name] = why
	}
}

// get asks, and returns the status and the body; an error is status 0.
func (r *rig) get(method, path string) (int, string) {
	req, err := http.NewRequestWithContext(r.t.Context(), method, "http://"+r.spec.Listen.String()+path, nil)
	check(r.t, err)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	check(r.t, err)
	return res.StatusCode, strings.TrimSpace(string(body))
}

// await asks until the answer is this one.
func (r *rig) await(path string, status int, body string) {
	r.t.Helper()
	testenv.Until(r.t, fmt.Sprintf("%s: %d %q", path, status, body), func() bool {
		is, text := r.get(http.MethodGet, path)
		return is == status && text == body
	})
}

func TestAnswers(t *testing.T) {
	r := serve(t, service("http", 80), service("imap", 143), service("imap", 1143))
	r.await("/http", 200, "up")
	r.await("/imap", 200, "up")
	r.set("imap", "connection refused")
	r.await("/imap", 503, "connection refused")
	r.await("/http", 200, "up")
	r.set("imap", "")
	r.await("/imap", 200, "up")

	r.spec.Services[0].Drained = true
	check(t, r.files.WriteSpec(r.spec))
	r.await("/http", 503, "drained")
	r.await("/imap", 200, "up")
	_, text := r.get(http.MethodGet, "/")
	var all struct {
		Version  int
		Services []endpoint.Answer
	}
	check(t, json.Unmarshal([]byte(text), &all))
	want := []endpoint.Answer{{Service: "http", Reason: "drained"}, {Service: "imap", Up: true}}
	if all.Version != 1 || !slices.Equal(all.Services, want) {
		t.Errorf("got %s", text)
	}

	check(t, r.files.WriteStanding(endpoint.Standing{Unready: "/srv/iwx is hung"}))
	r.await("/imap", 503, "/srv/iwx is hung")
	check(t, r.files.WriteStanding(endpoint.Standing{}))
	r.await("/imap", 200, "up")

	r.await("/smtp", 404, "no such service is balanced here")
	if status, _ := r.get(http.MethodHead, "/imap"); status != 200 {
		t.Errorf("HEAD: %d", status)
	}
	if status, _ := r.get(http.MethodPost, "/imap"); status != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", status)
	}
}

// TestStanding: what would keep a server from being added does not take it out.
func TestStanding(t *testing.T) {
	s := endpoint.Standing{Unready: "not known"}
	for i, step := range []struct{ unready, unfit, want string }{
		{"profile pending", "", "profile pending"},
		{"profile pending", "hung", "profile pending"},
		{"", "", ""},
		{"profile pending", "", ""},
		{"profile pending", "hung", "hung"},
		{"profile pending", "", ""},
	} {
		if s = s.Next(step.unready, step.unfit); s.Unready != step.want {
			t.Errorf("step %d: %q, want %q", i, s.Unready, step.want)
		}
	}
}

// TestMoves: another port is taken up without a restart.
func TestMoves(t *testing.T) {
	r := serve(t, service("http", 80))
	r.await("/http", 200, "up")
	old := r.spec.Listen
	r.spec.Listen = free(t, "127.0.0.1")
	check(t, r.files.WriteSpec(r.spec))
	r.await("/http", 200, "up")
	if c, err := net.Dial("tcp", old.String()); err == nil {
		c.Close()
		t.Error("it still answers at the old port")
	}
}

// TestStrangers: who is not on the list gets no answer, and the server itself
// always does.
func TestStrangers(t *testing.T) {
	own := ownAddress(t)
	r := serve(t, service("http", 80))
	r.spec.Listen, r.spec.Allow = free(t, own.String()), nil
	check(t, r.files.WriteSpec(r.spec))
	r.await("/http", 200, "up")

	r.spec.Listen = free(t, "0.0.0.0") // asked from its own address, which is then not that of the endpoint
	check(t, r.files.WriteSpec(r.spec))
	r.spec.Listen = netip.AddrPortFrom(own, r.spec.Listen.Port())
	r.await("/http", 403, "this address may not ask")
	r.await("/", 403, "this address may not ask")

	allowed := r.spec
	allowed.Listen, allowed.Allow = netip.AddrPortFrom(netip.IPv4Unspecified(), r.spec.Listen.Port()), []netip.Prefix{netip.PrefixFrom(own, 32)}
	check(t, r.files.WriteSpec(allowed))
	r.await("/http", 200, "up")
}

// ownAddress is one of this machine that is not loopback.
func ownAddress(t *testing.T) netip.Addr {
	t.Helper()
	list, err := net.InterfaceAddrs()
	check(t, err)
	for _, a := range list {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() && !p.Addr().IsLoopback() {
			return p.Addr()
		}
	}
	t.Skip("this machine has no address but loopback")
	return netip.Addr{}
}

func TestOff(t *testing.T) {
	s := &endpoint.Server{Files: endpoint.Files(t.TempDir()), Now: time.Now, Log: slog.New(slog.DiscardHandler)}
	err := s.Run(t.Context())
	if err == nil || err.Error() != "this server has no health endpoint: external balancing is off" || fault.HintOf(err) != "on the manager: iwx-lb external on" {
		t.Errorf("%v", err)
	}
}

// TestProbeThatPanics: it changes nothing, and the endpoint goes on. It pings the
// watchdog as long as it reads its files.
func TestProbeThatPanics(t *testing.T) {
	r := serve(t, service("http", 80), service("smtp", 25))
	r.await("/http", http.StatusOK, "up")
	r.set("http", "panic")
	r.set("smtp", "refused")
	r.await("/smtp", http.StatusServiceUnavailable, "refused")
	r.await("/http", http.StatusOK, "up")
	for range 2 {
		select {
		case <-r.alive:
		case <-time.After(testenv.Wait()):
			t.Fatal("it does not say that it is alive")
		}
	}
	r.set("http", "refused")
	r.await("/http", http.StatusServiceUnavailable, "refused")
}

func TestPortTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer l.Close()
	files := endpoint.Files(t.TempDir())
	check(t, files.WriteSpec(endpoint.Spec{Listen: netip.MustParseAddrPort(l.Addr().String())}))
	s := &endpoint.Server{Files: files, Probe: nil, Limit: api.LimitListener, Now: time.Now, Log: slog.New(slog.DiscardHandler)}
	if err := s.Run(t.Context()); err == nil || !strings.HasPrefix(err.Error(), "the health endpoint cannot be served: ") {
		t.Errorf("%v", err)
	}
}

// units is systemd, with the endpoint's unit alone.
type units struct {
	active bool
	fails  error
	calls  []string
}

func (u *units) Start(_ context.Context, unit string) error {
	u.calls, u.active = append(u.calls, "start "+unit), u.fails == nil
	return u.fails
}

func (u *units) Stop(_ context.Context, unit string) error {
	u.calls, u.active = append(u.calls, "stop "+unit), false
	return nil
}

func (u *units) ActiveState(context.Context, string) (string, error) {
	return map[bool]string{true: "active", false: "inactive"}[u.active], nil
}

func TestApplier(t *testing.T) {
	u := &units{fails: errors.New("no")}
	a := &endpoint.Applier{Files: endpoint.Files(t.TempDir() + "/health"), Systemd: func(_ context.Context, use func(endpoint.Units) error) error { return use(u) }}
	item, err := endpoint.Item(endpoint.Spec{Listen: netip.MustParseAddrPort("192.0.2.11:2481"), Services: []endpoint.Service{service("http", 80)}})
	check(t, err)
	change := func(want string) {
		t.Helper()
		if got, err := a.Check(t.Context(), item); err != nil || got != want {
			t.Errorf("%q, %v; want %q", got, err, want)
		}
	}
	const begin = "answer the external balancer's health checks at 192.0.2.11:2481"
	change(begin)
	if err := a.Apply(t.Context(), item); err == nil {
		t.Error("a unit that does not start is no error")
	}
	change(begin)
	u.fails = nil
	check(t, a.Apply(t.Context(), item))
	change("")
	u.active = false // somebody has stopped it
	change(begin)
	check(t, a.Remove(t.Context(), item))
	check(t, a.Remove(t.Context(), item))
	change(begin)
	if _, err := a.Files.Spec(); err == nil || u.active {
		t.Errorf("after it was taken back: %v, active %t", err, u.active)
	}
}

package pulse

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"iwx/lib/health"
	"iwx/lib/testenv"
)

// nginx is a web server of the test's own, at a port of its own.
type nginx struct {
	at  netip.AddrPort
	cmd *exec.Cmd
}

func (n *nginx) signal(t testing.TB, sig syscall.Signal) {
	t.Helper()
	check(t, syscall.Kill(-n.cmd.Process.Pid, sig)) // the master and its worker
}

// serve starts a web server.
func serve(t testing.TB) *nginx {
	t.Helper()
	testenv.Need(t, "nginx")
	dir := t.TempDir()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	check(t, err)
	n := &nginx{at: netip.MustParseAddrPort(l.Addr().String())}
	l.Close()
	settings := strings.NewReplacer("{dir}", dir, "{at}", n.at.String()).Replace(`
daemon off; pid {dir}/pid; error_log {dir}/error.log; worker_processes 1;
events { worker_connections 256; }
http {
	access_log off;
	client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/fastcgi;
	uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;
	server { listen {at}; location / { return 204; } }
}
`)
	name := filepath.Join(dir, "nginx.conf")
	check(t, os.WriteFile(name, []byte(settings), 0o600))
	n.cmd = exec.Command("nginx", "-c", name, "-p", dir, "-g", "user root;")
	n.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	check(t, n.cmd.Start())
	t.Cleanup(func() {
		syscall.Kill(-n.cmd.Process.Pid, syscall.SIGKILL)
		n.cmd.Wait()
	})
	testenv.Until(t, "nginx listens", func() bool {
		conn, err := net.Dial("tcp4", n.at.String())
		return err == nil && conn.Close() == nil
	})
	return n
}

// visit asks for a page so many times a second, each time anew, until ctx is done.
func (n *nginx) visit(ctx context.Context, each time.Duration) {
	var group sync.WaitGroup
	defer group.Wait()
	ticker := time.NewTicker(each)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		group.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
			defer cancel()
			conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", n.at.String())
			if err != nil {
				return
			}
			defer conn.Close()
			defer context.AfterFunc(ctx, func() { conn.Close() })()
			fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", n.at)
			conn.Read(make([]byte, 512))
		})
	}
}

// ward has web servers checked, and their sockets watched, as a manager does its nodes.
type ward struct {
	*health.Checker
	servers map[string]*nginx
	down    chan outage
	known   sync.WaitGroup // until enough of their answers are
	wronged int            // those that were out, and nothing was wrong with them
}

// An outage is a server that went out, and why.
type outage struct{ id, reason string }

// enough answers of a server make known what they take, and some are to spare.
const enough = 40

// probe counts answers.
func (w *ward) probe(prober *health.Prober) func(context.Context, health.Target) health.Result {
	var mu sync.Mutex
	answers := map[string]int{}
	return func(ctx context.Context, t health.Target) health.Result {
		r := prober.Probe(ctx, t)
		if r.Word.Up() && t.Check.Level != health.Connect {
			mu.Lock()
			defer mu.Unlock()
			if answers[t.ID]++; answers[t.ID] == enough {
				w.known.Done()
			}
		}
		return r
	}
}

// watched starts so many web servers, and what checks them, until it is known what
// their answers take. Unless inside, their sockets are not watched.
func watched(t testing.TB, servers int, check health.Check, visits time.Duration, inside bool) *ward {
	t.Helper()
	w := &ward{servers: map[string]*nginx{}, down: make(chan outage, 1<<16)}
	w.known.Add(servers)
	probe := w.probe(&health.Prober{Now: time.Now})
	w.Checker = &health.Checker{Probe: probe, Now: time.Now, Log: slog.New(slog.DiscardHandler), Changed: func(id string, _, is health.Verdict) {
		if is.State == health.Down {
			w.down <- outage{id, is.Last.Reason}
		}
	}}
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	t.Cleanup(func() { cancel(); group.Wait() })
	var watch Watch
	var targets []health.Target
	for range servers {
		n := serve(t)
		id := strconv.Itoa(int(n.at.Port()))
		w.servers[id] = n
		watch.Ports = append(watch.Ports, n.at.Port())
		targets = append(targets, health.Target{ID: id, Host: id, Addr: n.at, Check: check})
		if visits > 0 {
			group.Go(func() { n.visit(ctx, visits) })
		}
	}
	w.Set(targets, nil)
	group.Go(func() { w.Run(ctx) })
	if inside {
		group.Go(func() {
			(&Watcher{
				Watch: func(context.Context) (Watch, error) { return watch, nil },
				Tell:  w.hear, Now: time.Now, Log: slog.New(slog.DiscardHandler),
			}).Run(ctx)
		})
	}
	w.known.Wait()
	return w
}

func (w *ward) hear(_ context.Context, p health.Pulse) error {
	for id, n := range w.servers {
		var ids []string
		if slices.Contains(p.Stalled, n.at.Port()) {
			ids = []string{id}
		}
		w.Stall(id, ids, time.Now().Add(20*time.Second))
	}
	return nil
}

// hang stops a server as a debugger does: its kernel goes on, and accepts. It
// returns how long it took until that was found, and what it was found by.
func (w *ward) hang(t testing.TB, id string) (time.Duration, string) {
	t.Helper()
	testenv.Until(t, "it is in before it hangs", func() bool { return w.Verdicts()[id].State != health.Down })
	begun := time.Now()
	w.servers[id].signal(t, syscall.SIGSTOP)
	defer w.servers[id].signal(t, syscall.SIGCONT)
	for {
		select {
		case found := <-w.down:
			if found.id == id {
				return time.Since(begun), found.reason
			}
			w.wronged++
		case <-time.After(testenv.Wait()):
			t.Fatalf("it was not found: %+v", w.Verdicts()[id])
		}
	}
}

// TestHangIsFound: a web server that is stopped in the midst of its visitors is out
// before an answer is due, and one beside it is not.
func TestHangIsFound(t *testing.T) {
	check := health.Check{Kind: health.HTTP, Interval: 100 * time.Millisecond, Connect: 10 * time.Second, Timeout: 10 * time.Second}
	w := watched(t, 2, check, 20*time.Millisecond, true)
	for id := range w.servers {
		took, reason := w.hang(t, id)
		if w.wronged > 0 || took >= check.Timeout || !strings.HasSuffix(reason, ", and it accepts no connections") {
			t.Errorf("found after %v: %s", took, reason)
		}
		t.Logf("found after %v: %s", took, reason)
		return
	}
}

// BenchmarkHang measures how long it takes until web servers that hang are out,
// after they answered for long enough to be known: with visitors, and without.
func BenchmarkHang(b *testing.B) {
	for name, visits := range map[string]time.Duration{"visited": 200 * time.Millisecond, "idle": 0} {
		for _, inside := range []bool{true, false} {
			b.Run(fmt.Sprintf("%s/inside=%t", name, inside), func(b *testing.B) {
				w := watched(b, 40, health.Check{Kind: health.HTTP}, visits, inside)
				for range b.N {
					var took []time.Duration
					for id := range w.servers {
						time.Sleep(time.Duration(rand.IntN(1000)) * time.Millisecond)
						found, _ := w.hang(b, id)
						took = append(took, found)
					}
					slices.Sort(took)
					b.ReportMetric(took[len(took)/2].Seconds(), "p50-s")
					b.ReportMetric(took[len(took)*9/10].Seconds(), "p90-s")
					b.ReportMetric(took[len(took)-1].Seconds(), "max-s")
					b.ReportMetric(float64(w.wronged), "wronged")
				}
			})
		}
	}
}

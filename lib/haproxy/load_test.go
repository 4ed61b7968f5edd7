//go:build !lab

package haproxy

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"iwx/lib/lb"
	"iwx/lib/testenv"
	"iwx/testscripts/load"
)

// visitors ask 300 times a second until the function that is returned is called,
// which gives their answers.
func visitors(t *testing.T, key netip.AddrPort) func() load.Answers {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l := load.Load{Address: key.String(), Rate: 300, Timeout: 10 * time.Second}
	done := make(chan load.Answers, 1)
	go func() { done <- l.Run(ctx) }()
	return func() load.Answers {
		cancel()
		return <-done
	}
}

func noneLost(t *testing.T, all load.Answers) {
	t.Helper()
	t.Logf("%d requests, %d slower than 100 ms, 99 %% within %v, servers %v", len(all), len(all.Slow(100*time.Millisecond)), all.Quantile(0.99), all.Servers())
	if len(all) < 100 {
		t.Errorf("only %d requests were sent", len(all))
	}
	if lost := all.Lost(); len(lost) > 0 {
		t.Errorf("%d of %d requests were lost: %v", len(lost), len(all), all.Reasons())
	}
}

// web starts web servers that answer with their name, on listeners from listen.
func web(t *testing.T, n int, listen func(i int) net.Listener) []netip.AddrPort {
	t.Helper()
	var list []netip.AddrPort
	for i := range n {
		l := listen(i)
		s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, "web%d\n", i+1)
		})}
		go func() { _ = s.Serve(l) }()
		t.Cleanup(func() { s.Close() })
		list = append(list, addr(l.Addr().String()))
	}
	return list
}

func webHere(t *testing.T, n int) []netip.AddrPort {
	return web(t, n, func(int) net.Listener {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return l
	})
}

func servers(addrs []netip.AddrPort) reals {
	all := reals{}
	for i, a := range addrs {
		all[a] = lb.Real{Name: fmt.Sprintf("web%d", i+1), Weight: 100}
	}
	return all
}

func TestThousandChangesUnderLoadLoseNothing(t *testing.T) {
	e, key := newEngine(t), freePort(t, "127.0.0.9")
	addrs := webHere(t, 4)
	want := table1(key, lb.Virtual{HTTP: true}, servers(addrs))
	apply(t, e, want)
	before, stop := masterStatus(t, e), visitors(t, key)
	rng := rand.New(rand.NewPCG(3, 4))
	var took []time.Duration
	for len(took) < 1000 {
		// The first goes through all that can happen to one; the last stays.
		i := rng.IntN(3)
		a, name := addrs[i], fmt.Sprintf("web%d", i+1)
		switch rng.IntN(4) {
		case 0:
			delete(want[key].Servers, a)
		case 1:
			want[key].Servers[a] = lb.Real{Name: name} // drained
		default:
			want[key].Servers[a] = lb.Real{Name: name, Weight: 1 + rng.IntN(255)}
		}
		ops := lb.Diff(want, observe(t, e))
		begun := time.Now()
		if err := e.Apply(t.Context(), ops); err != nil {
			t.Fatal(err)
		}
		if len(ops) > 0 {
			took = append(took, time.Since(begun))
		}
	}
	noneLost(t, stop())
	slices.Sort(took)
	t.Logf("a change took %v, 99 %% within %v", took[500], took[990])
	if after := masterStatus(t, e); after.reloads != before.reloads || !slices.Equal(after.workers, before.workers) {
		t.Errorf("a change reloaded: %v, then %v", before, after)
	}
	if left := lb.Diff(want, observe(t, e)); len(left) > 0 {
		t.Errorf("left to do: %v", left)
	}
}

func TestReloadsUnderLoadLoseNothing(t *testing.T) {
	e, key, other := newEngine(t), freePort(t, "127.0.0.9"), freePort(t, "127.0.0.9")
	addrs := webHere(t, 2)
	want := table1(key, lb.Virtual{HTTP: true}, servers(addrs))
	apply(t, e, want)
	before, stop := masterStatus(t, e), visitors(t, key)
	for i := range 8 {
		if i%2 == 0 {
			want[other] = table1(other, lb.Virtual{}, servers(addrs))[other]
		} else {
			delete(want, other)
		}
		apply(t, e, want)
	}
	noneLost(t, stop())
	if n := masterStatus(t, e).reloads - before.reloads; n != 8 {
		t.Errorf("there were %d reloads", n)
	}
}

// TestNodeThatIsCutOffCostsNoConnection has the balancer and its visitors in a
// network namespace of their own, and two nodes, each in another: one is unplugged at its
// end, and nothing comes back from it.
func TestNodeThatIsCutOffCostsNoConnection(t *testing.T) {
	if os.Getenv("IWX_BALANCER_NAMESPACE") == "" {
		again(t)
		return
	}
	ip(t, "link set lo up")
	var pids []string
	nodes := web(t, 2, func(i int) net.Listener {
		pid := node(t, i+1)
		pids = append(pids, pid)
		return listenIn(t, pid, fmt.Sprintf("10.9.%d.2:80", i+1))
	})
	e, key := newEngine(t), addr("127.0.0.9:80")
	want := table1(key, lb.Virtual{HTTP: true}, servers(nodes))
	apply(t, e, want)
	stop := visitors(t, key)
	answered := func(name string) func() bool {
		l := load.Load{Address: key.String(), Rate: 50, Timeout: 10 * time.Second}
		return func() bool {
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			return l.Run(ctx).Servers()[name] > 0
		}
	}
	testenv.Until(t, "both answer", func() bool { return answered("web1")() && answered("web2")() })
	ipIn(t, pids[1], "link set eth0 down")
	testenv.Until(t, "the other answers alone", func() bool { return answered("web1")() && !answered("web2")() })
	if left := lb.Diff(want, observe(t, e)); len(left) > 0 {
		t.Errorf("what HAProxy sees for itself is no change of ours: %v", left)
	}
	ipIn(t, pids[1], "link set eth0 up")
	testenv.Until(t, "it is back", answered("web2"))
	all := stop()
	noneLost(t, all)
	if len(all.Slow(200*time.Millisecond)) == 0 {
		t.Error("nobody was waited for: the node was not cut off in silence")
	}
}

// again runs the test that calls it in a network namespace.
func again(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("making network namespaces needs root")
	}
	cmd := exec.Command("unshare", "--net", os.Args[0], "-test.run", "^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), "IWX_BALANCER_NAMESPACE=yes")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS") {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}

// node makes a host at the end of a link, 10.9.i.2, and returns the process id of
// its namespace's holder.
func node(t *testing.T, i int) string {
	t.Helper()
	holder := exec.Command("unshare", "--net", "sh", "-c", "echo; exec cat")
	in, err := holder.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := holder.StdoutPipe()
	if err == nil {
		err = holder.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); _ = holder.Wait() })
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	pid := strconv.Itoa(holder.Process.Pid)
	ip(t, fmt.Sprintf("link add to%d type veth peer name eth0 netns %s", i, pid))
	ip(t, fmt.Sprintf("addr add 10.9.%d.1/24 dev to%d", i, i))
	ip(t, fmt.Sprintf("link set to%d up", i))
	ipIn(t, pid, fmt.Sprintf("addr add 10.9.%d.2/24 dev eth0", i))
	ipIn(t, pid, "link set eth0 up")
	return pid
}

// listenIn listens in the network namespace of a process. A socket stays in the
// namespace in which it was made.
func listenIn(t *testing.T, pid, address string) net.Listener {
	t.Helper()
	type result struct {
		net.Listener
		error
	}
	made := make(chan result)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		ns, err := os.Open("/proc/" + pid + "/ns/net")
		if err == nil {
			defer ns.Close()
			err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
		}
		if err != nil {
			made <- result{nil, err}
			return
		}
		l, err := net.Listen("tcp", address)
		made <- result{l, err}
	}()
	r := <-made
	if r.error != nil {
		t.Fatal(r.error)
	}
	return r.Listener
}

// ipIn is ip in the namespace of a process.
func ipIn(t *testing.T, pid, line string) {
	t.Helper()
	run(t, "nsenter", append([]string{"-t", pid, "-n", "ip"}, strings.Fields(line)...)...)
}

func ip(t *testing.T, line string) {
	t.Helper()
	run(t, "ip", strings.Fields(line)...)
}

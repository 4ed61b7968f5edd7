package host_test

import (
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"iwx/lib/host"
	"iwx/lib/testenv"
)

// inNamespace runs f on a thread in the network namespace of a process.
func inNamespace(t *testing.T, pid int, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		ns, err := os.Open("/proc/" + strconv.Itoa(pid) + "/ns/net")
		if err != nil {
			t.Error(err)
			return
		}
		defer ns.Close()
		if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			t.Error(err)
			return
		}
		f()
	}()
	<-done
}

// namespace starts a process in a network namespace of its own, and ends it with
// the test.
func namespace(t *testing.T) int {
	t.Helper()
	cmd := exec.Command("unshare", "-n", "sh", "-c", "echo; exec cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); cmd.Wait() })
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	return cmd.Process.Pid
}

func ip(t *testing.T, pid int, line string) {
	t.Helper()
	args := append([]string{"-t", strconv.Itoa(pid), "-n", "ip"}, strings.Fields(line)...)
	if out, err := exec.Command("nsenter", args...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v\n%s", line, err, out)
	}
}

// twoHosts returns two network namespaces, joined by the interfaces "here" and
// "there", whose hardware addresses end in 1 and 7.
func twoHosts(t *testing.T) (here, there int) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("making network namespaces needs root")
	}
	here, there = namespace(t), namespace(t)
	ip(t, here, "link add here address 02:00:00:00:00:01 type veth peer name there address 02:00:00:00:00:07 netns "+strconv.Itoa(there))
	ip(t, here, "link set here up")
	ip(t, there, "link set there up")
	return here, there
}

func TestHolder(t *testing.T) {
	here, there := twoHosts(t)
	for pid, name := range map[int]string{here: "here", there: "there"} {
		ip(t, pid, "address add 192.0.2.10/24 dev "+name)
		ip(t, pid, "address add 2001:db8::10/64 dev "+name+" nodad")
	}
	ip(t, here, "address add 192.0.2.1/24 dev here")
	ip(t, there, "address add 192.0.2.2/24 dev there")
	ip(t, here, "address add 2001:db8::1/64 dev here nodad")
	ip(t, there, "address add 2001:db8::2/64 dev there nodad")
	inNamespace(t, here, func() {
		for addr, want := range map[string]string{
			"192.0.2.10":   "02:00:00:00:00:07", // both hold it
			"192.0.2.2":    "02:00:00:00:00:07",
			"192.0.2.1":    "", // this host alone
			"192.0.2.99":   "",
			"2001:db8::10": "02:00:00:00:00:07",
			"2001:db8::2":  "02:00:00:00:00:07",
			"2001:db8::1":  "",
			"2001:db8::99": "",
		} {
			holder, err := host.Holder(t.Context(), "here", netip.MustParseAddr(addr))
			if err != nil || holder.String() != want {
				t.Errorf("%s: %v, %v; want %q", addr, holder, err, want)
			}
		}
		if _, err := host.Holder(t.Context(), "nowhere", netip.MustParseAddr("192.0.2.1")); err == nil {
			t.Error("no error for an interface that is not there")
		}
		if holder, err := host.Holder(t.Context(), "lo", netip.MustParseAddr("127.0.0.1")); holder != nil || err != nil {
			t.Errorf("loopback: %v, %v", holder, err)
		}
	})
}

// TestAnnounce holds that whoever knows another holder of an address learns of
// the new one.
func TestAnnounce(t *testing.T) {
	here, there := twoHosts(t)
	ip(t, there, "address add 192.0.2.2/24 dev there")
	ip(t, there, "address add 2001:db8::2/64 dev there nodad")
	for _, addr := range []string{"192.0.2.50", "2001:db8::50"} {
		ip(t, there, "neighbour replace "+addr+" lladdr 02:00:00:00:00:99 nud stale dev there")
		inNamespace(t, here, func() {
			if err := host.Announce(t.Context(), "here", netip.MustParseAddr(addr)); err != nil {
				t.Error(err)
			}
		})
		awaitNeighbour(t, there, addr, "02:00:00:00:00:01")
	}
}

// awaitNeighbour waits until the host knows addr at a hardware address.
func awaitNeighbour(t *testing.T, pid int, addr, at string) {
	t.Helper()
	tick, end := time.NewTicker(10*time.Millisecond), time.NewTimer(testenv.Wait())
	defer tick.Stop()
	defer end.Stop()
	for {
		out, err := exec.Command("nsenter", "-t", strconv.Itoa(pid), "-n", "ip", "neighbour", "show", addr).CombinedOutput()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(out), at) {
			return
		}
		select {
		case <-tick.C:
		case <-end.C:
			t.Fatalf("%s is not known at %s: %s", addr, at, out)
		}
	}
}

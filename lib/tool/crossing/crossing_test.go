package crossing

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"iwx/lib/cluster"
	"iwx/lib/host"
)

// partVariable has the test program be one end of a trial, in the network
// namespace in which it was started: "manager" or "node".
const partVariable = "IWX_TEST_PART"

// outcome is what an end tells.
type outcome struct {
	Came  []netip.Addr
	Error string
}

const nonce = "0123456789abcdef"

func TestMain(m *testing.M) {
	part := os.Getenv(partVariable)
	if part == "" {
		os.Exit(m.Run())
	}
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Second)
	defer cancel()
	var o outcome
	if err := o.play(ctx, part); err != nil {
		o.Error = err.Error()
	}
	json.NewEncoder(os.Stdout).Encode(o)
}

// play is one end of a trial of 192.0.2.80 and 2001:db8::80.
func (o *outcome) play(ctx context.Context, part string) error {
	here, err := host.Addresses()
	if err != nil {
		return err
	}
	trial := &cluster.Trial{Nonce: nonce}
	vips := addrs("192.0.2.80", "2001:db8::80")
	if part == "manager" {
		if trial.Paths, err = Paths(here, vips); err != nil {
			return err
		}
		came, failed, err := Ask(ctx, here, []Peer{{Addr: netip.MustParseAddr("192.0.2.2"), Trial: trial}})
		o.Came = came[nonce]
		if err == nil {
			err = failed[nonce]
		}
		return err
	}
	for i, own := range addrs("192.0.2.1", "2001:db8::1") {
		trial.Paths = append(trial.Paths, cluster.TrialPath{VIP: vips[i], Manager: own})
	}
	o.Came, err = Answer(ctx, here, trial)
	return err
}

func addrs(list ...string) (out []netip.Addr) {
	for _, a := range list {
		out = append(out, netip.MustParseAddr(a))
	}
	return out
}

// namespace is a server, or the network between two.
type namespace struct {
	*testing.T
	pid string
}

func newNamespace(t *testing.T) *namespace {
	t.Helper()
	cmd := exec.Command("unshare", "-n", "sh", "-c", "echo; exec cat")
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() { in.Close(); cmd.Wait() })
	_, err = out.Read(make([]byte, 1))
	must(t, err)
	return &namespace{t, strconv.Itoa(cmd.Process.Pid)}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// command is one that runs in the namespace.
func (n *namespace) command(name string, args ...string) *exec.Cmd {
	return exec.Command("nsenter", append([]string{"-t", n.pid, "-n", name}, args...)...)
}

func (n *namespace) run(stdin, name string, args ...string) {
	n.Helper()
	cmd := n.command(name, args...)
	cmd.Stdin = strings.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		n.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, stdin, out)
	}
}

func (n *namespace) ip(line string) { n.Helper(); n.run("", "ip", strings.Fields(line)...) }

// provider is a network with a manager and a node at ports "manager" and "node" of
// its bridge.
func provider(t *testing.T) (between, manager, node *namespace) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("making network namespaces needs root")
	}
	between, manager, node = newNamespace(t), newNamespace(t), newNamespace(t)
	between.ip("link add bridge type bridge")
	between.ip("link set bridge up")
	for i, s := range []*namespace{manager, node} {
		port, n := []string{"manager", "node"}[i], strconv.Itoa(i+1)
		between.ip("link add " + port + " type veth peer name eth0 address 02:00:00:00:00:0" + n + " netns " + s.pid)
		between.ip("link set " + port + " master bridge up")
		s.ip("link set lo up")
		s.ip("link set eth0 up")
		s.ip("address add 192.0.2." + n + "/24 dev eth0")
		s.ip("address add 2001:db8::" + n + "/64 dev eth0 nodad")
	}
	return between, manager, node
}

// filters has a port of the provider's drop what rules say of what comes in there.
func (n *namespace) filters(port, rules string) {
	n.Helper()
	n.run(fmt.Sprintf("table netdev %[1]s { chain in { type filter hook ingress device \"%[1]s\" priority 0; %[2]s; }; }\n", port, rules), "nft", "-f", "-")
}

// play runs an end of a trial in the namespace.
func (n *namespace) play(part string) <-chan outcome {
	n.Helper()
	cmd := n.command(os.Args[0])
	cmd.Env = append(os.Environ(), partVariable+"="+part)
	cmd.Stderr = os.Stderr
	done := make(chan outcome, 1)
	go func() {
		var o outcome
		out, err := cmd.Output()
		if err == nil {
			err = json.Unmarshal(out, &o)
		}
		if err != nil {
			o.Error = err.Error()
		}
		slices.SortFunc(o.Came, netip.Addr.Compare)
		done <- o
	}()
	return done
}

// TestCrossing has providers that filter as providers do: at the port of the
// server that sends.
func TestCrossing(t *testing.T) {
	const (
		vips  = "192.0.2.80 2001:db8::80"
		nodes = "192.0.2.2 192.0.2.80 2001:db8::2 2001:db8::80"
	)
	for _, tt := range []struct {
		name          string
		port, rules   string
		held          bool   // the node holds the virtual addresses, as does the manager
		out, in, fail string // what comes to the manager, and to the node
	}{
		{name: "an open network", out: nodes, in: "192.0.2.2 " + vips},
		{name: "an open network, in use", held: true, out: nodes, in: "192.0.2.2 " + vips},
		{"foreign sources from the node", "node", "ip saddr != 192.0.2.2 drop; ip6 saddr 2001:db8::80 drop", true,
			"192.0.2.2 2001:db8::2", "192.0.2.2 " + vips, ""},
		{"foreign sources of IPv4 alone", "node", "ip saddr != 192.0.2.2 drop", false, "192.0.2.2 2001:db8::2 2001:db8::80", "192.0.2.2 " + vips, ""},
		{"foreign sources from the manager", "manager", "ip saddr != 192.0.2.1 drop; ip6 saddr != 2001:db8::1 ip6 nexthdr udp drop", false, nodes, "192.0.2.2", ""},
		{"foreign destinations from the manager", "manager", "ip daddr 192.0.2.80 drop; ip6 daddr 2001:db8::80 drop", false, nodes, "192.0.2.2", ""},
		{"all of UDP", "node", "meta l4proto udp drop", false, "", "192.0.2.2 " + vips, ""},
		{"everything", "node", "drop", false, "", "", "no server answers for 192.0.2.2 on eth0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			between, manager, node := provider(t)
			if tt.held {
				for _, addr := range strings.Fields("192.0.2.80/32 2001:db8::80/128") {
					manager.ip("address add " + addr + " dev eth0")
					node.ip("address add " + addr + " dev lo")
				}
			}
			if tt.port != "" {
				between.filters(tt.port, tt.rules)
			}
			asked, answered := manager.play("manager"), node.play("node")
			here, there := <-asked, <-answered
			if got := words(here.Came); got != words(addrs(strings.Fields(tt.out)...)) || here.Error != tt.fail {
				t.Errorf("to the manager came %q, %s", got, here.Error)
			}
			if got := words(there.Came); got != words(addrs(strings.Fields(tt.in)...)) {
				t.Errorf("to the node came %q, %s", got, there.Error)
			}
		})
	}
}

func words(list []netip.Addr) string {
	slices.SortFunc(list, netip.Addr.Compare)
	return fmt.Sprint(list)
}

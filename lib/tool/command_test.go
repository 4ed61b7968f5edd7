package tool_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"iwx/lib/host"
	"iwx/lib/state"
	"iwx/lib/testenv"
)

// exits wants an exact exit code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE CMD...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	code := 0
	var exit *exec.ExitError
	switch err := ts.Exec(args[1], args[2:]...); {
	case errors.As(err, &exit):
		code = exit.ExitCode()
	case err != nil:
		ts.Fatalf("%v", err)
	}
	if code != want {
		ts.Fatalf("exit code %d, want %d", code, want)
	}
}

// waitFor repeats a command until it succeeds; the script goes on with its last
// output.
func waitFor(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: wait-for CMD...")
	}
	until(ts, strings.Join(args, " "), func() bool { return ts.Exec(args[0], args[1:]...) == nil })
}

// until waits for done, which is asked every 20 ms.
func until(ts *testscript.TestScript, what string, done func() bool) {
	deadline := time.After(testenv.Wait())
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-deadline:
			ts.Fatalf("not within %v: %s", testenv.Wait(), what)
		}
	}
}

// logsKey is the key under which a script keeps its logs.
type logsKey struct{}

// logs are the logs of the programs that a script has started.
type logs struct {
	failed func() bool // whether the script has failed
	known  []string
}

// showLog prints the last lines of a log if the script fails.
func showLog(ts *testscript.TestScript, name string) {
	l := ts.Value(logsKey{}).(*logs)
	if slices.Contains(l.known, name) {
		return
	}
	l.known = append(l.known, name)
	ts.Defer(func() {
		text, err := os.ReadFile(name)
		if !l.failed() || err != nil {
			return
		}
		lines := strings.Split(strings.TrimSpace(string(text)), "\n")
		ts.Logf("--- the end of %s", name)
		for _, line := range lines[max(0, len(lines)-15):] {
			ts.Logf("%s", line)
		}
	})
}

// daemons is the key under which a script keeps those it has started, by root.
type daemons struct{}

func running(ts *testscript.TestScript) map[string]*exec.Cmd {
	return ts.Value(daemons{}).(map[string]*exec.Cmd)
}

// start runs a daemon in the background. Its log is ROOT/queued.log.
func start(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: start ROOT [FLAG...]")
	}
	root := ts.MkAbs(args[0])
	log, err := os.OpenFile(filepath.Join(root, "queued.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	ts.Check(err)
	defer log.Close()
	showLog(ts, log.Name())
	cmd := exec.Command("iwx-queued", append([]string{"--root", root}, args[1:]...)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = root, log, log
	cmd.Env = []string{"PATH=" + ts.Getenv("PATH"), "HOME=/no-home", "TMPDIR=" + ts.Getenv("TMPDIR"), "TZ=UTC", "GORACE=" + raceOptions}
	ts.Check(cmd.Start())
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	running(ts)[root] = cmd
	ts.Defer(func() {
		cmd.Process.Signal(syscall.SIGCONT)
		cmd.Process.Kill()
		<-ended
	})
	until(ts, "iwx-queued runs below "+root, func() bool {
		select {
		case <-ended:
			ts.Fatalf("iwx-queued ended:\n%s", ts.ReadFile(filepath.Join(root, "queued.log")))
		default:
		}
		return works(root)
	})
}

// works reports whether a daemon has opened its wake socket, and on a manager
// its API.
func works(root string) bool {
	if !listens(root) {
		return false
	}
	if _, err := os.Stat(filepath.Join(host.At(root).PKI, "ca.key")); err != nil {
		return true // a node
	}
	out, _ := exec.Command("iwx-cluster-setup", "--root", root, "status", "-H", "-o", "manager").Output()
	return string(out) == "answers\n"
}

// listens reports whether a wake socket is open.
func listens(root string) bool {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	dir, err := os.Open(host.At(root).Run)
	if err != nil {
		return false
	}
	defer dir.Close()
	address := fmt.Sprintf("/proc/self/fd/%d/wake", dir.Fd())
	return unix.Connect(fd, &unix.SockaddrUnix{Name: address}) == nil
}

// end ends a daemon as systemd would.
func end(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: end ROOT")
	}
	root := ts.MkAbs(args[0])
	cmd := daemonOf(ts, root)
	ts.Check(cmd.Process.Signal(syscall.SIGTERM))
	until(ts, "iwx-queued below "+root+" ends", func() bool {
		return cmd.Process.Signal(syscall.Signal(0)) != nil
	})
	delete(running(ts), root)
}

// sendSignal sends a signal to a daemon.
func sendSignal(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: signal SIG ROOT")
	}
	sig := unix.SignalNum("SIG" + args[0])
	if sig == 0 {
		ts.Fatalf("%s is not a signal", args[0])
	}
	root := ts.MkAbs(args[1])
	cmd := daemonOf(ts, root)
	ts.Check(cmd.Process.Signal(sig))
	if sig == syscall.SIGKILL {
		until(ts, "the killed iwx-queued is gone", func() bool {
			return cmd.Process.Signal(syscall.Signal(0)) != nil
		})
		delete(running(ts), root)
	}
}

func daemonOf(ts *testscript.TestScript, root string) *exec.Cmd {
	cmd := running(ts)[root]
	if cmd == nil {
		ts.Fatalf("no iwx-queued was started below %s", root)
	}
	return cmd
}

// makeCluster sets up a manager and joins nodes, with the tools themselves.
func makeCluster(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("usage: cluster [NAME...]")
	}
	root := ts.Getenv("M")
	ts.Check(ts.Exec("iwx-cluster-setup", "--root", root, "manager", "--name", "demo",
		"--quorum-ip", ts.Getenv("MGR"), "--address", ts.Getenv("MGR2")))
	ts.Check(os.WriteFile(ts.MkAbs("recovery.key"), []byte(ts.ReadFile("stdout")), 0o600))
	start(ts, false, []string{root})
	for _, name := range args {
		number := strings.TrimPrefix(name, "web")
		node := ts.Getenv("W" + number)
		ts.Check(ts.Exec("iwx-node", "--root", root, "add", name))
		token := ts.MkAbs(name + ".token")
		ts.Check(os.WriteFile(token, []byte(ts.ReadFile("stdout")), 0o600))
		ts.Check(ts.Exec("iwx-cluster-setup", "--root", node, "node", "--address", ts.Getenv("N"+number), token))
		start(ts, false, []string{node})
	}
}

// readdress changes the address of the server below a root, whose daemon does
// not run: such a server has the address given at setup.
func readdress(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: readdress ROOT IP")
	}
	address, err := netip.ParseAddr(args[1])
	ts.Check(err)
	store, err := state.Open(context.Background(), host.At(args[0]).State)
	ts.Check(err)
	defer store.Close()
	id, err := store.Identity(context.Background())
	ts.Check(err)
	id.Address = address
	ts.Check(store.SetIdentity(context.Background(), id))
}

// replacement is something that differs from run to run, and what stands for it.
type replacement struct {
	pattern *regexp.Regexp
	text    string
}

// replacements are made in this order.
func replacements(ts *testscript.TestScript) []replacement {
	list := []replacement{
		{regexp.MustCompile(regexp.QuoteMeta(ts.Getenv("WORK"))), `$$WORK`},
		{regexp.MustCompile(regexp.QuoteMeta(ts.Getenv("BLOCK"))), `127.0.0.`},
	}
	for _, r := range [][2]string{
		{`(?m)^iwx-cluster-setup: warning: clock-sync: .*\n`, ``}, // the machine's own clock
		{`\biwx1-[0-9a-z]{100,}`, `iwx1-TOKEN`},
		{`AGE-SECRET-KEY-1[0-9A-Z]+`, `AGE-SECRET-KEY-1RECOVERY`},
		{`\bage1[0-9a-z]{50,}`, `age1RECIPIENT`},
		{`\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)`, `TIME`},
		{`\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`, `TIME`},
		{`\b[0-9a-f]{64}\b`, `SHA256`},
		{`\b[0-9a-f]{32}\b`, `MACHINE-ID`},
		{`\b[0-9a-z]{26}\b`, `ID26`},
		{`\b[0-9a-f]{16}\b`, `ID16`},
		{`(profile[ _](?:desired|reached)"?[: ]"? *)[0-9a-f]{12}\b`, `${1}PROFILE`},
		{`\bprocess \d+`, `process PID`},
		{`\bpid \d+`, `pid PID`},
		{`\b\d+[smhd] ago`, `AGO`},
	} {
		list = append(list, replacement{regexp.MustCompile(r[0]), r[1]})
	}
	return list
}

// normalise rewrites the last output for a comparison.
func normalise(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("usage: norm [RE=TEXT...]")
	}
	list := replacements(ts)
	for _, arg := range args {
		pattern, text, found := strings.Cut(arg, "=")
		re, err := regexp.Compile("(?m)" + pattern)
		if !found || err != nil {
			ts.Fatalf("norm: %q is not RE=TEXT: %v", arg, err)
		}
		list = append(list, replacement{re, text})
	}
	out, errs := ts.ReadFile("stdout"), ts.ReadFile("stderr")
	for _, r := range list {
		out, errs = r.replace(out), r.replace(errs)
	}
	fmt.Fprint(ts.Stdout(), out)
	fmt.Fprint(ts.Stderr(), errs)
}

// replace makes the replacement wherever it is to be. In a column, before two spaces
// or more, a shorter text is filled up to the length of what it stands for: "9s" and
// "12s" come to the same.
func (r replacement) replace(s string) string {
	var b strings.Builder
	end := 0
	for _, at := range r.pattern.FindAllStringSubmatchIndex(s, -1) {
		text := r.pattern.ExpandString(nil, r.text, s, at)
		b.WriteString(s[end:at[0]])
		b.Write(text)
		end = at[1]
		if short := end - at[0] - len(text); short > 0 && s[end-1] != '\n' && strings.HasPrefix(s[end:], "  ") {
			b.WriteString(strings.Repeat(" ", short))
		}
	}
	b.WriteString(s[end:])
	return b.String()
}
